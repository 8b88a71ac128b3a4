//! Which brokers hold a new partition: chosen here, or given by the caller and checked here.

use super::{ClusterView, MetadataRecord};
use crate::{NodeId, Uuid, protocol::records::PartitionRecord};

/// Why an assignment given by the caller cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssignment {
    /// A partition is given no broker.
    #[error("partition {partition} is given no broker")]
    Empty {
        /// The partition.
        partition: i32,
    },
    /// A partition is given the same broker twice.
    #[error("partition {partition} is given broker {broker} twice")]
    DuplicateBroker {
        /// The partition.
        partition: i32,
        /// The broker.
        broker: NodeId,
    },
    /// A partition is given a broker that is not there.
    #[error("The manual partition assignment includes broker {broker}, but no such broker is registered.")]
    UnknownBroker {
        /// The partition.
        partition: i32,
        /// The broker.
        broker: NodeId,
    },
    /// A partition has another number of replicas than the others.
    #[error("partition {partition} is given {given} brokers, others {expected}")]
    ReplicationFactor {
        /// The partition.
        partition: i32,
        /// How many it is given.
        given: usize,
        /// How many the others have.
        expected: usize,
    },
    /// The partitions are not numbered one after the other.
    #[error("partition {expected} is missing from the assignment")]
    Gap {
        /// The first that is missing.
        expected: i32,
    },
    /// There are more or fewer assignments than new partitions.
    #[error("{given} assignments for {expected} new partitions")]
    Count {
        /// How many assignments there are.
        given: usize,
        /// How many partitions there will be.
        expected: usize,
    },
}

/// Checks the brokers given for one partition.
pub(super) fn check_replicas(
    partition: i32,
    replicas: &[NodeId],
    replication_factor: usize,
    cluster: &ClusterView,
) -> Result<(), InvalidAssignment> {
    if replicas.is_empty() {
        return Err(InvalidAssignment::Empty { partition });
    }
    if replicas.len() != replication_factor {
        let (given, expected) = (replicas.len(), replication_factor);
        return Err(InvalidAssignment::ReplicationFactor { partition, given, expected });
    }
    for (index, &broker) in replicas.iter().enumerate() {
        if replicas.iter().take(index).any(|other| *other == broker) {
            return Err(InvalidAssignment::DuplicateBroker { partition, broker });
        }
        if !cluster.brokers.contains_key(&broker) {
            return Err(InvalidAssignment::UnknownBroker { partition, broker });
        }
    }
    Ok(())
}

/// Chooses brokers for `partition`: one after the other around the ring of brokers. Where a topic begins depends on
/// its id, so that the first partitions of many topics do not all lie on the same broker. Empty without brokers.
pub(super) fn choose_replicas(
    topic_id: Uuid,
    partition: i32,
    replication_factor: usize,
    cluster: &ClusterView,
) -> Vec<NodeId> {
    let [.., last] = topic_id.0;
    let first = usize::from(last) + usize::try_from(partition).unwrap_or_default();
    let count = cluster.brokers.len().max(1);
    let ring = cluster.brokers.keys().copied().cycle().skip(first % count);
    ring.take(replication_factor.min(cluster.brokers.len())).collect()
}

/// The record of a partition that is led by its first replica, with all replicas in sync.
pub(super) fn new_partition(
    topic_id: Uuid,
    partition: i32,
    replicas: &[NodeId],
    cluster: &ClusterView,
) -> MetadataRecord {
    let ids: Vec<i32> = replicas.iter().map(|node| node.0).collect();
    MetadataRecord::Partition(PartitionRecord {
        partition_id: partition,
        topic_id,
        isr: ids.clone(),
        leader: ids.first().copied().unwrap_or(-1),
        replicas: ids,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: replicas.iter().filter_map(|node| cluster.brokers.get(node).copied()).collect(),
        ..PartitionRecord::default()
    })
}
