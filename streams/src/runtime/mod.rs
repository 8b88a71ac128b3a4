//! Runs a topology against a cluster: in process with the broker, or over TCP.
//!
//! [`Streams`] prepares the internal topics, then runs workers, each a member of the consumer group named after the
//! application; the group shares out tasks, so further processes of the same application simply join. Delivery is
//! at-least-once: after a crash, what was processed since the last commit is processed again.

mod assignor;
mod error;
mod outbox;
mod plan;
mod purge;
mod restore;
mod setup;
mod worker;

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use riverrun_client::{AutoOffsetReset, Client, ClientError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use error::StreamsError;

use crate::{Metrics, Topology};
use assignor::{HeldTasks, TaskAssignor};
use outbox::Outbox;
use plan::Readers;
use purge::Purge;
use worker::Worker;

/// `commit.interval.ms` of an at-least-once application.
const COMMIT_INTERVAL: Duration = Duration::from_secs(30);

/// `repartition.purge.interval.ms`.
const PURGE_INTERVAL: Duration = Duration::from_secs(30);

/// How long results wait for others to go with them. Repartitioned records wait as well, so it is short.
const LINGER: Duration = Duration::from_millis(5);

/// `max.poll.records`.
const MAX_POLL_RECORDS: usize = 1_000;

/// An application about to run: where, with how many workers, committing how often.
///
/// ```no_run
/// use riverrun_streams::{Streams, prelude::*};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let b = StreamsBuilder::new("shout");
/// b.stream("quiet", (Raw, Utf8)).map_values(|_, text: String| text.to_uppercase()).to("loud", (Raw, Utf8));
///
/// let shutdown = async { drop(tokio::signal::ctrl_c().await) };
/// Streams::connect("localhost:9092").await?.threads(2).run(b.build()?, shutdown).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing runs before run()"]
pub struct Streams {
    client: Client,
    threads: usize,
    commit_interval: Duration,
    purge_interval: Duration,
    session_timeout: Option<Duration>,
    metrics: Metrics,
}

impl Streams {
    /// On a cluster: a [`Client`], or what becomes one, such as a reference to an embedded broker.
    pub fn on(client: impl Into<Client>) -> Self {
        Self {
            client: client.into(),
            threads: 1,
            commit_interval: COMMIT_INTERVAL,
            purge_interval: PURGE_INTERVAL,
            session_timeout: None,
            metrics: Metrics::default(),
        }
    }

    /// On a cluster reached over TCP, by a comma-separated list of `host:port`.
    ///
    /// # Errors
    /// If the list cannot be read or none of the brokers answers.
    pub async fn connect(bootstrap: &str) -> Result<Self, ClientError> {
        Ok(Self::on(Client::connect(bootstrap).await?))
    }

    /// How many workers share the tasks in this process (`num.stream.threads`). Each is a member of the group with a
    /// consumer and a producer of its own; more than there are tasks stay idle. Default 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How often stores are written to their changelogs and offsets committed (`commit.interval.ms`). Default 30 s.
    /// After a crash at most this much is processed again.
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.commit_interval = interval;
        self
    }

    /// How often records of repartition topics that have been processed are deleted, at the earliest with the next
    /// commit (`repartition.purge.interval.ms`). Default 30 s.
    pub fn purge_interval(mut self, interval: Duration) -> Self {
        self.purge_interval = interval;
        self
    }

    /// After how long without a sign of life the group gives a worker's tasks to others (`session.timeout.ms`). Default:
    /// the consumer's. Shorter finds a crash sooner, and is more easily mistaken.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = Some(timeout);
        self
    }

    /// The counters of the application; they go on counting while it runs.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Runs until `shutdown` completes, then commits and leaves the group; or until a worker fails, in which case all
    /// stop and the first error is returned.
    ///
    /// Repartition and changelog topics are created if need be; topics of the user's must exist. Dropping the future
    /// stops the workers without committing, as a crash would.
    ///
    /// # Errors
    /// If a topic is missing or an internal one has the wrong size, if the cluster refuses reading, writing or
    /// committing, or if a record cannot be processed.
    pub async fn run(self, topology: Topology, shutdown: impl Future<Output = ()>) -> Result<(), StreamsError> {
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        setup::prepare(&self.client.admin(), &topology).await?;
        let mut workers = JoinSet::new();
        for number in 0..self.threads {
            workers.spawn(self.worker(&topology, number)?.run(stop.clone()));
        }
        tokio::pin!(shutdown);
        let mut result = Ok(());
        loop {
            let ended = tokio::select! {
                () = &mut shutdown, if !stop.is_cancelled() => {
                    stop.cancel();
                    continue;
                }
                ended = workers.join_next() => ended,
            };
            let Some(ended) = ended else { return result };
            let ended = ended.unwrap_or_else(|error| Err(panicked(error)));
            stop.cancel();
            if result.is_ok() {
                result = ended;
            }
        }
    }

    fn worker(&self, topology: &Topology, number: usize) -> Result<Worker, StreamsError> {
        let client_id = format!("{}-{}", topology.app_id(), number + 1);
        let readers = Arc::new(Readers::of(topology));
        let held = HeldTasks::default();
        let assignor = TaskAssignor { readers: (*readers).clone(), held: held.clone() };
        let mut consumer = self
            .client
            .consumer()
            .group(topology.app_id())
            .client_id(&client_id)
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .auto_commit(false)
            .max_poll_records(MAX_POLL_RECORDS)
            .assignors(vec![Arc::new(assignor)]);
        if let Some(timeout) = self.session_timeout {
            consumer = consumer.session_timeout(timeout);
        }
        let producer = self.client.producer().client_id(&client_id).linger(LINGER).build()?;
        Ok(Worker {
            client: self.client.clone(),
            topology: topology.clone(),
            readers,
            consumer: consumer.build()?,
            outbox: Outbox::new(producer),
            held,
            metrics: self.metrics.clone(),
            commit_interval: self.commit_interval,
            purge: Purge::new(self.client.admin(), topology, self.purge_interval),
            tasks: BTreeMap::new(),
            suspended: BTreeMap::new(),
            committed: HashMap::new(),
        })
    }
}

fn panicked(error: tokio::task::JoinError) -> StreamsError {
    let message = match error.try_into_panic() {
        Ok(panic) => said(&*panic),
        Err(error) => error.to_string(),
    };
    StreamsError::Panicked { message }
}

/// What a panic said, where it is text.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
