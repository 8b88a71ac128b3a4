//! Stories of whole logs: against a plain model under random schedules, through crashes of a simulated disk, and with
//! damaged files.

mod compaction;
mod faults;
mod producer_cap;
mod rest;
mod room;
mod times;
mod transaction_model;
mod transactions;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    LeaderEpoch, TopicPartition, Uuid,
    record::{BatchBuilder, BatchOptions, Compression, RecordBatch, batches},
};

const FOLDER: &str = "/data/t-0";

fn small() -> LogConfig {
    // Below what a user may set, so that a test rolls often.
    LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..LogConfig::default() }
}

fn options(config: LogConfig, recovery_point: i64, clean_shutdown: bool) -> LogOptions {
    LogOptions {
        topic_partition: TopicPartition::new("t", 0),
        topic_id: Uuid([1; 16]),
        config,
        recovery_point,
        clean_shutdown,
        was_compacted: false,
        log_start_offset: 0,
        producers_max: PRODUCERS_MAX,
        state: crate::budget::StateBudget::unlimited(),
    }
}

fn open(vfs: &SimulatedVfs, config: LogConfig, recovery_point: i64) -> Result<Log, OpenError> {
    Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options(config, recovery_point, false))
}

fn batch(values: &[String], timestamp: i64) -> Bytes {
    producer_batch(values, timestamp, -1, -1, -1)
}

fn producer_batch(values: &[String], timestamp: i64, id: i64, epoch: i16, sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: id,
        producer_epoch: epoch,
        base_sequence: sequence,
        ..BatchOptions::default()
    });
    for (index, value) in values.iter().enumerate() {
        builder.append(timestamp + index as i64, Some(b"k"), Some(value.as_bytes()), []).expect("fits");
    }
    builder.build().expect("builds")
}

fn append(log: &mut Log, values: &[String], timestamp: i64) -> Result<AppendInfo, AppendError> {
    log.append(batch(values, timestamp), AppendOrigin::Client, LeaderEpoch(0), timestamp)
}

/// The read in two steps, from memory and from the file, finds what the read in one does.
fn assert_finds(log: &mut Log, offset: i64, max_bytes: usize, up_to: i64, at_least_one: bool) {
    let expected = log.read(offset, max_bytes, up_to, at_least_one).expect("readable").records;
    for worth_bytes in [usize::MAX, 0] {
        match log.find(offset, max_bytes, up_to, at_least_one, worth_bytes).expect("readable") {
            Found::Nothing => assert_eq!(expected, ""),
            Found::Memory(batches) => {
                // Memory knows no segments, so it may go on where the file ends.
                let found = batches.concat();
                assert!(found.starts_with(&expected), "offset {offset}, {max_bytes} bytes, up to {up_to}");
                assert!(found.len() <= max_bytes.max(expected.len()));
            }
            Found::File(search) => {
                let span = search.locate().expect("readable").expect("sound");
                let found = span.read().expect("readable").expect("sound");
                assert_eq!(found, expected, "offset {offset}, {max_bytes} bytes, up to {up_to}");
            }
            Found::Unknown => {}
        }
    }
}

/// Every record from `from` on, read in steps of `max_bytes`.
fn read_all(log: &mut Log, from: i64, max_bytes: usize) -> BTreeMap<i64, (i64, String)> {
    let mut found = BTreeMap::new();
    let mut next = from;
    loop {
        let end = log.log_end_offset();
        let info = log.read(next, max_bytes, end, true).expect("readable");
        assert_finds(log, next, max_bytes, end, true);
        if info.records.is_empty() {
            return found;
        }
        for batch in batches(info.records) {
            let batch = batch.expect("whole");
            batch.verify_crc().expect("sound");
            for record in &batch.decode(&Default::default()).expect("decodes") {
                let record = record.expect("sound");
                let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
                if record.offset >= from {
                    found.insert(record.offset, (record.timestamp, value));
                }
            }
            next = batch.header().next_offset();
        }
    }
}

