//! Produce: API key 0, versions 3-13, flexible from 9.
//!
//! Appends record batches to partitions. With acks 0 the broker sends no response at all.
//! Versions 0-2 carried older record formats and cannot be read, yet a broker announces them, see
//! [`advertised_versions`](crate::protocol::advertised_versions).
//!
//! - v5: response gains `log_start_offset`
//! - v7: zstd (KIP-110)
//! - v8: response gains `record_errors`, `error_message`; errors of single records (KIP-467)
//! - v9: flexible form (KIP-482)
//! - v10: response gains `current_leader`, `node_endpoints`; leader hints (KIP-951)
//! - v11: transactions may end with TRANSACTION_ABORTABLE (KIP-890)
//! - v12: partitions join a transaction by being written to (KIP-890)
//! - v13: request gains `topic_id`; response gains `topic_id`; topic ids instead of names (KIP-516)

use bytes::Bytes;
use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `Produce`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 0, versions = "3-13", flexible = "9+")]
pub struct ProduceRequest {
    #[kafka(versions = "3+", nullable = "3+", default = "null")]
    pub transactional_id: Option<String>,
    /// 0: no response; 1: once the leader has the records; -1: once all in-sync replicas have them.
    pub acks: i16,
    pub timeout_ms: i32,
    pub topic_data: Vec<TopicProduceData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicProduceData {
    #[kafka(versions = "0-12", ignorable)]
    pub name: String,
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partition_data: Vec<PartitionProduceData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionProduceData {
    pub index: i32,
    /// Exactly one batch of format 2.
    #[kafka(nullable = "0+", records)]
    pub records: Option<Bytes>,
}

/// The response of `Produce`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 0, versions = "3-13", flexible = "9+")]
pub struct ProduceResponse {
    pub responses: Vec<TopicProduceResponse>,
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// Addresses of the leaders named above (KIP-951).
    #[kafka(versions = "10+", tagged = "10+", tag = 0)]
    pub node_endpoints: Vec<NodeEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicProduceResponse {
    #[kafka(versions = "0-12", ignorable)]
    pub name: String,
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    pub partition_responses: Vec<PartitionProduceResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionProduceResponse {
    pub index: i32,
    pub error_code: i16,
    pub base_offset: i64,
    /// The timestamp the broker gave the batch; -1 if it kept the producer's.
    #[kafka(versions = "2+", default = "-1", ignorable)]
    pub log_append_time_ms: i64,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub log_start_offset: i64,
    #[kafka(versions = "8+", ignorable)]
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    #[kafka(versions = "8+", nullable = "8+", default = "null", ignorable)]
    pub error_message: Option<String>,
    /// Who leads now, if it is not this broker (KIP-951).
    #[kafka(versions = "10+", tagged = "10+", tag = 0)]
    pub current_leader: LeaderIdAndEpoch,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct BatchIndexAndErrorMessage {
    #[kafka(versions = "8+")]
    pub batch_index: i32,
    #[kafka(versions = "8+", nullable = "8+", default = "null")]
    pub batch_index_error_message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    #[kafka(versions = "10+", default = "-1")]
    pub leader_id: i32,
    #[kafka(versions = "10+", default = "-1")]
    pub leader_epoch: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct NodeEndpoint {
    #[kafka(versions = "10+")]
    pub node_id: i32,
    #[kafka(versions = "10+")]
    pub host: String,
    #[kafka(versions = "10+")]
    pub port: i32,
    #[kafka(versions = "10+", nullable = "10+", default = "null")]
    pub rack: Option<String>,
}
