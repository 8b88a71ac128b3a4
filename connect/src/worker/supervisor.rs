//! The life of a task: started, run, and when it fails started again after a while, until the worker stops.
//!
//! ```text
//!              ┌────────────── after a while: RESTARTING ──────────────┐
//!              ▼                                                       │
//! UNASSIGNED ─ start ─▶ RUNNING ─ error or panic ─▶ FAILED ────────────┘
//!      ▲                   │                          │ wrong configuration, or too many failures in a row:
//!      └──────────── the worker stops ────────────────┘ stays FAILED
//! ```

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use super::{
    backoff::Backoff,
    cluster::{Cluster, InputSpec, TopicSpec},
    dead_letters::DeadLetters,
    sink_task::SinkRun,
    source_task::SourceRun,
    status::State,
    task::TaskSetup,
};
use crate::{
    SinkContext, SourceContext, TaskError,
    config::{Properties, SinkConfig, SourceConfig},
    connector::{Rejections, SinkFactory, SourceFactory, error_chain},
    offsets::OffsetStore,
    random::seed,
};

/// The offsets of a worker's sources: opened when the first source task starts.
pub(super) type SharedStore<C> = Arc<OnceCell<Arc<OffsetStore<C>>>>;

/// Which connector a task belongs to.
pub(super) enum Role {
    Source(Arc<dyn SourceFactory>, SourceConfig),
    Sink(Arc<dyn SinkFactory>, SinkConfig),
}

/// A task and all that is needed to start it, any number of times.
pub(super) struct Supervisor<C: Cluster> {
    pub(super) setup: Arc<TaskSetup>,
    pub(super) properties: Properties,
    pub(super) role: Role,
    pub(super) cluster: C,
    pub(super) store: SharedStore<C>,
}

impl<C: Cluster> Supervisor<C> {
    /// Runs the task until the worker stops. Ends within `task.shutdown.graceful.timeout.ms` and twice
    /// `offset.flush.timeout.ms` of that.
    pub(super) async fn run(self) {
        let setup = &self.setup;
        let common = &setup.common;
        let seed = seed(&setup.connector, setup.seed ^ setup.task as u64);
        let mut backoff = Backoff::new(common.restart_delay, common.restart_delay_max, seed);
        loop {
            let began = Instant::now();
            let run = AssertUnwindSafe(self.run_once()).catch_unwind();
            let result = tokio::select! {
                result = run => result,
                () = self.out_of_patience() => {
                    setup.status.failed("did not stop in time and was dropped".to_owned(), None);
                    return;
                }
            };
            let (trace, hopeless) = match result {
                Ok(Ok(())) => break,
                Ok(Err(error)) => (error_chain(&error), matches!(error, TaskError::Config(_))),
                Err(panic) => (format!("panicked: {}", message(panic.as_ref())), false),
            };
            if began.elapsed() > common.restart_delay_max {
                backoff.succeed();
            }
            let delay = backoff.fail();
            let attempts = u32::try_from(common.restart_attempts_max).ok();
            let given_up = hopeless || attempts.is_some_and(|attempts| backoff.failures() > attempts);
            setup.status.failed(trace, (!given_up).then_some(delay));
            if given_up || setup.stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = setup.stop.cancelled() => return,
                () = sleep(delay) => {}
            }
            setup.status.update(|task| {
                task.state = State::Restarting;
                task.restarts += 1;
                task.next_attempt_at_ms = None;
            });
        }
        setup.status.state(State::Unassigned);
    }

    /// Ends when the worker has been stopping for as long as a task may take: to come to an end, to store or commit
    /// offsets, and to close its client.
    async fn out_of_patience(&self) {
        self.setup.stop.cancelled().await;
        let worker = &self.setup.worker;
        sleep(worker.graceful_timeout + 2 * worker.offset_flush_timeout).await;
    }

    async fn run_once(&self) -> Result<(), TaskError> {
        match &self.role {
            Role::Source(factory, config) => self.run_source(factory.as_ref(), config).await,
            Role::Sink(factory, config) => self.run_sink(factory.as_ref(), config).await,
        }
    }

    async fn run_source(&self, factory: &dyn SourceFactory, config: &SourceConfig) -> Result<(), TaskError> {
        let setup = &self.setup;
        let store = Arc::clone(self.store.get_or_try_init(|| self.open_store()).await?);
        let context = SourceContext {
            connector: setup.connector.clone(),
            task: setup.task,
            tasks: setup.tasks,
            offsets: store.of(&setup.connector),
        };
        let output = self.cluster.output(&setup.client_id("producer")).await?;
        let task = factory.start(&self.properties, context).await?;
        setup.status.running();
        let (setup, config, cluster) = (Arc::clone(setup), config.clone(), self.cluster.clone());
        SourceRun { setup, config, cluster, store, output }.run(task).await
    }

    async fn open_store(&self) -> Result<Arc<OffsetStore<C>>, TaskError> {
        let worker = &self.setup.worker;
        let topic = TopicSpec {
            name: worker.offset_topic.as_str().into(),
            partitions: worker.offset_topic_partitions,
            replication_factor: worker.offset_topic_replication_factor,
            compacted: true,
        };
        Ok(Arc::new(OffsetStore::open(&self.cluster, topic, worker.topic_creation).await?))
    }

    async fn run_sink(&self, factory: &dyn SinkFactory, config: &SinkConfig) -> Result<(), TaskError> {
        let setup = &self.setup;
        if setup.worker.topic_creation {
            for topic in &config.topics {
                let name = topic.as_str().into();
                let spec = TopicSpec { name, partitions: -1, replication_factor: -1, compacted: false };
                self.cluster.ensure_topic(&spec).await?;
            }
        }
        let dead_letters = DeadLetters::open(&self.cluster, setup, config).await?;
        let rejections = Rejections::default();
        let context = SinkContext {
            connector: setup.connector.clone(),
            task: setup.task,
            tasks: setup.tasks,
            rejections: rejections.clone(),
        };
        let task = factory.start(&self.properties, context).await?;
        let input = self.cluster.input(InputSpec {
            group: format!("connect-{}", setup.connector),
            client_id: setup.client_id("consumer"),
            topics: config.topics.clone(),
            from_latest: config.offset_reset == "latest",
            group_instance_id: config.group_instance_id.as_ref().map(|name| format!("{name}-{}", setup.task)),
            session_timeout: config.session_timeout,
        });
        let input = input.await?;
        setup.status.running();
        SinkRun { setup: Arc::clone(setup), input, dead_letters, rejections }.run(task).await
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
