//! How many producers a log remembers: against a plain model under random producers, restarts and power cuts, and what the
//! one that is forgotten can do then.

use super::{super::producers::PRODUCER_WEIGHT, *};
use crate::budget::StateBudget;

const MAX: usize = 4;

fn capped(recovery_point: i64, clean: bool) -> LogOptions {
    LogOptions { producers_max: MAX, ..options(small(), recovery_point, clean) }
}

fn open_capped(vfs: &SimulatedVfs, options: LogOptions, mark: Option<&Bookmark>) -> Log {
    let hints = OpenHints { bookmark: mark, progress: None };
    Log::open_with(Arc::new(vfs.clone()), Path::new(FOLDER), options, hints).expect("opens")
}

fn numbered(id: i64, sequence: i32, transactional: bool) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: id,
        producer_epoch: 0,
        base_sequence: sequence,
        transactional,
        ..BatchOptions::default()
    });
    builder.append(1_000, Some(b"k"), Some(b"v"), []).expect("fits");
    builder.build().expect("builds")
}

fn send(log: &mut Log, id: i64, sequence: i32, transactional: bool) -> Result<AppendInfo, AppendError> {
    log.append(numbered(id, sequence, transactional), AppendOrigin::Client, LeaderEpoch(0), 1_000)
}

fn end(log: &mut Log, producer_id: i64) {
    let marker = TransactionMarker {
        producer_id,
        producer_epoch: 0,
        commit: true,
        coordinator_epoch: 0,
        transaction_version: 1,
    };
    log.append_marker(&marker, LeaderEpoch(0), 1_000).expect("in order");
}

fn ids(log: &mut Log) -> Vec<i64> {
    log.active_producers().iter().map(|producer| producer.producer_id).collect()
}

#[test]
fn the_longest_silent_is_forgotten_as_if_it_had_expired() {
    let mut log = open_capped(&SimulatedVfs::new(), capped(0, false), None);
    for id in 0..4 {
        assert_eq!(send(&mut log, id, 0, false).expect("fits").base_offset, id);
    }
    assert!(send(&mut log, 0, 0, false).expect("known").duplicate, "a retry is no sign of life");
    send(&mut log, 1, 1, false).expect("follows");
    send(&mut log, 0, 1, false).expect("follows");
    send(&mut log, 7, 0, false).expect("fits");
    assert_eq!(ids(&mut log), [0, 1, 3, 7]);
    send(&mut log, 8, 0, false).expect("fits");
    assert_eq!(ids(&mut log), [0, 1, 7, 8]);
    // It may go on, with whatever number, and a retry of what it wrote before is taken for new.
    assert_eq!(send(&mut log, 2, 5, false).expect("fits").base_offset, 8);
    assert!(!send(&mut log, 3, 0, false).expect("fits").duplicate);
    assert_eq!(ids(&mut log), [2, 3, 7, 8]);
}

#[test]
fn open_transactions_are_never_forgotten() {
    let mut log = open_capped(&SimulatedVfs::new(), capped(0, false), None);
    for id in 0..3 {
        send(&mut log, id, 0, true).expect("fits");
    }
    for id in 10..20 {
        send(&mut log, id, 0, false).expect("fits");
        assert_eq!(ids(&mut log), [0, 1, 2, id], "there is one place for all others");
    }
    send(&mut log, 3, 0, true).expect("fits");
    for transactional in [true, false] {
        let refused = send(&mut log, 4, 0, transactional).expect_err("no place");
        assert!(
            matches!(refused, AppendError::Producer(ProducerError::TooMany { producer_id: 4, remembered: MAX })),
            "{refused}"
        );
    }
    send(&mut log, 0, 1, true).expect("who is known goes on");
    log.append(batch(&values(1, "v"), 1_000), AppendOrigin::Client, LeaderEpoch(0), 1_000).expect("not numbered");
    end(&mut log, 9);
    assert_eq!(ids(&mut log), [0, 1, 2, 3], "a marker of nobody's is taken, and not remembered");
    end(&mut log, 2);
    send(&mut log, 4, 0, true).expect("fits");
    assert_eq!(ids(&mut log), [0, 1, 3, 4]);
    assert_eq!(log.last_stable_offset(), 0);
}

