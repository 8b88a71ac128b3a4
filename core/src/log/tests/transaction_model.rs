//! Transactions in a log against a plain model: what a reader of committed records gets, under random producers, markers,
//! rolls, restarts, power cuts, retention and deleted or damaged derived files (T1, T2, T7, L6, L7, L8).

use std::collections::{BTreeSet, HashSet};

use super::*;

/// What stands at an offset. The model is the list of these; all else follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Record { producer: Option<(i64, i16, i32)>, transactional: bool, value: String },
    Marker { producer_id: i64, epoch: i16, commit: bool },
}

#[derive(Debug, Clone, Copy, Default)]
struct Session {
    epoch: i16,
    next_sequence: i32,
    open: Option<i64>,
}

#[derive(Debug, Default)]
struct Facts {
    sessions: BTreeMap<i64, Session>,
    /// Producer, first offset, offset of the marker.
    aborted: Vec<(i64, i64, i64)>,
    /// Offsets of records that readers of committed records must get.
    visible: BTreeMap<i64, String>,
    /// Offsets of records in open transactions.
    undecided: BTreeSet<i64>,
}

/// Everything that follows from the events before `end`.
fn facts(events: &BTreeMap<i64, Event>, end: i64) -> Facts {
    let mut facts = Facts::default();
    let mut pending: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
    for (offset, event) in events.range(..end) {
        match event {
            Event::Record { producer: None, value, .. } => {
                facts.visible.insert(*offset, value.clone());
            }
            Event::Record { producer: Some((id, epoch, sequence)), transactional, value } => {
                let session = facts.sessions.entry(*id).or_default();
                (session.epoch, session.next_sequence) = (*epoch, sequence + 1);
                if *transactional {
                    session.open.get_or_insert(*offset);
                    pending.entry(*id).or_default().push((*offset, value.clone()));
                } else {
                    facts.visible.insert(*offset, value.clone());
                }
            }
            Event::Marker { producer_id, epoch, commit } => {
                let session = facts.sessions.entry(*producer_id).or_default();
                if session.epoch != *epoch {
                    (session.epoch, session.next_sequence) = (*epoch, 0);
                }
                let records = pending.remove(producer_id).unwrap_or_default();
                if let Some(first) = session.open.take().filter(|_| !commit) {
                    facts.aborted.push((*producer_id, first, *offset));
                }
                if *commit {
                    facts.visible.extend(records);
                }
            }
        }
    }
    facts.undecided = pending.into_values().flatten().map(|(offset, _)| offset).collect();
    facts
}

/// Reads as a consumer with `isolation.level=read_committed` does.
fn read_committed(log: &mut Log, from: i64, max_bytes: usize) -> BTreeMap<i64, String> {
    let mut found = BTreeMap::new();
    let mut next = from;
    loop {
        let up_to = log.last_stable_offset();
        let info = log.read(next, max_bytes, up_to, true).expect("readable");
        let fetched: Vec<_> = batches(info.records).map(|batch| batch.expect("whole")).collect();
        let Some(end) = fetched.last().map(|batch| batch.header().next_offset()) else { return found };
        let aborted = log.aborted_transactions(next, end).expect("readable");
        assert!(aborted.is_sorted_by_key(|aborted| aborted.first_offset), "{aborted:?}");
        let mut aborted = aborted.into_iter().peekable();
        let mut void = HashSet::new();
        for batch in fetched {
            let header = *batch.header();
            while let Some(transaction) = aborted.next_if(|aborted| aborted.first_offset <= header.last_offset()) {
                void.insert(transaction.producer_id);
            }
            if header.attributes.is_control() {
                void.remove(&header.producer_id);
                continue;
            }
            if header.attributes.is_transactional() && void.contains(&header.producer_id) {
                continue;
            }
            for record in &batch.decode(&Default::default()).expect("decodes") {
                let record = record.expect("sound");
                let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
                if record.offset >= from {
                    found.insert(record.offset, value);
                }
            }
        }
        next = end;
    }
}

#[derive(Debug, Clone)]
enum Step {
    Produce { id: i64, count: usize, padding: usize, transactional: bool },
    End { id: i64, commit: bool, version: i8 },
    Read { from: u16, max_bytes: u16 },
    Roll,
    Flush,
    Settle,
    DeleteRecords { at: u16 },
    Retention { bytes: u16 },
    Restart { clean: bool, rests: bool, derived: Derived },
    PowerCut { seed: u64 },
}

