//! Damaged files, failing disks, and recovery that is killed while it recovers.

#![expect(clippy::cast_possible_truncation, reason = "numbers of these tests are small")]

use super::*;
use crate::record::{BASE_OFFSET_OFFSET, BATCH_LENGTH_OFFSET, HEADER_LEN, MAGIC_OFFSET, PARTITION_LEADER_EPOCH_OFFSET};

/// A small generator, so that a seed is all there is to repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn log_file(base: i64) -> std::path::PathBuf {
    Path::new(FOLDER).join(format!("{base:020}.log"))
}

/// A closed log of three segments or more, and what is in it.
fn closed_log(vfs: &SimulatedVfs) -> BTreeMap<i64, (i64, String)> {
    let mut log = open(vfs, small(), 0).expect("opens");
    for number in 0..30 {
        append(&mut log, &values(3, &format!("{number}{}", "w".repeat(50))), 1000 + number * 7).expect("appends");
    }
    assert!(log.segment_count() >= 3);
    log.close().expect("closes");
    read_all(&mut log, 0, 1500)
}

fn reopen(vfs: &SimulatedVfs, recovery_point: i64, clean: bool) -> Result<Log, OpenError> {
    Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options(small(), recovery_point, clean))
}

/// Every bit of a header, in the middle of the log: whoever reads is told, and gets nothing that was changed (L9).
#[test]
fn a_changed_header_is_never_handed_out() {
    let vfs = SimulatedVfs::new();
    let records = closed_log(&vfs);
    let end = records.len() as i64;
    let mut log = reopen(&vfs, end, true).expect("opens");
    let first = RecordBatch::parse(log.read(0, 1, end, true).expect("reads").records).expect("a batch");
    let at = first.bytes().len() as u64;
    for bit in 0..(HEADER_LEN * 8) as u64 {
        vfs.flip_bit(&log_file(0), at + bit / 8, (bit % 8) as u8);
        // One read cannot tell what epoch is right; recovery can, by the batch before or the one behind.
        if !(PARTITION_LEADER_EPOCH_OFFSET..MAGIC_OFFSET).contains(&(bit as usize / 8)) {
            // The damage is in the second batch: a reader of the first gets that one and no more.
            assert_eq!(log.read(0, 100_000, end, true).expect("reads").records, first.bytes(), "bit {bit}");
            let error = log.read(3, 100_000, end, true).expect_err("corrupt");
            assert!(matches!(error, ReadError::Corrupt { position, .. } if position == at), "bit {bit}: {error}");
        }
        vfs.flip_bit(&log_file(0), at + bit / 8, (bit % 8) as u8);
    }
    assert_eq!(read_all(&mut log, 0, 777), records);
}

/// The same before a restart that was not clean: nothing is cut off, whatever bit it was.
#[test]
fn a_changed_header_is_not_taken_for_a_torn_tail() {
    let vfs = SimulatedVfs::new();
    let records = closed_log(&vfs);
    let last = {
        let mut log = reopen(&vfs, 0, false).expect("opens");
        let bytes = log.read(records.len() as i64 - 1, 1, records.len() as i64, true).expect("reads").records;
        (bytes.len() as u64, log.size_in_bytes())
    };
    for bit in 0..(HEADER_LEN * 8) as u64 {
        let byte = bit as usize / 8;
        vfs.flip_bit(&log_file(0), 231 + bit / 8, (bit % 8) as u8);
        match reopen(&vfs, 0, false) {
            Err(OpenError::Corrupt { .. }) => {}
            Ok(log) => panic!("bit {bit} of byte {byte} went unnoticed, the log ends at {}", log.log_end_offset()),
            Err(error) => panic!("bit {bit}: {error}"),
        }
        vfs.flip_bit(&log_file(0), 231 + bit / 8, (bit % 8) as u8);
    }
    // The very last batch: what its checksum does not cover tells that it is no torn one.
    let name = vfs.list(Path::new(FOLDER)).expect("lists").into_iter().rfind(|name| name.ends_with(".log"));
    let path = Path::new(FOLDER).join(name.expect("a segment"));
    let size = vfs.open(&path).and_then(|file| file.len()).expect("a length");
    for field in [BASE_OFFSET_OFFSET, BATCH_LENGTH_OFFSET, MAGIC_OFFSET] {
        vfs.flip_bit(&path, size - last.0 + field as u64, 3);
        let error = reopen(&vfs, 0, false).expect_err("corrupt");
        assert!(matches!(error, OpenError::Corrupt { position, .. } if position == size - last.0), "{field}: {error}");
        vfs.flip_bit(&path, size - last.0 + field as u64, 3);
    }
    assert_eq!(read_all(&mut reopen(&vfs, 0, false).expect("opens"), 0, 999), records);
}

