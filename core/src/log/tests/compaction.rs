//! Compaction of whole logs: against what a plain map of keys says, through crashes and disk errors at every step, with
//! transactions, producers and restarts.

use std::collections::BTreeMap;

use super::*;
use crate::record::BatchHeader;

const HORIZON_MS: i64 = 1000;

pub(super) fn compacted() -> LogConfig {
    LogConfig {
        cleanup_policy: CleanupPolicy { compact: true, delete: false },
        delete_retention_ms: HORIZON_MS,
        min_cleanable_dirty_ratio: 0.0,
        segment_bytes: 700,
        ..small()
    }
}

fn limits(map_bytes: usize) -> CompactionLimits {
    CompactionLimits { map_bytes, map_load_percent: 90, buffer_bytes: 300, secret: [5, 6] }
}

/// All steps of a compaction, as the broker goes through them. Returns the offset up to which the log is compacted.
pub(super) fn compact(
    log: &mut Log,
    cleaned_to: Option<i64>,
    now_ms: i64,
    map_bytes: usize,
) -> Result<i64, CompactionError> {
    let Some(cleanable) = log.cleanable(cleaned_to, now_ms)? else { return Ok(cleaned_to.unwrap_or(0)) };
    let mut compaction = log.begin_compaction(&cleanable, limits(map_bytes), now_ms)?;
    while let Some(mut replacement) = compaction.next_replacement(&mut |_| Ok(()))? {
        assert!(log.prepare_swap(&replacement), "nobody else is here");
        if let Err(error) = replacement.stage() {
            log.give_up_swap();
            return Err(error);
        }
        let files = log.swap_in(replacement);
        files.remove()?;
        log.finish_swap(&files)?;
        files.sync()?;
    }
    Ok(compaction.end_offset())
}

/// A record as a reader sees it: key, value.
type Record = (String, Option<String>);

/// Every record of records' batches from `from` on, and the headers of all batches.
fn scan(log: &mut Log, from: i64) -> (BTreeMap<i64, Record>, Vec<BatchHeader>) {
    let (mut records, mut headers, mut next) = (BTreeMap::new(), Vec::new(), from);
    loop {
        let end = log.log_end_offset();
        let found = log.read(next, 400, end, true).expect("readable").records;
        if found.is_empty() {
            assert_eq!(next.max(from), end.max(from), "every offset is covered, if only by an empty batch");
            return (records, headers);
        }
        for batch in batches(found) {
            let batch = batch.expect("whole");
            batch.verify_crc().expect("sound");
            let header = *batch.header();
            next = header.next_offset();
            headers.push(header);
            if header.attributes.is_control() {
                continue;
            }
            for record in &batch.decode(&Default::default()).expect("decodes") {
                let record = record.expect("sound");
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                if record.offset >= from {
                    records.insert(record.offset, (text(record.key.expect("a key")), record.value.map(text)));
                }
            }
        }
    }
}

/// The committed records: what a reader passes over is taken out with the log's own list of aborted transactions.
fn committed(log: &mut Log) -> BTreeMap<i64, Record> {
    let (start, end) = (log.log_start_offset(), log.last_stable_offset());
    let (mut records, headers) = scan(log, start);
    let aborted = log.aborted_transactions(start, end).expect("readable");
    for header in headers.iter().filter(|header| header.attributes.is_transactional()) {
        let void = aborted.iter().any(|each| {
            each.producer_id == header.producer_id
                && (each.first_offset..each.last_offset).contains(&header.base_offset)
        });
        if void {
            records.retain(|offset, _| !(header.base_offset..=header.last_offset()).contains(offset));
        }
    }
    records.split_off(&end);
    records
}

