//! OffsetCommit: API key 8, versions 2-10, flexible from 8.
//!
//! Stores the offsets a group has consumed.
//!
//! - v3: response gains `throttle_time_ms`
//! - v6: request gains `committed_leader_epoch`; leader epochs (KIP-320)
//! - v7: request gains `group_instance_id`; static members (KIP-345)
//! - v8: flexible form (KIP-482)
//! - v9: new consumer protocol (KIP-848)
//! - v10: request gains `topic_id`; response gains `topic_id`; topic ids instead of names (KIP-848)

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `OffsetCommit`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 8, versions = "2-10", flexible = "8+")]
pub struct OffsetCommitRequest {
    pub group_id: String,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub generation_id_or_member_epoch: i32,
    #[kafka(versions = "1+", ignorable)]
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "7+", nullable = "7+", default = "null")]
    pub group_instance_id: Option<String>,
    /// How long to keep the offset; -1 leaves it to the broker.
    #[kafka(versions = "2-4", default = "-1", ignorable)]
    pub retention_time_ms: i64,
    pub topics: Vec<OffsetCommitRequestTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetCommitRequestTopic {
    #[kafka(versions = "0-9", ignorable)]
    pub name: String,
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitRequestPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetCommitRequestPartition {
    pub partition_index: i32,
    pub committed_offset: i64,
    #[kafka(versions = "6+", default = "-1", ignorable)]
    pub committed_leader_epoch: i32,
    /// Free text the client has stored with the offset.
    #[kafka(nullable = "0+")]
    pub committed_metadata: Option<String>,
}

/// The response of `OffsetCommit`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 8, versions = "2-10", flexible = "8+")]
pub struct OffsetCommitResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetCommitResponseTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetCommitResponseTopic {
    #[kafka(versions = "0-9", ignorable)]
    pub name: String,
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitResponsePartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetCommitResponsePartition {
    pub partition_index: i32,
    pub error_code: i16,
}
