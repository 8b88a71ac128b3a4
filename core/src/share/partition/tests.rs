//! The state machine against a model that keeps every record by itself, and stories of single rules.

use proptest::prelude::*;

use super::*;
use crate::share::state::{DeliveryState, StateBatch};

const LIMITS: Limits = Limits { delivery_count_max: 3, records_max: 12, lock_ms: 100 };

fn member(name: u8) -> MemberId {
    MemberId::from(format!("m{name}"))
}

fn acquire(partition: &mut SharePartition, name: u8, batches: &[(i64, i64)], records_max: i64) -> Vec<(i64, i64, i16)> {
    acquire_at(partition, name, batches, records_max, AcquireMode::BatchOptimized, 0)
}

fn acquire_at(
    partition: &mut SharePartition,
    name: u8,
    batches: &[(i64, i64)],
    records_max: i64,
    mode: AcquireMode,
    now_ms: i64,
) -> Vec<(i64, i64, i16)> {
    let Some(from) = partition.next_fetch_offset() else { return Vec::new() };
    let member = member(name);
    // What a read from there gives.
    let batches: Vec<_> = batches.iter().filter(|(_, last)| *last >= from).copied().collect();
    let request = AcquireRequest {
        member: &member,
        from,
        batches: &batches,
        aborted: &[],
        records_max,
        batch_size: 500,
        mode,
        now_ms,
    };
    partition.acquire(&request).iter().map(|a| (a.first_offset, a.last_offset, a.delivery_count)).collect()
}

fn acknowledgement(first_offset: i64, last_offset: i64, kind: AcknowledgeType) -> Acknowledgement {
    Acknowledgement { first_offset, last_offset, types: vec![kind] }
}

#[test]
fn whole_batches_or_exactly_as_many() {
    let mut partition = SharePartition::new(0, LIMITS);
    assert_eq!(acquire(&mut partition, 1, &[(0, 3), (4, 7)], 2), [(0, 3, 1)]);
    let exact = acquire_at(&mut partition, 2, &[(0, 3), (4, 7)], 2, AcquireMode::RecordLimit, 0);
    assert_eq!(exact, [(4, 5, 1)]);
    assert_eq!(partition.next_fetch_offset(), Some(6));
}

#[test]
fn an_acknowledgement_is_all_or_nothing() {
    let mut partition = SharePartition::new(0, LIMITS);
    acquire(&mut partition, 1, &[(0, 3)], 4);
    acquire(&mut partition, 2, &[(4, 7)], 4);
    let both = [acknowledgement(0, 3, AcknowledgeType::Accept), acknowledgement(4, 4, AcknowledgeType::Accept)];
    assert_eq!(partition.acknowledge(&member(1), &both, 0), Err(AcknowledgeError::NotHeld { offset: 4 }));
    let beyond = [acknowledgement(0, 8, AcknowledgeType::Accept)];
    assert_eq!(partition.acknowledge(&member(1), &beyond, 0), Err(AcknowledgeError::NeverDelivered { offset: 8 }));
    assert_eq!(partition.take_write(), None);
    use AcknowledgeType::{Accept, Gap, Reject, Release};
    let each = [Acknowledgement { first_offset: 0, last_offset: 3, types: vec![Accept, Release, Reject, Gap] }];
    assert_eq!(partition.acknowledge(&member(1), &each, 0), Ok(()));
    let write = partition.take_write().unwrap();
    let state = |first_offset, last_offset, state| StateBatch { first_offset, last_offset, state, delivery_count: 1 };
    let expected = [
        state(0, 0, DeliveryState::Acknowledged),
        state(1, 1, DeliveryState::Available),
        state(2, 2, DeliveryState::Archived),
        state(3, 3, DeliveryState::Archived),
    ];
    assert_eq!((write.start_offset, write.delivery_complete_count, write.batches.as_slice()), (0, 3, &expected[..]));
    assert_eq!(partition.start_offset(), 1);
    assert_eq!(acquire(&mut partition, 2, &[(0, 7)], 4), [(1, 1, 2)]);
}