/// What remains of records when they are read in order: L10's "key map".
fn fold(records: &BTreeMap<i64, Record>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (key, value) in records.values() {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
    map
}

#[derive(Debug, Clone)]
enum Step {
    Append { producer: u8, records: Vec<(u8, Option<u16>)> },
    End { producer: u8, commit: bool },
    Compact { map_bytes: usize },
    Pass { ms: i64 },
    Roll,
    Restart { clean: bool, drop_derived: bool },
    DeleteRecords { at: u8 },
    Read { from: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let records = prop::collection::vec((0u8..12, prop::option::weighted(0.8, any::<u16>())), 1..6);
    prop_oneof![
        10 => (0u8..5, records).prop_map(|(producer, records)| Step::Append { producer, records }),
        4 => (0u8..5, any::<bool>()).prop_map(|(producer, commit)| Step::End { producer, commit }),
        3 => prop_oneof![Just(1 << 20), Just(24 * 8)].prop_map(|map_bytes| Step::Compact { map_bytes }),
        1 => (0..HORIZON_MS).prop_map(|ms| Step::Pass { ms }),
        2 => Just(Step::Roll),
        1 => any::<(bool, bool)>().prop_map(|(clean, drop_derived)| Step::Restart { clean, drop_derived }),
        1 => any::<u8>().prop_map(|at| Step::DeleteRecords { at }),
        2 => any::<u8>().prop_map(|from| Step::Read { from }),
    ]
}

/// Records as a step names them: key, value.
type Keyed = Vec<(u8, Option<u16>)>;

/// A log and what it should hold.
struct World {
    vfs: SimulatedVfs,
    log: Log,
    now: i64,
    cleaned_to: Option<i64>,
    /// All that was ever written, by offset, committed or not.
    written: BTreeMap<i64, Record>,
    /// Offsets of records in open transactions, by producer.
    open: BTreeMap<u8, Vec<i64>>,
    /// Offsets of records of aborted ones.
    void: std::collections::BTreeSet<i64>,
    sequences: BTreeMap<u8, (i32, i64, Keyed)>,
    /// Epochs of producers that had to begin again.
    epochs: BTreeMap<u8, i16>,
    /// Tombstones whose time has passed.
    gone: std::collections::BTreeSet<i64>,
}

/// Producers 0 and 1 are plain, 2 is idempotent, 3 and 4 are transactional.
fn keyed_batch(producer: u8, epoch: i16, sequence: i32, records: &[(u8, Option<u16>)], now: i64) -> Bytes {
    let has_id = producer >= 2;
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: if has_id { i64::from(producer) } else { -1 },
        producer_epoch: if has_id { epoch } else { -1 },
        base_sequence: if has_id { sequence } else { -1 },
        transactional: producer >= 3,
        compression: if producer == 1 { Compression::Lz4 } else { Compression::None },
        ..BatchOptions::default()
    });
    for (key, value) in records {
        let (key, value) = (format!("key-{key}"), value.map(|value| format!("value-{value}")));
        let headers = [("trace", Some(key.as_bytes()))];
        builder.append(now, Some(key.as_bytes()), value.as_ref().map(String::as_bytes), headers).expect("fits");
    }
    builder.build().expect("builds")
}

impl World {
    fn new() -> Self {
        let vfs = SimulatedVfs::new();
        let log = open(&vfs, compacted(), 0).expect("opens");
        Self {
            vfs,
            log,
            now: 1_000_000,
            cleaned_to: None,
            written: BTreeMap::new(),
            open: BTreeMap::new(),
            void: std::collections::BTreeSet::new(),
            sequences: BTreeMap::new(),
            epochs: BTreeMap::new(),
            gone: std::collections::BTreeSet::new(),
        }
    }

    fn epoch(&self, producer: u8) -> i16 {
        self.epochs.get(&producer).copied().unwrap_or(0)
    }

    fn append(&mut self, producer: u8, records: &[(u8, Option<u16>)]) {
        let sequence = self.sequences.get(&producer).map_or(0, |(next, ..)| *next);
        let bytes = keyed_batch(producer, self.epoch(producer), sequence, records, self.now);
        let info = self.log.append(bytes, AppendOrigin::Client, LeaderEpoch(0), self.now).expect("appends");
        assert!(!info.duplicate);
        for (offset, (key, value)) in (info.base_offset..).zip(records) {
            let record = (format!("key-{key}"), value.map(|value| format!("value-{value}")));
            self.written.insert(offset, record);
            if producer >= 3 {
                self.open.entry(producer).or_default().push(offset);
            }
        }
        let next = sequence + i32::try_from(records.len()).expect("few");
        self.sequences.insert(producer, (next, info.base_offset, records.to_vec()));
        self.log.advance_high_watermark(self.log.log_end_offset());
    }

