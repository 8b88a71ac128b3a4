//! TxnOffsetCommit: API key 28, versions 0-5, flexible from 3.
//!
//! Stores a group's offsets as part of a transaction.
//!
//! - v2: request gains `committed_leader_epoch`; leader epochs (KIP-320)
//! - v3: request gains `generation_id`, `member_id`, `group_instance_id`; flexible form (KIP-482); member and
//!   generation (KIP-447)
//! - v4: transactions may end with TRANSACTION_ABORTABLE (KIP-890)
//! - v5: groups join a transaction by this request (KIP-890)

use riverrun_core_derive::Message;

/// The request of `TxnOffsetCommit`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 28, versions = "0-5", flexible = "3+")]
pub struct TxnOffsetCommitRequest {
    pub transactional_id: String,
    pub group_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// The generation of the group; -1 outside of a group.
    #[kafka(versions = "3+", default = "-1")]
    pub generation_id: i32,
    #[kafka(versions = "3+")]
    pub member_id: String,
    /// The name of a static member (KIP-345).
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
    /// Free text the client has stored with the offset.
    #[kafka(nullable = "0+")]
    pub committed_metadata: Option<String>,
}

/// The response of `TxnOffsetCommit`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 28, versions = "0-5", flexible = "3+")]
pub struct TxnOffsetCommitResponse {
    /// How long the client should wait for the sake of a quota.
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
