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
        IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    })
}

/// What became of one resource; the same for AlterConfigs.
pub(super) struct Outcome {
    pub(super) resource_type: i8,
    pub(super) resource_name: String,
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
}

/// Carries out the changes, in order, and parts what is to be waited for from what is to be answered.
pub(super) fn begin(
    altered: impl Iterator<Item = (i8, String, Result<Committed, (ErrorCode, String)>)>,
) -> (Vec<Committed>, Vec<Outcome>) {
    let mut waiting = Vec::new();
    let outcomes = altered.map(|(resource_type, resource_name, result)| {
        let (code, message) = match result {
            Ok(committed) => {
                waiting.push(committed);
                (ErrorCode::None, None)
            }
            Err((code, message)) => (code, Some(message)),
        };
        Outcome { resource_type, resource_name, code, message }
    });
    let outcomes = outcomes.collect();
    (waiting, outcomes)
}

/// The outcomes once the changes are committed, or known to be lost.
pub(super) async fn settle(waiting: Vec<Committed>, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let lost = futures::future::join_all(waiting).await.iter().any(Result::is_err);
    for outcome in outcomes.iter_mut().filter(|outcome| lost && outcome.code == ErrorCode::None) {
        outcome.code = ErrorCode::KafkaStorageError;
    }
    outcomes
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
