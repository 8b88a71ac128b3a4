//! Planted damage of each kind, and what a verification says of it. The log under test has several segments, two
//! transactions at a time, aborted and committed, and was closed; a sound one yields no finding.

use std::{path::Path, sync::Arc};

use super::*;
use crate::{
    LeaderEpoch, TopicPartition, Uuid,
    log::{
        AppendOrigin, Log, LogConfig, LogOptions, PRODUCERS_MAX, SimulatedVfs, TransactionMarker, Vfs,
        segment::file_name, vfs, write_offsets,
    },
    record::{BatchBuilder, BatchOptions, CRC_OFFSET, Compression, MAGIC_OFFSET, RecordBatch, batches},
};

const ROOT: &str = "/data";
const FOLDER: &str = "/data/t-0";

/// What a verification told: kind, severity, and the name of the file.
type Told = (&'static str, Severity, String);

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Observer for Findings {
    fn found(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    fn read(&mut self, _: u64) {}
}

fn options() -> LogOptions {
    LogOptions {
        topic_partition: TopicPartition::new("t", 0),
        topic_id: Uuid([1; 16]),
        config: LogConfig { segment_bytes: 2000, index_interval_bytes: 150, ..LogConfig::default() },
        recovery_point: 0,
        clean_shutdown: false,
        was_compacted: false,
        log_start_offset: 0,
        producers_max: PRODUCERS_MAX,
        state: crate::budget::StateBudget::unlimited(),
    }
}

fn send(log: &mut Log, producer_id: i64, sequence: i32, at: i64) {
    let options = BatchOptions {
        producer_id,
        producer_epoch: 0,
        base_sequence: sequence,
        transactional: true,
        compression: if sequence % 4 == 0 { Compression::Gzip } else { Compression::None },
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    for part in 0..3 {
        builder.append(at - part, Some(b"key"), Some(b"some value"), []).unwrap();
    }
    let epoch = LeaderEpoch(if at < 450 { 3 } else { 4 });
    log.append(builder.build().unwrap(), AppendOrigin::Client, epoch, at).unwrap();
}

fn end(log: &mut Log, producer_id: i64, commit: bool, at: i64) {
    let marker =
        TransactionMarker { producer_id, producer_epoch: 0, commit, coordinator_epoch: 1, transaction_version: 0 };
    let epoch = LeaderEpoch(if at < 450 { 3 } else { 4 });
    log.append_marker(&marker, epoch, at).unwrap();
}

/// A data directory with one log that was closed cleanly.
fn directory() -> SimulatedVfs {
    let vfs = SimulatedVfs::in_memory();
    vfs.create_dir_all(Path::new(FOLDER)).unwrap();
    let mut log = Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options()).unwrap();
    for round in 0..10 {
        let at = 100 + i64::from(round) * 100;
        for (step, sequence) in (0..3).map(|step| (step, (round * 3 + step) * 3)) {
            send(&mut log, 7, sequence, at + i64::from(step) * 7);
            send(&mut log, 8, sequence, at - i64::from(step));
        }
        end(&mut log, 8, round % 2 == 0, at + 30);
        end(&mut log, 7, round % 3 == 0, at + 31);
    }
    log.close().unwrap();
    let identity = "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n";
    write(&vfs, "/data/meta.properties", identity.as_bytes());
    write(&vfs, "/data/.kafka_cleanshutdown", b"{}");
    let points = [(TopicPartition::new("t", 0), log.log_end_offset())].into();
    write_offsets(&vfs, Path::new("/data/recovery-point-offset-checkpoint"), &points).unwrap();
    vfs
}

/// Makes it one that was not closed, of which nothing is known to be synced.
fn crashed(vfs: &SimulatedVfs) {
    vfs.remove(Path::new("/data/.kafka_cleanshutdown")).unwrap();
    vfs.remove(Path::new("/data/recovery-point-offset-checkpoint")).unwrap();
}

fn write(vfs: &SimulatedVfs, path: &str, bytes: &[u8]) {
    let file = vfs.create(Path::new(path)).unwrap();
    file.truncate(0).unwrap();
    file.write_at(0, bytes).unwrap();
}

fn read(vfs: &SimulatedVfs, path: &str) -> Vec<u8> {
    vfs::read(vfs, Path::new(path)).unwrap()
}

/// Changes a file by hand.
fn change(vfs: &SimulatedVfs, path: &str, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = read(vfs, path);
    how(&mut bytes);
    write(vfs, path, &bytes);
}

fn verify(vfs: &SimulatedVfs) -> Vec<Finding> {
    let mut findings = Findings::default();
    verify_directory(vfs, Path::new(ROOT), false, &mut findings).unwrap();
    findings.0
}

fn told(vfs: &SimulatedVfs) -> Vec<Told> {
    let name = |finding: &Finding| finding.file.file_name().unwrap().to_str().unwrap().to_owned();
    verify(vfs).iter().map(|finding| (finding.kind(), finding.severity, name(finding))).collect()
}

fn bases(vfs: &SimulatedVfs) -> Vec<i64> {
    let base = |name: &String| match DataFile::of_name(name) {
        Some(DataFile::Segment(base)) => Some(base),
        _ => None,
    };
    vfs.list(Path::new(FOLDER)).unwrap().iter().filter_map(base).collect()
}

fn path(base: i64, suffix: &str) -> String {
    format!("{FOLDER}/{}", file_name(base, suffix))
}

/// Where the batches of a segment begin.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut at = 0;
    batches(bytes.to_vec().into())
        .map(|batch| {
            let start = at;
            at += batch.unwrap().bytes().len();
            start
        })
        .collect()
}

#[test]
fn a_sound_directory_is_clean_and_stays_as_it_is() {
    let vfs = directory();
    assert!(bases(&vfs).len() > 2, "several segments");
    let files = |vfs: &SimulatedVfs| {
        let names = vfs.list(Path::new(FOLDER)).unwrap();
        names.into_iter().map(|name| (name.clone(), read(vfs, &format!("{FOLDER}/{name}")))).collect::<Vec<_>>()
    };
    let before = files(&vfs);
    let mut findings = Findings::default();
    let summaries = verify_directory(&vfs, Path::new(ROOT), false, &mut findings).unwrap();
    assert_eq!(findings.0, []);
    assert_eq!(files(&vfs), before);
    let [(partition, summary)] = summaries.as_slice() else { panic!("one partition") };
    assert_eq!((partition.to_string(), summary.offsets), ("t-0".to_owned(), Some((0, 200))));
    assert_eq!((summary.batches, summary.sound.as_slice()), (80, &[(0, 199)][..]));
    crashed(&vfs);
    assert_eq!(verify(&vfs), []);
}

#[test]
fn a_changed_bit_is_damage_wherever_it_is() {
    let vfs = directory();
    let first = path(0, "log");
    let bytes = read(&vfs, &first);
    let at = starts(&bytes);
    let name = file_name(0, "log");
    for place in [at[2] + 70, at[2] + CRC_OFFSET, at[2] + MAGIC_OFFSET] {
        change(&vfs, &first, |bytes| bytes[place] ^= 8);
        assert_eq!(told(&vfs), [("damaged_batch", Severity::Damage, name.clone())], "byte {place}");
        let finding = &verify(&vfs)[0];
        assert_eq!((finding.position, finding.offset), (Some(at[2] as u64), Some(6)));
        assert!(finding.advice().contains("riverrun log dump"));
        write(&vfs, &first, &bytes);
    }
    // The offset of a batch is not covered by its checksum.
    change(&vfs, &first, |bytes| bytes[at[3] + 7] ^= 64);
    let kinds: Vec<_> = told(&vfs).into_iter().map(|told| told.0).collect();
    assert_eq!(kinds, ["offsets_missing", "offsets_go_back"]);
    write(&vfs, &first, &bytes);
    change(&vfs, &first, |bytes| bytes[at[3] + 15] ^= 1);
    assert_eq!(told(&vfs)[0].0, "epoch_falls");
}

#[test]
fn a_torn_end_is_told_from_damage_by_what_was_synced() {
    let vfs = directory();
    let last = *bases(&vfs).last().unwrap();
    let (log, name) = (path(last, "log"), file_name(last, "log"));
    let whole = read(&vfs, &log);
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 5);
    let zeroed = |bytes: &mut Vec<u8>| bytes.resize(bytes.len() + 800, 0);
    change(&vfs, &log, cut);
    assert_eq!(told(&vfs), [("damaged_batch", Severity::Damage, name.clone())], "it was closed cleanly");
    write(&vfs, &log, &whole);
    crashed(&vfs);
    // Zeros alone are room for batches that did not come, and nothing to tell.
    let torn = vec![("torn_tail", Severity::TornTail, name.clone())];
    let ways = [(cut as fn(&mut Vec<u8>), torn), (zeroed, Vec::new())];
    for (how, expected) in ways {
        change(&vfs, &log, how);
        assert_eq!(told(&vfs), expected);
        // What is said is what is done.
        let copy = SimulatedVfs::in_memory();
        copy.create_dir_all(Path::new(FOLDER)).unwrap();
        for file in vfs.list(Path::new(FOLDER)).unwrap() {
            write(&copy, &format!("{FOLDER}/{file}"), &read(&vfs, &format!("{FOLDER}/{file}")));
        }
        let opened = Log::open(Arc::new(copy), Path::new(FOLDER), options()).unwrap();
        assert_eq!(opened.recovery().bytes_cut > 0, !expected.is_empty());
        write(&vfs, &log, &whole);
    }
    let points = [(TopicPartition::new("t", 0), 200)].into();
    write_offsets(&vfs, Path::new("/data/recovery-point-offset-checkpoint"), &points).unwrap();
    change(&vfs, &log, cut);
    assert_eq!(told(&vfs), [("damaged_batch", Severity::Damage, name.clone())], "it had been synced");
    let boundary = *starts(&whole).last().unwrap();
    write(&vfs, &log, &whole[..boundary]);
    assert!(told(&vfs).contains(&("ends_too_early", Severity::Damage, name)), "{:?}", told(&vfs));
}

