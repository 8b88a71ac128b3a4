//! UpdateFeatures (API key 57): raises or lowers the levels of the cluster's features (KIP-584), checks only if told so
//! (KIP-778). All features change or none; the first that cannot answers for all. v2 has no outcome per feature (KIP-1022).
//!
//! A level that was set is kept in the metadata log and announced with ApiVersions. It is for clients to go by: requests
//! of the lower level are served at any level.

use std::sync::Arc;

use riverrun_core::{
    metadata::{FeatureUpdate, Image, UpdateFeaturesError, UpgradeType},
    protocol::{
        ErrorCode,
        messages::{
            UpdateFeaturesRequest, UpdateFeaturesResponse,
            update_features::{FeatureUpdateKey, UpdatableFeatureResult},
        },
    },
};

use super::{api_versions::FEATURES, change_code};
use crate::{Reply, RequestContext, node::Node};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: UpdateFeaturesRequest) -> Reply {
    let updates: Vec<_> = request.feature_updates.iter().map(|key| update(context.api_version, key)).collect();
    let decide = |image: &Image| {
        let records = image.update_features(&updates, &FEATURES, node.id)?;
        Ok::<_, UpdateFeaturesError>((if request.validate_only { Vec::new() } else { records }, ()))
    };
    let committed = match node.metadata.change(decide, |_, ()| Ok(())) {
        Ok(((), committed)) => committed,
        Err(error) => {
            let (code, reason) = change_code(&error, |refused| ErrorCode::from(refused));
            let reason =
                format!("The update failed for all features since the following feature had an error: {reason}");
            return Reply::now(refused(code, reason));
        }
    };
    let with_results = context.api_version < 2;
    Reply::later(async move {
        if let Err(error) = committed.await {
            return refused(ErrorCode::KafkaStorageError, error.to_string());
        }
        let results = updates.into_iter().filter(|_| with_results);
        let results = results.map(|update| UpdatableFeatureResult { feature: update.name, ..Default::default() });
        UpdateFeaturesResponse { results: results.collect(), ..Default::default() }
    })
}

fn update(version: i16, key: &FeatureUpdateKey) -> FeatureUpdate {
    let upgrade_type = match version {
        0 if key.allow_downgrade => Some(UpgradeType::SafeDowngrade),
        0 => Some(UpgradeType::Upgrade),
        _ => UpgradeType::from_wire(key.upgrade_type),
    };
    FeatureUpdate { name: key.feature.clone(), level: key.max_version_level, upgrade_type }
}

fn refused(code: ErrorCode, message: String) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
}