    fn end(&mut self, producer: u8, commit: bool) {
        if producer < 3 || !self.open.contains_key(&producer) {
            return;
        }
        let marker = TransactionMarker {
            producer_id: i64::from(producer),
            producer_epoch: self.epoch(producer),
            commit,
            coordinator_epoch: 1,
            transaction_version: 0,
        };
        self.log.append_marker(&marker, LeaderEpoch(0), self.now).expect("appends");
        self.log.advance_high_watermark(self.log.log_end_offset());
        let offsets = self.open.remove(&producer).unwrap_or_default();
        if !commit {
            self.void.extend(offsets);
        }
    }

    /// What a reader of committed records would see, had nothing been compacted.
    fn expected(&self) -> BTreeMap<i64, Record> {
        let (start, stable) = (self.log.log_start_offset(), self.log.last_stable_offset());
        let mut expected = self.written.clone();
        expected.retain(|offset, _| (start..stable).contains(offset) && !self.void.contains(offset));
        expected
    }

    fn check(&mut self) {
        let expected = self.expected();
        let found = committed(&mut self.log);
        for (offset, record) in &found {
            assert_eq!(expected.get(offset), Some(record), "offset {offset} is as it was written");
        }
        // A reader may begin before all, and where nothing was removed.
        assert_eq!(fold(&found), fold(&expected));
        let cleaned_to = self.cleaned_to.unwrap_or(0);
        let behind =
            |records: &BTreeMap<i64, Record>| records.range(cleaned_to..).map(|(k, v)| (*k, v.clone())).collect();
        let (found_behind, all_behind): (BTreeMap<_, _>, BTreeMap<_, _>) = (behind(&found), behind(&expected));
        assert_eq!(found_behind, all_behind, "nothing behind the compacted part is gone");
        for (offset, (key, _)) in expected.range(..cleaned_to) {
            let is_last = !expected.range(offset + 1..cleaned_to).any(|(_, (other, _))| other == key);
            assert_eq!(found.contains_key(offset), is_last && !self.gone.contains(offset), "offset {offset} {key}");
        }
    }

    fn compact(&mut self, map_bytes: usize) {
        let before = self.cleaned_to;
        let horizons = self.horizons();
        if self.log.cleanable(before, self.now).expect("readable").is_none() {
            return;
        }
        let end = compact(&mut self.log, before, self.now, map_bytes).expect("compacts");
        if before.is_none_or(|before| end > before) {
            self.cleaned_to = Some(end);
        }
        // Only what stood in a batch whose horizon has passed may go though it is the last of its key, and it must.
        let there = committed(&mut self.log);
        let expected = self.expected();
        for (offset, (key, value)) in expected.range(..end) {
            let superseded = expected.range(offset + 1..end).any(|(_, (other, _))| other == key);
            if value.is_some() || superseded || self.gone.contains(offset) {
                continue;
            }
            let horizon = horizons.iter().find(|(first, last, _)| (first..=last).contains(&offset));
            let has_passed = horizon.is_some_and(|(_, _, horizon)| *horizon <= self.now);
            assert_eq!(there.contains_key(offset), !has_passed, "tombstone {offset} at {}: {horizon:?}", self.now);
            if has_passed {
                self.gone.insert(*offset);
            }
        }
        for (first, last, horizon) in self.horizons() {
            let before = horizons.iter().find(|each| (each.0, each.1) == (first, last));
            let expected = before.map_or(self.now + HORIZON_MS, |(_, _, before)| *before);
            assert_eq!(horizon, expected, "set once, and never moved");
        }
    }

    /// The delete horizons of batches: first offset, last offset, time.
    fn horizons(&mut self) -> Vec<(i64, i64, i64)> {
        let start = self.log.log_start_offset();
        let (_, headers) = scan(&mut self.log, start);
        let with_horizon = headers.iter().filter(|header| header.attributes.has_delete_horizon());
        with_horizon.map(|header| (header.base_offset, header.last_offset(), header.base_timestamp)).collect()
    }

