//! More partitions for a topic. There is no way to have fewer: records and positions would lose their place.
//!
//! Source: Kafka `ReplicationControlManager.createPartitions`; KIP-195.

use super::{
    ClusterView, Image, InvalidAssignment, MetadataRecord,
    placement::{check_replicas, choose_replicas, new_partition},
};
use crate::{NodeId, protocol::ErrorCode};

/// Partitions to add.
#[derive(Debug, Clone, Default)]
pub struct CreatePartitions {
    /// The topic.
    pub topic: String,
    /// How many partitions it shall have in the end.
    pub partition_count: i32,
    /// The brokers of each new partition, if the caller chooses them.
    pub assignments: Option<Vec<Vec<NodeId>>>,
    /// Only check.
    pub validate_only: bool,
}

/// Why partitions are not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreatePartitionsError {
    /// There is no such topic.
    #[error("topic '{name}' does not exist")]
    UnknownTopic {
        /// The name.
        name: String,
    },
    /// It has as many already, or more.
    #[error("{}", not_more(name, *current, *given))]
    NotMore {
        /// The name.
        name: String,
        /// How many it has.
        current: usize,
        /// How many were asked for.
        given: i32,
    },
    /// There are fewer brokers than the topic has replicas.
    #[error("replication factor {replication_factor} with {available} brokers")]
    TooFewBrokers {
        /// How many replicas each partition of the topic has.
        replication_factor: usize,
        /// How many brokers there are.
        available: usize,
    },
    /// The assignment cannot be had.
    #[error(transparent)]
    InvalidAssignment(#[from] InvalidAssignment),
    /// There would be too many partitions.
    #[error("{asked} more partitions would exceed the limit of {limit}")]
    TooManyPartitions {
        /// How many were asked for.
        asked: usize,
        /// How many there may be, in one request or in all.
        limit: usize,
    },
}

/// Kafka's words, which tools print.
fn not_more(name: &str, current: usize, given: i32) -> String {
    if usize::try_from(given) == Ok(current) {
        return format!("Topic already has {current} partition(s).");
    }
    format!("The topic {name} currently has {current} partition(s); {given} would not be an increase.")
}

impl From<&CreatePartitionsError> for ErrorCode {
    fn from(error: &CreatePartitionsError) -> Self {
        match error {
            CreatePartitionsError::UnknownTopic { .. } => Self::UnknownTopicOrPartition,
            CreatePartitionsError::NotMore { .. } => Self::InvalidPartitions,
            CreatePartitionsError::TooFewBrokers { .. } => Self::InvalidReplicationFactor,
            CreatePartitionsError::InvalidAssignment(_) => Self::InvalidReplicaAssignment,
            CreatePartitionsError::TooManyPartitions { .. } => Self::PolicyViolation,
        }
    }
}

impl Image {
    /// The records that add partitions; none if it was only to be checked.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn create_partitions(
        &self,
        request: &CreatePartitions,
        cluster: &ClusterView,
    ) -> Result<Vec<MetadataRecord>, CreatePartitionsError> {
        let name = || request.topic.clone();
        let topic = self.topic(&request.topic).ok_or_else(|| CreatePartitionsError::UnknownTopic { name: name() })?;
        let current = topic.partitions.len();
        let not_more = || CreatePartitionsError::NotMore { name: name(), current, given: request.partition_count };
        let wanted = usize::try_from(request.partition_count).ok().filter(|w| *w > current).ok_or_else(not_more)?;
        let asked = wanted - current;
        if let Some(limit) = self.room_exceeded(asked, cluster.partitions_max) {
            return Err(CreatePartitionsError::TooManyPartitions { asked, limit });
        }
        let replication_factor = topic.partitions.values().next().map_or(1, |p| p.replicas.len());
        let first = i32::try_from(current).map_err(|_| not_more())?;
        let added = first..request.partition_count;
        let placed: Vec<Vec<NodeId>> = match &request.assignments {
            Some(given) if given.len() != asked => {
                return Err(InvalidAssignment::Count { given: given.len(), expected: asked }.into());
            }
            Some(given) => {
                for (partition, replicas) in added.clone().zip(given) {
                    check_replicas(partition, replicas, replication_factor, cluster)?;
                }
                given.clone()
            }
            None if cluster.brokers.len() < replication_factor => {
                let available = cluster.brokers.len();
                return Err(CreatePartitionsError::TooFewBrokers { replication_factor, available });
            }
            None => added.clone().map(|p| choose_replicas(topic.id, p, replication_factor, cluster)).collect(),
        };
        if request.validate_only {
            return Ok(Vec::new());
        }
        Ok(added.zip(&placed).map(|(p, replicas)| new_partition(topic.id, p, replicas, cluster)).collect())
    }
}
