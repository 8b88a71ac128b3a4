//! What a command must know of the cluster that the metadata log does not tell.

use std::collections::BTreeMap;

use crate::{NodeId, Uuid};

/// The brokers that can take partitions, and the cluster's defaults and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// The brokers that are alive, each with the id of the log directory that takes its new partitions.
    pub brokers: BTreeMap<NodeId, Uuid>,
    /// `num.partitions`: partitions of a topic that asks for none.
    pub partition_count_default: i32,
    /// `default.replication.factor`: replicas of a topic that asks for none.
    pub replication_factor_default: i16,
    /// Partitions of all topics together. Not a Kafka setting.
    pub partitions_max: usize,
}

impl ClusterView {
    /// A cluster of one broker with Kafka's defaults, and room for 100 000 partitions.
    pub fn single(broker: NodeId, directory: Uuid) -> Self {
        Self {
            brokers: BTreeMap::from([(broker, directory)]),
            partition_count_default: 1,
            replication_factor_default: 1,
            partitions_max: 100_000,
        }
    }
}
