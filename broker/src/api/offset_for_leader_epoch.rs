//! OffsetForLeaderEpoch (API key 23): where an epoch ends, so that a consumer notices a truncated log (KIP-320).

use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderPartition, OffsetForLeaderTopicResult},
    },
};

use super::check_leader_epoch;
use crate::node::Node;

pub(super) fn handle(node: &Node, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let image = node.image();
    let topics = request.topics.iter().map(|topic| {
        let id = image.topic(&topic.topic).map(|known| known.id);
        let find = |wanted: &OffsetForLeaderPartition| {
            let partition = id.and_then(|id| node.storage.partition(id, wanted.partition));
            let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
            check_leader_epoch(&partition, wanted.current_leader_epoch)?;
            Ok(partition.end_of_epoch(wanted.leader_epoch).unwrap_or((-1, -1)))
        };
        let partitions = topic.partitions.iter().map(|wanted| {
            let (code, (leader_epoch, end_offset)) = match find(wanted) {
                Ok(end) => (ErrorCode::None, end),
                Err(code) => (code, (-1, -1)),
            };
            EpochEndOffset { error_code: code.code(), partition: wanted.partition, leader_epoch, end_offset }
        });
        OffsetForLeaderTopicResult { topic: topic.topic.clone(), partitions: partitions.collect() }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}
