//! What the handlers see of the broker: its parts, and the few things that need several of them.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use riverrun_core::{
    NodeId, ProducerId, Uuid,
    budget::StateBudget,
    group::GroupError,
    log::LogConfig,
    metadata::{ClusterView, ConfigResource, Image, ProducerIdBlock, ProducerIdsExhausted, TopicConfigRules},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::FetchSessions,
    clock::Clock,
    config::{BrokerConfig, Rules, Settings, topic_config},
    endpoint::Endpoint,
    groups::{CoordinatorError, GroupConfigs, Groups, Shard},
    listener::{ConnectionCaps, OpenConnections, RequestMemory},
    log_limit::{LineKind, LogLimits},
    metadata::{ChangeError, MetadataStore},
    quotas::Quotas,
    security::{Authorizer, ListenerSecurity},
    share::Shares,
    storage::{CleanerSettings, Committed, Storage},
    transactions::Transactions,
};

/// A running broker.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) cluster_id: String,
    pub(crate) clock: Clock,
    /// What the broker was started with.
    pub(crate) settings: Settings,
    /// The same as values; what can change while it runs is in [`Self::log_defaults`].
    pub(crate) start_config: BrokerConfig,
    pub(crate) in_memory: bool,
    pub(crate) storage: Arc<Storage>,
    pub(crate) metadata: Arc<MetadataStore>,
    pub(crate) groups: Arc<Groups>,
    /// What is set for each group.
    pub(crate) group_configs: Arc<GroupConfigs>,
    pub(crate) transactions: Transactions,
    pub(crate) shares: Shares,
    pub(crate) connections: OpenConnections,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) quotas: Arc<Quotas>,
    /// What all that clients have the broker remember may take.
    pub(crate) state: Arc<StateBudget>,
    /// What requests may take.
    pub(crate) request_memory: Arc<RequestMemory>,
    /// What clients can make the broker log.
    pub(crate) log_limits: LogLimits,
    /// What clients are told of each listener.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Who may do what.
    pub(crate) authorizer: Arc<Authorizer>,
    /// What each listener asks of its connections; in the order of [`Self::endpoints`].
    pub(crate) listeners: Vec<Arc<ListenerSecurity>>,
    /// Producer ids that are given out but not taken, and until when their block waits to be durable.
    pub(crate) producer_ids: Mutex<Option<ProducerIdBlock>>,
    /// What holds for topics that set nothing; changes with the broker's dynamic settings.
    pub(crate) log_defaults: RwLock<Arc<LogConfig>>,
    /// Cancelled when the broker stops: nothing new is begun, and what waits ends.
    pub(crate) stopping: CancellationToken,
    /// Where the broker's tasks run.
    pub(crate) runtime: tokio::runtime::Handle,
    /// Every task of the broker.
    pub(crate) tasks: TaskTracker,
}

/// Where in-process clients are told that the broker is, if it listens nowhere.
const IN_PROCESS: (&str, u16) = ("in-process", 9092);

