//! Opening a log whose folder holds arbitrary bytes: it ends in a log or an error, never in a panic or without bound, and
//! what was accepted is accepted again with the same offsets. Input: chunks of a file's number, a length and its bytes.
#![no_main]

use std::{path::Path, sync::Arc};

use libfuzzer_sys::fuzz_target;
use riverrun_core::{
    TopicPartition, Uuid,
    log::{Log, LogConfig, LogOptions, SimulatedVfs, Vfs},
};

const FOLDER: &str = "/data/t-0";
const NAMES: [&str; 12] = [
    "00000000000000000000.log",
    "00000000000000000000.index",
    "00000000000000000000.timeindex",
    "00000000000000000003.log",
    "00000000000000000003.snapshot",
    "00000000000000000003.index",
    "00000000000000000003.timeindex",
    "leader-epoch-checkpoint",
    "00000000000000000000.txnindex",
    "00000000000000000003.txnindex",
    "00000000000000000000.snapshot",
    "partition.metadata",
];

fn open(vfs: &SimulatedVfs, recovery_point: i64, clean_shutdown: bool) -> Option<Log> {
    let options = LogOptions {
        topic_partition: TopicPartition::new("t", 0),
        topic_id: Uuid([1; 16]),
        config: LogConfig::default(),
        recovery_point,
        clean_shutdown,
        was_compacted: false,
        log_start_offset: 0,
        producers_max: riverrun_core::log::PRODUCERS_MAX,
        state: riverrun_core::budget::StateBudget::unlimited(),
    };
    Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options).ok()
}

fuzz_target!(|data: &[u8]| {
    let [mode, rest @ ..] = data else { return };
    let (clean, recovery_point) = (mode & 1 == 1, i64::from(mode >> 1) % 8);
    let vfs = SimulatedVfs::in_memory();
    vfs.create_dir_all(Path::new(FOLDER)).expect("memory");
    let mut rest = rest;
    while let [name, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, next) = tail.split_at(length);
        let path = Path::new(FOLDER).join(NAMES[usize::from(*name) % NAMES.len()]);
        let file = vfs.create(&path).expect("memory");
        file.write_at(file.len().expect("memory"), bytes).expect("memory");
        rest = next;
    }
    let Some(mut log) = open(&vfs, recovery_point, clean) else { return };
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert!(start <= end);
    let mut sound = true;
    let mut offset = start;
    while offset < end {
        match log.read(offset, 1, end, true) {
            Ok(info) if info.records.is_empty() => break,
            Ok(info) => {
                let batch = riverrun_core::record::RecordBatch::parse(info.records).expect("one whole batch");
                batch.verify_crc().expect("checked before it was handed out");
                offset = batch.header().next_offset();
            }
            Err(_) => {
                sound = false;
                break;
            }
        }
    }
    let _ = log.offset_for_time(0);
    let _ = log.aborted_transactions(start, end);
    let _ = log.active_producers();
    drop(log);
    if sound && !clean {
        let again = open(&vfs, recovery_point, false).expect("what was accepted is accepted again");
        assert_eq!((again.log_start_offset(), again.log_end_offset()), (start, end));
    }
});
