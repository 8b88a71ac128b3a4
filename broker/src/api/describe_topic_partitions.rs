//! DescribeTopicPartitions (API key 75): topics in pages of partitions (KIP-966).

use std::{collections::BTreeSet, sync::Arc};

use riverrun_core::{
    NodeId,
    metadata::{Partition, Topic},
    protocol::{
        ErrorCode,
        messages::{
            DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
            describe_topic_partitions::{
                CursorResponse, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
            },
        },
    },
};

use crate::{node::Node, topics::is_internal};

pub(super) fn handle(node: &Node, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let image = node.image();
    let limit = request.response_partition_limit.clamp(1, node.start_config.max_request_partition_size_limit);
    let mut left = usize::try_from(limit).unwrap_or(1);
    let (from_topic, from_partition) =
        request.cursor.map_or((String::new(), 0), |cursor| (cursor.topic_name, cursor.partition_index));
    // By name, as the cursor counts; no names means all topics.
    let mut names: BTreeSet<Arc<str>> = request.topics.into_iter().map(|topic| topic.name.into()).collect();
    if names.is_empty() {
        names = image.topics().map(|topic| Arc::clone(&topic.name)).collect();
    }
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.iter().filter(|name| ***name >= *from_topic) {
        let Some(topic) = image.topic(name) else {
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                name: Some(name.to_string()),
                ..Default::default()
            });
            continue;
        };
        let first = if **name == *from_topic { from_partition } else { 0 };
        if left == 0 {
            response.next_cursor = Some(CursorResponse { topic_name: name.to_string(), partition_index: first });
            break;
        }
        let page: Vec<_> = topic.partitions.range(first.max(0)..).take(left).collect();
        left -= page.len();
        let next = page.last().map_or(first, |(index, _)| **index + 1);
        response.topics.push(describe(node, topic, &page));
        if topic.partitions.contains_key(&next) {
            response.next_cursor = Some(CursorResponse { topic_name: name.to_string(), partition_index: next });
            break;
        }
    }
    response
}

fn describe(node: &Node, topic: &Topic, page: &[(&i32, &Partition)]) -> DescribeTopicPartitionsResponseTopic {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let offline = node.storage.offline_partitions(topic.id);
    let leader = |index: &i32, partition: &Partition| partition.leader.filter(|_| !offline.contains(index));
    let partitions = page.iter().map(|(index, partition)| DescribeTopicPartitionsResponsePartition {
        error_code: match leader(index, partition) {
            Some(_) => ErrorCode::None.code(),
            None => ErrorCode::LeaderNotAvailable.code(),
        },
        partition_index: **index,
        leader_id: NodeId::to_wire(leader(index, partition)),
        offline_replicas: if offline.contains(index) { ids(&partition.replicas) } else { Vec::new() },
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
    });
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        ..Default::default()
    }
}
