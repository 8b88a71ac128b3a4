//! IncrementalAlterConfigs: API key 44, versions 0-1, flexible from 1.
//!
//! Sets, deletes, appends to or subtracts from single configuration values.
//!
//! - v1: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `IncrementalAlterConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 44, versions = "0-1", flexible = "1+")]
pub struct IncrementalAlterConfigsRequest {
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
    /// 0: set; 1: delete; 2: append; 3: subtract.
    pub config_operation: i8,
    #[kafka(nullable = "0+")]
    pub value: Option<String>,
}

/// The response of `IncrementalAlterConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 44, versions = "0-1", flexible = "1+")]
pub struct IncrementalAlterConfigsResponse {
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
