//! OffsetCommit (API key 8): a group stores positions. v6: leader epoch (KIP-320); v7: static members; v9: the epoch of a member of
//! the consumer protocol (KIP-848); v10: topic ids.
//!
//! Positions in partitions that do not exist are refused one by one; the others are stored.

use std::sync::Arc;

use riverrun_core::{
    TopicPartition,
    group::{self, GenerationId, GroupId, InstanceId, MemberId, OffsetToCommit},
    protocol::{
        ErrorCode,
        messages::{
            OffsetCommitRequest, OffsetCommitResponse,
            offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
        },
    },
};

use super::group_error;
use crate::{Reply, RequestContext, node::Node};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: OffsetCommitRequest) -> Reply {
    let (mut response, offsets) = check_partitions(node, context.api_version >= 10, &request);
    let shard = match node.group_shard(&request.group_id) {
        Ok(shard) => shard,
        Err(error) => {
            fill(&mut response, std::iter::repeat(group_error(&error)));
            return Reply::now(response);
        }
    };
    let command = group::OffsetCommitRequest {
        group_id: GroupId::from(request.group_id),
        generation: GenerationId::from_wire(request.generation_id_or_member_epoch),
        member_id: MemberId::from_wire(&request.member_id),
        group_instance_id: request.group_instance_id.map(InstanceId::from),
        tells_member_epoch: context.api_version >= 9,
        retention_ms: Some(request.retention_time_ms).filter(|retention| *retention >= 0),
        offsets,
    };
    let committed = node.groups.command(&shard, |machine, now| machine.commit_offsets(&command, now));
    Reply::later(async move {
        match committed.await {
            Ok(outcomes) => {
                let code = |outcome: &group::CommitOutcome| match outcome {
                    Ok(()) => ErrorCode::None,
                    Err(error) => ErrorCode::from(error),
                };
                fill(&mut response, outcomes.iter().map(code));
            }
            Err(error) => fill(&mut response, std::iter::repeat(group_error(&error))),
        }
        response
    })
}

/// Marks a partition whose code the coordinator is to give.
const UNDECIDED: i16 = i16::MIN;

/// The response with the codes that are known already, and the positions for the coordinator in the same order.
fn check_partitions(
    node: &Node,
    by_id: bool,
    request: &OffsetCommitRequest,
) -> (OffsetCommitResponse, Vec<OffsetToCommit>) {
    let image = node.image();
    let mut offsets = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let known = if by_id { image.topic_by_id(topic.topic_id) } else { image.topic(&topic.name) };
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let error_code = match known {
                None if by_id => ErrorCode::UnknownTopicId.code(),
                Some(topic) if topic.partitions.contains_key(&index) => {
                    offsets.push(OffsetToCommit {
                        topic_partition: TopicPartition::new(Arc::clone(&topic.name), index),
                        topic_id: Some(topic.id),
                        offset: partition.committed_offset,
                        leader_epoch: Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0),
                        metadata: partition.committed_metadata.clone().unwrap_or_default(),
                    });
                    UNDECIDED
                }
                None | Some(_) => ErrorCode::UnknownTopicOrPartition.code(),
            };
            partitions.push(OffsetCommitResponsePartition { partition_index: index, error_code });
        }
        topics.push(OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions });
    }
    (OffsetCommitResponse { topics, ..Default::default() }, offsets)
}

fn fill(response: &mut OffsetCommitResponse, mut codes: impl Iterator<Item = ErrorCode>) {
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if partition.error_code == UNDECIDED {
            partition.error_code = codes.next().unwrap_or(ErrorCode::UnknownServerError).code();
        }
    }
}
