//! ConsumerGroupDescribe (API key 69): groups of the consumer protocol in full (KIP-848). v1: which protocol each member
//! speaks (KIP-1099).

use riverrun_core::{
    group::{DescribedConsumer, DescribedConsumerGroup, DescribedPartitions, GroupId},
    protocol::messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
        consumer_group_describe::{Assignment, DescribedGroup, Member, TopicPartitions},
    },
};

use super::group_error;
use crate::node::Node;

const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

pub(super) fn handle(node: &Node, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
    let describe = |group_id: String| {
        let described = node.group_shard(&group_id).and_then(|shard| {
            let id = GroupId::from(group_id.as_str());
            let topics = node.metadata.topics();
            Ok(shard.ask(|machine| {
                machine.set_topics(topics);
                machine.describe_consumer_group(&id)
            })??)
        });
        match described {
            Ok(described) => found(group_id, described),
            Err(error) => DescribedGroup {
                error_code: group_error(&error).code(),
                error_message: Some(error.to_string()),
                group_id,
                authorized_operations: i32::MIN,
                ..Default::default()
            },
        }
    };
    ConsumerGroupDescribeResponse {
        groups: request.group_ids.into_iter().map(describe).collect(),
        ..Default::default()
    }
}

fn found(group_id: String, described: DescribedConsumerGroup) -> DescribedGroup {
    DescribedGroup {
        group_id,
        group_state: described.state.name().to_owned(),
        group_epoch: described.group_epoch.0,
        assignment_epoch: described.target_epoch.0,
        assignor_name: described.assignor.name().to_owned(),
        members: described.members.into_iter().map(member).collect(),
        authorized_operations: i32::MIN,
        ..Default::default()
    }
}

fn member(member: DescribedConsumer) -> Member {
    Member {
        member_id: member.member_id.to_string(),
        instance_id: member.instance_id.map(|id| id.to_string()),
        rack_id: member.rack_id,
        member_epoch: member.member_epoch.0,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.topic_names.into_iter().collect(),
        subscribed_topic_regex: member.topic_regex.filter(|regex| !regex.is_empty()),
        assignment: assignment(member.assigned),
        target_assignment: assignment(member.target),
        member_type: if member.is_classic { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

fn assignment(partitions: Vec<DescribedPartitions>) -> Assignment {
    let topic = |topic: DescribedPartitions| TopicPartitions {
        topic_id: topic.topic_id,
        topic_name: topic.topic.to_string(),
        partitions: topic.partitions.into_iter().collect(),
    };
    Assignment { topic_partitions: partitions.into_iter().map(topic).collect() }
}
