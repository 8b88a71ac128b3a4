//! ConsumerGroupHeartbeat (API key 68): the one call of a member of the consumer protocol (KIP-848).
//!
//! v1: the member chooses its id (KIP-1082), and may subscribe by pattern. In v0 a member that joins may leave its id
//! empty, and is given one. A pattern matches only topics that its client may describe.

use std::sync::Arc;

use riverrun_core::{
    group::{ConsumerHeartbeat, ConsumerHeartbeatResponse, Epoch, GroupId, InstanceId, PartitionSet},
    metadata::AclOperation::Describe,
    protocol::messages::{
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        consumer_group_heartbeat::{Assignment, TopicPartitions, TopicPartitionsResponse},
    },
};

use super::group_error;
use crate::{Reply, RequestContext, groups::CoordinatorError, node::Node, security::Permissions};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: ConsumerGroupHeartbeatRequest) -> Reply {
    let shard = match node.group_shard(&request.group_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(&error)),
    };
    let command = command(node, context, request);
    let may = Permissions::new(&node.authorizer, node.image(), context);
    let may_see = |topic: &str| !may.is_checked() || may.topic(Describe, topic);
    let answer = node.groups.command(&shard, |machine, now| machine.consumer_heartbeat(&command, &may_see, now));
    Reply::later(async move {
        match answer.await {
            Ok(response) => accepted(response),
            Err(error) => refused(&error),
        }
    })
}

fn command(node: &Node, context: &RequestContext, request: ConsumerGroupHeartbeatRequest) -> ConsumerHeartbeat {
    let may_be_named = context.api_version == 0 && request.member_epoch == Epoch::JOINING.0;
    let member_id = match request.member_id.is_empty() && may_be_named {
        true => node.random_uuid().to_string(),
        false => request.member_id,
    };
    let owned = |topics: Vec<TopicPartitions>| -> PartitionSet {
        let mut owned = PartitionSet::new();
        for topic in topics {
            owned.entry(topic.topic_id).or_default().extend(topic.partitions);
        }
        owned
    };
    let group_id = GroupId::from(request.group_id);
    ConsumerHeartbeat {
        instance_id: request.instance_id.map(InstanceId::from),
        rack_id: request.rack_id,
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|timeout_ms| *timeout_ms != -1),
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: context.client_host.clone(),
        topic_names: request.subscribed_topic_names,
        topic_regex: request.subscribed_topic_regex,
        server_assignor: request.server_assignor,
        owned: request.topic_partitions.map(owned),
        ..ConsumerHeartbeat::new(group_id, member_id.into(), Epoch(request.member_epoch))
    }
}

fn accepted(response: ConsumerHeartbeatResponse) -> ConsumerGroupHeartbeatResponse {
    let assignment = |partitions: PartitionSet| {
        let topics = partitions.into_iter().map(|(topic_id, partitions)| TopicPartitionsResponse {
            topic_id,
            partitions: partitions.into_iter().collect(),
        });
        Assignment { topic_partitions: topics.collect() }
    };
    ConsumerGroupHeartbeatResponse {
        member_id: Some(response.member_id.to_string()),
        member_epoch: response.member_epoch.0,
        heartbeat_interval_ms: response.heartbeat_interval_ms,
        assignment: response.assignment.map(assignment),
        ..Default::default()
    }
}

fn refused(error: &CoordinatorError) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: group_error(error).code(),
        error_message: Some(error.to_string()),
        ..Default::default()
    }
}
