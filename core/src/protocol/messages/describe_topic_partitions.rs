//! DescribeTopicPartitions: API key 75, versions 0, flexible from 0.
//!
//! Like Metadata for topics, page by page (KIP-966).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `DescribeTopicPartitions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 75, versions = "0", flexible = "0+")]
pub struct DescribeTopicPartitionsRequest {
    pub topics: Vec<TopicRequest>,
    #[kafka(default = "2000")]
    pub response_partition_limit: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub cursor: Option<Cursor>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicRequest {
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Cursor {
    pub topic_name: String,
    pub partition_index: i32,
}

/// The response of `DescribeTopicPartitions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 75, versions = "0", flexible = "0+")]
pub struct DescribeTopicPartitionsResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
    #[kafka(nullable = "0+", default = "null")]
    pub next_cursor: Option<CursorResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeTopicPartitionsResponseTopic {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub name: Option<String>,
    #[kafka(ignorable)]
    pub topic_id: Uuid,
    #[kafka(ignorable)]
    pub is_internal: bool,
    pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    /// Bit set of what the client may do; `i32::MIN` if it was not asked for (KIP-430).
    #[kafka(default = "-2147483648")]
    pub topic_authorized_operations: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeTopicPartitionsResponsePartition {
    pub error_code: i16,
    pub partition_index: i32,
    pub leader_id: i32,
    #[kafka(default = "-1", ignorable)]
    pub leader_epoch: i32,
    pub replica_nodes: Vec<i32>,
    pub isr_nodes: Vec<i32>,
    /// Replicas outside the in-sync set that have all committed records (KIP-966).
    #[kafka(nullable = "0+", default = "null")]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// Who was eligible when last known (KIP-966).
    #[kafka(nullable = "0+", default = "null")]
    pub last_known_elr: Option<Vec<i32>>,
    #[kafka(ignorable)]
    pub offline_replicas: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "Cursor")]
pub struct CursorResponse {
    pub topic_name: String,
    pub partition_index: i32,
}
