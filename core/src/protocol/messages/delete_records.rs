//! DeleteRecords: API key 21, versions 0-2, flexible from 2.
//!
//! Moves the start of a partition's log forward; offset -1 stands for the high watermark.
//!
//! - v2: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `DeleteRecords`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 21, versions = "0-2", flexible = "2+")]
pub struct DeleteRecordsRequest {
    pub topics: Vec<DeleteRecordsTopic>,
    pub timeout_ms: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteRecordsTopic {
    pub name: String,
    pub partitions: Vec<DeleteRecordsPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteRecordsPartition {
    pub partition_index: i32,
    /// The new start; -1 for the high watermark.
    pub offset: i64,
}

/// The response of `DeleteRecords`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 21, versions = "0-2", flexible = "2+")]
pub struct DeleteRecordsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub topics: Vec<DeleteRecordsTopicResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteRecordsTopicResult {
    pub name: String,
    pub partitions: Vec<DeleteRecordsPartitionResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteRecordsPartitionResult {
    pub partition_index: i32,
    pub low_watermark: i64,
    pub error_code: i16,
}
