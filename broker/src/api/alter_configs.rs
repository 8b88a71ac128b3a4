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

use super::incremental_alter_configs::config_code;
use crate::{Reply, node::Node, storage::Committed};

pub(super) fn handle(node: &Arc<Node>, request: AlterConfigsRequest) -> Reply {
    let mut waiting: Vec<Committed> = Vec::new();
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (code, error_message) = match alter(node, &resource, request.validate_only) {
            Ok(committed) => {
                waiting.push(committed);
                (ErrorCode::None, None)
            }
            Err((code, message)) => (code, Some(message)),
        };
        responses.push(AlterConfigsResourceResponse {
            error_code: code.code(),
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        });
    }
    Reply::later(async move {
        let lost = futures::future::join_all(waiting).await.iter().any(Result::is_err);
        for response in responses.iter_mut().filter(|response| lost && response.error_code == ErrorCode::None.code()) {
            response.error_code = ErrorCode::KafkaStorageError.code();
        }
        AlterConfigsResponse { responses, ..Default::default() }
    })
}

fn alter(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<Committed, (ErrorCode, String)> {
    let target = ConfigResource::from_wire(resource.resource_type, &resource.resource_name)
        .map_err(|error| (ErrorCode::InvalidRequest, error.to_string()))?;
    let wanted = resource.configs.iter().filter_map(|c| Some((c.name.clone(), c.value.clone()?))).collect();
    node.set_configs(&target, &wanted, validate_only).map_err(|error| config_code(&error))
}
