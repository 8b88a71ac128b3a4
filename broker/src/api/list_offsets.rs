//! ListOffsets (API key 2): which offset belongs to a time, or to one of the places below.
//!
//! v4: leader epochs (KIP-320); v7: the record of the largest timestamp (KIP-734); v8, v9, v11: places in tiered storage
//! (KIP-405, KIP-1005, KIP-1023), of which there is none. No match is offset -1 without an error.

use riverrun_core::{
    LeaderEpoch,
    log::OffsetTime,
    protocol::{
        ErrorCode,
        messages::{
            ListOffsetsRequest, ListOffsetsResponse,
            list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        },
    },
};

use super::{check_leader_epoch, read_code};
use crate::{
    RequestContext,
    node::Node,
    storage::{Partition, ReadIsolation},
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const READ_COMMITTED: i8 = 1;

pub(super) fn handle(node: &Node, context: &RequestContext, request: &ListOffsetsRequest) -> ListOffsetsResponse {
    let image = node.image();
    let isolation =
        if request.isolation_level == READ_COMMITTED { ReadIsolation::Committed } else { ReadIsolation::HighWatermark };
    let topics = request.topics.iter().map(|topic| {
        let known = image.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|wanted| {
            let partition = known.and_then(|known| node.storage.partition(known.id, wanted.partition_index));
            let found = partition
                .ok_or(ErrorCode::UnknownTopicOrPartition)
                .and_then(|partition| find(&partition, wanted, context.api_version, isolation));
            match found {
                Ok(found) => ListOffsetsPartitionResponse {
                    partition_index: wanted.partition_index,
                    timestamp: found.map_or(-1, |found| found.timestamp),
                    offset: found.map_or(-1, |found| found.offset),
                    leader_epoch: LeaderEpoch::to_wire(
                        found.and_then(|f| f.leader_epoch).filter(|_| context.api_version >= 4),
                    ),
                    ..Default::default()
                },
                Err(code) => ListOffsetsPartitionResponse {
                    partition_index: wanted.partition_index,
                    error_code: code.code(),
                    ..Default::default()
                },
            }
        });
        ListOffsetsTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

fn find(
    partition: &Partition,
    wanted: &ListOffsetsPartition,
    version: i16,
    isolation: ReadIsolation,
) -> Result<Option<OffsetTime>, ErrorCode> {
    check_leader_epoch(partition, wanted.current_leader_epoch)?;
    let first_version = match wanted.timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => 1,
    };
    if version < first_version {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let offsets = partition.offsets();
    // Places have no timestamp.
    let place = |offset| OffsetTime { offset, timestamp: -1, leader_epoch: partition.epoch_at(offset) };
    let latest = match isolation {
        ReadIsolation::Committed => offsets.last_stable,
        ReadIsolation::HighWatermark | ReadIsolation::LogEnd => offsets.high_watermark,
    };
    match wanted.timestamp {
        LATEST => Ok(Some(place(latest))),
        EARLIEST | EARLIEST_LOCAL => Ok(Some(place(offsets.log_start))),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        MAX_TIMESTAMP => partition.offset_of_max_timestamp().map_err(|error| read_code(&error)),
        time if time >= 0 => {
            let found = partition.offset_for_timestamp(time).map_err(|error| read_code(&error))?;
            Ok(found.filter(|found| found.offset < latest))
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}
