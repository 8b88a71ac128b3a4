//! Fetch: API key 1, versions 4-18, flexible from 12.
//!
//! - v5: request gains `log_start_offset`; response gains `log_start_offset`
//! - v7: request gains `session_id`, `session_epoch`, `forgotten_topics_data`; response gains `error_code`,
//!   `session_id`
//! - v9: request gains `current_leader_epoch`
//! - v11: request gains `rack_id`; response gains `preferred_read_replica`
//! - v12: request gains `cluster_id`, `last_fetched_epoch`; response gains `diverging_epoch`, `current_leader`,
//!   `snapshot_id`; flexible form
//! - v13: request gains `topic_id`; response gains `topic_id`
//! - v15: request gains `replica_state`
//! - v16: response gains `node_endpoints`
//! - v17: request gains `replica_directory_id`
//! - v18: request gains `high_watermark`

use bytes::Bytes;
use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `Fetch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 1, versions = "4-18", flexible = "12+")]
pub struct FetchRequest {
    #[kafka(versions = "12+", nullable = "12+", tagged = "12+", tag = 0, default = "null", ignorable)]
    pub cluster_id: Option<String>,
    #[kafka(versions = "0-14", default = "-1")]
    pub replica_id: i32,
    #[kafka(versions = "15+", tagged = "15+", tag = 1)]
    pub replica_state: ReplicaState,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    #[kafka(versions = "3+", default = "2147483647", ignorable)]
    pub max_bytes: i32,
    #[kafka(versions = "4+", ignorable)]
    pub isolation_level: i8,
    #[kafka(versions = "7+", ignorable)]
    pub session_id: i32,
    #[kafka(versions = "7+", default = "-1", ignorable)]
    pub session_epoch: i32,
    pub topics: Vec<FetchTopic>,
    #[kafka(versions = "7+")]
    pub forgotten_topics_data: Vec<ForgottenTopic>,
    #[kafka(versions = "11+", ignorable)]
    pub rack_id: String,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReplicaState {
    #[kafka(versions = "15+", default = "-1")]
    pub replica_id: i32,
    #[kafka(versions = "15+", default = "-1")]
    pub replica_epoch: i64,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct FetchTopic {
    #[kafka(versions = "0-12", ignorable)]
    pub topic: String,
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<FetchPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct FetchPartition {
    pub partition: i32,
    #[kafka(versions = "9+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    #[kafka(versions = "12+", default = "-1")]
    pub last_fetched_epoch: i32,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub log_start_offset: i64,
    pub partition_max_bytes: i32,
    #[kafka(versions = "17+", tagged = "17+", tag = 0, ignorable)]
    pub replica_directory_id: Uuid,
    #[kafka(versions = "18+", tagged = "18+", tag = 1, default = "9223372036854775807", ignorable)]
    pub high_watermark: i64,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ForgottenTopic {
    #[kafka(versions = "7-12", ignorable)]
    pub topic: String,
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    #[kafka(versions = "7+")]
    pub partitions: Vec<i32>,
}

/// The response of `Fetch`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 1, versions = "4-18", flexible = "12+")]
pub struct FetchResponse {
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[kafka(versions = "7+", ignorable)]
    pub error_code: i16,
    #[kafka(versions = "7+")]
    pub session_id: i32,
    pub responses: Vec<FetchableTopicResponse>,
    #[kafka(versions = "16+", tagged = "16+", tag = 0)]
    pub node_endpoints: Vec<NodeEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct FetchableTopicResponse {
    #[kafka(versions = "0-12", ignorable)]
    pub topic: String,
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    #[kafka(versions = "4+", default = "-1", ignorable)]
    pub last_stable_offset: i64,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub log_start_offset: i64,
    #[kafka(versions = "12+", tagged = "12+", tag = 0)]
    pub diverging_epoch: EpochEndOffset,
    #[kafka(versions = "12+", tagged = "12+", tag = 1)]
    pub current_leader: LeaderIdAndEpoch,
    #[kafka(versions = "12+", tagged = "12+", tag = 2)]
    pub snapshot_id: SnapshotId,
    #[kafka(versions = "4+", nullable = "4+", ignorable)]
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    #[kafka(versions = "11+", default = "-1")]
    pub preferred_read_replica: i32,
    #[kafka(nullable = "0+", records)]
    pub records: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct EpochEndOffset {
    #[kafka(versions = "12+", default = "-1")]
    pub epoch: i32,
    #[kafka(versions = "12+", default = "-1")]
    pub end_offset: i64,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    #[kafka(versions = "12+", default = "-1")]
    pub leader_id: i32,
    #[kafka(versions = "12+", default = "-1")]
    pub leader_epoch: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct SnapshotId {
    #[kafka(default = "-1")]
    pub end_offset: i64,
    #[kafka(default = "-1")]
    pub epoch: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AbortedTransaction {
    #[kafka(versions = "4+")]
    pub producer_id: i64,
    #[kafka(versions = "4+")]
    pub first_offset: i64,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct NodeEndpoint {
    #[kafka(versions = "16+")]
    pub node_id: i32,
    #[kafka(versions = "16+")]
    pub host: String,
    #[kafka(versions = "16+")]
    pub port: i32,
    #[kafka(versions = "16+", nullable = "16+", default = "null")]
    pub rack: Option<String>,
}
