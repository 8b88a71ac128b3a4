//! Runs a topology without broker, runtime or clock: for tests.
//!
//! One partition per topic. A record sent is processed at once, through repartition topics and topics the topology
//! both writes and reads, until nothing is left; then everything is committed, changelogs included. So a test reads
//! the same as one with Kafka's `TopologyTestDriver`, and `restart` rebuilds the stores from nothing but what was
//! committed.

mod state;
mod typed;

use std::{cell::RefCell, rc::Rc, time::Duration};

use state::State;
pub use typed::{TestBatch, TestInput, TestInputAt, TestOutput, TestRecord, TestStore};

use crate::{
    error::{DriverError, TopologyError},
    metrics::{DropReason, Metrics},
    serde::Serde,
    topology::Topology,
};

/// Runs a topology in a test.
///
/// ```
/// use riverrun_streams::prelude::*;
///
/// let b = StreamsBuilder::new("app");
/// b.stream("in", (Utf8, I64)).group_by_key("by-key", (Utf8, I64)).reduce("sums", |a, b| a + b)
///     .to_stream().to("out", (Utf8, I64.nullable()));
///
/// let mut t = TestDriver::new(&b.build()?)?;
/// let input = t.input("in", (Utf8, I64));
/// input.at(0).send("a".into(), 1)?;
/// t.restart()?;
/// input.at(5).send("a".into(), 2)?;
/// let sums: Vec<TestRecord<String, i64>> = t.output("out", (Utf8, I64)).drain()?;
/// assert_eq!((sums[1].value, sums[1].timestamp), (3, 5));
/// assert_eq!(t.store("sums", (Utf8, I64)).get(&"a".into())?, Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TestDriver {
    state: Rc<RefCell<State>>,
}

impl TestDriver {
    /// A driver with empty topics and stores, whose clock stands at 0.
    ///
    /// # Errors
    /// None today; a topology that cannot be driven would be one.
    pub fn new(topology: &Topology) -> Result<Self, TopologyError> {
        Ok(Self { state: Rc::new(RefCell::new(State::new(topology.clone()))) })
    }

    /// Pushes at most this many records at once, where a test sends several together. Results do not depend on it.
    pub fn max_batch(self, records: usize) -> Self {
        self.state.borrow_mut().set_max_batch(records);
        self
    }

    /// Where to send records of a topic. Handles may be kept side by side.
    pub fn input<K, V, KS, VS>(&self, topic: &str, serdes: (KS, VS)) -> TestInput<K, V, KS, VS>
    where
        KS: Serde<K>,
        VS: Serde<V>,
    {
        TestInput::new(self.state.clone(), topic, serdes)
    }

    /// Sends batches of several inputs as one fetch: all are buffered before any record is processed, so records of
    /// different topics are taken in the order of their timestamps.
    ///
    /// # Errors
    /// If the topology fails on a record.
    pub fn send_together(&self, batches: impl IntoIterator<Item = TestBatch>) -> Result<(), DriverError> {
        self.state.borrow_mut().send(batches.into_iter().flat_map(|batch| batch.0).collect())
    }

    /// Where to read what was written to a topic, which may be an internal one: `<app>-<name>-repartition`,
    /// `<app>-<store>-changelog`.
    pub fn output<K, V, KS, VS>(&self, topic: &str, serdes: (KS, VS)) -> TestOutput<K, V, KS, VS>
    where
        KS: Serde<K>,
        VS: Serde<V>,
    {
        TestOutput::new(self.state.clone(), topic, serdes)
    }

    /// The content of a store. A window store's keys are read with a windowed serde, `Utf8.windowed(size)`.
    pub fn store<K, V, KS, VS>(&self, name: &str, serdes: (KS, VS)) -> TestStore<K, V, KS, VS>
    where
        KS: Serde<K>,
        VS: Serde<V>,
    {
        TestStore::new(self.state.clone(), name, serdes)
    }

    /// How many records were dropped for a [reason](DropReason), by its name; 0 for a name that is none.
    pub fn dropped(&self, reason: &str) -> u64 {
        let reason = DropReason::ALL.into_iter().find(|known| known.name() == reason);
        reason.map_or(0, |reason| self.metrics().dropped(reason))
    }

    /// All counters.
    pub fn metrics(&self) -> Metrics {
        self.state.borrow().metrics()
    }

    /// The names of all topics written so far, sorted, internal ones included.
    pub fn produced_topics(&self) -> Vec<String> {
        self.state.borrow().produced_topics()
    }

    /// Moves the driver's clock, which gives records sent without a time theirs.
    pub fn advance_wall_clock(&mut self, by: Duration) {
        self.state.borrow_mut().advance_wall_clock(by);
    }

    /// Ends all tasks and starts new ones from what was committed: stores from their changelogs, the rest from the
    /// metadata of the offsets.
    ///
    /// # Errors
    /// If a changelog does not decode.
    pub fn restart(&mut self) -> Result<(), DriverError> {
        self.state.borrow_mut().restart()
    }
}
