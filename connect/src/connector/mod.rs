//! What a connector is: the traits [`Source`] and [`Sink`] and the contract of their calls.
//!
//! One type is one connector's task; the connector itself (checking a configuration, splitting it into tasks) is the
//! trait's associated items. A connector is registered by name in [`Connectors`] and run by a
//! [`Worker`](crate::Worker). After Kafka Connect's `SourceTask` and `SinkTask`, with futures in place of threads.
//!
//! # Calls
//! ```text
//! task_configs ─▶ for each task:  start ─▶ ( poll | commit )* ─▶ stop          source
//!                                 start ─▶ ( put | flush | revoked )* ─▶ stop  sink
//! ```
//! - One call at a time per task; tasks of one connector run beside each other, maybe on different threads.
//! - `start` may be called again at any time after a task has failed or been stopped; the failed instance is dropped
//!   without `stop`.
//! - A panic counts as a failure of the task, not of the worker.
//!
//! # Cancel safety
//! - `poll` is dropped at any of its await points, whenever the runtime has something else to do. Records that it has
//!   taken from the source but not returned must come with a later call. A connector that keeps what it has read in
//!   `self` until the return, or awaits only a timer or a channel and then builds its batch, fulfils this.
//! - `start`, `put`, `flush`, `commit` and `stop` are dropped only when the worker gives up on the task: a task that is
//!   being stopped for longer than `task.shutdown.graceful.timeout.ms`. The instance is then dropped too.
//! - Blocking calls (files, processes) belong on a thread that may block; `tokio::task::spawn_blocking` is one.

mod context;
mod erased;
mod error;
mod registry;

pub use context::{Rejections, SinkContext, SourceContext, StoredOffsets};
pub(crate) use erased::{SinkFactory, SinkTask, SourceFactory, SourceTask};
pub use error::{TaskError, error_chain};
pub(crate) use registry::Factory;
pub use registry::{ConnectorKind, Connectors, Plugin, UnknownConnector};

use std::future::Future;

use riverrun_core::TopicPartition;

use crate::{
    config::{ConfigErrors, Configuration, Properties},
    record::{SinkRecord, SourcePartition, SourcePosition, SourceRecord},
};

/// Brings records from somewhere into the log.
///
/// ```
/// use std::time::Duration;
/// use riverrun_connect::{Source, SourceContext, SourceRecord, TaskError};
/// use tokio::time::{Interval, interval};
///
/// riverrun_connect::config! {
///     /// What the ticker can be told.
///     pub struct TickerConfig {
///         /// Topic the ticks go to.
///         pub topic: String = "topic", High;
///         /// Time between two ticks.
///         pub every: Duration = "interval.ms", Medium, default "1000";
///     }
/// }
///
/// struct Ticker {
///     topic: String,
///     interval: Interval,
///     count: u64,
/// }
///
/// impl Source for Ticker {
///     type Config = TickerConfig;
///
///     async fn start(config: TickerConfig, _: SourceContext) -> Result<Self, TaskError> {
///         Ok(Self { topic: config.topic, interval: interval(config.every), count: 0 })
///     }
///
///     async fn poll(&mut self) -> Result<Vec<SourceRecord>, TaskError> {
///         self.interval.tick().await;
///         self.count += 1;
///         Ok(vec![SourceRecord::new(self.topic.as_str(), format!("tick {}", self.count))])
///     }
/// }
///
/// let connectors = riverrun_connect::Connectors::builtin().with_source::<Ticker>("ticker");
/// # assert!(connectors.find("ticker").is_ok());
/// ```
pub trait Source: Sized + Send + 'static {
    /// What it can be told.
    type Config: Configuration;

    /// Splits the work: one configuration per task, at most `tasks_max`. By default there is one task. Tasks can also
    /// tell their share from [`SourceContext::task`] and [`SourceContext::tasks`], with equal configurations.
    ///
    /// # Errors
    /// The configuration is wrong in a way that only several keys together show.
    fn task_configs(
        config: &Self::Config,
        properties: &Properties,
        tasks_max: usize,
    ) -> Result<Vec<Properties>, ConfigErrors> {
        let _ = (config, tasks_max);
        Ok(vec![properties.clone()])
    }

    /// Opens the source and goes to where `context.offsets` says it was left.
    ///
    /// # Errors
    /// The task fails; it is started again after a while.
    fn start(config: Self::Config, context: SourceContext) -> impl Future<Output = Result<Self, TaskError>> + Send;

    /// Waits for records and returns some, in the order in which they are to be written. It must wait where there are
    /// none: an empty batch means "call again at once". Cancel-safe, see the [module](self).
    ///
    /// # Errors
    /// [`TaskError::Retriable`] has it called again after a back-off; others fail the task.
    fn poll(&mut self) -> impl Future<Output = Result<Vec<SourceRecord>, TaskError>> + Send;

    /// Tells that everything up to these positions is acknowledged by the cluster and stored: the source may forget it.
    /// For sources that acknowledge to somebody else; by default nothing happens.
    ///
    /// # Errors
    /// Logged; the task goes on.
    fn commit(&mut self, stored: &[SourcePosition]) -> impl Future<Output = Result<(), TaskError>> + Send {
        let _ = stored;
        async { Ok(()) }
    }

    /// Source partitions that will never be read again; asked before each write of offsets. Their stored offsets are
    /// deleted once all their records are acknowledged.
    fn finished(&mut self) -> Vec<SourcePartition> {
        Vec::new()
    }

    /// Ends the task, after the last commit.
    ///
    /// # Errors
    /// Logged; the task has ended anyway.
    fn stop(self) -> impl Future<Output = Result<(), TaskError>> + Send {
        async { Ok(()) }
    }
}

