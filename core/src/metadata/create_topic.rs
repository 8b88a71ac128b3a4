//! A new topic: whether it may be, and the records that make it.
//!
//! Source: Kafka `ReplicationControlManager.createTopics`; KIP-464 (defaults by the broker), KIP-525 (what is told back).

use std::collections::BTreeMap;

use super::{
    ClusterView, ConfigResource, ConfigRules, Image, InvalidAssignment, InvalidConfig, InvalidTopicName,
    MetadataRecord,
    placement::{check_replicas, choose_replicas, new_partition},
    validate_topic_name,
};
use crate::{
    NodeId, Uuid,
    protocol::{
        ErrorCode,
        records::{ConfigRecord, TopicRecord},
    },
};

/// Partitions one request may ask for, as in Kafka.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// A topic to make.
#[derive(Debug, Clone, Default)]
pub struct CreateTopic {
    /// Its name.
    pub name: String,
    /// Its id, random.
    pub topic_id: Uuid,
    /// How many partitions; `None` is the broker's default.
    pub partition_count: Option<i32>,
    /// How many replicas of each; `None` is the broker's default.
    pub replication_factor: Option<i16>,
    /// The brokers of each partition, if the caller chooses them; then neither number may be given.
    pub assignments: BTreeMap<i32, Vec<NodeId>>,
    /// Its settings.
    pub configs: BTreeMap<String, String>,
    /// Only check.
    pub validate_only: bool,
}

/// A topic that may be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// What makes it; empty if it was only to be checked.
    pub records: Vec<MetadataRecord>,
    /// How many partitions it has.
    pub partition_count: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
}

/// Why a topic is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateTopicError {
    /// Its name is none.
    #[error(transparent)]
    InvalidName(#[from] InvalidTopicName),
    /// Its name is that of another topic in metrics.
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    NameCollision {
        /// The name.
        name: String,
        /// The topic that is there.
        existing: String,
    },
    /// It exists.
    #[error("Topic '{name}' already exists.")]
    AlreadyExists {
        /// The name.
        name: String,
    },
    /// It has no partitions, or fewer.
    #[error("a topic has at least 1 partition, {given} were asked for")]
    InvalidPartitionCount {
        /// How many were asked for.
        given: i32,
    },
    /// It has no replicas, or more than there are brokers.
    #[error("replication factor {given} with {available} brokers")]
    InvalidReplicationFactor {
        /// What was asked for.
        given: i16,
        /// How many brokers there are.
        available: usize,
    },
    /// Its assignment cannot be had.
    #[error(transparent)]
    InvalidAssignment(#[from] InvalidAssignment),
    /// Both an assignment and a number it implies are given.
    #[error("with an assignment neither partition count nor replication factor may be given")]
    AssignmentWithCounts,
    /// A setting is none.
    #[error(transparent)]
    InvalidConfig(#[from] InvalidConfig),
    /// There would be too many partitions.
    #[error(
        "{asked} more partitions would exceed the limit of {limit} (10000 in one request, riverrun.partitions.max in all)"
    )]
    TooManyPartitions {
        /// How many were asked for.
        asked: usize,
        /// How many there may be, in one request or in all.
        limit: usize,
    },
}

impl From<&CreateTopicError> for ErrorCode {
    fn from(error: &CreateTopicError) -> Self {
        match error {
            CreateTopicError::InvalidName(_) | CreateTopicError::NameCollision { .. } => Self::InvalidTopicException,
            CreateTopicError::AlreadyExists { .. } => Self::TopicAlreadyExists,
            CreateTopicError::InvalidPartitionCount { .. } => Self::InvalidPartitions,
            CreateTopicError::InvalidReplicationFactor { .. } => Self::InvalidReplicationFactor,
            CreateTopicError::InvalidAssignment(_) => Self::InvalidReplicaAssignment,
            CreateTopicError::AssignmentWithCounts => Self::InvalidRequest,
            CreateTopicError::InvalidConfig(_) => Self::InvalidConfig,
            CreateTopicError::TooManyPartitions { .. } => Self::PolicyViolation,
        }
    }
}

