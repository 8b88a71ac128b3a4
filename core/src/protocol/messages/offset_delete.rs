//! OffsetDelete: API key 47, versions 0, never flexible.
//!
//! Deletes the stored offsets of a group. Never in flexible form.

use riverrun_core_derive::Message;

/// The request of `OffsetDelete`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 47, versions = "0", flexible = "none")]
pub struct OffsetDeleteRequest {
    pub group_id: String,
    pub topics: Vec<OffsetDeleteRequestTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetDeleteRequestTopic {
    pub name: String,
    pub partitions: Vec<OffsetDeleteRequestPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetDeleteRequestPartition {
    pub partition_index: i32,
}

/// The response of `OffsetDelete`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 47, versions = "0", flexible = "none")]
pub struct OffsetDeleteResponse {
    pub error_code: i16,
    /// How long the client should wait for the sake of a quota.
    #[kafka(ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetDeleteResponseTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetDeleteResponseTopic {
    pub name: String,
    pub partitions: Vec<OffsetDeleteResponsePartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetDeleteResponsePartition {
    pub partition_index: i32,
    pub error_code: i16,
}