/// Indexes and snapshots with any bit changed: every answer stays the same (L8).
#[test]
fn derived_files_may_be_wrong() {
    let vfs = SimulatedVfs::new();
    let records = closed_log(&vfs);
    let end = records.len() as i64;
    let names = vfs.list(Path::new(FOLDER)).expect("lists").into_iter();
    // All are read before the first opening, which may remove some.
    let derived: Vec<_> = names
        .filter(|name| name.ends_with("index") || name.ends_with("snapshot"))
        .map(|name| (crate::log::vfs::read(&vfs, &Path::new(FOLDER).join(&name)).expect("readable"), name))
        .collect();
    for (bytes, name) in &derived {
        let path = Path::new(FOLDER).join(name);
        for bit in 0..bytes.len() as u64 * 8 {
            vfs.flip_bit(&path, bit / 8, (bit % 8) as u8);
            let mut log = reopen(&vfs, end, true).unwrap_or_else(|error| panic!("{name}, bit {bit}: {error}"));
            assert_eq!(log.log_end_offset(), end, "{name}, bit {bit}");
            for offset in (0..end).step_by(7) {
                let bytes = log.read(offset, 1, end, true).unwrap_or_else(|error| panic!("{name}, bit {bit}: {error}"));
                let batch = RecordBatch::parse(bytes.records).expect("a batch");
                let range = batch.header().base_offset..=batch.header().last_offset();
                assert!(range.contains(&offset), "{name}, bit {bit}, offset {offset}: {range:?}");
            }
            for time in (990..1220).step_by(23) {
                let expected = records.iter().find(|(_, record)| record.0 >= time).map(|(offset, _)| *offset);
                let found = log.offset_for_time(time).expect("readable").map(|found| found.offset);
                assert_eq!(found, expected, "{name}, bit {bit}, time {time}");
            }
            drop(log);
            // Whatever the opening made of the file, removed it even: the next bit is changed in a whole one.
            crate::log::vfs::replace(&vfs, &path, bytes).expect("writable");
        }
    }
}

/// A life that ends in a power cut, then openings that are cut short themselves (L7).
fn killed_recovery(seed: u64) {
    let mut random = Random(seed);
    let vfs = SimulatedVfs::new();
    let mut written = BTreeMap::new();
    let (mut durable, mut point) = (0, 0);
    let mut log = open(&vfs, small(), 0).expect("opens");
    for number in 0..(3 + random.below(20)) as i64 {
        let tag = format!("{number}-{}", "v".repeat(random.below(400) as usize));
        let records = values(1 + random.below(4) as usize, &tag);
        for (index, value) in records.iter().enumerate() {
            written.insert(log.log_end_offset() + index as i64, (number + index as i64, value.clone()));
        }
        append(&mut log, &records, number).expect("appends");
        if random.below(3) == 0 {
            durable = log.flush().expect("flushes");
            point = if random.below(2) == 0 { durable } else { point };
        }
    }
    drop(log);
    vfs.crash(random.below(u64::MAX));
    for _ in 0..4 {
        vfs.inject(Fault::Stop(random.below(12)));
        match open(&vfs, small(), point).and_then(|mut log| {
            let flushed = log.flush().map_err(|error| OpenError::Io {
                action: error.action,
                file: error.file,
                source: error.source,
            })?;
            assert!(flushed >= durable, "seed {seed}");
            Ok(())
        }) {
            Ok(()) | Err(OpenError::Io { .. } | OpenError::Checkpoint(CheckpointError::Io { .. })) => {}
            Err(error) => panic!("seed {seed}: {error}"),
        }
        vfs.crash(random.below(u64::MAX));
        vfs.heal();
    }
    let mut log = open(&vfs, small(), point).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let found = read_all(&mut log, 0, 900);
    let end = log.log_end_offset();
    assert!(end >= durable, "seed {seed}: {durable} was durable, the log ends at {end}");
    assert!(found.len() as i64 == end && found.iter().all(|(k, v)| written.get(k) == Some(v)), "seed {seed}");
}