#[test]
fn swapped_batches_and_lost_segments_break_the_order_of_offsets() {
    let vfs = directory();
    let first = path(0, "log");
    let bytes = read(&vfs, &first);
    let at = starts(&bytes);
    let swapped = [&bytes[..at[1]], &bytes[at[2]..at[3]], &bytes[at[1]..at[2]], &bytes[at[3]..]].concat();
    write(&vfs, &first, &swapped);
    let kinds: Vec<_> = told(&vfs).into_iter().filter(|told| told.1 == Severity::Damage).map(|told| told.0).collect();
    assert_eq!(kinds, ["offsets_missing", "offsets_go_back"]);
    write(&vfs, &first, &bytes);

    let second = bases(&vfs)[1];
    for suffix in ["log", "index", "timeindex", "txnindex"] {
        vfs.remove(Path::new(&path(second, suffix))).unwrap();
    }
    assert_eq!(told(&vfs)[0].0, "offsets_missing");
    assert_eq!(verify(&vfs)[0].offset, Some(second));
    // Compaction leaves gaps.
    let cleaned = [(TopicPartition::new("t", 0), 150)].into();
    write_offsets(&vfs, Path::new("/data/cleaner-offset-checkpoint"), &cleaned).unwrap();
    assert!(told(&vfs).iter().all(|told| told.1 != Severity::Damage), "{:?}", told(&vfs));
}