impl Image {
    /// Decides on a new topic.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn create_topic(
        &self,
        topic: &CreateTopic,
        cluster: &ClusterView,
        rules: &impl ConfigRules,
    ) -> Result<Creation, CreateTopicError> {
        validate_topic_name(&topic.name)?;
        if self.topic(&topic.name).is_some() {
            return Err(CreateTopicError::AlreadyExists { name: topic.name.clone() });
        }
        if let Some(existing) = self.colliding_topic(&topic.name) {
            let (name, existing) = (topic.name.clone(), existing.to_string());
            return Err(CreateTopicError::NameCollision { name, existing });
        }
        rules.validate(&ConfigResource::Topic(topic.name.as_str().into()), &topic.configs)?;
        let partitions = self.place(topic, cluster)?;
        let replication_factor = partitions.first().map_or(0, Vec::len);
        let mut creation = Creation {
            records: Vec::new(),
            partition_count: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(replication_factor).unwrap_or(i16::MAX),
        };
        if !topic.validate_only {
            creation.records = topic.records(&partitions, cluster);
        }
        Ok(creation)
    }

    /// The brokers of each partition.
    fn place(&self, topic: &CreateTopic, cluster: &ClusterView) -> Result<Vec<Vec<NodeId>>, CreateTopicError> {
        if !topic.assignments.is_empty() {
            if topic.partition_count.is_some() || topic.replication_factor.is_some() {
                return Err(CreateTopicError::AssignmentWithCounts);
            }
            self.check_room(topic.assignments.len(), cluster.partitions_max)?;
            let replication_factor = topic.assignments.values().next().map_or(0, Vec::len);
            for (expected, (&partition, replicas)) in (0..).zip(&topic.assignments) {
                if partition != expected {
                    return Err(InvalidAssignment::Gap { expected }.into());
                }
                check_replicas(partition, replicas, replication_factor, cluster)?;
            }
            return Ok(topic.assignments.values().cloned().collect());
        }
        let count = topic.partition_count.unwrap_or(cluster.partition_count_default);
        let factor = topic.replication_factor.unwrap_or(cluster.replication_factor_default);
        if count < 1 {
            return Err(CreateTopicError::InvalidPartitionCount { given: count });
        }
        let available = cluster.brokers.len();
        let invalid_factor = CreateTopicError::InvalidReplicationFactor { given: factor, available };
        let factor = usize::try_from(factor).ok().filter(|f| (1..=available).contains(f)).ok_or(invalid_factor)?;
        self.check_room(usize::try_from(count).unwrap_or(usize::MAX), cluster.partitions_max)?;
        Ok((0..count).map(|partition| choose_replicas(topic.topic_id, partition, factor, cluster)).collect())
    }

    fn check_room(&self, asked: usize, partitions_max: usize) -> Result<(), CreateTopicError> {
        match self.room_exceeded(asked, partitions_max) {
            Some(limit) => Err(CreateTopicError::TooManyPartitions { asked, limit }),
            None => Ok(()),
        }
    }

    /// The limit that so many new partitions would exceed.
    pub(super) fn room_exceeded(&self, asked: usize, partitions_max: usize) -> Option<usize> {
        if asked > PARTITIONS_PER_REQUEST_MAX {
            return Some(PARTITIONS_PER_REQUEST_MAX);
        }
        (self.partition_count() + asked > partitions_max).then_some(partitions_max)
    }
}

impl CreateTopic {
    fn records(&self, partitions: &[Vec<NodeId>], cluster: &ClusterView) -> Vec<MetadataRecord> {
        let resource = ConfigResource::Topic(self.name.as_str().into());
        let (resource_type, resource_name) = resource.to_wire();
        let mut records = vec![MetadataRecord::Topic(TopicRecord { name: self.name.clone(), topic_id: self.topic_id })];
        for (name, value) in &self.configs {
            records.push(MetadataRecord::Config(ConfigRecord {
                resource_type,
                resource_name: resource_name.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }));
        }
        for (partition, replicas) in (0..).zip(partitions) {
            records.push(new_partition(self.topic_id, partition, replicas, cluster));
        }
        records
    }
}
