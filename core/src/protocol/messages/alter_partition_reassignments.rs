//! AlterPartitionReassignments: API key 45, versions 0-1, flexible from 0.
//!
//! Moves partitions to other replicas, or cancels that (null replicas).
//!
//! - v1: request gains `allow_replication_factor_change`; response gains `allow_replication_factor_change`; KIP-860

use riverrun_core_derive::Message;

/// The request of `AlterPartitionReassignments`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 45, versions = "0-1", flexible = "0+")]
pub struct AlterPartitionReassignmentsRequest {
    #[kafka(default = "60000")]
    pub timeout_ms: i32,
    #[kafka(versions = "1+", default = "true")]
    pub allow_replication_factor_change: bool,
    pub topics: Vec<ReassignableTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReassignableTopic {
    pub name: String,
    pub partitions: Vec<ReassignablePartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReassignablePartition {
    pub partition_index: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub replicas: Option<Vec<i32>>,
}

/// The response of `AlterPartitionReassignments`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 45, versions = "0-1", flexible = "0+")]
pub struct AlterPartitionReassignmentsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    #[kafka(versions = "1+", default = "true", ignorable)]
    pub allow_replication_factor_change: bool,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub responses: Vec<ReassignableTopicResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReassignableTopicResponse {
    pub name: String,
    pub partitions: Vec<ReassignablePartitionResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReassignablePartitionResponse {
    pub partition_index: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
}
