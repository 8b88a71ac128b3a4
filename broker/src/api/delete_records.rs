//! DeleteRecords (API key 21): moves the start of partitions (KIP-107); offset -1 means the high watermark.

use std::sync::Arc;

use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records::{DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
};

use super::read_code;
use crate::{Reply, node::Node, topics::is_internal};

const HIGH_WATERMARK: i64 = -1;

pub(super) fn handle(node: &Arc<Node>, request: &DeleteRecordsRequest) -> Reply {
    let image = node.image();
    let topics = request.topics.iter().map(|topic| {
        let id = image.topic(&topic.name).map(|known| known.id);
        let delete = |wanted: &DeleteRecordsPartition| {
            if is_internal(&topic.name) {
                return Err(ErrorCode::PolicyViolation);
            }
            let partition = id.and_then(|id| node.storage.partition(id, wanted.partition_index));
            let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
            let offset = match wanted.offset {
                HIGH_WATERMARK => None,
                offset if offset < 0 => return Err(ErrorCode::OffsetOutOfRange),
                offset => Some(offset),
            };
            partition.delete_records(offset).map_err(|error| read_code(&error))
        };
        let partitions = topic.partitions.iter().map(|wanted| {
            let (low_watermark, code) = match delete(wanted) {
                Ok(start) => (start, ErrorCode::None),
                Err(code) => (-1, code),
            };
            DeleteRecordsPartitionResult {
                partition_index: wanted.partition_index,
                low_watermark,
                error_code: code.code(),
            }
        });
        DeleteRecordsTopicResult { name: topic.name.clone(), partitions: partitions.collect() }
    });
    let response = DeleteRecordsResponse { topics: topics.collect(), ..Default::default() };
    node.storage.records_deleted();
    Reply::now(response)
}
