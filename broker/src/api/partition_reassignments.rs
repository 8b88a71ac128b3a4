//! AlterPartitionReassignments (API key 45) and ListPartitionReassignments (46): a single node is the only place a partition
//! can be, so a reassignment to it is done at once, any other is refused, and none is ever under way (KIP-455).
//!
//! Source: Kafka `ReplicationControlManager#alterPartitionReassignments`.

use riverrun_core::{
    metadata::Image,
    protocol::{
        ErrorCode,
        messages::{
            AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
            ListPartitionReassignmentsResponse,
            alter_partition_reassignments::{
                ReassignablePartition, ReassignablePartitionResponse, ReassignableTopicResponse,
            },
        },
    },
};

use crate::node::Node;

pub(super) fn alter(node: &Node, request: AlterPartitionReassignmentsRequest) -> AlterPartitionReassignmentsResponse {
    let image = node.image();
    let may_resize = request.allow_replication_factor_change;
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let refusal = refuse(node, &image, &topic.name, partition, may_resize);
            let (error_code, error_message) = refusal.map_or((0, None), |(code, why)| (code.code(), Some(why)));
            ReassignablePartitionResponse { partition_index: partition.partition_index, error_code, error_message }
        });
        let partitions = partitions.collect();
        ReassignableTopicResponse { name: topic.name, partitions }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: may_resize,
        responses: responses.collect(),
        ..Default::default()
    }
}

fn refuse(
    node: &Node,
    image: &Image,
    topic: &str,
    wanted: &ReassignablePartition,
    may_resize: bool,
) -> Option<(ErrorCode, String)> {
    let index = wanted.partition_index;
    let Some(current) = image.partition(topic, index) else {
        return Some((ErrorCode::UnknownTopicOrPartition, format!("no partition {topic}-{index}")));
    };
    let Some(replicas) = &wanted.replicas else {
        let code = ErrorCode::NoReassignmentInProgress;
        return Some((code, code.message().to_owned()));
    };
    let invalid = |why: String| Some((ErrorCode::InvalidReplicaAssignment, why));
    if replicas.is_empty() {
        return invalid("the assignment has an empty list of replicas".to_owned());
    }
    if let Some(stranger) = replicas.iter().find(|&&replica| replica != node.id.0) {
        return invalid(format!("the assignment names broker {stranger}, and there is none but broker {}", node.id.0));
    }
    if replicas.len() > 1 {
        return invalid(format!("the assignment names broker {} more than once", node.id.0));
    }
    if !may_resize && replicas.len() != current.replicas.len() {
        let why = format!("the partition has {} replicas and would have {}", current.replicas.len(), replicas.len());
        return Some((ErrorCode::InvalidReplicationFactor, why));
    }
    None
}

pub(super) fn list() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
