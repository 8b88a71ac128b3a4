//! One run of a source task: poll, convert, send, and store offsets of what is acknowledged.
//!
//! Rule C1: an offset is stored only when its record and all before it of the same source partition are acknowledged;
//! [`Submitted`] decides that. Offsets are stored at an interval, when the task stops, and when it fails.
//!
//! The loop waits for five things at once: the order to stop, acknowledgements, the time to store offsets, the
//! connector's `poll`, and the time to repeat it. A pending `poll` is dropped only when the connector has to be told of
//! stored offsets, or to stop.

use std::{collections::HashSet, pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use riverrun_client::ProducerRecord;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::{
    cluster::{Cluster, ClusterError, Output, TopicSpec},
    task::TaskSetup,
};
use crate::{
    SourcePosition, SourceRecord, TaskError,
    config::SourceConfig,
    connector::{SourceTask, error_chain},
    offsets::{OffsetStore, Submitted, Token},
};

/// Most records sent and not acknowledged before `poll` is held back. The producer's buffer bounds their bytes.
const IN_FLIGHT_MAX: usize = 10_000;

/// A run, from start to stop or failure.
pub(super) struct SourceRun<C: Cluster> {
    pub(super) setup: Arc<TaskSetup>,
    pub(super) config: SourceConfig,
    pub(super) cluster: C,
    pub(super) store: Arc<OffsetStore<C>>,
    pub(super) output: C::Output,
}

enum Next {
    Stop,
    Stored(Vec<SourcePosition>),
    Polled(Result<Vec<SourceRecord>, TaskError>),
}

impl<C: Cluster> SourceRun<C> {
    /// Runs `task` until it is stopped or fails.
    pub(super) async fn run(self, mut task: Box<dyn SourceTask>) -> Result<(), TaskError> {
        let mut work = Work::new(self);
        let result = work.run_loop(task.as_mut()).await;
        let deadline = work.run.setup.worker.offset_flush_timeout;
        // What is on its way gets some time to arrive, after a failure too: a source without positions cannot give it
        // again. What does not arrive is read again next time, by a source that can.
        let _ = timeout(work.run.setup.worker.graceful_timeout, work.settle()).await;
        for partition in task.finished() {
            work.submitted.finish(partition);
        }
        let stored = work.flush().await;
        if result.is_ok() {
            if let Err(error) = task.commit(&stored).await {
                tracing::warn!(connector = %work.run.setup.connector, "commit failed: {}", error_chain(&error));
            }
            if let Err(error) = task.stop().await {
                tracing::warn!(connector = %work.run.setup.connector, "stop failed: {}", error_chain(&error));
            }
            let _ = timeout(deadline, work.run.output.close()).await;
        }
        result
    }
}

/// The record that was acknowledged, or not; without a token if it has no source position.
type Acknowledgement = (Option<Token>, Result<(), ClusterError>);

/// The state of a run apart from the connector, which is borrowed by its own `poll`.
struct Work<C: Cluster> {
    run: SourceRun<C>,
    submitted: Submitted,
    in_flight: FuturesUnordered<BoxFuture<'static, Acknowledgement>>,
    topics: HashSet<Arc<str>>,
    flush_at: Interval,
}

impl<C: Cluster> Work<C> {
    fn new(run: SourceRun<C>) -> Self {
        let period = run.setup.worker.offset_flush_interval;
        let mut flush_at = interval_at(Instant::now() + period, period);
        flush_at.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (submitted, in_flight) = (Submitted::default(), FuturesUnordered::new());
        Self { run, submitted, in_flight, topics: HashSet::new(), flush_at }
    }

    async fn run_loop(&mut self, task: &mut dyn SourceTask) -> Result<(), TaskError> {
        let mut retry = self.run.setup.retry("poll failed");
        let mut poll_at = None;
        loop {
            match self.next(task, poll_at).await? {
                Next::Stop => return Ok(()),
                Next::Stored(positions) => {
                    if let Err(error) = task.commit(&positions).await {
                        tracing::warn!(connector = %self.run.setup.connector, "commit failed: {}", error_chain(&error));
                    }
                }
                Next::Polled(Ok(records)) => {
                    retry.succeeded(&self.run.setup.status);
                    poll_at = None;
                    if records.is_empty() {
                        // A connector that returns nothing without waiting must not hold up everybody else.
                        tokio::task::yield_now().await;
                    }
                    for record in records {
                        if !self.send(record).await? {
                            return Ok(());
                        }
                    }
                    for partition in task.finished() {
                        self.submitted.finish(partition);
                    }
                }
                Next::Polled(Err(error)) => {
                    let delay = retry.failed(error, &self.run.setup.status)?;
                    poll_at = Some(Instant::now() + delay);
                }
            }
        }
    }

    async fn next(&mut self, task: &mut dyn SourceTask, poll_at: Option<Instant>) -> Result<Next, TaskError> {
        let setup = Arc::clone(&self.run.setup);
        let mut poll = pin!(async {
            if let Some(at) = poll_at {
                sleep_until(at).await;
            }
            task.poll().await
        });
        loop {
            tokio::select! {
                biased;
                () = setup.stop.cancelled() => return Ok(Next::Stop),
                Some((token, result)) = self.in_flight.next() => {
                    let mut acknowledged = self.acknowledge(token, result)?;
                    // All that are there already, for the price of one report.
                    while let Some(Some((token, result))) = self.in_flight.next().now_or_never() {
                        acknowledged += self.acknowledge(token, result)?;
                    }
                    setup.status.update(|task| task.records += acknowledged);
                }
                _ = self.flush_at.tick() => {
                    let stored = self.flush().await;
                    if !stored.is_empty() {
                        return Ok(Next::Stored(stored));
                    }
                }
                result = &mut poll, if self.in_flight.len() < IN_FLIGHT_MAX => return Ok(Next::Polled(result)),
            }
        }
    }

    /// Converts and sends a record; false if the task was stopped over it.
    async fn send(&mut self, record: SourceRecord) -> Result<bool, TaskError> {
        let setup = Arc::clone(&self.run.setup);
        let position = record.source.clone();
        let record = match convert(&setup, record) {
            Ok(record) => record,
            Err(message) => {
                setup.tolerate(|| message)?;
                if let Some(position) = position {
                    let token = self.submitted.submit(position);
                    self.submitted.acknowledge(&token);
                }
                return Ok(true);
            }
        };
        if !self.topics.contains(&record.topic) {
            if setup.worker.topic_creation {
                let spec = TopicSpec {
                    name: record.topic.clone(),
                    partitions: self.run.config.partitions,
                    replication_factor: self.run.config.replication_factor,
                    compacted: false,
                };
                let ensured = setup.insist("creating a topic", || self.run.cluster.ensure_topic(&spec)).await?;
                if ensured.is_none() {
                    return Ok(false);
                }
            }
            self.topics.insert(record.topic.clone());
        }
        let sent = setup.insist("sending", || self.run.output.send(record.clone())).await;
        let delivery = match sent {
            Ok(None) => return Ok(false),
            Ok(Some(delivery)) => delivery,
            Err(error) => {
                setup.tolerate(|| error_chain(&error))?;
                if let Some(position) = position {
                    let token = self.submitted.submit(position);
                    self.submitted.acknowledge(&token);
                }
                return Ok(true);
            }
        };
        let token = position.map(|position| self.submitted.submit(position));
        self.in_flight.push(delivery.map(move |result| (token, result)).boxed());
        Ok(true)
    }

    /// Counts a record as acknowledged, or as skipped if it never will be and that is tolerated.
    fn acknowledge(&mut self, token: Option<Token>, result: Result<(), ClusterError>) -> Result<u64, TaskError> {
        let acknowledged = match result {
            Ok(()) => 1,
            // Later records may have arrived although this one did not, and trying again would put it behind them:
            // the task starts over from the stored offsets.
            Err(error) if error.retriable => return Err(TaskError::fatal(error)),
            Err(error) => {
                self.run.setup.tolerate(|| error_chain(&error))?;
                0
            }
        };
        if let Some(token) = token {
            self.submitted.acknowledge(&token);
        }
        Ok(acknowledged)
    }

    /// Waits for all acknowledgements.
    async fn settle(&mut self) {
        while let Some((token, result)) = self.in_flight.next().await {
            match self.acknowledge(token, result) {
                Ok(acknowledged) => self.run.setup.status.update(|task| task.records += acknowledged),
                Err(error) => {
                    // Its offset stays unstored, and so do those behind it: they are read again next time.
                    tracing::warn!(connector = %self.run.setup.connector, "not delivered: {}", error_chain(&error));
                }
            }
        }
    }

    /// Stores the offsets that may be stored, and says which these are. What cannot be stored waits for the next time.
    async fn flush(&mut self) -> Vec<SourcePosition> {
        let changes = self.submitted.take();
        if changes.is_empty() {
            return Vec::new();
        }
        let setup = &self.run.setup;
        let write = self.run.store.write(&setup.connector, &changes);
        let failure = match timeout(setup.worker.offset_flush_timeout, write).await {
            Ok(Ok(())) => {
                setup.status.update(|task| task.commits += 1);
                let stored = changes
                    .into_iter()
                    .filter_map(|(partition, offset)| Some(SourcePosition { partition, offset: offset? }));
                return stored.collect();
            }
            Ok(Err(error)) => error_chain(&error),
            Err(_) => format!("not stored within {}", Millis(setup.worker.offset_flush_timeout)),
        };
        tracing::warn!(connector = %setup.connector, task = setup.task, "offsets not stored, trying again later: {failure}");
        self.submitted.put_back(changes);
        Vec::new()
    }
}

struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

/// The record for the log, or why there is none.
fn convert(setup: &TaskSetup, record: SourceRecord) -> Result<ProducerRecord, String> {
    let topic = record.topic;
    let convert = |part: &str, converted: Result<_, crate::converter::ConvertError>| {
        converted.map_err(|error| format!("{part} of a record for topic `{topic}`: {}", error_chain(&error)))
    };
    let key = convert("key", setup.key_converter.encode(record.key))?;
    let value = convert("value", setup.value_converter.encode(record.value))?;
    let mut out = ProducerRecord::to(topic);
    out.partition = record.partition;
    out.key = key;
    out.value = value;
    out.headers = record.headers;
    out.timestamp = record.timestamp;
    Ok(out)
}
