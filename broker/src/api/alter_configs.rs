//! AlterConfigs (API key 33): sets exactly the settings given; what is not named goes back to its default.
//! IncrementalAlterConfigs is the better way (KIP-339).

use std::sync::Arc;

use riverrun_core::{
    metadata::ConfigResource,
    protocol::{
        ErrorCode,
        messages::{
            AlterConfigsRequest, AlterConfigsResponse,
            alter_configs::{AlterConfigsResource, AlterConfigsResourceResponse},
        },
    },
};

use super::incremental_alter_configs::{begin, config_code, settle};
use crate::{Reply, node::Node, storage::Committed};

pub(super) fn handle(node: &Arc<Node>, request: AlterConfigsRequest) -> Reply {
    let altered = request.resources.into_iter().map(|resource| {
        let outcome = alter(node, &resource, request.validate_only);
        (resource.resource_type, resource.resource_name, outcome)
    });
    let (waiting, outcomes) = begin(altered);
    Reply::later(async move {
        let responses = settle(waiting, outcomes).await.into_iter().map(|outcome| AlterConfigsResourceResponse {
            error_code: outcome.code.code(),
            error_message: outcome.message,
            resource_type: outcome.resource_type,
            resource_name: outcome.resource_name,
        });
        AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    })
}

fn alter(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<Committed, (ErrorCode, String)> {
    let target = ConfigResource::from_wire(resource.resource_type, &resource.resource_name)
        .map_err(|error| (ErrorCode::InvalidRequest, error.to_string()))?;
    let wanted = resource.configs.iter().filter_map(|c| Some((c.name.clone(), c.value.clone()?))).collect();
    node.set_configs(&target, &wanted, validate_only).map_err(|error| config_code(&error))
}
