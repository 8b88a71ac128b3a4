//! DescribeConfigs: API key 32, versions 1-4, flexible from 4.
//!
//! - v3: request gains `include_documentation`; response gains `config_type`, `documentation`
//! - v4: flexible form

use riverrun_core_derive::Message;

/// The request of `DescribeConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 32, versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsRequest {
    pub resources: Vec<DescribeConfigsResource>,
    #[kafka(versions = "1+")]
    pub include_synonyms: bool,
    #[kafka(versions = "3+")]
    pub include_documentation: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeConfigsResource {
    pub resource_type: i8,
    pub resource_name: String,
    #[kafka(nullable = "0+")]
    pub configuration_keys: Option<Vec<String>>,
}

/// The response of `DescribeConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 32, versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<DescribeConfigsResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeConfigsResult {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub resource_type: i8,
    pub resource_name: String,
    pub configs: Vec<DescribeConfigsResourceResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeConfigsResourceResult {
    pub name: String,
    #[kafka(nullable = "0+")]
    pub value: Option<String>,
    pub read_only: bool,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub config_source: i8,
    pub is_sensitive: bool,
    #[kafka(versions = "1+", ignorable)]
    pub synonyms: Vec<DescribeConfigsSynonym>,
    #[kafka(versions = "3+", ignorable)]
    pub config_type: i8,
    #[kafka(versions = "3+", nullable = "0+", ignorable)]
    pub documentation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeConfigsSynonym {
    #[kafka(versions = "1+")]
    pub name: String,
    #[kafka(versions = "1+", nullable = "0+")]
    pub value: Option<String>,
    #[kafka(versions = "1+")]
    pub source: i8,
}
