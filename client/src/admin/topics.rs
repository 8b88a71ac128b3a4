//! Topics: creating, deleting, growing, listing, describing.
//!
//! Source: CreateTopics and DeleteTopics (KIP-4), CreatePartitions (KIP-195), Metadata; the broker's defaults for
//! partitions and replicas (KIP-464).

use std::{collections::BTreeMap, sync::Arc};

use riverrun_core::{
    TopicPartition, Uuid,
    protocol::{
        ApiKey, ErrorCode,
        messages::{
            CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
            create_partitions::CreatePartitionsTopic,
            create_topics::{CreatableTopic, CreatableTopicConfig, CreatableTopicResult},
            delete_topics::DeleteTopicState,
            metadata::{MetadataRequestTopic, MetadataResponsePartition, MetadataResponseTopic},
        },
    },
};

use super::{
    Admin, BROKER_TIMEOUT_MS, ConfigEntry, Refused, Results, item,
    route::{Round, controller_moved, settle},
};
use crate::{
    ClientError,
    cluster::{Topic, Wanted, retrying},
    consumer::check,
    transport::BrokerAddress,
};

/// From this version of CreateTopics on the broker fills in its defaults for partitions and replicas.
const DEFAULTS_FROM: i16 = 4;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None` is the broker's default (`num.partitions`).
    pub partitions: Option<i32>,
    /// On how many brokers; `None` is the broker's default (`default.replication.factor`).
    pub replication_factor: Option<i16>,
    /// Its configuration, where it differs from the broker's defaults.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with `partitions` partitions and the broker's defaults else.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions: Some(partitions), replication_factor: None, configs: BTreeMap::new() }
    }

    /// Sets on how many brokers.
    #[must_use]
    pub fn replication_factor(mut self, factor: i16) -> Self {
        self.replication_factor = Some(factor);
        self
    }

    /// Sets a value of its configuration, by Kafka's name.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }
}

/// A topic that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedTopic {
    /// Its id, if the broker tells.
    pub id: Option<Uuid>,
    /// How many partitions it has, if the broker tells.
    pub partitions: Option<i32>,
    /// On how many brokers, if the broker tells.
    pub replication_factor: Option<i16>,
    /// Its configuration by name, if the broker tells.
    pub configs: BTreeMap<String, ConfigEntry>,
}

/// A topic by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicListing {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, if the broker tells.
    pub id: Option<Uuid>,
    /// Whether it is the broker's own.
    pub is_internal: bool,
    /// How many partitions it has.
    pub partitions: i32,
}

/// A topic with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, if the broker tells.
    pub id: Option<Uuid>,
    /// Whether it is the broker's own.
    pub is_internal: bool,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The node that leads it, if any does.
    pub leader: Option<i32>,
    /// How many leaders it has had before this one, if the broker tells.
    pub leader_epoch: Option<i32>,
    /// The nodes that have it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync_replicas: Vec<i32>,
    /// Those of them that are out of reach.
    pub offline_replicas: Vec<i32>,
}

impl Admin {
    /// Creates topics. They exist when this returns, though other brokers of a cluster may hear of it a little later.
    ///
    /// # Errors
    /// If no broker answers; refusals, such as for a topic that exists, are in the results.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<Results<String, CreatedTopic>, ClientError> {
        self.create_or_validate(topics, false).await
    }

    /// What [`create_topics`](Self::create_topics) would do, without doing it.
    ///
    /// # Errors
    /// If no broker answers; refusals are in the results.
    pub async fn validate_topics(&self, topics: &[NewTopic]) -> Result<Results<String, CreatedTopic>, ClientError> {
        self.create_or_validate(topics, true).await
    }

    async fn create_or_validate(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Results<String, CreatedTopic>, ClientError> {
        let names = topics.iter().map(|topic| topic.name.clone());
        settle(self.timeout, names, controller_moved, |open, rounds| async move {
            let address = self.controller(rounds).await?;
            let topics = topics.iter().filter(|topic| open.contains(&topic.name)).collect();
            self.create_once(&address, topics, validate_only).await
        })
        .await
    }

    async fn create_once(
        &self,
        address: &BrokerAddress,
        topics: Vec<&NewTopic>,
        validate_only: bool,
    ) -> Result<Round<String, CreatedTopic>, ClientError> {
        let version = self.version(address, ApiKey::CreateTopics).await?;
        let needs_defaults = |topic: &NewTopic| topic.partitions.is_none() || topic.replication_factor.is_none();
        let (too_new, topics): (Vec<&NewTopic>, Vec<&NewTopic>) =
            topics.into_iter().partition(|topic| version < DEFAULTS_FROM && needs_defaults(topic));
        let message = "this broker needs numbers of partitions and replicas";
        let refused = || Refused { code: ErrorCode::UnsupportedVersion, message: Some(message.to_owned()) };
        let mut round = Round::of(too_new.into_iter().map(|topic| (topic.name.clone(), Err(refused()))));
        if !topics.is_empty() {
            let topics = topics.into_iter().map(creatable).collect();
            let request = CreateTopicsRequest { topics, timeout_ms: BROKER_TIMEOUT_MS, validate_only };
            let response = self.pool.call(address, |_| request).await?;
            round.answers.extend(response.topics.into_iter().map(created));
        }
        Ok(round)
    }

    /// Deletes topics, with all they hold.
    ///
    /// # Errors
    /// If no broker answers; refusals are in the results.
    pub async fn delete_topics<T: AsRef<str>>(&self, names: &[T]) -> Result<Results<String, ()>, ClientError> {
        let names = names.iter().map(|name| name.as_ref().to_owned());
        settle(self.timeout, names, controller_moved, |open, rounds| async move {
            let address = self.controller(rounds).await?;
            let response = self.pool.call(&address, |version| delete_request(version, open)).await?;
            let answers = response.responses.into_iter();
            Ok(Round::of(answers.filter_map(|topic| {
                let result = item(topic.error_code, topic.error_message, ());
                Some((topic.name?, result))
            })))
        })
        .await
    }

    /// Gives topics more partitions: the number of all, old ones included. Keys may then lead elsewhere than before.
    ///
    /// # Errors
    /// If no broker answers; refusals are in the results.
    pub async fn create_partitions<T: AsRef<str>>(
        &self,
        counts: &[(T, i32)],
    ) -> Result<Results<String, ()>, ClientError> {
        let counts: BTreeMap<String, i32> =
            counts.iter().map(|(name, count)| (name.as_ref().to_owned(), *count)).collect();
        let counts = &counts;
        settle(self.timeout, counts.keys().cloned(), controller_moved, |open, rounds| async move {
            let address = self.controller(rounds).await?;
            let topics = open.into_iter().filter_map(|name| {
                let count = *counts.get(&name)?;
                Some(CreatePartitionsTopic { name, count, assignments: None })
            });
            let topics = topics.collect();
            let request = CreatePartitionsRequest { topics, timeout_ms: BROKER_TIMEOUT_MS, validate_only: false };
            let response = self.pool.call(&address, |_| request).await?;
            let answers = response.results.into_iter();
            Ok(Round::of(answers.map(|topic| (topic.name, item(topic.error_code, topic.error_message, ())))))
        })
        .await
    }

    /// All topics, by name, the broker's own included.
    ///
    /// # Errors
    /// If no broker answers.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, ClientError> {
        let image = retrying(self.timeout, || self.cluster().refresh(Wanted::All)).await?;
        let mut topics: Vec<_> = image.topics().filter(|topic| topic.error.is_none()).map(listing).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Topics with their partitions. Never creates one.
    ///
    /// # Errors
    /// If no broker answers; unknown topics are in the results.
    pub async fn describe_topics<T: AsRef<str>>(
        &self,
        names: &[T],
    ) -> Result<Results<String, TopicDescription>, ClientError> {
        if names.is_empty() {
            return Ok(Results::new());
        }
        let topics = retrying(self.timeout, || async {
            let response = self.cluster().call_any(|version| metadata_request(version, names)).await?;
            check(ApiKey::Metadata, response.error_code)?;
            Ok(response.topics)
        });
        let mut described: Results<String, TopicDescription> = topics.await?.into_iter().filter_map(describe).collect();
        for name in names.iter().map(AsRef::as_ref) {
            let unknown = Refused { code: ErrorCode::UnknownTopicOrPartition, message: None };
            described.entry(name.to_owned()).or_insert(Err(unknown));
        }
        Ok(described)
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config =
        |(name, value): (&String, &String)| CreatableTopicConfig { name: name.clone(), value: Some(value.clone()) };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        assignments: Vec::new(),
        configs: topic.configs.iter().map(config).collect(),
    }
}

fn created(topic: CreatableTopicResult) -> (String, Result<CreatedTopic, Refused>) {
    let created = CreatedTopic {
        id: Some(topic.topic_id).filter(|id| !id.is_zero()),
        partitions: Some(topic.num_partitions).filter(|count| *count > 0),
        replication_factor: Some(topic.replication_factor).filter(|factor| *factor > 0),
        configs: topic.configs.unwrap_or_default().into_iter().map(ConfigEntry::of_created).collect(),
    };
    (topic.name, item(topic.error_code, topic.error_message, created))
}

fn delete_request(version: i16, names: Vec<String>) -> DeleteTopicsRequest {
    let mut request = DeleteTopicsRequest { timeout_ms: BROKER_TIMEOUT_MS, ..Default::default() };
    if version >= 6 {
        let state = |name| DeleteTopicState { name: Some(name), ..Default::default() };
        request.topics = names.into_iter().map(state).collect();
    } else {
        request.topic_names = names;
    }
    request
}

fn metadata_request<T: AsRef<str>>(version: i16, names: &[T]) -> MetadataRequest {
    let wanted = |name: &T| MetadataRequestTopic { name: Some(name.as_ref().to_owned()), ..Default::default() };
    let topics = Some(names.iter().map(wanted).collect());
    // Versions below 4 cannot say no.
    MetadataRequest { topics, allow_auto_topic_creation: version < 4, ..Default::default() }
}

fn listing(topic: &Arc<Topic>) -> TopicListing {
    TopicListing {
        name: Arc::clone(&topic.name),
        id: topic.id,
        is_internal: topic.is_internal,
        partitions: topic.partition_count(),
    }
}

fn describe(topic: MetadataResponseTopic) -> Option<(String, Result<TopicDescription, Refused>)> {
    let text = topic.name?;
    let name: Arc<str> = text.as_str().into();
    let partitions = topic.partitions.into_iter().map(|partition| describe_partition(&name, partition));
    let mut partitions: Vec<_> = partitions.collect();
    partitions.sort_by_key(|partition| partition.topic_partition.partition);
    let id = Some(topic.topic_id).filter(|id| !id.is_zero());
    let description = TopicDescription { name, id, is_internal: topic.is_internal, partitions };
    Some((text, item(topic.error_code, None, description)))
}

fn describe_partition(topic: &Arc<str>, partition: MetadataResponsePartition) -> PartitionDescription {
    PartitionDescription {
        topic_partition: TopicPartition { topic: Arc::clone(topic), partition: partition.partition_index },
        leader: Some(partition.leader_id).filter(|leader| *leader >= 0),
        leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
        replicas: partition.replica_nodes,
        in_sync_replicas: partition.isr_nodes,
        offline_replicas: partition.offline_replicas,
    }
}