/// What happens to derived files while the log is closed.
#[derive(Debug, Clone, Copy)]
enum Derived {
    Kept,
    AllGone,
    IndexesGone,
    TransactionIndexesGone,
    TransactionIndexDamaged { at: u16, bit: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let derived = prop_oneof![
        3 => Just(Derived::Kept),
        1 => Just(Derived::AllGone),
        1 => Just(Derived::IndexesGone),
        1 => Just(Derived::TransactionIndexesGone),
        1 => (any::<u16>(), 0u8..8).prop_map(|(at, bit)| Derived::TransactionIndexDamaged { at, bit }),
    ];
    prop_oneof![
        10 => (-1i64..4, 1usize..4, 0usize..200, any::<bool>()).prop_map(|(id, count, padding, transactional)| {
            Step::Produce { id, count, padding, transactional: transactional && id >= 0 }
        }),
        6 => (0i64..4, any::<bool>(), 0i8..3).prop_map(|(id, commit, version)| Step::End { id, commit, version }),
        3 => (any::<u16>(), any::<u16>()).prop_map(|(from, max_bytes)| Step::Read { from, max_bytes }),
        1 => Just(Step::Roll),
        2 => Just(Step::Flush),
        1 => Just(Step::Settle),
        1 => any::<u16>().prop_map(|at| Step::DeleteRecords { at }),
        1 => any::<u16>().prop_map(|bytes| Step::Retention { bytes }),
        2 => (any::<bool>(), any::<bool>(), derived)
            .prop_map(|(clean, rests, derived)| Step::Restart { clean, rests, derived }),
        1 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
    ]
}

struct Story {
    vfs: SimulatedVfs,
    log: Log,
    events: BTreeMap<i64, Event>,
    start: i64,
    end: i64,
    /// Whether files may have been lost with which the log forgets what began before its start.
    forgetful: bool,
    produced: usize,
}

fn transactional(log: &Log) -> LogConfig {
    log.config().clone()
}

impl Story {
    fn new() -> Self {
        let vfs = SimulatedVfs::new();
        let log = open(&vfs, small(), 0).expect("opens");
        let mut story = Self { vfs, log, events: BTreeMap::new(), start: 0, end: 0, forgetful: false, produced: 0 };
        story.produce(-1, 1, 0, false);
        story.log.flush().expect("syncs");
        story
    }

