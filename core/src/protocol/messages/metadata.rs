//! Metadata: API key 3, versions 0-13, flexible from 9.
//!
//! Tells which brokers, topics and partitions there are and who leads them. From version 1 null topics stand for all
//! and an empty list for none; version 0 has an empty list for all.
//!
//! - v1: response gains `rack`, `controller_id`, `is_internal`
//! - v2: response gains `cluster_id`
//! - v3: response gains `throttle_time_ms`
//! - v4: request gains `allow_auto_topic_creation`
//! - v5: response gains `offline_replicas`
//! - v7: response gains `leader_epoch`; leader epochs (KIP-320)
//! - v8: request gains `include_cluster_authorized_operations`, `include_topic_authorized_operations`; response gains
//!   `topic_authorized_operations`, `cluster_authorized_operations`; authorized operations (KIP-430)
//! - v9: flexible form (KIP-482)
//! - v10: request gains `topic_id`; response gains `topic_id`; topic ids (KIP-516)
//! - v11: cluster operations are left to DescribeCluster (KIP-700)
//! - v12: topics by id alone
//! - v13: response gains `error_code`; may ask to bootstrap again (KIP-1102)

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `Metadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 3, versions = "0-13", flexible = "9+")]
pub struct MetadataRequest {
    /// Null for all topics; an empty list for none (in version 0: for all).
    #[kafka(nullable = "1+")]
    pub topics: Option<Vec<MetadataRequestTopic>>,
    /// Whether the broker may create a topic that does not exist.
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
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    pub brokers: Vec<MetadataResponseBroker>,
    #[kafka(versions = "2+", nullable = "2+", default = "null", ignorable)]
    pub cluster_id: Option<String>,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub controller_id: i32,
    pub topics: Vec<MetadataResponseTopic>,
    /// Bit set of what the client may do; `i32::MIN` if it was not asked for (KIP-430).
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
    /// Bit set of what the client may do; `i32::MIN` if it was not asked for (KIP-430).
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