/// Takes records from the log to somewhere else.
///
/// ```
/// use riverrun_connect::{Sink, SinkContext, SinkRecord, TaskError};
///
/// riverrun_connect::config! {
///     /// What the counter can be told.
///     pub struct CounterConfig {}
/// }
///
/// struct Counter(u64);
///
/// impl Sink for Counter {
///     type Config = CounterConfig;
///
///     async fn start(_: CounterConfig, _: SinkContext) -> Result<Self, TaskError> {
///         Ok(Self(0))
///     }
///
///     async fn put(&mut self, batch: &[SinkRecord]) -> Result<(), TaskError> {
///         self.0 += batch.len() as u64;
///         Ok(())
///     }
///
///     async fn flush(&mut self) -> Result<(), TaskError> {
///         println!("{} records so far", self.0);
///         Ok(())
///     }
/// }
/// ```
pub trait Sink: Sized + Send + 'static {
    /// What it can be told.
    type Config: Configuration;

    /// Splits the work: one configuration per task, at most `tasks_max`. By default there are `tasks_max` equal tasks,
    /// which share the partitions as a consumer group. A sink with one target that takes no two writers overrides this.
    ///
    /// # Errors
    /// The configuration is wrong in a way that only several keys together show.
    fn task_configs(
        config: &Self::Config,
        properties: &Properties,
        tasks_max: usize,
    ) -> Result<Vec<Properties>, ConfigErrors> {
        let _ = config;
        Ok(vec![properties.clone(); tasks_max])
    }

    /// Opens the target.
    ///
    /// # Errors
    /// The task fails; it is started again after a while.
    fn start(config: Self::Config, context: SinkContext) -> impl Future<Output = Result<Self, TaskError>> + Send;

    /// Takes a batch; records of one partition come in their order. It need not be durable when this returns. The same
    /// record may come again: after a failure, a restart or a rebalance.
    ///
    /// # Errors
    /// [`TaskError::Retriable`] has it called again with the same batch after a back-off; others fail the task. A single
    /// record that can never be taken is better handed to [`SinkContext::rejections`] than to fail the whole batch.
    fn put(&mut self, batch: &[SinkRecord]) -> impl Future<Output = Result<(), TaskError>> + Send;

    /// Makes everything put so far durable. Only after it has returned `Ok` are offsets committed.
    ///
    /// # Errors
    /// Nothing is committed. [`TaskError::Retriable`] has it called again next time; others fail the task.
    fn flush(&mut self) -> impl Future<Output = Result<(), TaskError>> + Send;

    /// These partitions go to another task. What was put of them has been flushed and committed if that was still
    /// possible; whatever the sink keeps per partition is void.
    fn revoked(&mut self, partitions: &[TopicPartition]) {
        let _ = partitions;
    }

    /// Ends the task, after the last flush.
    ///
    /// # Errors
    /// Logged; the task has ended anyway.
    fn stop(self) -> impl Future<Output = Result<(), TaskError>> + Send {
        async { Ok(()) }
    }
}
