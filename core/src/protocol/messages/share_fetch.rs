//! ShareFetch: API key 78, versions 1-2, flexible from 0.
//!
//! Acquires records for a member of a share group, and acknowledges those acquired before in the same round trip
//! (KIP-932). Like Fetch it has sessions, one for each member and broker; epoch 0 opens one, -1 closes it.
//!
//! - v2: request gains `share_acquire_mode`, `is_renew_ack`

use bytes::Bytes;
use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ShareFetch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 78, versions = "1-2", flexible = "0+")]
pub struct ShareFetchRequest {
    #[kafka(nullable = "0+", default = "null")]
    pub group_id: Option<String>,
    #[kafka(nullable = "0+")]
    pub member_id: Option<String>,
    /// 0 opens a session, -1 closes it; else the number of this request in it.
    pub share_session_epoch: i32,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    #[kafka(default = "2147483647")]
    pub max_bytes: i32,
    #[kafka(versions = "1+")]
    pub max_records: i32,
    #[kafka(versions = "1+")]
    pub batch_size: i32,
    /// 0: whole batches; 1: no more records than `max_records`.
    #[kafka(versions = "2+", ignorable)]
    pub share_acquire_mode: i8,
    #[kafka(versions = "2+")]
    pub is_renew_ack: bool,
    pub topics: Vec<FetchTopic>,
    pub forgotten_topics_data: Vec<ForgottenTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct FetchTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<FetchPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct FetchPartition {
    pub partition_index: i32,
    #[kafka(versions = "0")]
    pub partition_max_bytes: i32,
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AcknowledgementBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    /// 0: gap; 1: accept; 2: release; 3: reject; 4: renew. One for all offsets, or one for each.
    pub acknowledge_types: Vec<i8>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ForgottenTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The response of `ShareFetch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 78, versions = "1-2", flexible = "0+")]
pub struct ShareFetchResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[kafka(versions = "1+")]
    pub acquisition_lock_timeout_ms: i32,
    pub responses: Vec<ShareFetchableTopicResponse>,
    pub node_endpoints: Vec<NodeEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ShareFetchableTopicResponse {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub acknowledge_error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub acknowledge_error_message: Option<String>,
    pub current_leader: LeaderIdAndEpoch,
    #[kafka(nullable = "0", records)]
    pub records: Option<Bytes>,
    pub acquired_records: Vec<AcquiredRecords>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AcquiredRecords {
    pub first_offset: i64,
    pub last_offset: i64,
    pub delivery_count: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct NodeEndpoint {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub rack: Option<String>,
}
