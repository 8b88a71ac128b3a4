//! CreateTopics: API key 19, versions 2-7, flexible from 5.
//!
//! Creates topics.
//!
//! - v4: partitions and replication factor may be left to the broker (KIP-464)
//! - v5: response gains `topic_config_error_code`, `num_partitions`, `replication_factor`, `configs`; flexible form
//!   (KIP-482); the response describes the topic (KIP-525)
//! - v6: may be throttled (KIP-599)
//! - v7: response gains `topic_id`; topic ids (KIP-516)

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `CreateTopics`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 19, versions = "2-7", flexible = "5+")]
pub struct CreateTopicsRequest {
    pub topics: Vec<CreatableTopic>,
    #[kafka(default = "60000")]
    pub timeout_ms: i32,
    #[kafka(versions = "1+")]
    pub validate_only: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CreatableTopic {
    pub name: String,
    pub num_partitions: i32,
    pub replication_factor: i16,
    pub assignments: Vec<CreatableReplicaAssignment>,
    pub configs: Vec<CreatableTopicConfig>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CreatableReplicaAssignment {
    pub partition_index: i32,
    pub broker_ids: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CreatableTopicConfig {
    pub name: String,
    #[kafka(nullable = "0+")]
    pub value: Option<String>,
}

/// The response of `CreateTopics`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 19, versions = "2-7", flexible = "5+")]
pub struct CreateTopicsResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<CreatableTopicResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CreatableTopicResult {
    pub name: String,
    #[kafka(versions = "7+", ignorable)]
    pub topic_id: Uuid,
    pub error_code: i16,
    #[kafka(versions = "1+", nullable = "0+", ignorable)]
    pub error_message: Option<String>,
    #[kafka(versions = "5+", tagged = "5+", tag = 0, ignorable)]
    pub topic_config_error_code: i16,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub num_partitions: i32,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub replication_factor: i16,
    #[kafka(versions = "5+", nullable = "5+", ignorable)]
    pub configs: Option<Vec<CreatableTopicConfigs>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CreatableTopicConfigs {
    #[kafka(versions = "5+")]
    pub name: String,
    #[kafka(versions = "5+", nullable = "5+")]
    pub value: Option<String>,
    #[kafka(versions = "5+")]
    pub read_only: bool,
    /// 1: topic; 2: broker; 3: all brokers; 4: static; 5: default.
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub config_source: i8,
    /// Whether the value is a secret, and so left out.
    #[kafka(versions = "5+")]
    pub is_sensitive: bool,
}
