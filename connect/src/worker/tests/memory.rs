//! A cluster in memory whose acknowledgements and failures the test controls. Every topic has one partition.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use riverrun_client::{ConsumerRecord, ProducerRecord};
use riverrun_core::TopicPartition;
use tokio::sync::watch;

use crate::worker::cluster::{Cluster, ClusterError, Input, InputEvent, InputSpec, KeyValue, Output, TopicSpec};

/// The cluster.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts changes: wakes whoever waits for records, acknowledgements or events.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, Vec<ProducerRecord>>,
    created: Vec<TopicSpec>,
    committed: HashMap<(String, TopicPartition), i64>,
    /// Topics whose records are not acknowledged for now.
    held: Vec<String>,
    /// By topic the failures of the next deliveries: retriable or not.
    failures: HashMap<String, Vec<bool>>,
    /// How many of the next calls to open a producer fail.
    outputs_failing: usize,
    /// Told to members at their next poll.
    events: Vec<InputEvent>,
    paused: bool,
}

fn error(attempted: &str, retriable: bool) -> ClusterError {
    ClusterError { attempted: attempted.to_owned(), retriable, source: "on purpose".into() }
}

impl Memory {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), changed: watch::Sender::new(0) }))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.0.state.lock().unwrap());
        self.0.changed.send_modify(|count| *count += 1);
        result
    }

    /// Writes a record from outside.
    pub(super) fn produce(&self, topic: &str, value: &'static str) {
        let record = ProducerRecord::to(topic).value(value);
        self.with(|state| state.topics.entry(topic.to_owned()).or_default().push(record));
    }

    /// The values in a topic, as text.
    pub(super) fn values(&self, topic: &str) -> Vec<String> {
        let text =
            |bytes: &Option<Bytes>| bytes.as_ref().map_or("null".to_owned(), |b| String::from_utf8_lossy(b).into());
        self.with(|state| state.topics.get(topic).into_iter().flatten().map(|record| text(&record.value)).collect())
    }

    pub(super) fn records(&self, topic: &str) -> Vec<ProducerRecord> {
        self.with(|state| state.topics.get(topic).cloned().unwrap_or_default())
    }

    pub(super) fn created(&self) -> Vec<TopicSpec> {
        self.with(|state| state.created.clone())
    }

    pub(super) fn committed(&self, group: &str, topic: &str) -> Option<i64> {
        self.with(|state| state.committed.get(&(group.to_owned(), TopicPartition::new(topic, 0))).copied())
    }

    /// Keeps acknowledgements back.
    pub(super) fn hold(&self, topic: &str) {
        self.with(|state| state.held.push(topic.to_owned()));
    }

    /// Gives all acknowledgements kept back.
    pub(super) fn release(&self) {
        self.with(|state| state.held.clear());
    }

    /// Has the next delivery to a topic fail.
    pub(super) fn fail_next(&self, topic: &str, retriable: bool) {
        self.with(|state| state.failures.entry(topic.to_owned()).or_default().push(retriable));
    }

    pub(super) fn fail_outputs(&self, count: usize) {
        self.with(|state| state.outputs_failing = count);
    }

    pub(super) fn tell(&self, event: InputEvent) {
        self.with(|state| state.events.push(event));
    }

    /// Waits until `wanted` holds; looks whenever something changed.
    pub(super) async fn until(&self, mut wanted: impl FnMut(&Self) -> bool) {
        let mut changed = self.0.changed.subscribe();
        while !wanted(self) {
            // `wanted` itself counts as a change: skip what is seen already.
            changed.mark_unchanged();
            tokio::select! {
                result = changed.changed() => result.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }
}

impl Cluster for Memory {
    type Output = MemoryOutput;
    type Input = MemoryInput;

    async fn output(&self, _: &str) -> Result<MemoryOutput, ClusterError> {
        let failing = self.with(|state| {
            let failing = state.outputs_failing > 0;
            state.outputs_failing = state.outputs_failing.saturating_sub(1);
            failing
        });
        if failing { Err(error("cannot open a producer", true)) } else { Ok(MemoryOutput(self.clone())) }
    }

    async fn input(&self, spec: InputSpec) -> Result<MemoryInput, ClusterError> {
        let partitions: Vec<_> = spec.topics.iter().map(|topic| TopicPartition::new(topic.as_str(), 0)).collect();
        let position = |partition: &TopicPartition| {
            self.with(|state| state.committed.get(&(spec.group.clone(), partition.clone())).copied().unwrap_or(0))
        };
        let positions = partitions.iter().map(|partition| (partition.clone(), position(partition))).collect();
        Ok(MemoryInput { memory: self.clone(), group: spec.group, positions })
    }

    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), ClusterError> {
        self.with(|state| {
            if !state.created.iter().any(|created| created.name == spec.name) {
                state.created.push(spec.clone());
            }
        });
        Ok(())
    }

    async fn read_all(&self, topic: &str) -> Result<Vec<KeyValue>, ClusterError> {
        Ok(self.records(topic).into_iter().map(|record| (record.key, record.value)).collect())
    }
}

