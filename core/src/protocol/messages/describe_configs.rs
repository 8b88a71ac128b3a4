//! DescribeConfigs: API key 32, versions 1-4, flexible from 4.
//!
//! Reads the configuration of topics, brokers and other resources.
//!
//! - v3: request gains `include_documentation`; response gains `config_type`, `documentation`; documentation and type
//!   (KIP-569)
//! - v4: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `DescribeConfigs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 32, versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsRequest {
    pub resources: Vec<DescribeConfigsResource>,
    /// Whether to list all sources of a value, in order of precedence.
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
    /// How long the client should wait for the sake of a quota.
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
    /// 1: topic; 2: broker; 3: all brokers; 4: static; 5: default.
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub config_source: i8,
    /// Whether the value is a secret, and so left out.
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
