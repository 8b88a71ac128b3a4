//! ListConfigResources: API key 74, versions 0-1, flexible from 0.
//!
//! Lists the resources that have a dynamic configuration.
//!
//! - v1: request gains `resource_types`; response gains `resource_type`; KIP-1142

use riverrun_core_derive::Message;

/// The request of `ListConfigResources`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 74, versions = "0-1", flexible = "0+")]
pub struct ListConfigResourcesRequest {
    #[kafka(versions = "1+")]
    pub resource_types: Vec<i8>,
}

/// The response of `ListConfigResources`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 74, versions = "0-1", flexible = "0+")]
pub struct ListConfigResourcesResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub config_resources: Vec<ConfigResource>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ConfigResource {
    pub resource_name: String,
    #[kafka(versions = "1+", default = "16", ignorable)]
    pub resource_type: i8,
}
