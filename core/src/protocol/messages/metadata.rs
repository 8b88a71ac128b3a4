//! Metadata: API key 3, versions 0-13, flexible from 9.
//!
//! - v1: response gains `rack`, `controller_id`, `is_internal`
//! - v2: response gains `cluster_id`
//! - v3: response gains `throttle_time_ms`
//! - v4: request gains `allow_auto_topic_creation`
//! - v5: response gains `offline_replicas`
//! - v7: response gains `leader_epoch`
//! - v8: request gains `include_cluster_authorized_operations`, `include_topic_authorized_operations`; response gains
//!   `topic_authorized_operations`, `cluster_authorized_operations`
//! - v9: flexible form
//! - v10: request gains `topic_id`; response gains `topic_id`
//! - v13: response gains `error_code`

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `Metadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 3, versions = "0-13", flexible = "9+")]
pub struct MetadataRequest {
    #[kafka(nullable = "1+")]
    pub topics: Option<Vec<MetadataRequestTopic>>,
    #[kafka(versions = "4+", default = "true")]
    pub allow_auto_topic_creation: bool,
    #[kafka(versions = "8-10")]
    pub include_cluster_authorized_operations: bool,
    #[kafka(versions = "8+")]
    pub include_topic_authorized_operations: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct MetadataRequestTopic {
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    #[kafka(nullable = "10+")]
    pub name: Option<String>,
}

/// The response of `Metadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 3, versions = "0-13", flexible = "9+")]
pub struct MetadataResponse {
    #[kafka(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    pub brokers: Vec<MetadataResponseBroker>,
    #[kafka(versions = "2+", nullable = "2+", default = "null", ignorable)]
    pub cluster_id: Option<String>,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub controller_id: i32,
    pub topics: Vec<MetadataResponseTopic>,
    #[kafka(versions = "8-10", default = "-2147483648")]
    pub cluster_authorized_operations: i32,
    #[kafka(versions = "13+", ignorable)]
    pub error_code: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct MetadataResponseBroker {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
    #[kafka(versions = "1+", nullable = "1+", default = "null", ignorable)]
    pub rack: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct MetadataResponseTopic {
    pub error_code: i16,
    #[kafka(nullable = "12+")]
    pub name: Option<String>,
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    #[kafka(versions = "1+", ignorable)]
    pub is_internal: bool,
    pub partitions: Vec<MetadataResponsePartition>,
    #[kafka(versions = "8+", default = "-2147483648")]
    pub topic_authorized_operations: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct MetadataResponsePartition {
    pub error_code: i16,
    pub partition_index: i32,
    pub leader_id: i32,
    #[kafka(versions = "7+", default = "-1", ignorable)]
    pub leader_epoch: i32,
    pub replica_nodes: Vec<i32>,
    pub isr_nodes: Vec<i32>,
    #[kafka(versions = "5+", ignorable)]
    pub offline_replicas: Vec<i32>,
}