    fn restart(&mut self, clean: bool, drop_derived: bool) {
        let start = self.log.log_start_offset();
        if clean {
            self.log.close().expect("closes");
        } else {
            self.log.flush().expect("flushes");
        }
        let point = self.log.recovery_point();
        if drop_derived {
            for name in self.vfs.list(Path::new(FOLDER)).expect("lists") {
                if name.ends_with("index") || name.ends_with(".snapshot") {
                    self.vfs.remove(&Path::new(FOLDER).join(name)).expect("removes");
                }
            }
        }
        let again = LogOptions { log_start_offset: start, ..options(compacted(), point, clean) };
        self.log = Log::open(Arc::new(self.vfs.clone()), Path::new(FOLDER), again).expect("opens");
        assert_eq!(self.log.log_start_offset(), start);
        // Each producer goes on where it was, and its last batch is known, though its records may be gone.
        for (producer, (next, base, records)) in self.sequences.clone() {
            if producer < 2 {
                continue;
            }
            if base < start {
                // Of a producer whose records are gone a marker may be left, or its snapshot. Without the snapshot
                // nobody knows where it was; a client that is told so bumps its epoch and begins again.
                if drop_derived {
                    *self.epochs.entry(producer).or_default() += 1;
                    self.sequences.remove(&producer);
                }
                continue;
            }
            let first = next - i32::try_from(records.len()).expect("few");
            let again = keyed_batch(producer, self.epoch(producer), first, &records, self.now);
            if let Ok(info) = self.log.append(again, AppendOrigin::Client, LeaderEpoch(0), self.now) {
                assert!(info.duplicate, "producer {producer}");
                assert_eq!(info.base_offset, base);
            } else {
                panic!("producer {producer} is not known any more");
            }
        }
    }

    fn read(&mut self, from: u8) {
        let (start, end) = (self.log.log_start_offset(), self.log.log_end_offset());
        let from = start + i64::from(from) % (end - start + 1);
        let (all, _) = scan(&mut self.log, start);
        let (some, _) = scan(&mut self.log, from);
        assert_eq!(some, all.range(from..).map(|(k, v)| (*k, v.clone())).collect::<BTreeMap<_, _>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Compaction keeps what a map of keys would keep, whatever happens in between.
    #[test]
    fn a_compacted_log_folds_to_the_same_map(steps in prop::collection::vec(step(), 1..70)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Append { producer, records } => world.append(producer, &records),
                Step::End { producer, commit } => world.end(producer, commit),
                Step::Compact { map_bytes } => world.compact(map_bytes),
                Step::Pass { ms } => world.now += ms,
                Step::Roll => world.log.roll().expect("rolls"),
                Step::Restart { clean, drop_derived } => world.restart(clean, drop_derived),
                Step::DeleteRecords { at } => {
                    let (start, stable) = (world.log.log_start_offset(), world.log.last_stable_offset());
                    let at = start + i64::from(at) % (stable - start + 1) / 4;
                    world.log.delete_records(at).expect("in range");
                    world.log.delete_segments(world.now).expect("deletes");
                    world.cleaned_to = world.cleaned_to.map(|to| to.max(at));
                }
                Step::Read { from } => world.read(from),
            }
            world.check();
        }
    }
}

/// A log with several segments, tombstones, an idempotent producer, a committed and an aborted transaction.
fn story(seed: u64) -> World {
    let mut world = World::new();
    let mut random = seed;
    let mut pick = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    for number in 0..30u16 {
        let producer = u8::try_from(pick(5)).expect("small");
        let record = |key: u64, value: u64| (u8::try_from(key).expect("small"), (value > 1).then_some(number));
        let records: Vec<_> = (0..=pick(4)).map(|_| record(pick(8), pick(6))).collect();
        world.append(producer, &records);
        if producer >= 3 && pick(2) == 0 {
            world.end(producer, pick(2) == 0);
        }
    }
    world.end(3, false);
    world.end(4, true);
    world.log.roll().expect("rolls");
    world.append(0, &[(200, Some(0))]);
    world.log.flush().expect("flushes");
    world
}

