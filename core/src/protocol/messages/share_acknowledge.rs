//! ShareAcknowledge: API key 79, versions 1-2, flexible from 0.
//!
//! Acknowledges acquired records without fetching more (KIP-932). It takes part in the share session of ShareFetch.
//!
//! - v2: request gains `is_renew_ack`; response gains `acquisition_lock_timeout_ms`

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ShareAcknowledge`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 79, versions = "1-2", flexible = "0+")]
pub struct ShareAcknowledgeRequest {
    #[kafka(nullable = "0+", default = "null")]
    pub group_id: Option<String>,
    #[kafka(nullable = "0+")]
    pub member_id: Option<String>,
    /// 0 opens a session, -1 closes it; else the number of this request in it.
    pub share_session_epoch: i32,
    #[kafka(versions = "2+")]
    pub is_renew_ack: bool,
    pub topics: Vec<AcknowledgeTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AcknowledgeTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<AcknowledgePartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AcknowledgePartition {
    pub partition_index: i32,
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AcknowledgementBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    /// 0: gap; 1: accept; 2: release; 3: reject; 4: renew. One for all offsets, or one for each.
    pub acknowledge_types: Vec<i8>,
}

/// The response of `ShareAcknowledge`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 79, versions = "1-2", flexible = "0+")]
pub struct ShareAcknowledgeResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[kafka(versions = "2+", ignorable)]
    pub acquisition_lock_timeout_ms: i32,
    pub responses: Vec<ShareAcknowledgeTopicResponse>,
    pub node_endpoints: Vec<NodeEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ShareAcknowledgeTopicResponse {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub current_leader: LeaderIdAndEpoch,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct NodeEndpoint {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub rack: Option<String>,
}
