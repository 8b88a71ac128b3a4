//! DescribeClientQuotas and AlterClientQuotas (API keys 48, 49): bounds for users, client ids and addresses (KIP-546).
//! What they do is in `crate::quotas`.

use std::sync::Arc;

use riverrun_core::{
    metadata::{InvalidQuota, QuotaEntity},
    protocol::{
        ErrorCode,
        messages::{
            AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
            DescribeClientQuotasResponse,
            alter_client_quotas::{self, EntityDataResponse, EntryDataResponse},
            describe_client_quotas::{ComponentData, EntityData, EntryData, ValueData},
        },
    },
};

use super::change_code;
use crate::{Reply, node::Node, storage::Committed};

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

pub(super) fn describe(node: &Node, request: &DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
    if let Err(reason) = check(&request.components) {
        return DescribeClientQuotasResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            error_message: Some(reason),
            entries: None,
            ..Default::default()
        };
    }
    let image = node.image();
    let fits = |entity: &QuotaEntity| {
        let parts = entity.parts();
        let found = request.components.iter().all(|component| {
            let part = parts.iter().find(|(kind, _)| *kind == component.entity_type);
            part.is_some_and(|(_, name)| match component.match_type {
                EXACT => *name == component.r#match.as_deref(),
                DEFAULT => name.is_none(),
                _ => true,
            })
        });
        found && (!request.strict || parts.len() == request.components.len())
    };
    let entries = image.quotas().iter().filter(|(entity, _)| fits(entity)).map(|(entity, quotas)| EntryData {
        entity: entity
            .parts()
            .into_iter()
            .map(|(kind, name)| EntityData { entity_type: kind.to_owned(), entity_name: name.map(str::to_owned) })
            .collect(),
        values: quotas.iter().map(|(key, value)| ValueData { key: key.clone(), value: value.0 }).collect(),
    });
    DescribeClientQuotasResponse { entries: Some(entries.collect()), ..Default::default() }
}

fn check(components: &[ComponentData]) -> Result<(), String> {
    for (index, component) in components.iter().enumerate() {
        let kind = component.entity_type.as_str();
        if kind.is_empty() {
            return Err("Unexpected empty filter component entity type".to_owned());
        }
        if !["user", "client-id", "ip"].contains(&kind) {
            return Err(format!("Custom entity type '{kind}' not supported"));
        }
        if components.iter().take(index).any(|other| other.entity_type == kind) {
            return Err(format!("Duplicate {kind} filter component entity type"));
        }
        match (component.match_type, &component.r#match) {
            (EXACT, Some(_)) | (DEFAULT | SPECIFIED, None) => {}
            (EXACT, None) => return Err("Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned()),
            (DEFAULT | SPECIFIED, Some(_)) => {
                return Err("Request did not specify MATCH_TYPE_EXACT, but set a match string.".to_owned());
            }
            (other, _) => return Err(format!("Unknown match type {other}")),
        }
    }
    let has = |kind: &str| components.iter().any(|component| component.entity_type == kind);
    if has("ip") && (has("user") || has("client-id")) {
        return Err(
            "Invalid entity filter component combination, IP filter component should not be used with user or \
                    clientId filter component."
                .to_owned(),
        );
    }
    Ok(())
}

pub(super) fn alter(node: &Arc<Node>, request: AlterClientQuotasRequest) -> Reply {
    let mut waiting = Vec::new();
    let validate_only = request.validate_only;
    let entries = request.entries.into_iter().map(|entry| {
        let (code, error_message) = match change(node, &entry, validate_only) {
            Ok(committed) => {
                waiting.push(committed);
                (ErrorCode::None, None)
            }
            Err((code, message)) => (code, Some(message)),
        };
        let part = |part: alter_client_quotas::EntityData| EntityDataResponse {
            entity_type: part.entity_type,
            entity_name: part.entity_name,
        };
        let entity = entry.entity.into_iter().map(part).collect();
        EntryDataResponse { error_code: code.code(), error_message, entity }
    });
    let mut entries: Vec<_> = entries.collect();
    Reply::later(async move {
        let lost = futures::future::join_all(waiting).await.iter().any(Result::is_err);
        for entry in entries.iter_mut().filter(|entry| lost && entry.error_code == 0) {
            entry.error_code = ErrorCode::KafkaStorageError.code();
        }
        AlterClientQuotasResponse { entries, ..Default::default() }
    })
}

fn change(
    node: &Node,
    entry: &alter_client_quotas::EntryData,
    validate_only: bool,
) -> Result<Committed, (ErrorCode, String)> {
    let parts = entry.entity.iter().map(|part| (part.entity_type.as_str(), part.entity_name.as_deref()));
    let invalid = |error: InvalidQuota| (ErrorCode::InvalidRequest, error.to_string());
    let entity = QuotaEntity::from_parts(parts).map_err(invalid)?;
    let mut alterations: Vec<(String, Option<f64>)> = Vec::new();
    for op in &entry.ops {
        if alterations.iter().any(|(key, _)| *key == op.key) {
            return Err((ErrorCode::InvalidRequest, format!("{} is altered twice", op.key)));
        }
        alterations.push((op.key.clone(), (!op.remove).then_some(op.value)));
    }
    let changed = node.metadata.change(
        |image| {
            let records = image.alter_quotas(&entity, &alterations)?;
            Ok((if validate_only { Vec::new() } else { records }, ()))
        },
        |_, ()| Ok(()),
    );
    if changed.is_ok() && !validate_only {
        node.quotas.apply(&node.image());
    }
    let changed = changed.map(|((), committed)| committed);
    changed.map_err(|error| change_code(&error, |_: &InvalidQuota| ErrorCode::InvalidRequest))
}
