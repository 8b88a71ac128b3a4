//! Metadata-log record that fixes the level of a cluster feature: type 12 (KIP-584, KIP-778).

use riverrun_core_derive::Message;

/// Fixes a feature's level.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 12, versions = "0", flexible = "0+")]
pub struct FeatureLevelRecord {
    pub name: String,
    pub feature_level: i16,
}