    fn produce(&mut self, id: i64, count: usize, padding: usize, transactional: bool) {
        let session = facts(&self.events, self.end).sessions.get(&id).copied().unwrap_or_default();
        self.produced += 1;
        let values = values(count, &format!("{}-{}", self.produced, "z".repeat(padding)));
        let numbered = id >= 0;
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: id,
            producer_epoch: if numbered { session.epoch } else { -1 },
            base_sequence: if numbered { session.next_sequence } else { -1 },
            transactional,
            ..BatchOptions::default()
        });
        for value in &values {
            builder.append(self.end, Some(b"k"), Some(value.as_bytes()), []).expect("fits");
        }
        let appended =
            self.log.append(builder.build().expect("builds"), AppendOrigin::Client, LeaderEpoch(0), self.end);
        if session.open.is_some() && !transactional && numbered {
            let refused = matches!(appended, Err(AppendError::Producer(ProducerError::NotInTransaction { .. })));
            assert!(refused || self.forgetful, "{appended:?}");
            if refused {
                return;
            }
        }
        if self.forgetful && matches!(appended, Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. }))) {
            // All that it knew of the producer is a marker.
            return;
        }
        let appended = appended.expect("in order");
        assert_eq!(appended.base_offset, self.end);
        for (value, sequence) in values.into_iter().zip(session.next_sequence..) {
            let producer = numbered.then_some((id, session.epoch, sequence));
            self.events.insert(self.end, Event::Record { producer, transactional, value });
            self.end += 1;
        }
        self.log.advance_high_watermark(self.end);
    }

    fn end(&mut self, id: i64, commit: bool, version: i8) {
        let session = facts(&self.events, self.end).sessions.get(&id).copied().unwrap_or_default();
        let epoch = if version >= 2 { session.epoch + 1 } else { session.epoch };
        let marker = TransactionMarker {
            producer_id: id,
            producer_epoch: epoch,
            commit,
            coordinator_epoch: 0,
            transaction_version: version,
        };
        self.log.append_marker(&marker, LeaderEpoch(0), self.end).expect("in order");
        self.events.insert(self.end, Event::Marker { producer_id: id, epoch, commit });
        self.end += 1;
        self.log.advance_high_watermark(self.end);
    }

    fn reopen(&mut self, options: LogOptions, mark: Option<&Bookmark>) {
        let hints = OpenHints { bookmark: mark, progress: None };
        let options = LogOptions { log_start_offset: self.start, ..options };
        self.log = Log::open_with(Arc::new(self.vfs.clone()), Path::new(FOLDER), options, hints).expect("opens");
    }

    fn restart(&mut self, clean: bool, rests: bool, derived: Derived) {
        if clean {
            self.log.close().expect("closes");
        }
        let (point, mark) = (self.log.recovery_point(), self.log.bookmark());
        let lossless = |name: &String| -> bool {
            match derived {
                Derived::AllGone => !name.ends_with("index") && !name.ends_with(".snapshot"),
                Derived::IndexesGone => !name.ends_with("index"),
                Derived::TransactionIndexesGone => !name.ends_with(".txnindex"),
                _ => true,
            }
        };
        for name in self.vfs.list(Path::new(FOLDER)).expect("lists") {
            let path = Path::new(FOLDER).join(&name);
            if !lossless(&name) {
                self.vfs.remove(&path).expect("removes");
            } else if let (true, Derived::TransactionIndexDamaged { at, bit }) = (name.ends_with(".txnindex"), derived)
            {
                let size = self.vfs.open(&path).and_then(|file| file.len()).expect("a length");
                if size > 0 {
                    self.vfs.flip_bit(&path, u64::from(at) % size, bit);
                }
            }
        }
        self.forgetful |= (!clean || matches!(derived, Derived::AllGone)) && self.start > 0;
        let config = transactional(&self.log);
        self.reopen(options(config, point, clean), mark.filter(|_| rests).as_ref());
    }

    /// The power fails; what was not synced may be lost, and is gone from the model too.
    fn power_cut(&mut self, seed: u64) {
        let (durable, mark) = (self.log.recovery_point(), self.log.bookmark());
        let config = transactional(&self.log);
        self.vfs.crash(seed);
        self.forgetful |= self.start > 0;
        self.start = self.start.min(durable);
        self.reopen(options(config, durable, false), mark.as_ref().filter(|_| seed.is_multiple_of(2)));
        self.end = self.log.log_end_offset();
        assert!(self.end >= durable, "{durable} was durable, the log ends at {}", self.end);
        self.start = self.log.log_start_offset();
        self.events.split_off(&self.end);
    }

    fn check(&mut self) {
        let facts = facts(&self.events, self.end);
        let (log_start, stable) = (self.log.log_start_offset(), self.log.last_stable_offset());
        assert_eq!((log_start, self.log.log_end_offset()), (self.start, self.end));
        assert!(log_start <= stable && stable <= self.log.high_watermark(), "L6");
        let first_open = facts.sessions.values().filter_map(|session| session.open).min();
        let expected = first_open.unwrap_or(self.end).max(log_start).min(self.end);
        if !self.forgetful {
            assert_eq!(stable, expected);
        }
        assert_eq!(facts.undecided.range(log_start..stable).next(), None, "T1: nothing undecided is seen");
    }

    fn check_read(&mut self, from: i64, max_bytes: usize) {
        let facts = facts(&self.events, self.end);
        let stable = self.log.last_stable_offset();
        let expected: BTreeMap<_, _> = match from < stable {
            true => facts.visible.range(from..stable).map(|(offset, value)| (*offset, value.clone())).collect(),
            false => BTreeMap::new(),
        };
        assert_eq!(read_committed(&mut self.log, from, max_bytes), expected);
        if self.start == 0 {
            let ended = |(_, first, last): &&(i64, i64, i64)| *last < stable && *first < stable;
            let mut all: Vec<_> = facts.aborted.iter().filter(ended).copied().collect();
            all.sort_unstable_by_key(|(_, first, _)| *first);
            let found = self.log.aborted_transactions(0, stable).expect("readable");
            let found: Vec<_> = found
                .iter()
                .map(|aborted| (aborted.producer_id, aborted.first_offset, aborted.last_offset))
                .filter(|(_, _, last)| *last < stable)
                .collect();
            assert_eq!(found, all);
        }
    }

    fn run(&mut self, step: Step) {
        let pick = |at: u16, start: i64, end: i64| start + i64::from(at) % (end - start + 1);
        match step {
            Step::Produce { id, count, padding, transactional } => self.produce(id, count, padding, transactional),
            Step::End { id, commit, version } => self.end(id, commit, version),
            Step::Read { from, max_bytes } => {
                self.check_read(pick(from, self.start, self.end), usize::from(max_bytes));
            }
            Step::Roll => self.log.roll().expect("rolls"),
            Step::Flush => assert_eq!(self.log.flush().expect("flushes"), self.end),
            Step::Settle => {
                self.log.settle().expect("settles");
            }
            Step::DeleteRecords { at } => {
                self.start = self.log.delete_records(pick(at, self.start, self.end)).expect("in range");
            }
            Step::Retention { bytes } => {
                self.log.set_config(LogConfig { retention_bytes: i64::from(bytes), retention_ms: -1, ..small() });
                let stable = self.log.last_stable_offset();
                self.log.delete_segments(self.end).expect("deletes");
                assert!(self.log.log_start_offset() <= stable.max(self.start), "L11");
                self.start = self.log.log_start_offset();
                self.log.set_config(small());
            }
            Step::Restart { clean, rests, derived } => self.restart(clean, rests, derived),
            Step::PowerCut { seed } => self.power_cut(seed),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn committed_records_are_seen_and_no_others(steps in prop::collection::vec(step(), 1..80)) {
        let mut story = Story::new();
        for step in steps {
            story.run(step);
            story.check();
        }
        story.check_read(story.start, 700);
        story.check_read(story.start, 100_000);
    }
}