#[test]
fn recovery_may_be_killed_too() {
    for seed in 0..1500 {
        killed_recovery(seed);
    }
}

/// A read, write or sync that fails, at every place in a life: the log says so, keeps what it had, and loses nothing
/// that was durable.
#[test]
fn any_one_failure_of_the_disk_is_survived() {
    for nth in 0..60 {
        for fault in [Fault::Read(nth), Fault::Write(nth), Fault::Sync(nth)] {
            let vfs = SimulatedVfs::new();
            let mut log = open(&vfs, small(), 0).expect("opens");
            vfs.inject(fault);
            let (mut durable, mut acked) = (0, BTreeMap::new());
            for number in 0..20 {
                let records = values(3, &format!("{number}{}", "u".repeat(80)));
                let base = log.log_end_offset();
                match append(&mut log, &records, number) {
                    Ok(info) => {
                        assert_eq!(info.base_offset, base, "{fault:?}");
                        acked.extend((base..).zip(records));
                    }
                    Err(error) => assert!(matches!(error, AppendError::Io { .. } | AppendError::Offline { .. })),
                }
                if number % 3 == 0
                    && let Ok(offset) = log.flush()
                {
                    durable = offset;
                }
            }
            let end = log.log_end_offset();
            drop(log);
            vfs.heal();
            vfs.crash(nth);
            let mut log = open(&vfs, small(), 0).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert!((durable..=end).contains(&log.log_end_offset()), "{fault:?}");
            for (offset, (_, value)) in read_all(&mut log, 0, 5000) {
                assert_eq!(acked.get(&offset), Some(&value), "{fault:?}, offset {offset}");
            }
        }
    }
}

/// A failed sync is never made good by a later one: not even for a log that has rolled in between.
#[test]
fn nothing_is_durable_after_a_failed_sync() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    append(&mut log, &values(3, "kept"), 1).expect("appends");
    let durable = log.flush().expect("syncs");
    append(&mut log, &values(3, "lost"), 2).expect("appends");
    vfs.inject(Fault::Sync(0));
    log.flush().expect_err("the sync fails");
    vfs.heal();
    let _ = log.roll();
    log.flush().expect_err("what the first sync lost, a second one cannot bring back");
    assert_eq!(log.recovery_point(), durable);
}

/// A disk too full for the list of epochs costs that list, which can be read off the batches, and not the log.
#[test]
fn a_full_disk_does_not_take_a_log_offline() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    append(&mut log, &values(3, "kept"), 1).expect("appends");
    vfs.inject(Fault::Capacity(0));
    let end = log.log_end_offset();
    assert_eq!(log.flush().expect("what was written can be synced"), end);
    assert_eq!(log.offline_reason(), None);
    vfs.heal();
    append(&mut log, &values(3, "again"), 2).expect("there is room again");
    log.flush().expect("syncs");
    let epochs = log.epochs().clone();
    drop(log);
    vfs.crash(1);
    let log = open(&vfs, small(), end).expect("opens");
    assert_eq!(log.epochs().entries(), epochs.entries());
}