#[test]
fn a_lock_ends_unless_it_is_renewed_and_a_record_is_given_up_in_the_end() {
    let mut partition = SharePartition::new(0, LIMITS);
    acquire(&mut partition, 1, &[(0, 1)], 2);
    partition.acknowledge(&member(1), &[acknowledgement(1, 1, AcknowledgeType::Renew)], 50).unwrap();
    assert_eq!((partition.next_deadline(), partition.expire_locks(99)), (Some(100), 0));
    assert_eq!((partition.expire_locks(100), partition.next_deadline()), (1, Some(150)));
    assert_eq!(acquire(&mut partition, 2, &[(0, 1)], 1), [(0, 0, 2)]);
    assert_eq!(partition.expire_locks(150), 2);
    assert_eq!(acquire(&mut partition, 2, &[(0, 1)], 2), [(0, 0, 3), (1, 1, 2)]);
    assert_eq!(partition.expire_locks(250), 2);
    partition.take_write();
    assert_eq!((partition.start_offset(), partition.next_fetch_offset()), (1, Some(1)));
}

#[test]
fn who_goes_gives_back_as_if_it_had_not_taken() {
    let mut partition = SharePartition::new(0, LIMITS);
    acquire(&mut partition, 1, &[(0, 3)], 4);
    partition.release_member(&member(1));
    assert_eq!(acquire(&mut partition, 2, &[(0, 3)], 4), [(0, 3, 1)]);
}

#[test]
fn what_the_log_lost_is_not_waited_for() {
    let mut partition = SharePartition::new(0, LIMITS);
    acquire(&mut partition, 1, &[(0, 3)], 4);
    partition.acknowledge(&member(1), &[acknowledgement(0, 3, AcknowledgeType::Release)], 0).unwrap();
    // Compaction has taken 0 to 4.
    assert_eq!(acquire(&mut partition, 1, &[(5, 6)], 4), [(5, 6, 1)]);
    partition.take_write();
    assert_eq!(partition.start_offset(), 5);
    partition.advance_log_start(6);
    assert_eq!((partition.start_offset(), partition.in_flight()), (6, 1));
    partition.advance_log_start(20);
    assert_eq!((partition.start_offset(), partition.end_offset()), (20, 20));
    assert_eq!(partition.acknowledge(&member(1), &[acknowledgement(5, 6, AcknowledgeType::Accept)], 0), Ok(()));
}

#[test]
fn no_more_are_in_flight_than_the_group_may_hold() {
    let mut partition = SharePartition::new(0, LIMITS);
    assert_eq!(acquire(&mut partition, 1, &[(0, 7)], 8), [(0, 7, 1)]);
    // As in Kafka the limit is looked at before a batch is taken, not within it.
    assert_eq!(acquire(&mut partition, 1, &[(8, 13)], 8), [(8, 13, 1)]);
    assert_eq!(partition.next_fetch_offset(), None);
    partition.acknowledge(&member(1), &[acknowledgement(4, 7, AcknowledgeType::Accept)], 0).unwrap();
    partition.take_write();
    assert_eq!(partition.next_fetch_offset(), None, "the window begins where the first one is not done");
    partition.acknowledge(&member(1), &[acknowledgement(0, 3, AcknowledgeType::Accept)], 0).unwrap();
    partition.take_write();
    assert_eq!(partition.next_fetch_offset(), Some(14));
}

#[test]
fn what_was_never_delivered_is_told_apart_from_what_is_no_longer_held() {
    let mut partition = SharePartition::new(0, LIMITS);
    let beyond = [acknowledgement(8, 9, AcknowledgeType::Accept)];
    assert_eq!(partition.acknowledge(&member(1), &beyond, 0), Err(AcknowledgeError::NotHeld { offset: 8 }));
    acquire(&mut partition, 1, &[(0, 3)], 4);
    assert_eq!(partition.acknowledge(&member(1), &beyond, 0), Err(AcknowledgeError::NeverDelivered { offset: 9 }));
}

#[test]
fn aborted_records_are_nobodys() {
    let mut partition = SharePartition::new(0, LIMITS);
    let request = AcquireRequest {
        member: &member(1),
        from: 0,
        batches: &[(0, 3), (4, 7)],
        aborted: &[(2, 5)],
        records_max: 8,
        batch_size: 4,
        mode: AcquireMode::BatchOptimized,
        now_ms: 0,
    };
    let acquired: Vec<_> = partition.acquire(&request).iter().map(|a| (a.first_offset, a.last_offset)).collect();
    assert_eq!(acquired, [(0, 1), (6, 7)]);
    assert_eq!(partition.in_flight(), 4);
}

/// What the model knows of one record.
#[derive(Clone, Debug, PartialEq)]
enum Record {
    New,
    Available(i16),
    Acquired(i16, u8, i64),
    Done { accepted: bool },
}