impl Node {
    /// The metadata now.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.metadata.image()
    }

    /// The address that clients of a listener are told.
    pub(crate) fn advertised(&self, listener: Option<usize>) -> Endpoint {
        let endpoint = self.endpoints.get(listener.unwrap_or(0)).or_else(|| self.endpoints.first());
        endpoint.cloned().unwrap_or_else(|| Endpoint {
            name: "IN_PROCESS".to_owned(),
            host: IN_PROCESS.0.to_owned(),
            port: IN_PROCESS.1,
        })
    }

    /// A new random id.
    pub(crate) fn random_uuid(&self) -> Uuid {
        loop {
            let id = Uuid::from_random(rand::random());
            // Kafka's tools take an id that begins with a hyphen for an option.
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// The brokers and defaults for decisions on topics.
    pub(crate) fn cluster(&self) -> ClusterView {
        let mut cluster = ClusterView::single(self.id, self.storage.directory_id());
        cluster.partition_count_default = self.start_config.num_partitions;
        cluster.partitions_max = usize::try_from(self.start_config.riverrun_partitions_max).unwrap_or(usize::MAX);
        cluster.replication_factor_default =
            i16::try_from(self.start_config.default_replication_factor).unwrap_or(i16::MAX);
        cluster
    }

    /// The rules for settings.
    pub(crate) fn rules(&self) -> Rules {
        let defaults = LogConfig::clone(&self.log_defaults());
        Rules { topics: TopicConfigRules { defaults }, settings: self.settings.clone() }
    }

    /// What holds for topics that set nothing.
    pub(crate) fn log_defaults(&self) -> Arc<LogConfig> {
        Arc::clone(&self.log_defaults.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The settings of a topic's logs.
    pub(crate) fn topic_config(&self, image: &Image, topic: &Arc<str>) -> LogConfig {
        topic_config(&self.log_defaults(), &image.configs(&ConfigResource::Topic(Arc::clone(topic))))
    }

    /// The broker's settings in force: those it was started with under those that were altered since.
    pub(crate) fn effective_settings(&self, image: &Image) -> Settings {
        let mut settings = self.settings.clone();
        for resource in [ConfigResource::AllBrokers, ConfigResource::Broker(self.id)] {
            for (name, value) in image.configs(&resource).iter() {
                if let Err(error) = settings.set(name, value) {
                    tracing::warn!(setting = name, value, %error, "a stored broker setting is ignored");
                }
            }
        }
        settings
    }

    /// Puts altered settings in force: those of the brokers for all topics, and those of the topics.
    pub(crate) fn apply_configs(&self) {
        let image = self.image();
        let settings = self.effective_settings(&image);
        self.group_configs.update(settings.config(), &image);
        for listener in &self.listeners {
            listener.reconfigure(&settings);
        }
        self.connections.set_caps(ConnectionCaps::new(&settings, &self.listeners));
        self.quotas.set_connection_limits(&settings, &self.listeners);
        self.state.set_limit(usize::try_from(settings.config().riverrun_state_max_bytes).unwrap_or(usize::MAX));
        self.storage.set_cleaner(CleanerSettings::of(settings.config()));
        self.storage.set_producer_expiration_ms(i64::from(settings.config().producer_id_expiration_ms));
        let defaults = settings.config().log_defaults(self.in_memory);
        *self.log_defaults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(defaults);
        for topic in image.topics() {
            let config = self.topic_config(&image, &topic.name);
            for partition in self.storage.partitions(topic.id) {
                partition.set_config(config.clone());
            }
        }
    }

    /// The shard that coordinates a group. There is none before [`Self::create_offsets_topic`]; as long as nobody is the
    /// coordinator, this node is not.
    pub(crate) fn group_shard(&self, group: &str) -> Result<Arc<Shard>, CoordinatorError> {
        self.groups.shard_of(group).ok_or(CoordinatorError::Group(GroupError::NotCoordinator))
    }

    /// A producer id that was never given out, usable once the block it is from is durable.
    pub(crate) fn next_producer_id(&self) -> Result<(ProducerId, Committed), ChangeError<ProducerIdsExhausted>> {
        let mut block = self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = block.as_mut().and_then(ProducerIdBlock::take) {
            // The block may still be on its way to the disk.
            return Ok((id, self.metadata.committed_now()));
        }
        let decide = |image: &Image| {
            let (block, records) = image.next_producer_id_block(self.id, 0)?;
            Ok((records, block))
        };
        let (mut fresh, committed) = self.metadata.change(decide, |_, _| Ok(()))?;
        let id = fresh.take().ok_or(ChangeError::Refused(ProducerIdsExhausted))?;
        *block = Some(fresh);
        Ok((id, committed))
    }

    /// Whether a line that a client causes is to be written to the log now; then how many were left out before it.
    pub(crate) fn log_line(&self, kind: LineKind) -> Option<u64> {
        self.log_limits.take(kind, self.clock.monotonic_ms())
    }

    /// Rises with every change of the metadata.
    pub(crate) fn metadata_epoch(&self) -> i64 {
        self.metadata.epoch()
    }
}
