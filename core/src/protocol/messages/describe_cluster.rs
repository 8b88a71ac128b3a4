//! DescribeCluster: API key 60, versions 0-2, flexible from 0.
//!
//! Tells which brokers, or controllers, a cluster has.
//!
//! - v1: request gains `endpoint_type`; response gains `endpoint_type`; controllers (KIP-919)
//! - v2: request gains `include_fenced_brokers`; response gains `is_fenced`; fenced brokers (KIP-1073)

use riverrun_core_derive::Message;

/// The request of `DescribeCluster`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 60, versions = "0-2", flexible = "0+")]
pub struct DescribeClusterRequest {
    pub include_cluster_authorized_operations: bool,
    /// 1: brokers; 2: controllers.
    #[kafka(versions = "1+", default = "1")]
    pub endpoint_type: i8,
    #[kafka(versions = "2+")]
    pub include_fenced_brokers: bool,
}

/// The response of `DescribeCluster`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 60, versions = "0-2", flexible = "0+")]
pub struct DescribeClusterResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    /// 1: brokers; 2: controllers.
    #[kafka(versions = "1+", default = "1")]
    pub endpoint_type: i8,
    pub cluster_id: String,
    #[kafka(default = "-1")]
    pub controller_id: i32,
    pub brokers: Vec<DescribeClusterBroker>,
    /// Bit set of what the client may do; `i32::MIN` if it was not asked for (KIP-430).
    #[kafka(default = "-2147483648")]
    pub cluster_authorized_operations: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeClusterBroker {
    pub broker_id: i32,
    pub host: String,
    pub port: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub rack: Option<String>,
    #[kafka(versions = "2+")]
    pub is_fenced: bool,
}