#[test]
fn wrong_indexes_are_rebuildable() {
    let vfs = directory();
    let index = |suffix: &str| path(0, suffix);
    let expect = |kind: &'static str, suffix: &str, how: &dyn Fn(&mut Vec<u8>)| {
        let bytes = read(&vfs, &index(suffix));
        change(&vfs, &index(suffix), how);
        assert_eq!(told(&vfs), [(kind, Severity::Rebuildable, file_name(0, suffix))], "{suffix}");
        write(&vfs, &index(suffix), &bytes);
    };
    expect("index_entry", "index", &|bytes| bytes[3] += 1);
    expect("index_entry", "index", &|bytes| bytes[7] -= 1);
    expect("index_cut", "index", &|bytes| bytes.push(0));
    expect("index_entry", "index", &|bytes| bytes.extend([0, 0, 0x7f, 0, 0, 0, 0x7f, 0]));
    expect("index_entry", "timeindex", &|bytes| bytes[7] += 1);
    expect("index_entry", "timeindex", &|bytes| bytes[11] += 1);
    expect("largest_time", "timeindex", &|bytes| bytes.truncate(bytes.len() - 12));
    expect("index_entry", "txnindex", &|bytes| bytes[9] ^= 1);
    expect("index_entry", "txnindex", &|bytes| bytes[17] ^= 1);
    expect("aborted_missing", "txnindex", &|bytes| bytes[25] ^= 1);
    expect("index_entry", "txnindex", &|bytes| bytes[33] ^= 1);
    expect("aborted_missing", "txnindex", &|bytes| bytes.truncate(0));
    for suffix in ["index", "timeindex"] {
        let bytes = read(&vfs, &index(suffix));
        vfs.remove(Path::new(&index(suffix))).unwrap();
        assert_eq!(told(&vfs), [("index_missing", Severity::Rebuildable, file_name(0, suffix))]);
        write(&vfs, &index(suffix), &bytes);
    }
    vfs.remove(Path::new(&index("txnindex"))).unwrap();
    assert_eq!(told(&vfs)[0].0, "aborted_missing");
}