/// A copy of a world's log on another disk with the same content.
fn reopened(world: &World, vfs: &SimulatedVfs, seed: u64) -> Log {
    let point = world.log.recovery_point();
    open(vfs, compacted(), point).unwrap_or_else(|error| {
        let names = vfs.list(Path::new(FOLDER));
        panic!("seed {seed}: {error} {:?} {names:?}", std::error::Error::source(&error))
    })
}

#[test]
fn a_crash_at_any_step_leaves_the_old_or_the_new() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..400u64 {
        let mut world = story(seed % 20);
        let expected = world.expected();
        let before = committed(&mut world.log);
        let start = world.vfs.changes();
        if seed < 20 {
            // Once without a crash, to know how many steps there are.
            world.cleaned_to = Some(compact(&mut world.log, None, world.now, 1 << 20).expect("compacts"));
            world.check();
            assert!(committed(&mut world.log).len() < before.len());
            assert!(world.vfs.changes() - start > 20);
        }
        world.vfs.inject(Fault::Stop(seed * 7 % 97));
        let interrupted = compact(&mut world.log, None, world.now, 1 << 20);
        world.vfs.crash(seed);
        // The recovery is interrupted as well.
        world.vfs.inject(Fault::Stop(seed % 11));
        drop(open(&world.vfs.clone(), compacted(), world.log.recovery_point()));
        world.vfs.crash(seed + 1);
        let end = world.log.log_end_offset();
        world.log = reopened(&world, &world.vfs.clone(), seed);
        assert_eq!(world.log.log_end_offset(), end, "seed {seed}");
        world.log.advance_high_watermark(end);
        let found = committed(&mut world.log);
        assert_eq!(fold(&found), fold(&expected), "seed {seed}, {interrupted:?}");
        if found == before {
            old += 1
        } else {
            new += 1
        }
        let leftover = |name: &String| name.ends_with(".swap") || name.ends_with(".cleaned");
        let names = world.vfs.list(Path::new(FOLDER)).expect("lists");
        assert!(!names.iter().any(leftover), "seed {seed}: {names:?}");
        // Nothing stands in the way of the next.
        world.cleaned_to = Some(compact(&mut world.log, None, world.now, 1 << 20).expect("compacts"));
        world.check();
    }
    assert!(old > 50 && new > 50, "{old} old, {new} new");
}

#[test]
fn a_disk_error_at_any_step_loses_nothing() {
    for seed in 0..300u64 {
        let mut world = story(seed % 10);
        let expected = world.expected();
        let fault = match seed % 4 {
            0 => Fault::Read(seed / 4),
            1 => Fault::Write(seed / 4 % 30),
            2 => Fault::Sync(seed / 4 % 30),
            _ => Fault::Capacity(2000 + seed * 20),
        };
        world.vfs.inject(fault);
        let outcome = compact(&mut world.log, None, world.now, 1 << 20);
        world.vfs.heal();
        if let (Err(error), Fault::Capacity(_)) = (&outcome, fault) {
            assert!(error.is_disk_full(), "{error}");
        }
        world.log.advance_high_watermark(i64::MAX);
        assert_eq!(fold(&committed(&mut world.log)), fold(&expected), "seed {seed}, {fault:?}, {outcome:?}");
        world.vfs.crash(seed);
        world.log = reopened(&world, &world.vfs.clone(), seed);
        world.log.advance_high_watermark(i64::MAX);
        assert_eq!(fold(&committed(&mut world.log)), fold(&expected), "seed {seed}, {fault:?}, {outcome:?}");
    }
}

#[test]
fn a_second_compaction_changes_nothing() {
    for seed in 0..10 {
        let mut world = story(seed);
        let end = compact(&mut world.log, None, world.now, 1 << 20).expect("compacts");
        let (swaps, once) = (world.log.swaps(), scan(&mut world.log, 0));
        compact(&mut world.log, None, world.now, 1 << 20).expect("compacts");
        let again = scan(&mut world.log, 0);
        assert_eq!(once.0, again.0);
        if world.log.segment_count() == 2 {
            assert_eq!((world.log.swaps(), &once.1), (swaps, &again.1), "not even a file");
        }
        assert_eq!(world.log.cleanable(Some(end), world.now).expect("readable"), None);
    }
}

