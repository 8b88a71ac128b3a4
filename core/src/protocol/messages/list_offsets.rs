//! ListOffsets: API key 2, versions 1-11, flexible from 6.
//!
//! Finds offsets by timestamp. Negative timestamps ask for special offsets: -1 the end, -2 the start, -3 the record
//! of the greatest timestamp, -4 the start of what lies on local disk, -5 the last offset in remote storage, -6 the
//! first that has not been uploaded yet.
//! If no record is that late the answer is offset -1, without an error.
//!
//! - v2: request gains `isolation_level`; response gains `throttle_time_ms`; isolation level (KIP-98)
//! - v4: request gains `current_leader_epoch`; response gains `leader_epoch`; leader epochs (KIP-320)
//! - v6: flexible form (KIP-482)
//! - v7: timestamp -3 (KIP-734)
//! - v8: timestamp -4 (KIP-405)
//! - v9: timestamp -5 (KIP-1005)
//! - v10: request gains `timeout_ms`; waiting for remote storage (KIP-1075)
//! - v11: timestamp -6 (KIP-1023)

use riverrun_core_derive::Message;

/// The request of `ListOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 2, versions = "1-11", flexible = "6+")]
pub struct ListOffsetsRequest {
    pub replica_id: i32,
    /// 0: all records; 1: only those of committed transactions.
    #[kafka(versions = "2+")]
    pub isolation_level: i8,
    pub topics: Vec<ListOffsetsTopic>,
    #[kafka(versions = "10+", ignorable)]
    pub timeout_ms: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ListOffsetsTopic {
    pub name: String,
    pub partitions: Vec<ListOffsetsPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ListOffsetsPartition {
    pub partition_index: i32,
    /// The leader epoch the client knows, for fencing; -1 if none (KIP-320).
    #[kafka(versions = "4+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    /// Milliseconds, or one of the negative numbers above.
    pub timestamp: i64,
}

/// The response of `ListOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 2, versions = "1-11", flexible = "6+")]
pub struct ListOffsetsResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<ListOffsetsTopicResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ListOffsetsTopicResponse {
    pub name: String,
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ListOffsetsPartitionResponse {
    pub partition_index: i32,
    pub error_code: i16,
    #[kafka(versions = "1+", default = "-1")]
    pub timestamp: i64,
    #[kafka(versions = "1+", default = "-1")]
    pub offset: i64,
    #[kafka(versions = "4+", default = "-1")]
    pub leader_epoch: i32,
}