fn values(count: usize, tag: &str) -> Vec<String> {
    (0..count).map(|index| format!("{tag}-{index}")).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Append { count: usize, padding: usize, time_step: i64 },
    Read { from: u16, max_bytes: u16 },
    FindTime { at: u16 },
    Roll,
    Flush,
    MakeRoom { bytes: u16 },
    CutRoom,
    DeleteRecords { at: u16 },
    Retention { bytes: u16 },
    Restart { clean: bool, drop_derived: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1usize..6, 0usize..300, -50i64..200)
            .prop_map(|(count, padding, time_step)| Step::Append { count, padding, time_step }),
        3 => (any::<u16>(), any::<u16>()).prop_map(|(from, max_bytes)| Step::Read { from, max_bytes }),
        2 => any::<u16>().prop_map(|at| Step::FindTime { at }),
        1 => Just(Step::Roll),
        1 => Just(Step::Flush),
        1 => any::<u16>().prop_map(|bytes| Step::MakeRoom { bytes }),
        1 => Just(Step::CutRoom),
        1 => any::<u16>().prop_map(|at| Step::DeleteRecords { at }),
        1 => any::<u16>().prop_map(|bytes| Step::Retention { bytes }),
        1 => any::<(bool, bool)>().prop_map(|(clean, drop_derived)| Step::Restart { clean, drop_derived }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The log answers as a plain map of offsets to records does, whatever happens in between.
    #[test]
    fn a_log_is_a_map_of_offsets(steps in prop::collection::vec(step(), 1..60)) {
        let vfs = SimulatedVfs::new();
        let mut log = open(&vfs, small(), 0).expect("opens");
        log.set_tail_bytes_max(1500);
        let mut model: BTreeMap<i64, (i64, String)> = BTreeMap::new();
        let (mut end, mut start, mut clock) = (0i64, 0i64, 1_000_000i64);
        for (number, step) in steps.into_iter().enumerate() {
            let pick = |at: u16| start + i64::from(at) % (end - start + 1);
            match step {
                Step::Append { count, padding, time_step } => {
                    clock += time_step;
                    let values: Vec<_> = values(count, &format!("{number}{}", "x".repeat(padding)));
                    let info = append(&mut log, &values, clock).expect("appends");
                    prop_assert_eq!(info.base_offset, end);
                    for (index, value) in values.into_iter().enumerate() {
                        model.insert(end, (clock + index as i64, value));
                        end += 1;
                    }
                    log.advance_high_watermark(end);
                }
                Step::Read { from, max_bytes } => {
                    let from = pick(from);
                    let expected: BTreeMap<_, _> = model.range(from..).map(|(k, v)| (*k, v.clone())).collect();
                    prop_assert_eq!(read_all(&mut log, from, usize::from(max_bytes)), expected);
                    prop_assert!(log.read(end + 1, 100, end, true).is_err());
                    assert_finds(&mut log, from, usize::from(max_bytes), end - i64::from(max_bytes % 9), max_bytes % 2 == 0);
                }
                Step::FindTime { at } => {
                    let time = clock - 2000 + i64::from(at) % 4000;
                    let expected = model.iter().find(|(_, (timestamp, _))| *timestamp >= time);
                    let found = log.offset_for_time(time).expect("readable");
                    prop_assert_eq!(found.map(|f| (f.offset, f.timestamp)), expected.map(|(k, v)| (*k, v.0)));
                }
                Step::Roll => log.roll().expect("rolls"),
                Step::Flush => prop_assert_eq!(log.flush().expect("flushes"), end),
                Step::MakeRoom { bytes } => log.set_room_bytes(u64::from(bytes)),
                Step::CutRoom => {
                    log.cut_room().expect("cuts");
                    prop_assert_eq!(log.room_in_bytes(), 0);
                }
                Step::DeleteRecords { at } => {
                    start = log.delete_records(pick(at)).expect("in range");
                    model = model.split_off(&start);
                }
                Step::Retention { bytes } => {
                    log.set_config(LogConfig { retention_bytes: i64::from(bytes), retention_ms: -1, ..small() });
                    log.delete_segments(clock).expect("deletes");
                    prop_assert!(log.log_start_offset() >= start);
                    start = log.log_start_offset();
                    model = model.split_off(&start);
                    log.set_config(small());
                }
                Step::Restart { clean, drop_derived } => {
                    if clean {
                        log.close().expect("closes");
                    }
                    let point = log.recovery_point();
                    drop(log);
                    if drop_derived {
                        for name in vfs.list(Path::new(FOLDER)).expect("lists") {
                            if name.ends_with("index") || name.ends_with(".snapshot") {
                                vfs.remove(&Path::new(FOLDER).join(name)).expect("removes");
                            }
                        }
                    }
                    let mut again = options(small(), point, clean);
                    again.log_start_offset = start;
                    log = Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), again).expect("opens");
                    prop_assert_eq!(log.log_start_offset(), start);
                }
            }
            prop_assert_eq!(log.log_end_offset(), end);
            prop_assert!(log.log_start_offset() <= log.high_watermark() && log.high_watermark() <= end);
        }
    }
}

