//! A consumer's settings and the builder that checks them. Names and defaults are those of Kafka's Java client.

use std::{sync::Arc, time::Duration};

use riverrun_core::record::DecompressLimits;

use super::{
    Consumer,
    assignor::{Assignor, CooperativeSticky, Range, RebalanceProtocol},
    error::ConsumerConfigError,
};
use crate::Client;

/// Where to begin when there is no committed offset, or the position lies outside the partition
/// (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoOffsetReset {
    /// At the first record still there.
    Earliest,
    /// After the last record.
    #[default]
    Latest,
    /// Nowhere: polling fails.
    None,
}

/// Which records of transactions are seen (`isolation.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IsolationLevel {
    /// All, those of aborted transactions included.
    #[default]
    ReadUncommitted,
    /// Those of committed transactions and those without any; nothing beyond the first open transaction.
    ReadCommitted,
}

impl IsolationLevel {
    pub(crate) fn to_wire(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// Settings that go together.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) group: Option<Arc<str>>,
    pub(super) group_instance_id: Option<Arc<str>>,
    pub(super) auto_offset_reset: AutoOffsetReset,
    pub(super) auto_commit: Option<Duration>,
    pub(super) assignors: Vec<Arc<dyn Assignor>>,
    pub(super) session_timeout: Duration,
    pub(super) heartbeat_interval: Duration,
    pub(super) max_poll_interval: Duration,
    pub(super) max_poll_records: usize,
    pub(super) fetch_max_wait: Duration,
    pub(super) fetch_min_bytes: i32,
    pub(super) fetch_max_bytes: i32,
    pub(super) partition_max_bytes: i32,
    pub(super) isolation: IsolationLevel,
    pub(super) allow_auto_create: bool,
    pub(super) api_timeout: Duration,
    pub(super) decompress: DecompressLimits,
}

impl Settings {
    /// Cooperative only if every assignor is: the group may choose any of them.
    pub(super) fn rebalance_protocol(&self) -> RebalanceProtocol {
        let cooperative = |assignor: &Arc<dyn Assignor>| assignor.protocol() == RebalanceProtocol::Cooperative;
        if self.assignors.iter().all(cooperative) { RebalanceProtocol::Cooperative } else { RebalanceProtocol::Eager }
    }
}

/// How often offsets are committed by the consumer itself: `true` is every 5 s, `false` never, a [`Duration`] as often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoCommit(Option<Duration>);

impl From<bool> for AutoCommit {
    fn from(on: bool) -> Self {
        Self(on.then_some(Duration::from_secs(5)))
    }
}

impl From<Duration> for AutoCommit {
    fn from(interval: Duration) -> Self {
        Self(Some(interval))
    }
}

/// Makes a [`Consumer`].
///
/// ```no_run
/// # async fn example(client: riverrun_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use riverrun_client::AutoOffsetReset;
///
/// let mut consumer = client.consumer().group("readers").auto_offset_reset(AutoOffsetReset::Earliest).build()?;
/// consumer.subscribe(&["orders"]);
/// for record in consumer.poll(Duration::from_secs(1)).await? {
///     println!("{} at {}", record.topic, record.offset);
/// }
/// consumer.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ConsumerBuilder {
    client: Client,
    settings: Settings,
    client_id: Option<String>,
}