#[derive(Debug)]
pub(super) struct MemoryOutput(Memory);

impl Output for MemoryOutput {
    type Delivery = futures::future::BoxFuture<'static, Result<(), ClusterError>>;

    async fn send(&self, record: ProducerRecord) -> Result<Self::Delivery, ClusterError> {
        let topic = record.topic.to_string();
        let failure = self.0.with(|state| {
            let failure = state.failures.get_mut(&topic).and_then(Vec::pop);
            if failure.is_none() {
                state.topics.entry(topic.clone()).or_default().push(record);
            }
            failure
        });
        let shared = Arc::clone(&self.0.0);
        Ok(Box::pin(async move {
            let mut changed = shared.changed.subscribe();
            loop {
                if !shared.state.lock().unwrap().held.contains(&topic) {
                    return match failure {
                        Some(retriable) => Err(error("not delivered", retriable)),
                        None => Ok(()),
                    };
                }
                changed.changed().await.map_err(|_| error("cluster gone", false))?;
            }
        }))
    }

    async fn close(self) {}
}

#[derive(Debug)]
pub(super) struct MemoryInput {
    memory: Memory,
    group: String,
    positions: BTreeMap<TopicPartition, i64>,
}

impl MemoryInput {
    fn next(&mut self) -> Option<InputEvent> {
        let state = &mut *self.memory.0.state.lock().unwrap();
        if !state.events.is_empty() {
            return Some(state.events.remove(0));
        }
        if state.paused {
            return None;
        }
        let mut records = Vec::new();
        for (partition, position) in &mut self.positions {
            let topic = state.topics.get(&*partition.topic).map(Vec::as_slice).unwrap_or_default();
            for record in topic.get(*position as usize..).unwrap_or_default() {
                records.push((partition.clone(), *position, record.clone()));
                *position += 1;
            }
        }
        (!records.is_empty()).then(|| InputEvent::Records(consumer_records(records)))
    }
}

fn consumer_records(records: Vec<(TopicPartition, i64, ProducerRecord)>) -> Vec<ConsumerRecord> {
    let record = |(partition, offset, record): (TopicPartition, i64, ProducerRecord)| ConsumerRecord {
        topic: partition.topic,
        partition: partition.partition,
        offset,
        timestamp: record.timestamp.unwrap_or(0),
        key: record.key,
        value: record.value,
        headers: record.headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        leader_epoch: None,
    };
    records.into_iter().map(record).collect()
}

impl Input for MemoryInput {
    async fn poll(&mut self, timeout: Duration) -> Result<InputEvent, ClusterError> {
        let mut changed = self.memory.0.changed.subscribe();
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            if let Some(event) = self.next() {
                return Ok(event);
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                return Ok(InputEvent::Idle);
            }
        }
    }

    async fn commit(&mut self, offsets: HashMap<TopicPartition, i64>) -> Result<(), ClusterError> {
        let group = self.group.clone();
        self.memory.with(|state| {
            let offsets = offsets.into_iter().map(|(partition, offset)| ((group.clone(), partition), offset));
            state.committed.extend(offsets);
        });
        Ok(())
    }

    fn pause(&mut self) {
        self.memory.with(|state| state.paused = true);
    }

    fn resume(&mut self) {
        self.memory.with(|state| state.paused = false);
    }

    async fn close(self) {}
}
