//! ElectLeaders: API key 43, versions 0-2, flexible from 2.
//!
//! Elects leaders of partitions; null partitions stand for all.
//!
//! - v1: request gains `election_type`; response gains `error_code`; KIP-460
//! - v2: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `ElectLeaders`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 43, versions = "0-2", flexible = "2+")]
pub struct ElectLeadersRequest {
    /// 0: preferred leader; 1: unclean.
    #[kafka(versions = "1+")]
    pub election_type: i8,
    #[kafka(nullable = "0+")]
    pub topic_partitions: Option<Vec<TopicPartitions>>,
    #[kafka(default = "60000")]
    pub timeout_ms: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic: String,
    pub partitions: Vec<i32>,
}

/// The response of `ElectLeaders`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 43, versions = "0-2", flexible = "2+")]
pub struct ElectLeadersResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    #[kafka(versions = "1+")]
    pub error_code: i16,
    pub replica_election_results: Vec<ReplicaElectionResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReplicaElectionResult {
    pub topic: String,
    pub partition_result: Vec<PartitionResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionResult {
    pub partition_id: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
}