/// One life of a log that ends in a power cut at a random step. Checks L1 and L7 after it.
fn crash_story(seed: u64) {
    let vfs = SimulatedVfs::new();
    let mut random = seed;
    let mut next = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let (mut durable, mut written, mut point) = (0i64, BTreeMap::new(), 0i64);
    for life in 0..3 {
        let mut log = open(&vfs, small(), point).unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        let found = read_all(&mut log, 0, 700);
        let end = log.log_end_offset();
        assert!(end >= durable, "seed {seed}: {durable} was durable, the log ends at {end}");
        for (offset, record) in &found {
            assert_eq!(written.get(offset), Some(record), "seed {seed}: offset {offset}");
        }
        assert_eq!(found.len(), usize::try_from(end).expect("a count"), "seed {seed}: no gaps");
        // Opening what was opened changes nothing.
        drop(log);
        let mut log = open(&vfs, small(), point).unwrap_or_else(|error| panic!("seed {seed}, again: {error}"));
        assert_eq!((log.log_end_offset(), read_all(&mut log, 0, 9999)), (end, found), "seed {seed}");
        written.retain(|offset, _| *offset < end);

        vfs.inject(Fault::Stop(next(60)));
        log.set_room_bytes([0, 0, 900, 5000][usize::try_from(next(4)).expect("small")]);
        for number in 0.. {
            let mut pick = |bound| usize::try_from(next(bound)).expect("small");
            let padding = "y".repeat(pick(400));
            let records = values(1 + pick(4), &format!("{life}-{number}-{padding}"));
            let base = log.log_end_offset();
            for (index, value) in records.iter().enumerate() {
                written.insert(base + index as i64, (number + index as i64, value.clone()));
            }
            if append(&mut log, &records, number).is_err() {
                break;
            }
            if next(3) == 0 {
                match log.flush() {
                    Ok(offset) => (durable, point) = (offset, if next(2) == 0 { offset } else { point }),
                    Err(_) => break,
                }
            }
        }
        drop(log);
        vfs.crash(next(u64::MAX));
    }
}

#[test]
fn what_was_synced_survives_every_crash() {
    for seed in 0..2000 {
        crash_story(seed);
    }
}

#[test]
fn a_failed_sync_takes_the_log_offline() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    append(&mut log, &values(1, "a"), 1).expect("appends");
    vfs.inject(Fault::Sync(0));
    assert!(log.flush().is_err());
    assert!(matches!(append(&mut log, &values(1, "b"), 2), Err(AppendError::Offline { .. })));
    assert_eq!(read_all(&mut log, 0, 1000).len(), 1, "what is there can be read");
}

#[test]
fn a_full_disk_refuses_and_resumes() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    append(&mut log, &values(1, "a"), 1).expect("appends");
    vfs.inject(Fault::Capacity(300));
    let big = vec!["z".repeat(400)];
    assert!(matches!(append(&mut log, &big, 2), Err(AppendError::Io { .. })));
    assert_eq!(read_all(&mut log, 0, 1000).len(), 1);
    vfs.heal();
    assert_eq!(append(&mut log, &big, 3).expect("appends").base_offset, 1);
    assert_eq!(read_all(&mut log, 0, 10_000).len(), 2);
}

