//! ListOffsets: API key 2, versions 1-11, flexible from 6.
//!
//! - v2: request gains `isolation_level`; response gains `throttle_time_ms`
//! - v4: request gains `current_leader_epoch`; response gains `leader_epoch`
//! - v6: flexible form
//! - v10: request gains `timeout_ms`

use riverrun_core_derive::Message;

/// The request of `ListOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 2, versions = "1-11", flexible = "6+")]
pub struct ListOffsetsRequest {
    pub replica_id: i32,
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
    #[kafka(versions = "4+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    pub timestamp: i64,
}

/// The response of `ListOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 2, versions = "1-11", flexible = "6+")]
pub struct ListOffsetsResponse {
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
