//! Random schedules of several producers of two transactional ids, with crashes, delayed requests and slow markers, against
//! the invariants of transactions. The seed is printed with a failure.

use proptest::prelude::*;

use super::harness::{Broker, Entry, TIMEOUT_MS, partition};
use crate::{
    protocol::ErrorCode,
    transaction::{ProducerIdAndEpoch, TransactionState, TransactionVersion},
};

const IDS: [&str; 2] = ["a", "b"];
const PARTITIONS: i32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Init { id: usize, recover: bool },
    Add { who: usize, index: i32 },
    Write { who: usize, index: i32 },
    End { who: usize, commit: bool },
    RetryEnd,
    SomeMarkers { id: usize, count: usize },
    AllMarkers,
    Crash,
    Pass { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let ids = 0..IDS.len();
    let index = 0..PARTITIONS;
    let who = 0..6usize;
    prop_oneof![
        2 => (ids.clone(), any::<bool>()).prop_map(|(id, recover)| Step::Init { id, recover }),
        4 => (who.clone(), index.clone()).prop_map(|(who, index)| Step::Add { who, index }),
        5 => (who.clone(), index).prop_map(|(who, index)| Step::Write { who, index }),
        3 => (who, any::<bool>()).prop_map(|(who, commit)| Step::End { who, commit }),
        1 => Just(Step::RetryEnd),
        2 => (ids, 0..3usize).prop_map(|(id, count)| Step::SomeMarkers { id, count }),
        2 => Just(Step::AllMarkers),
        1 => Just(Step::Crash),
        1 => (1i64..i64::from(TIMEOUT_MS)).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// A run of a producer: zombies stay and go on.
#[derive(Debug, Clone, Copy)]
struct Run {
    id: usize,
    me: ProducerIdAndEpoch,
    transaction: u64,
}

#[derive(Debug)]
struct World {
    broker: Broker,
    version: TransactionVersion,
    runs: Vec<Run>,
    transactions: u64,
    /// Transactions whose end was acknowledged, and how.
    ended: Vec<(u64, bool)>,
    last_end: Option<(Run, bool, ProducerIdAndEpoch)>,
}

impl World {
    fn run(&mut self, step: &Step) {
        match *step {
            Step::Init { id, recover } => self.init(id, recover),
            Step::Add { who, index } => {
                if let Some(run) = self.pick(who) {
                    let _ = self.broker.add_to(IDS[run.id], run.me, self.version, index);
                }
            }
            Step::Write { who, index } => {
                if let Some(run) = self.pick(who) {
                    self.broker.write(IDS[run.id], run.me, index, run.transaction);
                }
            }
            Step::End { who, commit } => self.end(who, commit),
            Step::RetryEnd => self.retry_end(),
            Step::SomeMarkers { id, count } => {
                let id = IDS[id].into();
                if self.broker.to_mark.contains(&id) {
                    self.broker.write_markers_of(&id, count);
                }
            }
            Step::AllMarkers => self.broker.write_markers(),
            Step::Crash => self.broker.restart(),
            Step::Pass { ms } => self.broker.pass(ms),
        }
    }

    fn pick(&self, who: usize) -> Option<Run> {
        self.runs.iter().rev().nth(who).copied()
    }

    fn init(&mut self, id: usize, recover: bool) {
        let expected = self.runs.iter().rev().find(|run| run.id == id).map(|run| run.me).filter(|_| recover);
        if let Ok(me) = self.broker.init_with(IDS[id], expected) {
            self.transactions += 1;
            self.runs.push(Run { id, me, transaction: self.transactions });
        }
    }

    fn end(&mut self, who: usize, commit: bool) {
        let Some(run) = self.pick(who) else { return };
        if let Ok(next) = self.broker.end_of(IDS[run.id], run.me, self.version, commit) {
            let older = self.ended.iter().find(|(transaction, _)| *transaction == run.transaction);
            assert!(older.is_none_or(|(_, before)| *before == commit), "an end that was decided is decided anew");
            self.ended.push((run.transaction, commit));
            self.last_end = Some((run, commit, next));
            self.transactions += 1;
            let at = self.runs.len() - 1 - who;
            self.runs[at] = Run { me: next, transaction: self.transactions, ..run };
        }
    }

    /// The answer was lost, and the request comes again while nothing else happened to the id.
    fn retry_end(&mut self) {
        let Some((run, commit, next)) = self.last_end else { return };
        if self.version == TransactionVersion::V2 {
            match self.broker.end_of(IDS[run.id], run.me, self.version, commit) {
                Ok(again) => assert_eq!(again, next),
                Err(error) => assert!(
                    matches!(
                        error,
                        ErrorCode::ConcurrentTransactions | ErrorCode::ProducerFenced | ErrorCode::InvalidTxnState
                    ),
                    "{error:?}"
                ),
            }
        }
    }

    /// Faults off: all converges, and no transaction is left open.
    fn heal(&mut self) {
        self.broker.restart();
        self.broker.write_markers();
        self.broker.pass(i64::from(TIMEOUT_MS));
        self.broker.write_markers();
        for id in IDS {
            if let Some(value) = self.broker.shard.get(id) {
                let open = matches!(value.state, TransactionState::Ongoing) || value.state.is_prepared();
                assert!(!open, "{id} hangs in {:?}", value.state);
            }
        }
    }

    fn check(&self) {
        let mut fates = std::collections::BTreeMap::new();
        for index in 0..PARTITIONS {
            let entries = self.broker.partitions.get(&partition(index)).map_or(&[][..], Vec::as_slice);
            for (at, entry) in entries.iter().enumerate() {
                let Entry::Data { producer, transaction } = *entry else { continue };
                let fate = entries[at..].iter().find_map(|later| match *later {
                    Entry::Marker { producer: marker, commit } if marker.id == producer.id => Some((marker, commit)),
                    _ => None,
                });
                let (marker, commit) = fate.unwrap_or_else(|| panic!("transaction {transaction} hangs on {index}"));
                // T4, T5: the marker is of this transaction; in the second protocol the epoch tells, otherwise it is
                // the same or, after fencing, a higher one.
                match self.version {
                    TransactionVersion::V2 => assert_eq!(marker.epoch.0, producer.epoch.0 + 1),
                    _ => assert!(marker.epoch >= producer.epoch),
                }
                // T1: all or nothing.
                let before = *fates.entry(transaction).or_insert(commit);
                assert_eq!(before, commit, "transaction {transaction} is torn on partition {index}");
            }
        }
        // T2: what was acknowledged is what happened.
        for (transaction, commit) in &self.ended {
            if let Some(fate) = fates.get(transaction) {
                assert_eq!(fate, commit, "transaction {transaction} was acknowledged otherwise");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold(second in any::<bool>(), steps in proptest::collection::vec(step(), 1..120)) {
        let version = if second { TransactionVersion::V2 } else { TransactionVersion::V0 };
        let mut world = World {
            broker: Broker::new(),
            version,
            runs: Vec::new(),
            transactions: 0,
            ended: Vec::new(),
            last_end: None,
        };
        for step in &steps {
            world.run(step);
        }
        world.heal();
        world.check();
    }
}
