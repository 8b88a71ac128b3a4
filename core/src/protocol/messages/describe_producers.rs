//! DescribeProducers: API key 61, versions 0, flexible from 0.
//!
//! Tells which idempotent or transactional producers are active on partitions.

use riverrun_core_derive::Message;

/// The request of `DescribeProducers`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 61, versions = "0", flexible = "0+")]
pub struct DescribeProducersRequest {
    pub topics: Vec<TopicRequest>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicRequest {
    pub name: String,
    pub partition_indexes: Vec<i32>,
}

/// The response of `DescribeProducers`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 61, versions = "0", flexible = "0+")]
pub struct DescribeProducersResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub topics: Vec<TopicResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicResponse {
    pub name: String,
    pub partitions: Vec<PartitionResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionResponse {
    pub partition_index: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub active_producers: Vec<ProducerState>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ProducerState {
    pub producer_id: i64,
    pub producer_epoch: i32,
    #[kafka(default = "-1")]
    pub last_sequence: i32,
    #[kafka(default = "-1")]
    pub last_timestamp: i64,
    pub coordinator_epoch: i32,
    #[kafka(default = "-1")]
    pub current_txn_start_offset: i64,
}
