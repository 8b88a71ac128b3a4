//! IncrementalAlterConfigs: API key 44, versions 0-1, flexible from 1.
//!
//! - v1: flexible form

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
    pub config_operation: i8,
    #[kafka(nullable = "0+")]
    pub value: Option<String>,
}

/// The response of `IncrementalAlterConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 44, versions = "0-1", flexible = "1+")]
pub struct IncrementalAlterConfigsResponse {
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