impl ConsumerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        let settings = Settings {
            group: None,
            group_instance_id: None,
            auto_offset_reset: AutoOffsetReset::Latest,
            auto_commit: Some(Duration::from_secs(5)),
            assignors: vec![Arc::new(Range), Arc::new(CooperativeSticky)],
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            max_poll_records: 500,
            fetch_max_wait: Duration::from_millis(500),
            fetch_min_bytes: 1,
            fetch_max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            isolation: IsolationLevel::ReadUncommitted,
            allow_auto_create: true,
            api_timeout: Duration::from_secs(60),
            decompress: DecompressLimits::default(),
        };
        Self { client, settings, client_id: None }
    }

    /// The group to be a member of, or to keep offsets under (`group.id`). Default none.
    #[must_use]
    pub fn group(mut self, group: impl Into<Arc<str>>) -> Self {
        self.settings.group = Some(group.into());
        self
    }

    /// A name that stays the same over restarts: a member that returns with it within the session timeout gets its
    /// partitions back without a rebalance (`group.instance.id`, KIP-345). Default none.
    #[must_use]
    pub fn group_instance_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.settings.group_instance_id = Some(id.into());
        self
    }

    /// Where to begin without a committed offset (`auto.offset.reset`). Default [`AutoOffsetReset::Latest`].
    #[must_use]
    pub fn auto_offset_reset(mut self, reset: AutoOffsetReset) -> Self {
        self.settings.auto_offset_reset = reset;
        self
    }

    /// Whether, or how often, offsets of records handed out by earlier polls are committed by itself
    /// (`enable.auto.commit`, `auto.commit.interval.ms`); also before partitions go and on close. Default every 5 s.
    #[must_use]
    pub fn auto_commit(mut self, auto_commit: impl Into<AutoCommit>) -> Self {
        self.settings.auto_commit = auto_commit.into().0;
        self
    }

    /// How partitions may be shared, in order of preference (`partition.assignment.strategy`). Default
    /// [`Range`], [`CooperativeSticky`], with which members give up everything in a rebalance; with
    /// [`CooperativeSticky`] alone they keep what stays theirs.
    #[must_use]
    pub fn assignors(mut self, assignors: Vec<Arc<dyn Assignor>>) -> Self {
        self.settings.assignors = assignors;
        self
    }

    /// After how long without a heartbeat the group gives the member up (`session.timeout.ms`). Default 45 s. A third
    /// of it is the longest heartbeat interval, which is shortened accordingly.
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.settings.session_timeout = timeout;
        self
    }

    /// How often a heartbeat is sent (`heartbeat.interval.ms`). Default 3 s.
    #[must_use]
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.settings.heartbeat_interval = interval;
        self
    }

    /// How long may pass between polls before the member leaves, so that others go on in its place
    /// (`max.poll.interval.ms`). Also how long a rebalance waits for members. Default 5 min.
    #[must_use]
    pub fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.settings.max_poll_interval = interval;
        self
    }

    /// Records that one poll gives at most (`max.poll.records`). Default 500.
    #[must_use]
    pub fn max_poll_records(mut self, records: usize) -> Self {
        self.settings.max_poll_records = records;
        self
    }

    /// How long a broker may wait for `fetch_min_bytes` (`fetch.max.wait.ms`). Default 500 ms.
    #[must_use]
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.settings.fetch_max_wait = wait;
        self
    }

    /// Bytes that a fetch waits for (`fetch.min.bytes`). Default 1.
    #[must_use]
    pub fn fetch_min_bytes(mut self, bytes: i32) -> Self {
        self.settings.fetch_min_bytes = bytes;
        self
    }

    /// Bytes that one fetch brings at most, but for a single larger batch (`fetch.max.bytes`). Default 50 MiB. Up to
    /// three times as much per broker is held.
    #[must_use]
    pub fn fetch_max_bytes(mut self, bytes: i32) -> Self {
        self.settings.fetch_max_bytes = bytes;
        self
    }

    /// Bytes that one fetch brings of one partition (`max.partition.fetch.bytes`). Default 1 MiB.
    #[must_use]
    pub fn partition_max_bytes(mut self, bytes: i32) -> Self {
        self.settings.partition_max_bytes = bytes;
        self
    }

    /// Which records of transactions are seen (`isolation.level`). Default all.
    #[must_use]
    pub fn isolation(mut self, isolation: IsolationLevel) -> Self {
        self.settings.isolation = isolation;
        self
    }

    /// Whether a broker may create a topic that is subscribed to (`allow.auto.create.topics`). Default yes.
    #[must_use]
    pub fn allow_auto_create(mut self, allow: bool) -> Self {
        self.settings.allow_auto_create = allow;
        self
    }

    /// How long calls like [`Consumer::commit`] or [`Consumer::committed`] may take (`default.api.timeout.ms`).
    /// Default 60 s.
    #[must_use]
    pub fn api_timeout(mut self, timeout: Duration) -> Self {
        self.settings.api_timeout = timeout;
        self
    }

    /// A name for this consumer in traces (`client.id`). In requests the transport's name is used.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Makes the consumer. Nothing is sent yet. Call it within a tokio runtime, which runs the heartbeats.
    ///
    /// # Errors
    /// If settings contradict each other.
    ///
    /// # Panics
    /// With a group, outside a tokio runtime.
    pub fn build(self) -> Result<Consumer, ConsumerConfigError> {
        let Self { client, mut settings, client_id } = self;
        if settings.assignors.is_empty() {
            return Err(ConsumerConfigError::NoAssignor);
        }
        if settings.group_instance_id.is_some() && settings.group.is_none() {
            return Err(ConsumerConfigError::InstanceWithoutGroup);
        }
        if settings.max_poll_records == 0 {
            return Err(ConsumerConfigError::OutOfRange { setting: "max_poll_records", value: 0 });
        }
        for (setting, bytes) in
            [("fetch_max_bytes", settings.fetch_max_bytes), ("partition_max_bytes", settings.partition_max_bytes)]
        {
            if bytes <= 0 {
                return Err(ConsumerConfigError::OutOfRange { setting, value: 0 });
            }
        }
        if settings.session_timeout < Duration::from_millis(3) {
            return Err(ConsumerConfigError::OutOfRange { setting: "session_timeout", value: 0 });
        }
        settings.heartbeat_interval = settings.heartbeat_interval.min(settings.session_timeout / 3);
        Ok(Consumer::start(&client, settings, client_id.unwrap_or_else(|| "consumer".to_owned())))
    }
}