#[test]
fn retention_and_a_swap_do_not_meet() {
    let mut world = story(3);
    let cleanable = world.log.cleanable(None, 0).expect("readable").expect("something");
    let mut compaction = world.log.begin_compaction(&cleanable, limits(1 << 20), 0).expect("begins");
    let replacement = compaction.next_replacement(&mut |_| Ok(())).expect("writes").expect("one");
    world.log.delete_records(world.log.last_stable_offset()).expect("in range");
    world.log.delete_segments(0).expect("deletes");
    assert!(!world.log.prepare_swap(&replacement), "what it stands for is gone");
    replacement.discard();
    let mut world = story(3);
    let mut compaction = world.log.begin_compaction(&cleanable, limits(1 << 20), 0).expect("begins");
    let replacement = compaction.next_replacement(&mut |_| Ok(())).expect("writes").expect("one");
    assert!(world.log.prepare_swap(&replacement));
    world.log.delete_records(world.log.last_stable_offset()).expect("in range");
    assert_eq!(world.log.delete_segments(0).expect("deletes"), 0, "kept for the swap");
    world.log.give_up_swap();
    assert!(world.log.delete_segments(0).expect("deletes") > 1);
    replacement.discard();
}

#[test]
fn whoever_runs_it_may_stop_it() {
    let mut world = story(1);
    let cleanable = world.log.cleanable(None, 0).expect("readable").expect("something");
    for stop_at in 0..40 {
        let mut compaction = world.log.begin_compaction(&cleanable, limits(1 << 20), 0).expect("begins");
        let mut calls = 0;
        let outcome = compaction.next_replacement(&mut |bytes| {
            calls += 1;
            assert!(bytes <= 4096);
            if calls > stop_at { Err(Stopped) } else { Ok(()) }
        });
        match outcome {
            Ok(replacement) => replacement.expect("one").discard(),
            Err(error) => assert!(matches!(error, CompactionError::Stopped), "{error}"),
        }
        let names = world.vfs.list(Path::new(FOLDER)).expect("lists");
        assert!(!names.iter().any(|name| name.ends_with(".cleaned")), "{names:?}");
    }
}

#[test]
fn a_reader_in_the_middle_keeps_the_old_file() {
    let mut world = story(2);
    let end = world.log.log_end_offset();
    let Found::File(search) = world.log.find(0, 1 << 20, end, true, 0).expect("readable") else { return };
    let span = search.locate().expect("readable").expect("sound");
    let before = span.read().expect("readable").expect("sound");
    compact(&mut world.log, None, world.now, 1 << 20).expect("compacts");
    assert_eq!(span.read().expect("readable").expect("sound"), before);
}

#[test]
fn damage_is_never_rewritten() {
    let mut world = story(1);
    world.vfs.flip_bit(&Path::new(FOLDER).join("00000000000000000000.log"), 70, 3);
    let error = compact(&mut world.log, None, 0, 1 << 20).expect_err("corrupt");
    assert!(matches!(error, CompactionError::Corrupt { position: 0, .. }), "{error}");
    assert!(error.to_string().contains("00000000000000000000.log"), "{error}");
}

#[test]
fn a_log_that_was_compacted_opens_as_one_that_deletes() {
    let mut world = story(1);
    compact(&mut world.log, None, world.now, 1 << 20).expect("compacts");
    let found = scan(&mut world.log, 0);
    world.log.flush().expect("flushes");
    let plain = LogConfig { cleanup_policy: CleanupPolicy { compact: false, delete: true }, ..compacted() };
    let again = LogOptions { was_compacted: true, ..options(plain, 0, false) };
    let mut log = Log::open(Arc::new(world.vfs.clone()), Path::new(FOLDER), again).expect("opens");
    assert_eq!(scan(&mut log, 0), found);
}