#[test]
fn changed_bits_are_corruption_and_never_the_end_of_the_log() {
    for bit in 0..8 {
        let vfs = SimulatedVfs::new();
        let mut log = open(&vfs, small(), 0).expect("opens");
        let first = append(&mut log, &values(3, "one"), 1).expect("appends");
        let size = log.size_in_bytes();
        append(&mut log, &values(3, "two"), 2).expect("appends");
        drop(log);
        let path = Path::new(FOLDER).join("00000000000000000000.log");
        // Attributes and everything after them are under the checksum; so is the checksum itself.
        for position in [17, 22, 30, 57, size - 1] {
            vfs.flip_bit(&path, position, bit);
            let error = open(&vfs, small(), 0).expect_err("corrupt");
            assert!(matches!(error, OpenError::Corrupt { position: 0, .. }), "{error}");
            assert!(error.to_string().contains("00000000000000000000.log"), "{error}");
            vfs.flip_bit(&path, position, bit);
        }
        // The last batch, damaged and not known to be synced, is a torn tail; known to be synced it is corruption.
        vfs.flip_bit(&path, size + 40, bit);
        assert!(matches!(open(&vfs, small(), 6), Err(OpenError::Corrupt { .. })));
        assert_eq!(open(&vfs, small(), 3).expect("opens").log_end_offset(), first.last_offset + 1);
    }
}

#[test]
fn idempotent_producers_are_answered_and_fenced_also_after_a_restart() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    let send = |log: &mut Log, epoch, sequence| {
        let bytes = producer_batch(&values(2, "p"), 10, 7, epoch, sequence);
        log.append(bytes, AppendOrigin::Client, LeaderEpoch(0), 10)
    };
    for number in 0..7 {
        assert_eq!(send(&mut log, 0, number * 2).expect("in order").base_offset, i64::from(number) * 2);
    }
    for restart in [false, true] {
        if restart {
            log.close().expect("closes");
            log = Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options(small(), 14, true)).expect("opens");
        }
        let again = send(&mut log, 0, 12).expect("a retry is no error");
        assert_eq!((again.base_offset, again.last_offset, again.duplicate), (12, 13, true));
        let gap = send(&mut log, 0, 20).expect_err("a gap");
        assert!(matches!(gap, AppendError::Producer(ProducerError::OutOfOrderSequence { .. })), "{gap}");
        assert_eq!(log.log_end_offset(), 14);
    }
    assert!(matches!(send(&mut log, 1, 5), Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. }))));
    assert_eq!(send(&mut log, 1, 0).expect("a new session").base_offset, 14);
    assert!(matches!(send(&mut log, 0, 14), Err(AppendError::Producer(ProducerError::Fenced { .. }))));
}

#[test]
fn a_producers_sequence_wraps() {
    let vfs = SimulatedVfs::in_memory();
    let mut log = open(&vfs, LogConfig::default(), 0).expect("opens");
    let mut send = |sequence| {
        let bytes = producer_batch(&values(2, "p"), 10, 7, 0, sequence);
        log.append(bytes, AppendOrigin::Client, LeaderEpoch(0), 10)
    };
    send(i32::MAX - 2).expect("a log without state takes any");
    send(i32::MAX).expect("the last number and 0");
    assert!(send(i32::MAX).expect("a retry").duplicate);
    send(1).expect("goes on after the wrap");
}

