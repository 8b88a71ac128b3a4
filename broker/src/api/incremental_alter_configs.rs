//! IncrementalAlterConfigs (API key 44): changes single settings of a topic, of this broker or of all brokers (KIP-339).

use std::sync::Arc;

use riverrun_core::{
    metadata::{AlterConfigsError, ConfigAlteration, ConfigOperation, ConfigResource},
    protocol::{
        ErrorCode,
        messages::{
            IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
            incremental_alter_configs::{AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig},
        },
    },
};

use super::change_code;
use crate::{Reply, metadata::ChangeError, node::Node, storage::Committed};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) fn handle(node: &Arc<Node>, request: IncrementalAlterConfigsRequest) -> Reply {
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
        IncrementalAlterConfigsResponse { responses, ..Default::default() }
    })
}

fn alter(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<Committed, (ErrorCode, String)> {
    let target = ConfigResource::from_wire(resource.resource_type, &resource.resource_name)
        .map_err(|error| (ErrorCode::InvalidRequest, error.to_string()))?;
    let alterations: Vec<_> = resource.configs.iter().map(alteration).collect::<Result<_, _>>()?;
    node.alter_configs(&target, &alterations, validate_only).map_err(|error| config_code(&error))
}

fn alteration(config: &AlterableConfig) -> Result<ConfigAlteration, (ErrorCode, String)> {
    let name = config.name.clone();
    let value = || {
        let missing = || (ErrorCode::InvalidRequest, format!("setting '{}' has no value", config.name));
        config.value.clone().ok_or_else(missing)
    };
    let operation = match config.config_operation {
        SET => ConfigOperation::Set(value()?),
        DELETE => ConfigOperation::Delete,
        APPEND => ConfigOperation::Append(value()?),
        SUBTRACT => ConfigOperation::Subtract(value()?),
        other => return Err((ErrorCode::InvalidRequest, format!("operation {other} does not exist"))),
    };
    Ok(ConfigAlteration { name, operation })
}

/// The code and the words for why settings were not altered.
pub(super) fn config_code(error: &ChangeError<AlterConfigsError>) -> (ErrorCode, String) {
    change_code(error, |error| ErrorCode::from(error))
}