#[test]
fn a_lower_bound_holds_from_the_next_start_on() {
    let vfs = SimulatedVfs::new();
    let mut log = open_capped(&vfs, options(small(), 0, false), None);
    for id in (0..8).rev() {
        send(&mut log, id, 0, id == 6).expect("fits");
    }
    log.close().expect("closes");
    let mut log = open_capped(&vfs, capped(log.recovery_point(), true), None);
    assert_eq!(ids(&mut log), [0, 1, 2, 6]);
}

#[test]
fn all_logs_share_one_budget() {
    // An eighth of a budget is not for newcomers.
    let budget_of = |producers: usize| (producers * PRODUCER_WEIGHT * 8).div_ceil(7);
    let three = StateBudget::new(budget_of(3));
    let within = || LogOptions { state: Arc::clone(&three), ..options(small(), 0, false) };
    let mut one = open_capped(&SimulatedVfs::new(), within(), None);
    let vfs = SimulatedVfs::new();
    let mut other = open_capped(&vfs, within(), None);
    for id in 0..2 {
        send(&mut one, id, 0, false).expect("fits");
    }
    for id in 10..13 {
        send(&mut other, id, 0, false).expect("fits");
        assert_eq!(ids(&mut other), [id], "there is room for one more, and then for no more than there are");
    }
    send(&mut one, 2, 0, false).expect("fits");
    assert_eq!((ids(&mut one), three.used()), (vec![1, 2], 3 * PRODUCER_WEIGHT));
    // What is there goes on, open transactions first of all; who comes when all are open is refused.
    send(&mut one, 1, 1, true).expect("goes on");
    send(&mut one, 2, 1, true).expect("goes on");
    let refused = send(&mut one, 3, 0, false).expect_err("no place");
    assert!(matches!(refused, AppendError::Producer(ProducerError::TooMany { .. })), "{refused}");
    // A log that writes for the first time has one, room or not: it could not be written to otherwise.
    let mut third = open_capped(&SimulatedVfs::new(), within(), None);
    send(&mut third, 20, 0, false).expect("fits");
    assert_eq!(three.used(), 4 * PRODUCER_WEIGHT);
    drop(one);
    assert_eq!(three.used(), 2 * PRODUCER_WEIGHT, "what is gone weighs nothing");
    // More are read than there is room for: the longest silent are left out.
    three.set_limit(budget_of(10));
    for id in 30..36 {
        send(&mut other, id, 0, false).expect("fits");
    }
    other.close().expect("closes");
    let recovery_point = other.recovery_point();
    drop(other);
    three.set_limit(budget_of(4));
    let options = LogOptions { state: Arc::clone(&three), ..options(small(), recovery_point, true) };
    let mut other = open_capped(&vfs, options, None);
    assert_eq!(ids(&mut other), [33, 34, 35]);
}

/// What a batch or marker was.
#[derive(Debug, Clone, Copy)]
enum Event {
    Batch { id: i64, sequence: i32, transactional: bool },
    Marker { id: i64 },
}

/// A remembered producer: its id, the numbers and offsets of its last batches, whether its transaction is open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    id: i64,
    batches: Vec<(i32, i64)>,
    open: bool,
}

/// The producers that are remembered after these events, the longest silent first: a list that is searched from front to
/// back.
fn remembered(events: &[Event]) -> Vec<Known> {
    let mut list: Vec<Known> = Vec::new();
    for (offset, event) in (0..).zip(events) {
        let (Event::Batch { id, .. } | Event::Marker { id }) = *event;
        let place = list.iter().position(|known| known.id == id);
        let mut known = place.map_or(Known { id, batches: Vec::new(), open: false }, |place| list.remove(place));
        match *event {
            Event::Batch { sequence, transactional, .. } => {
                known.batches.push((sequence, offset));
                known.open |= transactional;
            }
            Event::Marker { .. } => known.open = false,
        }
        known.batches = known.batches.split_off(known.batches.len().saturating_sub(5));
        list.push(known);
        if list.len() > MAX
            && let Some(silent) = list.iter().position(|known| !known.open)
        {
            list.remove(silent);
        }
    }
    list
}

