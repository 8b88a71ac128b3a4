//! TxnOffsetCommit: API key 28, versions 0-5, flexible from 3.
//!
//! - v2: request gains `committed_leader_epoch`
//! - v3: request gains `generation_id`, `member_id`, `group_instance_id`; flexible form

use riverrun_core_derive::Message;

/// The request of `TxnOffsetCommit`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 28, versions = "0-5", flexible = "3+")]
pub struct TxnOffsetCommitRequest {
    pub transactional_id: String,
    pub group_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    #[kafka(versions = "3+", default = "-1")]
    pub generation_id: i32,
    #[kafka(versions = "3+")]
    pub member_id: String,
    #[kafka(versions = "3+", nullable = "3+", default = "null")]
    pub group_instance_id: Option<String>,
    pub topics: Vec<TxnOffsetCommitRequestTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TxnOffsetCommitRequestTopic {
    pub name: String,
    pub partitions: Vec<TxnOffsetCommitRequestPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TxnOffsetCommitRequestPartition {
    pub partition_index: i32,
    pub committed_offset: i64,
    #[kafka(versions = "2+", default = "-1", ignorable)]
    pub committed_leader_epoch: i32,
    #[kafka(nullable = "0+")]
    pub committed_metadata: Option<String>,
}

/// The response of `TxnOffsetCommit`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 28, versions = "0-5", flexible = "3+")]
pub struct TxnOffsetCommitResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<TxnOffsetCommitResponseTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TxnOffsetCommitResponseTopic {
    pub name: String,
    pub partitions: Vec<TxnOffsetCommitResponsePartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TxnOffsetCommitResponsePartition {
    pub partition_index: i32,
    pub error_code: i16,
}