/// Retention that a power cut interrupts leaves no hole: the log opens, and holds all that was to stay.
#[test]
fn interrupted_retention_leaves_no_hole() {
    for seed in 0..300 {
        let vfs = SimulatedVfs::new();
        let records = closed_log(&vfs);
        let end = records.len() as i64;
        let mut log = reopen(&vfs, end, true).expect("opens");
        log.set_config(LogConfig { retention_bytes: 0, retention_ms: -1, ..small() });
        vfs.inject(Fault::Stop(seed % 15));
        let removed = log.delete_segments(2000);
        let start = log.log_start_offset();
        drop(log);
        vfs.crash(seed);
        vfs.heal();
        let mut log = reopen(&vfs, end, false).unwrap_or_else(|error| panic!("seed {seed}, {removed:?}: {error}"));
        assert!(log.log_start_offset() <= start, "seed {seed}: nothing more than was removed");
        let from = log.log_start_offset();
        assert_eq!(read_all(&mut log, from, 1000), records.range(from..).map(|(k, v)| (*k, v.clone())).collect());
    }
}

/// The same when the name of the segment that stays was never synced: no offset is given out a second time.
#[test]
fn interrupted_retention_does_not_lose_the_end_of_the_log() {
    for seed in 0..300 {
        let vfs = SimulatedVfs::new();
        let mut log = open(&vfs, small(), 0).expect("opens");
        append(&mut log, &values(3, "a"), 1000).expect("appends");
        assert_eq!(log.flush().expect("flushes"), 3);
        log.roll().expect("rolls");
        append(&mut log, &values(3, "b"), 1000).expect("appends");
        log.advance_high_watermark(i64::MAX);
        log.set_config(LogConfig { retention_bytes: 0, retention_ms: -1, ..small() });
        vfs.inject(Fault::Stop(seed % 8));
        let removed = log.delete_segments(2000);
        drop(log);
        vfs.crash(seed);
        vfs.heal();
        // No checkpoint was written: nothing is known of what was there.
        let log = reopen(&vfs, 0, false).unwrap_or_else(|error| panic!("seed {seed}, {removed:?}: {error}"));
        assert!(log.log_end_offset() >= 3, "seed {seed}, {removed:?}: the log ends at {}", log.log_end_offset());
    }
}

/// A process that is killed in the middle of retention: where the next one says that the log begins, it still begins after
/// a power cut.
#[test]
fn a_start_that_was_told_does_not_move_back() {
    for seed in 0..100 {
        let vfs = SimulatedVfs::new();
        let end = closed_log(&vfs).len() as i64;
        let mut log = reopen(&vfs, end, true).expect("opens");
        log.set_config(LogConfig { retention_bytes: 0, retention_ms: -1, ..small() });
        vfs.inject(Fault::Stop(seed % 15));
        let _ = log.delete_segments(2000);
        drop(log);
        vfs.heal();
        let told = reopen(&vfs, end, false).expect("opens").log_start_offset();
        vfs.crash(seed);
        assert_eq!(reopen(&vfs, end, false).expect("opens").log_start_offset(), told, "seed {seed}");
    }
}

/// A log that begins anew behind what it lost, and is cut short while it removes the rest: whatever of that is back, the next
/// opening is not stopped by it.
#[test]
fn a_beginning_anew_may_be_killed_too() {
    for seed in 0..600 {
        let vfs = SimulatedVfs::new();
        let end = closed_log(&vfs).len() as i64;
        // Records were deleted up to an offset beyond what a power cut has left.
        let synced = end / 2;
        let anew = LogOptions { log_start_offset: end + 5, ..options(small(), synced, false) };
        vfs.inject(Fault::Stop(seed % 30));
        let killed = Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), anew.clone()).map(|_| ());
        vfs.crash(seed);
        vfs.heal();
        let log = Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), anew);
        let log = log.unwrap_or_else(|error| panic!("seed {seed}, after {killed:?}: {error}"));
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (end + 5, end + 5), "seed {seed}");
    }
}

