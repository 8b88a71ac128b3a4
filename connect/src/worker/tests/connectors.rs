//! Connectors that do what the test tells them, found by the connector's name.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, LazyLock, Mutex},
};

use riverrun_core::TopicPartition;
use tokio::sync::Notify;

use crate::{
    Connectors, Sink, SinkContext, SinkRecord, Source, SourceContext, SourceOffset, SourcePartition, SourcePosition,
    SourceRecord, TaskError,
};

static WELLS: LazyLock<Mutex<BTreeMap<String, Well>>> = LazyLock::new(Mutex::default);
static TAPES: LazyLock<Mutex<BTreeMap<String, Tape>>> = LazyLock::new(Mutex::default);

pub(super) fn connectors() -> Connectors {
    Connectors::none().with_source::<WellSource>("well").with_sink::<TapeSink>("tape")
}

/// What a source does on its next call of `poll`.
#[derive(Clone, Debug)]
pub(super) enum Draw {
    /// Records with these values, numbered by position.
    Values(Vec<&'static str>),
    /// Says that its partition is finished, with a record.
    Finish(&'static str),
    Retriable,
    Fatal,
    Panic,
}

/// A source's other end. The source's position is the number of values drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Well(Arc<WellState>);

#[derive(Debug, Default)]
struct WellState {
    draws: Mutex<VecDeque<Draw>>,
    filled: Notify,
    started_at: Mutex<Vec<Option<u64>>>,
    commits: Mutex<Vec<SourcePosition>>,
    stops: Mutex<u32>,
}

impl Well {
    pub(super) fn of(connector: &str) -> Self {
        WELLS.lock().unwrap().entry(connector.to_owned()).or_default().clone()
    }

    pub(super) fn fill(&self, draw: Draw) {
        self.0.draws.lock().unwrap().push_back(draw);
        self.0.filled.notify_one();
    }

    /// The stored position at each start.
    pub(super) fn started_at(&self) -> Vec<Option<u64>> {
        self.0.started_at.lock().unwrap().clone()
    }

    pub(super) fn commits(&self) -> Vec<SourcePosition> {
        self.0.commits.lock().unwrap().clone()
    }

    pub(super) fn stops(&self) -> u32 {
        *self.0.stops.lock().unwrap()
    }
}

crate::config! {
    /// Nothing to tell it.
    pub(super) struct WellConfig {
        /// The topic.
        topic: String = "topic", High, default "out";
    }
}

struct WellSource {
    well: Well,
    topic: String,
    next: u64,
    finished: Vec<SourcePartition>,
}

fn partition() -> SourcePartition {
    SourcePartition::of("well", "only")
}

impl Source for WellSource {
    type Config = WellConfig;

    async fn start(config: WellConfig, context: SourceContext) -> Result<Self, TaskError> {
        let well = Well::of(&context.connector);
        let stored = context.offsets.get(&partition()).and_then(|offset| offset.get("drawn")?.as_u64());
        well.0.started_at.lock().unwrap().push(stored);
        Ok(Self { well, topic: config.topic, next: stored.unwrap_or(0), finished: Vec::new() })
    }

    async fn poll(&mut self) -> Result<Vec<SourceRecord>, TaskError> {
        loop {
            let draw = self.well.0.draws.lock().unwrap().pop_front();
            let mut values = match draw {
                Some(Draw::Values(values)) => values,
                Some(Draw::Finish(value)) => {
                    self.finished.push(partition());
                    vec![value]
                }
                Some(Draw::Retriable) => return Err(TaskError::retriable("come back later")),
                Some(Draw::Fatal) => return Err(TaskError::fatal("broken")),
                Some(Draw::Panic) => panic!("on purpose"),
                None => {
                    self.well.0.filled.notified().await;
                    continue;
                }
            };
            let records = values.drain(..).map(|value| {
                self.next += 1;
                let record = SourceRecord::new(self.topic.as_str(), value);
                record.position(&partition(), SourceOffset::of("drawn", self.next))
            });
            return Ok(records.collect());
        }
    }

    async fn commit(&mut self, stored: &[SourcePosition]) -> Result<(), TaskError> {
        self.well.0.commits.lock().unwrap().extend_from_slice(stored);
        Ok(())
    }

    fn finished(&mut self) -> Vec<SourcePartition> {
        std::mem::take(&mut self.finished)
    }

    async fn stop(self) -> Result<(), TaskError> {
        *self.well.0.stops.lock().unwrap() += 1;
        Ok(())
    }
}

/// A sink's other end: what was put, and what was flushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape(Arc<Mutex<TapeState>>);

#[derive(Debug, Default)]
pub(super) struct TapeState {
    pub(super) put: Vec<String>,
    /// How many of `put` had been put at the last flush.
    pub(super) flushed: usize,
    pub(super) put_failures: VecDeque<bool>,
    pub(super) flush_failures: VecDeque<bool>,
    pub(super) reject: Vec<&'static str>,
    pub(super) revoked: Vec<TopicPartition>,
    pub(super) starts: u32,
}

impl Tape {
    pub(super) fn of(connector: &str) -> Self {
        TAPES.lock().unwrap().entry(connector.to_owned()).or_default().clone()
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut TapeState) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

crate::config! {
    /// Nothing to tell it.
    pub(super) struct TapeConfig {}
}

struct TapeSink {
    tape: Tape,
    context: SinkContext,
}

fn failure(retriable: bool) -> TaskError {
    if retriable { TaskError::retriable("tape jammed") } else { TaskError::fatal("tape torn") }
}

impl Sink for TapeSink {
    type Config = TapeConfig;

    async fn start(_: TapeConfig, context: SinkContext) -> Result<Self, TaskError> {
        let tape = Tape::of(&context.connector);
        tape.with(|state| state.starts += 1);
        Ok(Self { tape, context })
    }

    async fn put(&mut self, batch: &[SinkRecord]) -> Result<(), TaskError> {
        self.tape.with(|state| {
            if let Some(retriable) = state.put_failures.pop_front() {
                return Err(failure(retriable));
            }
            for record in batch {
                let value = String::from_utf8(record.raw_value.clone().unwrap().to_vec()).unwrap();
                if state.reject.contains(&value.as_str()) {
                    self.context.rejections.reject(record, "not to my taste");
                } else {
                    state.put.push(value);
                }
            }
            Ok(())
        })
    }

    async fn flush(&mut self) -> Result<(), TaskError> {
        self.tape.with(|state| match state.flush_failures.pop_front() {
            Some(retriable) => Err(failure(retriable)),
            None => {
                state.flushed = state.put.len();
                Ok(())
            }
        })
    }

    fn revoked(&mut self, partitions: &[TopicPartition]) {
        self.tape.with(|state| state.revoked.extend_from_slice(partitions));
    }
}
