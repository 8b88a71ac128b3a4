//! DescribeQuorum (API key 55): the metadata log has this node as its only voter, and no observers (KIP-595). v1: when each
//! last fetched; v2: where the voters listen (KIP-853).

use riverrun_core::{
    Uuid,
    protocol::{
        ErrorCode,
        messages::{
            DescribeQuorumRequest, DescribeQuorumResponse,
            describe_quorum::{
                Listener, Node as QuorumNode, PartitionDataResponse, ReplicaState, TopicData, TopicDataResponse,
            },
        },
    },
};

use crate::{RequestContext, node::Node, storage::METADATA_TOPIC};

pub(super) fn handle(node: &Node, context: &RequestContext, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let nodes = (context.api_version >= 2).then(|| {
        let endpoint = node.advertised(context.listener);
        let listener = Listener { name: endpoint.name, host: endpoint.host, port: endpoint.port };
        QuorumNode { node_id: node.id.0, listeners: vec![listener] }
    });
    DescribeQuorumResponse {
        topics: request.topics.iter().map(|topic| describe(node, topic)).collect(),
        nodes: nodes.into_iter().collect(),
        ..Default::default()
    }
}

fn describe(node: &Node, topic: &TopicData) -> TopicDataResponse {
    let partitions = topic.partitions.iter().map(|partition| {
        let partition_index = partition.partition_index;
        if topic.topic_name != METADATA_TOPIC || partition_index != 0 {
            return PartitionDataResponse {
                partition_index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                ..Default::default()
            };
        }
        let quorum = node.metadata.quorum();
        // The leader has always caught up with itself.
        let now = node.clock.wall_ms();
        let voter = ReplicaState {
            replica_id: node.id.0,
            replica_directory_id: Uuid::ZERO,
            log_end_offset: quorum.log_end_offset,
            last_fetch_timestamp: now,
            last_caught_up_timestamp: now,
        };
        PartitionDataResponse {
            partition_index,
            leader_id: node.id.0,
            leader_epoch: quorum.leader_epoch,
            high_watermark: quorum.high_watermark,
            current_voters: vec![voter],
            ..Default::default()
        }
    });
    TopicDataResponse { topic_name: topic.topic_name.clone(), partitions: partitions.collect() }
}
