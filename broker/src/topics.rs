//! Topics come and go: the metadata decides, the data directory follows, and so do the groups' positions.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use riverrun_core::{
    TopicPartition, Uuid,
    log::Durability,
    metadata::{
        AlterConfigsError, ClusterView, ConfigAlteration, ConfigResource, CreatePartitions, CreatePartitionsError,
        CreateTopic, CreateTopicError, Creation, DeleteTopicError, Image, InvalidConfig, MetadataRecord,
        PARTITIONS_PER_REQUEST_MAX, Topic,
    },
    quota::MutationRefused,
};

use crate::{
    config::Rules,
    groups::OFFSETS_TOPIC,
    metadata::ChangeError,
    node::Node,
    quotas::MutationQuota,
    share::SHARE_STATE_TOPIC,
    storage::{Committed, StorageOpenError, TopicLogs},
    transactions::TRANSACTIONS_TOPIC,
};

/// Decides on each creation in the light of those before it. More partitions than one request may ask for refuse them
/// all, as in Kafka.
fn decide_creations(
    image: &Image,
    requests: &[CreateTopic],
    cluster: &ClusterView,
    rules: &Rules,
    quota: &MutationQuota,
) -> (Vec<MetadataRecord>, Vec<Result<Creation, TopicError<CreateTopicError>>>) {
    let mut image = image.clone();
    let mut records = Vec::new();
    let mut decided = Vec::with_capacity(requests.len());
    let mut asked = 0;
    for request in requests {
        let one = image.create_topic(request, cluster, rules).map_err(TopicError::Refused);
        let mut one = one.and_then(|creation| {
            quota.take(usize::try_from(creation.partition_count).unwrap_or_default())?;
            Ok(creation)
        });
        if let Ok(creation) = &mut one {
            let new = std::mem::take(&mut creation.records);
            asked += usize::try_from(creation.partition_count).unwrap_or_default();
            for record in &new {
                if let Err(error) = image.replay(record) {
                    tracing::error!(%error, "a decided record does not fit");
                }
            }
            records.extend(new);
        }
        decided.push(one);
    }
    if asked > PARTITIONS_PER_REQUEST_MAX {
        let limit = PARTITIONS_PER_REQUEST_MAX;
        let refused = |_| Err(TopicError::Refused(CreateTopicError::TooManyPartitions { asked, limit }));
        return (Vec::new(), requests.iter().map(refused).collect());
    }
    (records, decided)
}

