//! AlterConfigs: API key 33, versions 0-2, flexible from 2.
//!
//! Replaces the whole dynamic configuration of a resource; values not named are reset. See IncrementalAlterConfigs
//! for single values.
//!
//! - v2: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `AlterConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 33, versions = "0-2", flexible = "2+")]
pub struct AlterConfigsRequest {
    pub resources: Vec<AlterConfigsResource>,
    pub validate_only: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterConfigsResource {
    pub resource_type: i8,
    pub resource_name: String,
    pub configs: Vec<AlterableConfig>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterableConfig {
    pub name: String,
    #[kafka(nullable = "0+")]
    pub value: Option<String>,
}

/// The response of `AlterConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 33, versions = "0-2", flexible = "2+")]
pub struct AlterConfigsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub responses: Vec<AlterConfigsResourceResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterConfigsResourceResponse {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub resource_type: i8,
    pub resource_name: String,
}