#[derive(Clone, Debug)]
enum Step {
    Acquire { name: u8, records_max: i64, exact: bool },
    Acknowledge { name: u8, nth: usize, kinds: Vec<u8> },
    Pass { ms: i64 },
    Leave { name: u8 },
    Restart,
    Trim { by: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..3, 1i64..6, any::<bool>())
            .prop_map(|(name, records_max, exact)| Step::Acquire { name, records_max, exact }),
        6 => (0u8..3, 0usize..4, proptest::collection::vec(0u8..5, 1..5))
            .prop_map(|(name, nth, kinds)| Step::Acknowledge { name, nth, kinds }),
        3 => (1i64..80).prop_map(|ms| Step::Pass { ms }),
        1 => (0u8..3).prop_map(|name| Step::Leave { name }),
        1 => Just(Step::Restart),
        1 => (1i64..4).prop_map(|by| Step::Trim { by }),
    ]
}

/// A log of batches of four, and the model of its records.
struct Model {
    records: Vec<Record>,
    log_start: i64,
    now_ms: i64,
    /// What is durable.
    start: i64,
    stored: Vec<StateBatch>,
}

const COUNT: usize = 60;

impl Model {
    fn new() -> Self {
        Self { records: vec![Record::New; COUNT], log_start: 0, now_ms: 0, start: 0, stored: Vec::new() }
    }

    fn at(&mut self, offset: i64) -> &mut Record {
        &mut self.records[usize::try_from(offset).unwrap()]
    }

    fn batches(&self) -> Vec<(i64, i64)> {
        let count = i64::try_from(COUNT).unwrap();
        let batches = (0..count / 4).map(|n| (n * 4, n * 4 + 3));
        batches
            .filter(|(_, last)| *last >= self.log_start)
            .map(|(first, last)| (first.max(self.log_start), last))
            .collect()
    }

    fn release(record: &mut Record, count: i16) {
        let over = count >= LIMITS.delivery_count_max;
        *record = if over { Record::Done { accepted: false } } else { Record::Available(count) };
    }

    /// Takes what is to be durable, as the share coordinator does.
    fn store(&mut self, partition: &mut SharePartition) {
        let before = partition.start_offset();
        if let Some(write) = partition.take_write() {
            self.start = write.start_offset;
            self.stored = crate::share::state::overlay(&self.stored, &write.batches, write.start_offset);
        }
        assert!(partition.start_offset() >= before);
    }

