//! ApiVersions (API key 18): which APIs are served, in which versions, and which cluster features are on.
//!
//! KIP-35; KIP-511: an unknown version is answered in version 0, and from v3 on the client's software is named, with
//! letters, digits, dots and hyphens. Only what is served is advertised, since clients choose their behaviour by it:
//! `group.version` 1 tells that there is the consumer protocol (KIP-848), `share.version` 1 that there are share groups
//! (KIP-932), `streams.version` 1 that there are streams groups (KIP-1071). `transaction.version` 2 tells clients that partitions join a transaction by themselves, and that each
//! transaction has an epoch of its own (KIP-890).

use riverrun_core::{
    metadata::SupportedFeature,
    protocol::{
        ApiKey, ErrorCode, advertised_versions,
        messages::{
            ApiVersionsRequest, ApiVersionsResponse,
            api_versions::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey},
        },
    },
};

use super::SERVED;
use crate::{RequestContext, node::Node};

/// `metadata.version` of Kafka 4.3, whose metadata records are written here.
pub(crate) const METADATA_VERSION: SupportedFeature =
    SupportedFeature { name: riverrun_core::metadata::METADATA_VERSION, min: 7, max: 30 };

/// 1: the consumer protocol is served (KIP-848).
pub(super) const GROUP_VERSION: SupportedFeature = SupportedFeature { name: "group.version", min: 0, max: 1 };

/// 1: share groups are served (KIP-932).
pub(super) const SHARE_VERSION: SupportedFeature = SupportedFeature { name: "share.version", min: 0, max: 1 };

/// 1: streams groups are served (KIP-1071).
pub(super) const STREAMS_VERSION: SupportedFeature = SupportedFeature { name: "streams.version", min: 0, max: 1 };

/// The features of the cluster with the levels that are served; the greatest is in force unless another was set.
pub(crate) const FEATURES: [SupportedFeature; 5] = [
    METADATA_VERSION,
    GROUP_VERSION,
    SHARE_VERSION,
    STREAMS_VERSION,
    SupportedFeature { name: "transaction.version", min: 0, max: 2 },
];

pub(super) fn handle(node: &Node, context: &RequestContext, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    if context.api_version >= 3 {
        let ApiVersionsRequest { client_software_name: name, client_software_version: version } = request;
        if !is_software_name(name) || !is_software_name(version) {
            return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
        }
        tracing::debug!(connection = context.connection_id, name, version, "client software");
    }
    let image = node.image();
    let supported = FEATURES.map(|SupportedFeature { name, min, max }| SupportedFeatureKey {
        name: name.to_owned(),
        min_version: min,
        max_version: max,
    });
    let finalized = FEATURES.map(|feature| (feature.name, image.feature_level(feature)));
    // What is off is not named.
    let finalized = finalized.into_iter().filter(|(_, level)| *level > 0).map(|(name, level)| FinalizedFeatureKey {
        name: name.to_owned(),
        max_version_level: level,
        min_version_level: level,
    });
    ApiVersionsResponse {
        api_keys: served_versions(),
        supported_features: supported.into(),
        finalized_features_epoch: node.metadata_epoch(),
        finalized_features: finalized.collect(),
        ..Default::default()
    }
}

/// The answer, in version 0, to a request in a version that is not known.
pub(crate) fn unsupported_version() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: served_versions(),
        ..Default::default()
    }
}

fn served_versions() -> Vec<ApiVersion> {
    let version = |key: &ApiKey| {
        let versions = advertised_versions(*key);
        ApiVersion { api_key: key.code(), min_version: *versions.start(), max_version: *versions.end() }
    };
    SERVED.iter().map(version).collect()
}

/// KIP-511: begins and ends with a letter or digit; dots and hyphens may be between.
fn is_software_name(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names() {
        for good in ["librdkafka", "apache-kafka-java", "2.6.1", "a"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a\u{1b}[31m"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }

    #[test]
    fn produce_is_announced_from_version_0() {
        let versions = served_versions();
        let produce = versions.iter().find(|api| api.api_key == ApiKey::Produce.code());
        assert_eq!(produce.map(|api| api.min_version), Some(0));
        let heartbeat = versions.iter().find(|api| api.api_key == ApiKey::ConsumerGroupHeartbeat.code());
        assert_eq!(heartbeat.map(|api| (api.min_version, api.max_version)), Some((0, 1)));
    }
}
