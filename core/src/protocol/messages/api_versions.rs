//! ApiVersions: API key 18, versions 0-4, flexible from 3.
//!
//! Tells which APIs and versions a broker speaks, before anything else on a connection and before authentication.
//! The response always has header version 0. A broker that does not know the version asked for answers in version 0
//! with error 35 (KIP-511).
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `client_software_name`, `client_software_version`; response gains `supported_features`,
//!   `finalized_features_epoch`, `finalized_features`, `zk_migration_ready`; flexible form (KIP-482); client software
//!   (KIP-511), features (KIP-584)
//! - v4: a feature's lowest version may be 0 (KAFKA-17011)

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
    /// How long the client should wait for the sake of a quota.
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
