//! OffsetFetch: API key 9, versions 1-10, flexible from 6.
//!
//! Reads the offsets a group has stored; null topics stand for all. From version 8 one request asks for several
//! groups.
//!
//! - v2: response gains `error_code`
//! - v3: response gains `throttle_time_ms`
//! - v5: response gains `committed_leader_epoch`; leader epochs (KIP-320)
//! - v6: flexible form (KIP-482)
//! - v7: request gains `require_stable`; offsets of open transactions (KIP-447)
//! - v8: request gains `groups`; response gains `groups`; several groups (KIP-709)
//! - v9: request gains `member_id`, `member_epoch`; new consumer protocol (KIP-848)
//! - v10: request gains `topic_id`; response gains `topic_id`; topic ids instead of names (KIP-848)

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `OffsetFetch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 9, versions = "1-10", flexible = "6+")]
pub struct OffsetFetchRequest {
    #[kafka(versions = "0-7")]
    pub group_id: String,
    #[kafka(versions = "0-7", nullable = "2-7")]
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    #[kafka(versions = "8+")]
    pub groups: Vec<OffsetFetchRequestGroup>,
    /// Ask for an error where an open transaction has offsets pending (KIP-447).
    #[kafka(versions = "7+")]
    pub require_stable: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchRequestTopic {
    #[kafka(versions = "0-7")]
    pub name: String,
    #[kafka(versions = "0-7")]
    pub partition_indexes: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchRequestGroup {
    #[kafka(versions = "8+")]
    pub group_id: String,
    #[kafka(versions = "9+", nullable = "9+", default = "null", ignorable)]
    pub member_id: Option<String>,
    /// The epoch of the member in the new consumer protocol (KIP-848).
    #[kafka(versions = "9+", default = "-1", ignorable)]
    pub member_epoch: i32,
    #[kafka(versions = "8+", nullable = "8+")]
    pub topics: Option<Vec<OffsetFetchRequestTopics>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchRequestTopics {
    #[kafka(versions = "8-9", ignorable)]
    pub name: String,
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    #[kafka(versions = "8+")]
    pub partition_indexes: Vec<i32>,
}

/// The response of `OffsetFetch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 9, versions = "1-10", flexible = "6+")]
pub struct OffsetFetchResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    #[kafka(versions = "0-7")]
    pub topics: Vec<OffsetFetchResponseTopic>,
    /// Of the whole request, versions 2-7; version 8 has one for each group.
    #[kafka(versions = "2-7", ignorable)]
    pub error_code: i16,
    #[kafka(versions = "8+")]
    pub groups: Vec<OffsetFetchResponseGroup>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchResponseTopic {
    #[kafka(versions = "0-7")]
    pub name: String,
    #[kafka(versions = "0-7")]
    pub partitions: Vec<OffsetFetchResponsePartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchResponsePartition {
    #[kafka(versions = "0-7")]
    pub partition_index: i32,
    #[kafka(versions = "0-7")]
    pub committed_offset: i64,
    #[kafka(versions = "5-7", default = "-1", ignorable)]
    pub committed_leader_epoch: i32,
    #[kafka(versions = "0-7", nullable = "0-7")]
    pub metadata: Option<String>,
    #[kafka(versions = "0-7")]
    pub error_code: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchResponseGroup {
    #[kafka(versions = "8+")]
    pub group_id: String,
    #[kafka(versions = "8+")]
    pub topics: Vec<OffsetFetchResponseTopics>,
    #[kafka(versions = "8+")]
    pub error_code: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchResponseTopics {
    #[kafka(versions = "8-9", ignorable)]
    pub name: String,
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    #[kafka(versions = "8+")]
    pub partitions: Vec<OffsetFetchResponsePartitions>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OffsetFetchResponsePartitions {
    #[kafka(versions = "8+")]
    pub partition_index: i32,
    #[kafka(versions = "8+")]
    pub committed_offset: i64,
    #[kafka(versions = "8+", default = "-1", ignorable)]
    pub committed_leader_epoch: i32,
    #[kafka(versions = "8+", nullable = "8+")]
    pub metadata: Option<String>,
    #[kafka(versions = "8+")]
    pub error_code: i16,
}
