//! Topics: creating, deleting, growing, listing, describing, and deleting their oldest records.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use riverrun_core::{
    TopicPartition, Uuid,
    protocol::{
        ErrorCode,
        messages::{
            CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
            create_partitions::CreatePartitionsTopic,
            create_topics::{CreatableTopic, CreatableTopicConfig},
            delete_records::{DeleteRecordsPartition, DeleteRecordsTopic},
            delete_topics::DeleteTopicState,
        },
    },
};

use super::{Admin, BROKER_TIMEOUT_MS, Refused, Results, TIMEOUT, item};
use crate::{
    ClientError,
    cluster::{Topic, Wanted, retrying},
    consumer::{PartitionInfo, by_topic},
    transport::BrokerAddress,
};

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
    pub partitions: Vec<PartitionInfo>,
}

impl Admin {
    /// Creates topics. They exist when this returns, though other brokers of a cluster may hear of it a little later.
    ///
    /// # Errors
    /// If no broker answers; refusals, such as for a topic that exists, are in the results.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<Results<String, CreatedTopic>, ClientError> {
        let build = |_| CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: BROKER_TIMEOUT_MS,
            validate_only: false,
        };
        let response = retrying(TIMEOUT, || self.cluster().call_any(build)).await?;
        let results = response.topics.into_iter().map(|topic| {
            let created = CreatedTopic {
                id: Some(topic.topic_id).filter(|id| !id.is_zero()),
                partitions: Some(topic.num_partitions).filter(|count| *count > 0),
                replication_factor: Some(topic.replication_factor).filter(|factor| *factor > 0),
            };
            (topic.name, item(topic.error_code, topic.error_message, created))
        });
        Ok(results.collect())
    }

    /// Deletes topics, with all they hold.
    ///
    /// # Errors
    /// If no broker answers; refusals are in the results.
    pub async fn delete_topics<T: AsRef<str>>(&self, names: &[T]) -> Result<Results<String, ()>, ClientError> {
        let build = |version| {
            let names = names.iter().map(|name| name.as_ref().to_owned());
            let mut request = DeleteTopicsRequest { timeout_ms: BROKER_TIMEOUT_MS, ..Default::default() };
            if version >= 6 {
                let state = |name| DeleteTopicState { name: Some(name), ..Default::default() };
                request.topics = names.map(state).collect();
            } else {
                request.topic_names = names.collect();
            }
            request
        };
        let response = retrying(TIMEOUT, || self.cluster().call_any(build)).await?;
        let result = |topic: riverrun_core::protocol::messages::delete_topics::DeletableTopicResult| {
            (topic.name.unwrap_or_default(), item(topic.error_code, topic.error_message, ()))
        };
        Ok(response.responses.into_iter().map(result).collect())
    }

    /// Gives topics more partitions: the number of all, old ones included. Keys may then lead elsewhere than before.
    ///
    /// # Errors
    /// If no broker answers; refusals are in the results.
    pub async fn create_partitions<T: AsRef<str>>(
        &self,
        counts: &[(T, i32)],
    ) -> Result<Results<String, ()>, ClientError> {
        let topic = |(name, count): &(T, i32)| CreatePartitionsTopic {
            name: name.as_ref().to_owned(),
            count: *count,
            assignments: None,
        };
        let build = |_| CreatePartitionsRequest {
            topics: counts.iter().map(topic).collect(),
            timeout_ms: BROKER_TIMEOUT_MS,
            validate_only: false,
        };
        let response = retrying(TIMEOUT, || self.cluster().call_any(build)).await?;
        let results = response.results.into_iter();
        Ok(results.map(|topic| (topic.name, item(topic.error_code, topic.error_message, ()))).collect())
    }

    /// All topics, by name, the broker's own included.
    ///
    /// # Errors
    /// If no broker answers.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, ClientError> {
        let image = retrying(TIMEOUT, || self.cluster().refresh(Wanted::All)).await?;
        let mut topics: Vec<_> = image.topics().filter(|topic| topic.error.is_none()).map(listing).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Topics with their partitions.
    ///
    /// # Errors
    /// If no broker answers; unknown topics are in the results.
    pub async fn describe_topics<T: AsRef<str>>(
        &self,
        names: &[T],
    ) -> Result<Results<String, TopicDescription>, ClientError> {
        let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(name.as_ref())).collect();
        let wanted = Wanted::Topics { names: &names, allow_auto_create: false };
        let image = retrying(TIMEOUT, || self.cluster().refresh(wanted)).await?;
        let result = |name: &Arc<str>| {
            let unknown = || Refused { code: ErrorCode::UnknownTopicOrPartition, message: None };
            let described = image.topic(name).ok_or_else(unknown).and_then(|topic| match topic.error {
                None => Ok(description(topic)),
                Some(code) => Err(Refused { code, message: None }),
            });
            (name.to_string(), described)
        };
        Ok(names.iter().map(result).collect())
    }

    /// Deletes the records before the given offsets; `None` stands for all there are. Gives the first offset left.
    ///
    /// # Errors
    /// If a leader cannot be asked; refusals are in the results.
    pub async fn delete_records(
        &self,
        before: &HashMap<TopicPartition, Option<i64>>,
    ) -> Result<Results<TopicPartition, i64>, ClientError> {
        let mut by_leader: HashMap<BrokerAddress, Vec<TopicPartition>> = HashMap::new();
        for partition in before.keys() {
            by_leader.entry(self.leader(partition).await?).or_default().push(partition.clone());
        }
        let mut results = Results::new();
        for (address, partitions) in by_leader {
            let topics = by_topic(&partitions).into_iter().map(|(name, indexes)| {
                let partition = |partition: i32| {
                    let key = TopicPartition { topic: Arc::clone(name), partition };
                    let offset = before.get(&key).copied().flatten().unwrap_or(-1);
                    DeleteRecordsPartition { partition_index: partition, offset }
                };
                DeleteRecordsTopic { name: name.to_string(), partitions: indexes.into_iter().map(partition).collect() }
            });
            let request = DeleteRecordsRequest { topics: topics.collect(), timeout_ms: BROKER_TIMEOUT_MS };
            let response = self.cluster().pool().call(&address, |_| request).await?;
            for topic in response.topics {
                let name: Arc<str> = topic.name.into();
                for partition in topic.partitions {
                    let key = TopicPartition { topic: Arc::clone(&name), partition: partition.partition_index };
                    results.insert(key, item(partition.error_code, None, partition.low_watermark));
                }
            }
        }
        Ok(results)
    }

    async fn leader(&self, partition: &TopicPartition) -> Result<BrokerAddress, ClientError> {
        retrying(TIMEOUT, || async {
            let TopicPartition { topic: name, partition: index } = partition;
            let topic = self.cluster().ask_topic(name, false).await?;
            let no_partition = || ClientError::NoPartition { topic: Arc::clone(name), partition: *index };
            let leader = topic.partition(*index).ok_or_else(no_partition)?.leader;
            let address = leader.and_then(|leader| self.cluster().image().address(leader).cloned());
            address.ok_or_else(|| ClientError::NoLeader { topic: Arc::clone(name), partition: *index })
        })
        .await
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

fn listing(topic: &Arc<Topic>) -> TopicListing {
    TopicListing {
        name: Arc::clone(&topic.name),
        id: topic.id,
        is_internal: topic.is_internal,
        partitions: topic.partition_count(),
    }
}

fn description(topic: &Arc<Topic>) -> TopicDescription {
    let partitions = PartitionInfo::all_of(topic);
    TopicDescription { name: Arc::clone(&topic.name), id: topic.id, is_internal: topic.is_internal, partitions }
}