/// Why a topic is not made, changed or deleted; `E` is the reason of the metadata.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError<E> {
    #[error("{0}")]
    Refused(E),
    #[error(transparent)]
    Storage(#[from] StorageOpenError),
    #[error("topics cannot be deleted: delete.topic.enable is false")]
    DeletionDisabled,
    #[error("{name} is the broker's own")]
    Internal { name: String },
    #[error("{reason}")]
    NotMade { reason: String },
    #[error(transparent)]
    Throttled(#[from] MutationRefused),
}

/// What became of one change of several.
pub(crate) type Outcome<T, E> = Result<T, ChangeError<TopicError<E>>>;

/// The outcome of a change: what was decided, and when it is durable.
pub(crate) type Changed<T, E> = Result<(T, Committed), ChangeError<TopicError<E>>>;

impl Node {
    /// Makes a topic.
    pub(crate) fn create_topic(&self, request: &CreateTopic) -> Changed<Creation, CreateTopicError> {
        let (mut outcomes, committed) = self.create_topics(std::slice::from_ref(request), &MutationQuota::free());
        let outcome = outcomes.pop().unwrap_or_else(|| {
            Err(ChangeError::Refused(TopicError::NotMade { reason: "no decision was made".to_owned() }))
        });
        outcome.map(|creation| (creation, committed))
    }

    /// Makes topics, all with one write of the metadata. Each may be refused apart; if the disk fails, all are. Blocks on
    /// the disk.
    pub(crate) fn create_topics(
        &self,
        requests: &[CreateTopic],
        quota: &MutationQuota,
    ) -> (Vec<Outcome<Creation, CreateTopicError>>, Committed) {
        let (cluster, rules) = (self.cluster(), self.rules());
        let changed = self.metadata.change(
            |image| Ok(decide_creations(image, requests, &cluster, &rules, quota)),
            |image, decided| self.make_partitions(image, requests, decided),
        );
        match changed {
            Ok((decided, committed)) => {
                (decided.into_iter().map(|one| one.map_err(ChangeError::Refused)).collect(), committed)
            }
            Err(error) => {
                let image = self.image();
                let unmade = requests.iter().filter(|r| !r.validate_only && image.topic_by_id(r.topic_id).is_none());
                self.storage.remove_topics(&unmade.map(|request| request.topic_id).collect::<Vec<_>>());
                let reason = error.to_string();
                let failed = || match &error {
                    ChangeError::NoRoom => Err(ChangeError::NoRoom),
                    ChangeError::Refused(_) | ChangeError::Log(_) => {
                        Err(ChangeError::Refused(TopicError::NotMade { reason: reason.clone() }))
                    }
                };
                (requests.iter().map(|_| failed()).collect(), Box::pin(std::future::ready(Ok(()))))
            }
        }
    }

    fn make_partitions(
        &self,
        image: &Image,
        requests: &[CreateTopic],
        decided: &[Result<Creation, TopicError<CreateTopicError>>],
    ) -> Result<(), TopicError<CreateTopicError>> {
        let made = requests.iter().zip(decided).filter(|(request, one)| one.is_ok() && !request.validate_only);
        let made = made.filter_map(|(request, _)| image.topic(&request.name));
        let topics: Vec<_> = made.map(|topic| self.topic_logs(image, topic, 0)).collect();
        Ok(self.storage.make_partitions(&topics)?)
    }

    /// Adds partitions to a topic. Blocks on the disk.
    pub(crate) fn create_partitions(
        &self,
        request: &CreatePartitions,
        quota: &MutationQuota,
    ) -> Changed<(), CreatePartitionsError> {
        let mut had = 0;
        self.metadata
            .change(
                |image| {
                    had = image.topic(&request.topic).map_or(0, |topic| topic.partitions.len());
                    let records = image.create_partitions(request, &self.cluster()).map_err(TopicError::Refused)?;
                    quota.take(usize::try_from(request.partition_count).unwrap_or_default().saturating_sub(had))?;
                    Ok((records, had))
                },
                |image, had| {
                    let Some(topic) = image.topic(&request.topic) else { return Ok(()) };
                    Ok(self.storage.make_partitions(&[self.topic_logs(image, topic, *had)])?)
                },
            )
            .map(|(_, committed)| ((), committed))
    }

    /// The logs of a topic's partitions from index `from` on.
    pub(crate) fn topic_logs(&self, image: &Image, topic: &Topic, from: usize) -> TopicLogs {
        let partitions = topic.partitions.iter().skip(from);
        TopicLogs {
            id: topic.id,
            config: self.topic_config(image, &topic.name),
            partitions: partitions
                .map(|(index, partition)| {
                    (TopicPartition::new(Arc::clone(&topic.name), *index), partition.leader_epoch)
                })
                .collect(),
        }
    }

    /// Deletes topics, by name or by id, all with one write of the metadata. Each may be refused apart. Blocks on the disk.
    pub(crate) fn delete_topics(
        &self,
        wanted: &[TopicRef],
        quota: &MutationQuota,
    ) -> (Vec<Outcome<Arc<Topic>, DeleteTopicError>>, Committed) {
        let changed = self.metadata.change(
            |image| {
                let mut records = Vec::new();
                let mut doomed: Vec<Result<Arc<Topic>, TopicError<DeleteTopicError>>> = Vec::new();
                for one in wanted {
                    let decided = self.decide_deletion(image, one).and_then(|(more, topic)| {
                        if doomed.iter().flatten().any(|other| other.id == topic.id) {
                            let unknown = DeleteTopicError::UnknownName { name: topic.name.to_string() };
                            return Err(TopicError::Refused(unknown));
                        }
                        quota.take(topic.partitions.len())?;
                        records.extend(more);
                        Ok(topic)
                    });
                    doomed.push(decided);
                }
                Ok::<_, std::convert::Infallible>((records, doomed))
            },
            |_, _| Ok(()),
        );
        match changed {
            Ok((decided, committed)) => {
                let ids: Vec<_> = decided.iter().flatten().map(|topic| topic.id).collect();
                self.storage.remove_topics(&ids);
                let names: HashSet<_> = decided.iter().flatten().map(|topic| Arc::clone(&topic.name)).collect();
                self.groups.forget_partitions(|partition| names.contains(&partition.topic));
                if self.shares.is_open() {
                    self.groups.forget_shared_topics(&ids);
                    self.shares.forget_topics(&ids);
                }
                (decided.into_iter().map(|one| one.map_err(ChangeError::Refused)).collect(), committed)
            }
            Err(error) => {
                let reason = error.to_string();
                let failed = || Err(ChangeError::Refused(TopicError::NotMade { reason: reason.clone() }));
                (wanted.iter().map(|_| failed()).collect(), Box::pin(std::future::ready(Ok(()))))
            }
        }
    }

    fn decide_deletion(
        &self,
        image: &Image,
        wanted: &TopicRef,
    ) -> Result<(Vec<MetadataRecord>, Arc<Topic>), TopicError<DeleteTopicError>> {
        if !self.start_config.delete_topic_enable {
            return Err(TopicError::DeletionDisabled);
        }
        let (records, topic) = match wanted {
            TopicRef::Name(name) => (image.delete_topic(name), image.topic(name)),
            TopicRef::Id(id) => (image.delete_topic_by_id(*id), image.topic_by_id(*id)),
        };
        let records = records.map_err(TopicError::Refused)?;
        match topic {
            Some(topic) if is_internal(&topic.name) => Err(TopicError::Internal { name: topic.name.to_string() }),
            Some(topic) => Ok((records, Arc::clone(topic))),
            None => Err(TopicError::Refused(DeleteTopicError::UnknownId { topic_id: Uuid::ZERO })),
        }
    }

    /// Runs what blocks on the disk for long off the runtime's threads. It runs to its end, whether or not its outcome is
    /// waited for; the broker's stop waits for it.
    pub(crate) fn off_runtime<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let node = Arc::clone(self);
        let running = self.tasks.spawn_blocking_on(move || work(&node), &self.runtime);
        async move {
            match running.await {
                Ok(outcome) => outcome,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // Only a runtime that shuts down cancels, and then nobody waits any more.
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }

    /// Makes the topic that holds groups and their positions, unless it is there.
    pub(crate) fn create_offsets_topic(&self) -> Result<(), ChangeError<TopicError<CreateTopicError>>> {
        let config = &self.start_config;
        let request = CreateTopic {
            name: OFFSETS_TOPIC.to_owned(),
            topic_id: self.random_uuid(),
            partition_count: Some(config.offsets_topic_num_partitions),
            replication_factor: Some(1),
            configs: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                ("compression.type".to_owned(), "producer".to_owned()),
                ("segment.bytes".to_owned(), config.offsets_topic_segment_bytes.to_string()),
            ]),
            ..CreateTopic::default()
        };
        match self.create_topic(&request) {
            Ok(_) => {
                let shards = self.groups.open(self.storage.partitions(request.topic_id));
                // Nothing is in them yet, so this does not block.
                self.groups.load(&shards);
                Ok(())
            }
            // Somebody else was quicker, and opens the shards.
            Err(ChangeError::Refused(TopicError::Refused(CreateTopicError::AlreadyExists { .. }))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the topic that holds transactional ids and their transactions, unless it is there.
    pub(crate) fn create_transactions_topic(self: &Arc<Self>) -> Result<(), ChangeError<TopicError<CreateTopicError>>> {
        let config = &self.start_config;
        let request = CreateTopic {
            name: TRANSACTIONS_TOPIC.to_owned(),
            topic_id: self.random_uuid(),
            partition_count: Some(config.transaction_state_log_num_partitions),
            replication_factor: Some(1),
            configs: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                ("compression.type".to_owned(), "uncompressed".to_owned()),
                ("segment.bytes".to_owned(), config.transaction_state_log_segment_bytes.to_string()),
            ]),
            ..CreateTopic::default()
        };
        match self.create_topic(&request) {
            Ok(_) => {
                let shards = self.transactions.open(self.storage.partitions(request.topic_id));
                // Nothing is in them yet, so this does not block.
                self.transactions.load(self, &shards);
                Ok(())
            }
            // Somebody else was quicker, and opens the shards.
            Err(ChangeError::Refused(TopicError::Refused(CreateTopicError::AlreadyExists { .. }))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the topic that holds the states of share partitions, unless it is there.
    pub(crate) fn create_share_state_topic(&self) -> Result<(), ChangeError<TopicError<CreateTopicError>>> {
        let config = &self.start_config;
        let request = CreateTopic {
            name: SHARE_STATE_TOPIC.to_owned(),
            topic_id: self.random_uuid(),
            partition_count: Some(config.share_coordinator_state_topic_num_partitions),
            replication_factor: Some(1),
            configs: BTreeMap::from([
                ("cleanup.policy".to_owned(), "delete".to_owned()),
                ("compression.type".to_owned(), "uncompressed".to_owned()),
                ("retention.ms".to_owned(), "-1".to_owned()),
                ("segment.bytes".to_owned(), config.share_coordinator_state_topic_segment_bytes.to_string()),
            ]),
            ..CreateTopic::default()
        };
        match self.create_topic(&request) {
            Ok(_) => {
                let shards = self.shares.open(self.storage.partitions(request.topic_id));
                // Nothing is in them yet, so this does not block.
                self.shares.load(&shards);
                Ok(())
            }
            // Somebody else was quicker, and opens the shards.
            Err(ChangeError::Refused(TopicError::Refused(CreateTopicError::AlreadyExists { .. }))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Alters settings step by step.
    pub(crate) fn alter_configs(
        &self,
        resource: &ConfigResource,
        alterations: &[ConfigAlteration],
        validate_only: bool,
    ) -> Result<Committed, ChangeError<AlterConfigsError>> {
        self.change_configs(validate_only, |image| image.alter_configs(resource, alterations, &self.rules()))
    }

    /// Sets exactly these settings.
    pub(crate) fn set_configs(
        &self,
        resource: &ConfigResource,
        wanted: &BTreeMap<String, String>,
        validate_only: bool,
    ) -> Result<Committed, ChangeError<AlterConfigsError>> {
        self.change_configs(validate_only, |image| image.set_configs(resource, wanted, &self.rules()))
    }

    /// A topic with files cannot become one without, nor the other way round.
    fn check_durability(&self, image: &Image, records: &[MetadataRecord]) -> Result<(), AlterConfigsError> {
        let mut after = image.clone();
        for record in records {
            // What does not fit is refused when it is applied.
            let _ = after.replay(record);
            let MetadataRecord::Config(config) = record else { continue };
            if config.name != "riverrun.durability" || self.in_memory {
                continue;
            }
            let Some(topic) = image.topic(&config.resource_name) else { continue };
            let is_memory = |image: &Image| self.topic_config(image, &topic.name).durability == Durability::Memory;
            if is_memory(image) != is_memory(&after) {
                let reason = "a topic in memory cannot get files, nor one with files lose them; make a new topic";
                let (name, reason) = (config.name.clone(), reason.to_owned());
                return Err(AlterConfigsError::Invalid(InvalidConfig { name, reason }));
            }
        }
        Ok(())
    }

    fn change_configs(
        &self,
        validate_only: bool,
        decide: impl FnOnce(&Image) -> Result<Vec<riverrun_core::metadata::MetadataRecord>, AlterConfigsError>,
    ) -> Result<Committed, ChangeError<AlterConfigsError>> {
        let decide = |image: &Image| {
            let records = decide(image)?;
            self.check_durability(image, &records)?;
            Ok((if validate_only { Vec::new() } else { records }, ()))
        };
        let ((), committed) = self.metadata.change(decide, |_, ()| Ok(()))?;
        if !validate_only {
            self.apply_configs();
        }
        Ok(committed)
    }
}

/// Whether a topic is the broker's own: clients may read it, and nothing else.
pub(crate) fn is_internal(topic: &str) -> bool {
    topic == OFFSETS_TOPIC || topic == TRANSACTIONS_TOPIC || topic == SHARE_STATE_TOPIC
}

/// How a request names a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicRef {
    Name(String),
    Id(Uuid),
}