#[test]
fn small_files_are_held_against_the_batches() {
    let vfs = directory();
    let expect = |told_of: &[(&'static str, Severity)], name: &str, how: &dyn Fn(&mut Vec<u8>)| {
        let path = if name.contains("offset") || name.starts_with("meta.") { ROOT } else { FOLDER };
        let path = format!("{path}/{name}");
        let existed = vfs.exists(Path::new(&path));
        let bytes = if existed { read(&vfs, &path) } else { Vec::new() };
        let mut changed = bytes.clone();
        how(&mut changed);
        write(&vfs, &path, &changed);
        let expected: Vec<Told> = told_of.iter().map(|(kind, severity)| (*kind, *severity, name.to_owned())).collect();
        assert_eq!(told(&vfs), expected, "{name}");
        if existed { write(&vfs, &path, &bytes) } else { vfs.remove(Path::new(&path)).unwrap() }
    };
    let text = |text: &'static str| move |bytes: &mut Vec<u8>| *bytes = text.as_bytes().to_vec();
    let snapshot = file_name(200, "snapshot");
    expect(&[("snapshot", Severity::Rebuildable)], &snapshot, &|bytes| bytes[3] ^= 1);
    expect(&[("snapshot", Severity::Rebuildable)], &snapshot, &|bytes| bytes[20] ^= 1);
    expect(&[("snapshot", Severity::Rebuildable)], &snapshot, &|bytes| bytes.truncate(4));
    expect(&[("epoch_differs", Severity::Rebuildable)], "leader-epoch-checkpoint", &text("0\n1\n3 0\n"));
    expect(&[("epochs_do_not_rise", Severity::Rebuildable)], "leader-epoch-checkpoint", &text("0\n2\n3 9\n3 5\n"));
    expect(&[("malformed", Severity::Rebuildable)], "leader-epoch-checkpoint", &text("0\nmany\n"));
    expect(&[("malformed", Severity::Damage)], "partition.metadata", &text("version: 0\n"));
    expect(&[("malformed", Severity::Damage)], "meta.properties", &text("version=1\n"));
    expect(&[("malformed", Severity::Rebuildable)], "recovery-point-offset-checkpoint", &text("0\n9\n"));
    expect(&[("no_folder", Severity::Rebuildable)], "recovery-point-offset-checkpoint", &text("0\n1\nu 0 5\n"));
    expect(&[("out_of_bounds", Severity::Rebuildable)], "cleaner-offset-checkpoint", &text("0\n1\nt 0 999\n"));
    expect(&[("leftover", Severity::Leftover)], &file_name(0, "log.deleted"), &|_| {});
    expect(&[("leftover", Severity::Leftover)], &file_name(0, "log.cleaned"), &|_| {});
    expect(&[("leftover", Severity::Leftover)], &file_name(0, "index.swap"), &|_| {});
    expect(&[("strange", Severity::Leftover)], "thesis.txt", &|_| {});
    let points = [(TopicPartition::new("t", 0), 201)].into();
    write_offsets(&vfs, Path::new("/data/recovery-point-offset-checkpoint"), &points).unwrap();
    assert_eq!(told(&vfs)[0].0, "ends_too_early");
}

#[test]
fn while_a_broker_runs_the_last_segment_is_left_out() {
    let vfs = directory();
    let last = *bases(&vfs).last().unwrap();
    change(&vfs, &path(last, "log"), |bytes| bytes.truncate(bytes.len() - 5));
    write(&vfs, &path(last, "index"), &[1, 2, 3]);
    let mut findings = Findings::default();
    let summaries = verify_directory(&vfs, Path::new(ROOT), true, &mut findings).unwrap();
    assert_eq!(findings.0, []);
    assert_eq!(summaries[0].1.segments, bases(&vfs).len() - 1);
    change(&vfs, &path(0, "log"), |bytes| bytes[70] ^= 1);
    let mut findings = Findings::default();
    verify_directory(&vfs, Path::new(ROOT), true, &mut findings).unwrap();
    assert_eq!(findings.0[0].kind(), "damaged_batch");
}

#[test]
fn records_that_cannot_be_read_are_found_when_asked_for() {
    let vfs = directory();
    let first = path(0, "log");
    let bytes = read(&vfs, &first);
    let at = starts(&bytes);
    // The value's length of the first record, and the checksum as its producer would have made it.
    change(&vfs, &first, |bytes| {
        bytes[at[1] + 61 + 1] ^= 0x7f;
        let crc = crate::record::crc32c(&bytes[at[1] + 21..at[2]]);
        bytes[at[1] + CRC_OFFSET..at[1] + 21].copy_from_slice(&crc.to_be_bytes());
    });
    assert!(RecordBatch::parse(read(&vfs, &first)[at[1]..at[2]].to_vec().into()).unwrap().verify_crc().is_ok());
    assert_eq!(verify(&vfs), []);
    let facts = PartitionFacts { deep: true, clean: true, ..PartitionFacts::default() };
    let mut findings = Findings::default();
    verify_partition(&vfs, Path::new(FOLDER), &facts, &mut findings).unwrap();
    let kinds: Vec<_> = findings.0.iter().map(Finding::kind).collect();
    assert_eq!(kinds, ["unreadable_records"]);
}