    fn run(&mut self, partition: &mut SharePartition, step: &Step) {
        match step {
            Step::Acquire { name, records_max, exact } => {
                let mode = if *exact { AcquireMode::RecordLimit } else { AcquireMode::BatchOptimized };
                let batches = self.batches();
                let got = acquire_at(partition, *name, &batches, *records_max, mode, self.now_ms);
                let mut total = 0;
                for (first, last, count) in got {
                    for offset in first..=last {
                        let now_ms = self.now_ms;
                        let record = self.at(offset);
                        let before = match record {
                            Record::New => 0,
                            Record::Available(count) => *count,
                            taken => panic!("{offset} was given out though it is {taken:?}"),
                        };
                        assert_eq!(count, before + 1);
                        assert!(count <= LIMITS.delivery_count_max);
                        *record = Record::Acquired(count, *name, now_ms + LIMITS.lock_ms);
                        total += 1;
                    }
                }
                assert!(!exact || total <= *records_max);
                assert!(partition.in_flight() < LIMITS.records_max + 4);
            }
            Step::Acknowledge { name, nth, kinds } => {
                // Some run of offsets, held or not.
                let first = self.log_start + i64::try_from(*nth * 3).unwrap();
                let last = first + i64::try_from(kinds.len()).unwrap() - 1;
                let types: Vec<_> = kinds
                    .iter()
                    .map(|kind| AcknowledgeType::from_wire(i8::try_from(*kind).unwrap()).unwrap())
                    .collect();
                let asked = [Acknowledgement { first_offset: first, last_offset: last, types: types.clone() }];
                let start = partition.start_offset();
                let outcome = partition.acknowledge(&member(*name), &asked, self.now_ms);
                let held = (first.max(start)..=last).all(|offset| {
                    usize::try_from(offset).is_ok_and(|at| {
                        self.records
                            .get(at)
                            .is_some_and(|record| matches!(record, Record::Acquired(_, who, _) if who == name))
                    })
                });
                assert_eq!(outcome.is_ok(), held, "{first}..={last} by {name}: {outcome:?}");
                if outcome.is_ok() {
                    for (offset, kind) in (first..=last).zip(types).filter(|(offset, _)| *offset >= start) {
                        let now_ms = self.now_ms;
                        let record = self.at(offset);
                        let Record::Acquired(count, who, _) = *record else { unreachable!() };
                        match kind {
                            AcknowledgeType::Accept => *record = Record::Done { accepted: true },
                            AcknowledgeType::Reject | AcknowledgeType::Gap => {
                                *record = Record::Done { accepted: false }
                            }
                            AcknowledgeType::Release => Self::release(record, count),
                            AcknowledgeType::Renew => *record = Record::Acquired(count, who, now_ms + LIMITS.lock_ms),
                        }
                    }
                }
            }
            Step::Pass { ms } => {
                self.now_ms += ms;
                let now_ms = self.now_ms;
                let mut due = 0;
                for record in &mut self.records {
                    if let Record::Acquired(count, _, deadline) = *record
                        && deadline <= now_ms
                    {
                        due += 1;
                        Self::release(record, count);
                    }
                }
                assert_eq!(partition.expire_locks(now_ms), due);
            }
            Step::Leave { name } => {
                partition.release_member(&member(*name));
                for record in &mut self.records {
                    if let Record::Acquired(count, who, _) = *record
                        && who == *name
                    {
                        Self::release(record, count - 1);
                    }
                }
            }
            Step::Restart => {
                *partition = SharePartition::restore(self.start, &self.stored, LIMITS);
                partition.advance_log_start(self.log_start);
                let stored = self.stored.clone();
                for (at, record) in self.records.iter_mut().enumerate() {
                    let offset = i64::try_from(at).unwrap();
                    if matches!(record, Record::Acquired(..)) {
                        let batch = stored.iter().find(|b| (b.first_offset..=b.last_offset).contains(&offset));
                        *record = match batch {
                            Some(batch) => Record::Available(batch.delivery_count),
                            None => Record::New,
                        };
                    }
                }
            }
            Step::Trim { by } => {
                let count = i64::try_from(COUNT).unwrap();
                self.log_start = (self.log_start + by).min(count - 20);
                partition.advance_log_start(self.log_start);
                for offset in 0..self.log_start {
                    let record = self.at(offset);
                    if !matches!(record, Record::Done { .. }) {
                        *record = Record::Done { accepted: false };
                    }
                }
            }
        }
        self.store(partition);
        partition.runs.assert_invariants();
        self.check(partition);
    }

    fn check(&mut self, partition: &SharePartition) {
        for offset in 0..partition.start_offset() {
            let record = self.at(offset);
            assert!(matches!(record, Record::Done { .. }), "{offset} is before the start, and {record:?}");
        }
        for (first, last, run) in
            partition.runs.within(0, i64::MAX - 1).map(|(f, l, r)| (f, l, r.clone())).collect::<Vec<_>>()
        {
            for offset in first..=last {
                let record = self.at(offset).clone();
                let same = match (&run.state, &record) {
                    (RunState::Available, Record::Available(count)) => *count == run.delivery_count,
                    (RunState::Available, Record::New) => run.delivery_count == 0,
                    (RunState::Acquired { member: m, deadline_ms }, Record::Acquired(count, who, deadline)) => {
                        *m == member(*who) && deadline == deadline_ms && *count == run.delivery_count
                    }
                    (RunState::Acknowledged, Record::Done { accepted }) => *accepted,
                    (RunState::Archived, Record::Done { accepted }) => !accepted,
                    _ => false,
                };
                assert!(same, "offset {offset}: {run:?} but {record:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn every_record_goes_its_way(steps in proptest::collection::vec(step(), 1..120)) {
        let mut partition = SharePartition::new(0, LIMITS);
        let mut model = Model::new();
        for step in &steps {
            model.run(&mut partition, step);
        }
        // Whatever happened: with one member that takes and accepts, everything is done in the end.
        model.run(&mut partition, &Step::Pass { ms: LIMITS.lock_ms });
        for _ in 0..COUNT {
            let batches = model.batches();
            let got = acquire_at(&mut partition, 9, &batches, 4, AcquireMode::BatchOptimized, model.now_ms);
            for (first, last, _) in got {
                partition.acknowledge(&member(9), &[acknowledgement(first, last, AcknowledgeType::Accept)], 0).unwrap();
            }
            partition.take_write();
        }
        prop_assert_eq!(partition.start_offset(), i64::try_from(COUNT).unwrap());
        prop_assert_eq!(partition.in_flight(), 0);
    }
}
