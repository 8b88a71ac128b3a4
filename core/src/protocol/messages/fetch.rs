//! Fetch: API key 1, versions 4-18, flexible from 12.
//!
//! Reads record batches, waiting until `min_bytes` are there or `max_wait_ms` have passed. The same request serves
//! followers.
//! A session (KIP-227) lets client and broker name only the partitions that changed: id 0 with epoch -1 asks for
//! none, id 0 with epoch 0 for a new one. Batches come as they lie in the log: the first may begin before the offset
//! asked for, the last may be cut off.
//!
//! - v5: request gains `log_start_offset`; response gains `log_start_offset`
//! - v7: request gains `session_id`, `session_epoch`, `forgotten_topics_data`; response gains `error_code`,
//!   `session_id`; sessions (KIP-227)
//! - v9: request gains `current_leader_epoch`; leader epochs (KIP-320)
//! - v10: zstd (KIP-110)
//! - v11: request gains `rack_id`; response gains `preferred_read_replica`; fetching from followers (KIP-392)
//! - v12: request gains `cluster_id`, `last_fetched_epoch`; response gains `diverging_epoch`, `current_leader`,
//!   `snapshot_id`; flexible form (KIP-482); truncation detected while fetching (KIP-595)
//! - v13: request gains `topic_id`; response gains `topic_id`; topic ids instead of names (KIP-516)
//! - v14: tiered storage (KIP-405)
//! - v15: request gains `replica_state`; replica epochs (KIP-903)
//! - v16: response gains `node_endpoints`; leader hints (KIP-951)
//! - v17: request gains `replica_directory_id`; KIP-853
//! - v18: request gains `high_watermark`; KIP-1166

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
    /// Set by followers only (KIP-903).
    #[kafka(versions = "15+", tagged = "15+", tag = 1)]
    pub replica_state: ReplicaState,
    pub max_wait_ms: i32,
    /// How much must be there before the broker answers early.
    pub min_bytes: i32,
    /// How much the response may hold; the first batch comes whole even if it is larger.
    #[kafka(versions = "3+", default = "2147483647", ignorable)]
    pub max_bytes: i32,
    /// 0: all records; 1: only those of committed transactions.
    #[kafka(versions = "4+", ignorable)]
    pub isolation_level: i8,
    /// 0 outside of a session.
    #[kafka(versions = "7+", ignorable)]
    pub session_id: i32,
    /// -1: no session; 0: a new one; else the number of this request in it.
    #[kafka(versions = "7+", default = "-1", ignorable)]
    pub session_epoch: i32,
    pub topics: Vec<FetchTopic>,
    /// Partitions to drop from the session.
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
    /// The leader epoch the client knows, for fencing; -1 if none (KIP-320).
    #[kafka(versions = "9+", default = "-1", ignorable)]
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    /// Epoch of the last batch fetched, to detect truncation; -1 if none (KIP-595).
    #[kafka(versions = "12+", default = "-1")]
    pub last_fetched_epoch: i32,
    /// The follower's log start; -1 from consumers.
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
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[kafka(versions = "7+", ignorable)]
    pub error_code: i16,
    #[kafka(versions = "7+")]
    pub session_id: i32,
    pub responses: Vec<FetchableTopicResponse>,
    /// Addresses of the leaders named above (KIP-951).
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
    /// The first offset that an open transaction may still hide; `read_committed` readers stop here.
    #[kafka(versions = "4+", default = "-1", ignorable)]
    pub last_stable_offset: i64,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub log_start_offset: i64,
    /// Set if the fetcher's log has left the leader's: where their common part ends.
    #[kafka(versions = "12+", tagged = "12+", tag = 0)]
    pub diverging_epoch: EpochEndOffset,
    /// Who leads now, if it is not this broker (KIP-951).
    #[kafka(versions = "12+", tagged = "12+", tag = 1)]
    pub current_leader: LeaderIdAndEpoch,
    #[kafka(versions = "12+", tagged = "12+", tag = 2)]
    pub snapshot_id: SnapshotId,
    #[kafka(versions = "4+", nullable = "4+", ignorable)]
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// The replica to fetch from instead; -1 for the leader (KIP-392).
    #[kafka(versions = "11+", default = "-1")]
    pub preferred_read_replica: i32,
    /// Batches one after the other, the last one perhaps cut off.
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
    /// Where the aborted transaction begins in this partition.
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
