//! OffsetDelete (API key 47): a group forgets positions in topics that no member subscribes to (KIP-496).

use std::sync::Arc;

use riverrun_core::{
    TopicPartition,
    group::{GroupId, LeaveOutcome},
    protocol::{
        ErrorCode,
        messages::{
            OffsetDeleteRequest, OffsetDeleteResponse,
            offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
        },
    },
};

use super::group_error;
use crate::{Reply, groups::CoordinatorError, node::Node};

pub(super) fn handle(node: &Arc<Node>, request: OffsetDeleteRequest) -> Reply {
    let refused =
        |error: &CoordinatorError| OffsetDeleteResponse { error_code: group_error(error).code(), ..Default::default() };
    let shard = match node.group_shard(&request.group_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(&error)),
    };
    let partitions: Vec<_> = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| TopicPartition::new(topic.name.as_str(), p.partition_index)))
        .collect();
    let group_id = GroupId::from(request.group_id);
    let deleted = node.groups.command(&shard, |machine, _| machine.delete_offsets(&group_id, &partitions));
    Reply::later(async move {
        let mut outcomes: std::vec::IntoIter<LeaveOutcome> = match deleted.await {
            Ok(outcomes) => outcomes.into_iter(),
            Err(error) => return refused(&error),
        };
        let mut partition = |partition_index| {
            let outcome = outcomes.next().unwrap_or(Ok(()));
            let code = outcome.map_or_else(ErrorCode::from, |()| ErrorCode::None);
            OffsetDeleteResponsePartition { partition_index, error_code: code.code() }
        };
        let topics = request.topics.into_iter().map(|topic| OffsetDeleteResponseTopic {
            name: topic.name,
            partitions: topic.partitions.iter().map(|p| partition(p.partition_index)).collect(),
        });
        OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
    })
}