#[test]
fn the_produce_rules() {
    let vfs = SimulatedVfs::in_memory();
    let mut config = small();
    config.max_message_bytes = 500;
    config.message_timestamp_after_max_ms = 1000;
    config.message_timestamp_before_max_ms = 1000;
    let mut log = open(&vfs, config.clone(), 0).expect("opens");
    let mut send = |bytes: Bytes| log.append(bytes, AppendOrigin::Client, LeaderEpoch(0), 5000);
    let good = batch(&values(1, "a"), 5000);
    assert!(matches!(send(Bytes::new()), Err(AppendError::NotOneBatch { count: 0 })));
    assert!(matches!(send([good.clone(), good.clone()].concat().into()), Err(AppendError::NotOneBatch { count: 2 })));
    assert!(matches!(send(good.slice(..good.len() - 1)), Err(AppendError::Corrupt(_))));
    assert!(matches!(send(batch(&["x".repeat(500)], 5000)), Err(AppendError::TooLarge { limit: 500, .. })));
    assert!(matches!(send(batch(&values(1, "a"), 6001)), Err(AppendError::InvalidTimestamp { .. })));
    assert!(matches!(send(batch(&values(1, "a"), 3999)), Err(AppendError::InvalidTimestamp { .. })));
    assert!(matches!(send(producer_batch(&values(1, "a"), 5000, 7, 0, -1)), Err(AppendError::InvalidRecord { .. })));
    // The header's largest timestamp is fine, an older record's is not.
    let mut mixed = BatchBuilder::new(BatchOptions::default());
    for timestamp in [5000, 3999, 5000] {
        mixed.append(timestamp, Some(b"k"), None, []).expect("fits");
    }
    let refused = send(mixed.build().expect("builds"));
    assert!(matches!(refused, Err(AppendError::InvalidTimestamp { timestamp: 3999, .. })));
    let stamped = BatchOptions { log_append_time_ms: Some(5000), ..BatchOptions::default() };
    let mut stamped = BatchBuilder::new(stamped);
    stamped.append(5000, Some(b"k"), None, []).expect("fits");
    assert!(matches!(send(stamped.build().expect("builds")), Err(AppendError::ForeignClock)));
    let control = BatchBuilder::new(BatchOptions { control: true, ..BatchOptions::default() });
    let control = {
        let mut c = control;
        c.append(5000, Some(b"k"), None, []).expect("fits");
        c.build().expect("builds")
    };
    assert!(matches!(send(control), Err(AppendError::InvalidRecord { .. })));
    send(good).expect("appends");

    config.cleanup_policy.compact = true;
    log.set_config(config);
    let mut keyless = BatchBuilder::new(BatchOptions::default());
    keyless.append(5000, None, Some(b"v"), []).expect("fits");
    let refused = log.append(keyless.build().expect("builds"), AppendOrigin::Client, LeaderEpoch(0), 5000);
    assert!(matches!(refused, Err(AppendError::InvalidRecord { .. })));
}

#[test]
fn a_topic_can_force_its_codec_and_its_clock() {
    let vfs = SimulatedVfs::in_memory();
    let config = LogConfig {
        compression: Some(Compression::Lz4),
        message_timestamp_type: MessageTimestampType::LogAppendTime,
        ..LogConfig::default()
    };
    let mut log = open(&vfs, config, 0).expect("opens");
    let bytes = producer_batch(&values(20, "a"), 1, 7, 0, 0);
    let info = log.append(bytes, AppendOrigin::Client, LeaderEpoch(3), 5000).expect("appends");
    assert_eq!((info.last_offset, info.log_append_time), (19, Some(5000)));
    let stored = RecordBatch::parse(log.read(0, 9999, 20, true).expect("reads").records).expect("one batch");
    stored.verify_crc().expect("sound");
    let header = stored.header();
    assert_eq!(header.attributes.compression(), Compression::Lz4);
    assert_eq!((header.max_timestamp, header.producer_id, header.partition_leader_epoch), (5000, 7, 3));
    assert_eq!(read_all(&mut log, 0, 9999).len(), 20);
}

#[test]
fn a_read_gives_the_whole_batch_and_the_first_in_any_case() {
    let vfs = SimulatedVfs::in_memory();
    let mut log = open(&vfs, LogConfig::default(), 0).expect("opens");
    for number in 0..3 {
        append(&mut log, &values(5, &format!("batch{number}")), 1).expect("appends");
    }
    let first = |info: ReadInfo| RecordBatch::parse(info.records).expect("one batch").header().base_offset;
    assert_eq!(first(log.read(7, 1, 15, true).expect("reads")), 5, "offset 7 lies in the second batch");
    assert!(log.read(7, 1, 15, false).expect("reads").records.is_empty(), "nothing fits in one byte");
    assert!(log.read(10, 9999, 10, true).expect("reads").records.is_empty(), "not beyond the limit");
    assert!(log.read(12, 9999, 14, true).expect("reads").records.is_empty(), "nor half a batch below it");
    assert!(matches!(log.read(16, 1, 15, true), Err(ReadError::OffsetOutOfRange { log_end_offset: 15, .. })));
}
