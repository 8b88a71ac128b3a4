//! UpdateFeatures: API key 57, versions 0-2, flexible from 0.
//!
//! Raises or lowers the finalized levels of cluster features.
//!
//! - v1: request gains `upgrade_type`, `validate_only`; KIP-778
//! - v2: one outcome for all (KIP-1022)

use riverrun_core_derive::Message;

/// The request of `UpdateFeatures`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 57, versions = "0-2", flexible = "0+")]
pub struct UpdateFeaturesRequest {
    #[kafka(default = "60000")]
    pub timeout_ms: i32,
    pub feature_updates: Vec<FeatureUpdateKey>,
    #[kafka(versions = "1+")]
    pub validate_only: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct FeatureUpdateKey {
    pub feature: String,
    pub max_version_level: i16,
    #[kafka(versions = "0")]
    pub allow_downgrade: bool,
    /// 1: upgrade; 2: safe downgrade; 3: unsafe downgrade.
    #[kafka(versions = "1+", default = "1")]
    pub upgrade_type: i8,
}

/// The response of `UpdateFeatures`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 57, versions = "0-2", flexible = "0+")]
pub struct UpdateFeaturesResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    #[kafka(versions = "0-1", ignorable)]
    pub results: Vec<UpdatableFeatureResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct UpdatableFeatureResult {
    pub feature: String,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
}