/// A log that begins anew behind what it lost tells a recovery point above 0: what that vouches for is durable.
#[test]
fn a_recovery_point_vouches_for_the_topic_id() {
    for seed in 0..50 {
        let vfs = SimulatedVfs::new();
        let beyond = LogOptions { log_start_offset: 5, ..options(small(), 0, false) };
        let open = |options| Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options);
        drop(open(LogOptions { log_start_offset: 0, ..beyond.clone() }).expect("opens"));
        let point = open(beyond.clone()).expect("opens").flush().expect("has nothing to flush");
        vfs.crash(seed);
        let again = LogOptions { recovery_point: point, ..beyond };
        assert_eq!(open(again).unwrap_or_else(|error| panic!("seed {seed}: {error}")).log_end_offset(), 5);
    }
}

/// All five batches of a producer, over a roll and a clean restart.
#[test]
fn a_clean_restart_forgets_no_batch_of_a_producer() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    let send = |log: &mut Log, sequence| {
        log.append(producer_batch(&values(1, "p"), 10, 7, 0, sequence), AppendOrigin::Client, LeaderEpoch(0), 10)
    };
    for sequence in 0..7 {
        send(&mut log, sequence).expect("in order");
    }
    log.roll().expect("rolls");
    log.close().expect("closes");
    let mut log = reopen(&vfs, 7, true).expect("opens");
    for sequence in 2..7 {
        let info = send(&mut log, sequence).expect("a retry is no error");
        assert_eq!((info.base_offset, info.duplicate), (i64::from(sequence), true));
    }
    assert!(send(&mut log, 1).is_err(), "older than what is remembered");
    assert_eq!(send(&mut log, 7).expect("goes on").base_offset, 7);
}

/// Without the checkpoint, or with one that is no text, the epochs are those of the batches.
#[test]
fn leader_epochs_are_derived_too() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    for number in 0..30 {
        let bytes = batch(&values(3, &"e".repeat(100)), 5);
        log.append(bytes, AppendOrigin::Client, LeaderEpoch(number / 10), 5).expect("appends");
    }
    log.close().expect("closes");
    let epochs = log.epochs().clone();
    let path = Path::new(FOLDER).join("leader-epoch-checkpoint");
    for clean in [true, false] {
        vfs.open(&path).and_then(|file| file.write_at(0, b"?")).expect("damages");
        assert_eq!(reopen(&vfs, 90, clean).expect("opens").epochs(), &epochs);
        vfs.remove(&path).expect("removes");
        let mut log = reopen(&vfs, 90, clean).expect("opens");
        assert_eq!(log.epochs(), &epochs);
        log.close().expect("closes");
    }
}

/// A snapshot of batches that did not survive is not believed after the next clean restart.
#[test]
fn a_snapshot_of_lost_batches_is_forgotten() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    let send = |log: &mut Log, id, sequence| {
        log.append(producer_batch(&values(1, "p"), 10, id, 0, sequence), AppendOrigin::Client, LeaderEpoch(0), 10)
    };
    send(&mut log, 1, 0).expect("appends");
    assert_eq!(log.flush().expect("flushes"), 1);
    let before = vfs.open(&log_file(0)).and_then(|file| file.len()).expect("a length");
    send(&mut log, 1, 1).expect("appends");
    send(&mut log, 2, 0).expect("appends");
    log.roll().expect("rolls");
    drop(log);
    // What a power cut may leave: the snapshot, but not what it stands for.
    vfs.remove(&log_file(3)).expect("removes");
    vfs.open(&log_file(0)).and_then(|file| file.truncate(before)).expect("cuts");
    let mut log = reopen(&vfs, 1, false).expect("opens");
    assert_eq!(log.log_end_offset(), 1);
    send(&mut log, 3, 0).expect("appends");
    log.close().expect("closes");
    let mut log = reopen(&vfs, 2, true).expect("opens");
    assert_eq!(send(&mut log, 1, 1).expect("follows").base_offset, 2);
    assert!(send(&mut log, 3, 0).expect("a retry").duplicate);
}

