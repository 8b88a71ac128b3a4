//! ApiVersions: API key 18, versions 0-4, flexible from 3.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `client_software_name`, `client_software_version`; response gains `supported_features`,
//!   `finalized_features_epoch`, `finalized_features`, `zk_migration_ready`; flexible form

use riverrun_core_derive::Message;

/// The request of `ApiVersions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 18, versions = "0-4", flexible = "3+")]
pub struct ApiVersionsRequest {
    #[kafka(versions = "3+", ignorable)]
    pub client_software_name: String,
    #[kafka(versions = "3+", ignorable)]
    pub client_software_version: String,
}

/// The response of `ApiVersions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 18, versions = "0-4", flexible = "3+")]
pub struct ApiVersionsResponse {
    pub error_code: i16,
    pub api_keys: Vec<ApiVersion>,
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[kafka(versions = "3+", tagged = "3+", tag = 0, ignorable)]
    pub supported_features: Vec<SupportedFeatureKey>,
    #[kafka(versions = "3+", tagged = "3+", tag = 1, default = "-1", ignorable)]
    pub finalized_features_epoch: i64,
    #[kafka(versions = "3+", tagged = "3+", tag = 2, ignorable)]
    pub finalized_features: Vec<FinalizedFeatureKey>,
    #[kafka(versions = "3+", tagged = "3+", tag = 3, ignorable)]
    pub zk_migration_ready: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ApiVersion {
    pub api_key: i16,
    pub min_version: i16,
    pub max_version: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct SupportedFeatureKey {
    #[kafka(versions = "3+")]
    pub name: String,
    #[kafka(versions = "3+")]
    pub min_version: i16,
    #[kafka(versions = "3+")]
    pub max_version: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct FinalizedFeatureKey {
    #[kafka(versions = "3+")]
    pub name: String,
    #[kafka(versions = "3+")]
    pub max_version_level: i16,
    #[kafka(versions = "3+")]
    pub min_version_level: i16,
}
