//! OffsetForLeaderEpoch: API key 23, versions 2-4, flexible from 4.
//!
//! Finds where a leader epoch ends, so that a consumer or follower notices records that were cut off.
//!
//! - v3: request gains `replica_id`; replica id
//! - v4: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `OffsetForLeaderEpoch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 23, versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochRequest {
    #[kafka(versions = "3+", default = "-2", ignorable)]
    pub replica_id: i32,
    pub topics: Vec<OffsetForLeaderTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetForLeaderTopic {
    pub topic: String,
    pub partitions: Vec<OffsetForLeaderPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetForLeaderPartition {
    pub partition: i32,
    /// The leader epoch the client knows, for fencing; -1 if none (KIP-320).
    #[kafka(versions = "2+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    pub leader_epoch: i32,
}

/// The response of `OffsetForLeaderEpoch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 23, versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetForLeaderTopicResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetForLeaderTopicResult {
    pub topic: String,
    pub partitions: Vec<EpochEndOffset>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct EpochEndOffset {
    pub error_code: i16,
    pub partition: i32,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub leader_epoch: i32,
    #[kafka(default = "-1")]
    pub end_offset: i64,
}
