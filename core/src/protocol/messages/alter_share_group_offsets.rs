//! AlterShareGroupOffsets: API key 91, version 0, flexible from 0.
//!
//! Sets where an empty share group begins to read partitions (KIP-932).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `AlterShareGroupOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 91, versions = "0", flexible = "0+")]
pub struct AlterShareGroupOffsetsRequest {
    pub group_id: String,
    pub topics: Vec<AlterShareGroupOffsetsRequestTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterShareGroupOffsetsRequestTopic {
    pub topic_name: String,
    pub partitions: Vec<AlterShareGroupOffsetsRequestPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterShareGroupOffsetsRequestPartition {
    pub partition_index: i32,
    pub start_offset: i64,
}

/// The response of `AlterShareGroupOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 91, versions = "0", flexible = "0+")]
pub struct AlterShareGroupOffsetsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub responses: Vec<AlterShareGroupOffsetsResponseTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterShareGroupOffsetsResponseTopic {
    pub topic_name: String,
    pub topic_id: Uuid,
    pub partitions: Vec<AlterShareGroupOffsetsResponsePartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterShareGroupOffsetsResponsePartition {
    pub partition_index: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
}
