//! Verifying a data directory of arbitrary bytes: it ends, changes nothing, and says the same a second time; and a scan of
//! its segments passes every byte once. Input: a mode, then chunks of a file's number, a length and its bytes.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use riverrun_core::log::{
    SimulatedVfs, Vfs,
    inspect::{
        BatchScan, DirectoryFacts, Finding, Observer, PartitionFacts, Scanned, verify_directory, verify_partition,
    },
};

const NAMES: [&str; 18] = [
    "t-0/00000000000000000000.log",
    "t-0/00000000000000000000.index",
    "t-0/00000000000000000000.timeindex",
    "t-0/00000000000000000000.txnindex",
    "t-0/00000000000000000003.log",
    "t-0/00000000000000000003.index",
    "t-0/00000000000000000003.timeindex",
    "t-0/00000000000000000003.txnindex",
    "t-0/00000000000000000003.snapshot",
    "t-0/00000000000000000007.log.swap",
    "t-0/leader-epoch-checkpoint",
    "t-0/partition.metadata",
    "meta.properties",
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "cleaner-offset-checkpoint",
    "riverrun-bookmarks",
    ".kafka_cleanshutdown",
];

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Observer for Findings {
    fn found(&mut self, finding: Finding) {
        assert!(!finding.problem.to_string().is_empty() && !finding.advice().is_empty());
        self.0.push(finding);
    }

    fn read(&mut self, _: u64) {}
}

fn verify(vfs: &SimulatedVfs, in_use: bool, facts: &PartitionFacts) -> Vec<Finding> {
    let mut findings = Findings::default();
    verify_directory(vfs, Path::new("/data"), in_use, &mut findings).expect("it can be listed");
    verify_partition(vfs, Path::new("/data/t-0"), facts, &mut findings).expect("it can be listed");
    let _ = DirectoryFacts::read(vfs, Path::new("/data"), in_use, &mut findings);
    findings.0
}

fuzz_target!(|data: &[u8]| {
    let [mode, rest @ ..] = data else { return };
    let vfs = SimulatedVfs::in_memory();
    vfs.create_dir_all(Path::new("/data/t-0")).expect("memory");
    let mut rest = rest;
    while let [name, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, next) = tail.split_at(length);
        let path = Path::new("/data").join(NAMES[usize::from(*name) % NAMES.len()]);
        let file = vfs.create(&path).expect("memory");
        file.write_at(file.len().expect("memory"), bytes).expect("memory");
        rest = next;
    }
    let facts = PartitionFacts {
        clean: mode & 2 != 0,
        recovery_point: (mode & 4 != 0).then_some(i64::from(mode >> 5)),
        gaps_allowed: mode & 8 != 0,
        deep: mode & 16 != 0,
        ..PartitionFacts::default()
    };
    let found = verify(&vfs, mode & 1 != 0, &facts);
    assert_eq!(found, verify(&vfs, mode & 1 != 0, &facts));
    for name in NAMES.iter().filter(|name| name.ends_with(".log")) {
        let Ok(scan) = BatchScan::open(&vfs, &Path::new("/data").join(name)) else { continue };
        let (length, mut at) = (scan.length(), 0);
        for scanned in scan {
            match scanned.expect("memory") {
                Scanned::Batch(found) => {
                    assert_eq!(found.position, at);
                    at += found.batch.bytes().len() as u64;
                }
                Scanned::Damaged(found) => {
                    assert_eq!(found.position, at);
                    assert!(found.length > 0);
                    at += found.length;
                }
            }
        }
        assert_eq!(at, length);
    }
});