#[derive(Debug, Clone)]
enum Step {
    Produce { id: i64, transactional: bool },
    End { id: i64 },
    Roll,
    Flush,
    Settle,
    Restart { clean: bool, rests: bool, snapshots_gone: bool },
    PowerCut { seed: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0i64..9, prop::bool::weighted(0.3)).prop_map(|(id, transactional)| Step::Produce { id, transactional }),
        5 => (0i64..9).prop_map(|id| Step::End { id }),
        1 => Just(Step::Roll),
        1 => Just(Step::Flush),
        1 => Just(Step::Settle),
        2 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(clean, rests, snapshots_gone)| Step::Restart { clean, rests, snapshots_gone }),
        1 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
    ]
}

struct Story {
    vfs: SimulatedVfs,
    log: Log,
    events: Vec<Event>,
}

impl Story {
    fn new() -> Self {
        let vfs = SimulatedVfs::new();
        let log = open_capped(&vfs, capped(0, false), None);
        Self { vfs, log, events: Vec::new() }
    }

    fn produce(&mut self, id: i64, transactional: bool) {
        let list = remembered(&self.events);
        let known = list.iter().find(|known| known.id == id);
        let last = known.and_then(|known| known.batches.last());
        let sequence = last.map_or(0, |(sequence, _)| sequence + 1);
        let transactional = transactional || known.is_some_and(|known| known.open);
        let sent = send(&mut self.log, id, sequence, transactional);
        if known.is_none() && list.len() == MAX && list.iter().all(|known| known.open) {
            assert!(matches!(sent, Err(AppendError::Producer(ProducerError::TooMany { .. }))), "{sent:?}");
            return;
        }
        let sent = sent.expect("in order");
        assert!(!sent.duplicate);
        self.events.push(Event::Batch { id, sequence, transactional });
    }

    fn check(&mut self) {
        let list = remembered(&self.events);
        let mut expected: Vec<_> = list.iter().map(|known| known.id).collect();
        expected.sort_unstable();
        assert_eq!(ids(&mut self.log), expected);
        let idle = |known: &&Known| !known.open;
        let expected: Vec<_> = list.iter().filter(idle).map(|known| known.id).collect();
        let found: Vec<_> = self.log.producers.in_order().map(|(id, _)| id).collect();
        assert_eq!(found[list.len() - expected.len()..], expected, "the order they are forgotten in");
        for known in &list {
            for (sequence, offset) in &known.batches {
                let again = send(&mut self.log, known.id, *sequence, known.open).expect("known");
                assert_eq!((again.duplicate, again.base_offset), (true, *offset));
            }
        }
        assert_eq!(usize::try_from(self.log.log_end_offset()), Ok(self.events.len()));
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Produce { id, transactional } => self.produce(id, transactional),
            Step::End { id } => {
                end(&mut self.log, id);
                self.events.push(Event::Marker { id });
            }
            Step::Roll => self.log.roll().expect("rolls"),
            Step::Flush => drop(self.log.flush().expect("flushes")),
            Step::Settle => drop(self.log.settle().expect("settles")),
            Step::Restart { clean, rests, snapshots_gone } => {
                self.log.advance_high_watermark(i64::MAX);
                if clean {
                    self.log.close().expect("closes");
                }
                let (point, mark) = (self.log.recovery_point(), self.log.bookmark().filter(|_| rests));
                for name in self.vfs.list(Path::new(FOLDER)).expect("lists") {
                    if snapshots_gone && name.ends_with(".snapshot") {
                        self.vfs.remove(&Path::new(FOLDER).join(name)).expect("removes");
                    }
                }
                self.log = open_capped(&self.vfs, capped(point, clean), mark.as_ref());
            }
            Step::PowerCut { seed } => {
                let (point, mark) = (self.log.recovery_point(), self.log.bookmark());
                self.vfs.crash(seed);
                self.log = open_capped(&self.vfs, capped(point, false), mark.as_ref());
                let left = usize::try_from(self.log.log_end_offset()).expect("an offset");
                self.events.truncate(left);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_same_producers_are_remembered_whatever_happens(steps in prop::collection::vec(step(), 1..120)) {
        let mut story = Story::new();
        for step in steps {
            story.run(step);
            story.check();
        }
    }
}