#[test]
fn a_folder_that_was_moved_away_starts_empty_but_one_without_its_segments_does_not() {
    let vfs = SimulatedVfs::new();
    closed_log(&vfs);
    for name in vfs.list(Path::new(FOLDER)).expect("lists").iter().filter(|name| name.ends_with(".log")) {
        vfs.remove(&Path::new(FOLDER).join(name)).expect("removes");
    }
    for _ in 0..2 {
        assert!(matches!(reopen(&vfs, 90, false), Err(OpenError::Corrupt { .. })));
    }
    vfs.rename(Path::new(FOLDER), Path::new("/data/elsewhere")).expect("renames");
    let log = reopen(&vfs, 90, false).expect("opens");
    assert_eq!((log.log_end_offset(), log.recovery_point()), (0, 0));
}

#[test]
fn a_folder_of_another_topic_is_refused() {
    let vfs = SimulatedVfs::new();
    closed_log(&vfs);
    let other = LogOptions { topic_id: Uuid([9; 16]), ..options(small(), 0, false) };
    let error = Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), other).expect_err("not ours");
    assert!(matches!(error, OpenError::OtherTopic { expected: Uuid([9, ..]), .. }), "{error}");
}

#[test]
fn a_quiet_topics_records_go_with_age() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, LogConfig { retention_ms: 1000, ..small() }, 0).expect("opens");
    append(&mut log, &values(2, "a"), 5000).expect("appends");
    log.advance_high_watermark(2);
    assert_eq!(log.delete_segments(6001).expect("retains"), 0, "the second record is of 5001");
    assert_eq!(log.delete_segments(6002).expect("deletes"), 1);
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.segment_count()), (2, 2, 1));
    append(&mut log, &values(1, "b"), 7000).expect("appends");
    assert_eq!(read_all(&mut log, 2, 100).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever bytes lie in the folder: opening ends, and what it accepts it accepts again, unchanged.
    #[test]
    fn arbitrary_damage_ends_in_a_named_state(
        hits in prop::collection::vec((any::<u16>(), any::<u32>(), any::<u8>(), 0u8..3), 1..6),
        recovery_point in 0i64..100,
        clean in any::<bool>(),
    ) {
        let vfs = SimulatedVfs::new();
        let records = closed_log(&vfs);
        let names = vfs.list(Path::new(FOLDER)).expect("lists");
        for (file, position, byte, kind) in hits {
            let path = Path::new(FOLDER).join(&names[usize::from(file) % names.len()]);
            let file = vfs.open(&path).expect("opens");
            let length = file.len().expect("a length");
            let position = u64::from(position) % (length + 1);
            match kind {
                0 => file.write_at(position, &[byte]),
                1 => file.truncate(position),
                _ => file.write_at(length, &vec![byte; position as usize % 300]),
            }.expect("damages");
        }
        let Ok(mut log) = reopen(&vfs, recovery_point, clean) else { return Ok(()) };
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let first = log.read(start, 100_000, end, true);
        if let Ok(info) = &first {
            for batch in batches(info.records.clone()) {
                for record in &batch.expect("whole").decode(&Default::default()).expect("decodes") {
                    let record = record.expect("sound");
                    let value = record.value.map(<[u8]>::to_vec);
                    let expected = records.get(&record.offset).map(|record| record.1.clone().into_bytes());
                    prop_assert_eq!(value, expected);
                }
            }
        }
        drop(log);
        if !clean && first.is_ok() {
            let again = reopen(&vfs, recovery_point, false).expect("what was accepted is accepted again");
            prop_assert_eq!((again.log_start_offset(), again.log_end_offset()), (start, end));
        }
    }
}
