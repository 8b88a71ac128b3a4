//! ElectLeaders (API key 43): on a single node every partition has the one leader it can have, so there is never anything to
//! elect; a partition that is named is told so, one that does not exist is told that (KIP-460).
//!
//! Source: Kafka `ReplicationControlManager#electLeaders`.

use riverrun_core::{
    metadata::Image,
    protocol::{
        ErrorCode,
        messages::{
            ElectLeadersRequest, ElectLeadersResponse,
            elect_leaders::{PartitionResult, ReplicaElectionResult, TopicPartitions},
        },
    },
};

use crate::node::Node;

/// Preferred and unclean.
const ELECTION_TYPES: std::ops::RangeInclusive<i8> = 0..=1;

pub(super) fn handle(node: &Node, request: &ElectLeadersRequest) -> ElectLeadersResponse {
    if !ELECTION_TYPES.contains(&request.election_type) {
        return ElectLeadersResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
    }
    let image = node.image();
    // When all are asked for, those that need no election are not listed.
    let named = request.topic_partitions.as_deref().unwrap_or_default();
    ElectLeadersResponse {
        replica_election_results: named.iter().map(|topic| elect(&image, topic)).collect(),
        ..Default::default()
    }
}

fn elect(image: &Image, topic: &TopicPartitions) -> ReplicaElectionResult {
    let name = &topic.topic;
    let partition_result = topic.partitions.iter().map(|&partition_id| {
        let (code, message) = if image.topic(name).is_none() {
            (ErrorCode::UnknownTopicOrPartition, format!("No such topic as {name}"))
        } else if image.partition(name, partition_id).is_none() {
            (ErrorCode::UnknownTopicOrPartition, format!("No such partition as {name}-{partition_id}"))
        } else {
            (ErrorCode::ElectionNotNeeded, ErrorCode::ElectionNotNeeded.message().to_owned())
        };
        PartitionResult { partition_id, error_code: code.code(), error_message: Some(message) }
    });
    ReplicaElectionResult { topic: name.clone(), partition_result: partition_result.collect() }
}
