//! FindCoordinator (API key 10): who coordinates a group or a transactional id. A single node is its own coordinator
//! of everything. v1: key types; v4: several keys (KIP-699); v6: share partitions (KIP-932), as
//! `group:topic id:partition`.

use std::sync::Arc;

use riverrun_core::protocol::{
    ErrorCode,
    messages::{FindCoordinatorRequest, FindCoordinatorResponse, find_coordinator::Coordinator},
};

use super::{group_error, transactional};
use crate::{Reply, RequestContext, groups::CoordinatorError, node::Node, transactions};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: FindCoordinatorRequest) -> Reply {
    let is_open = match request.key_type {
        GROUP => node.groups.is_open(),
        TRANSACTION => node.transactions.is_open(),
        SHARE => node.shares.is_open(),
        _ => true,
    };
    if is_open {
        return Reply::now(answer(node, context, request));
    }
    // The topic that holds them is made when the first one is looked for; that takes the disk a while.
    let (node, context) = (Arc::clone(node), context.clone());
    let creator = Arc::clone(&node);
    let key_type = request.key_type;
    let creating = node.tasks.spawn_blocking_on(move || create_topic(&creator, key_type), &node.runtime);
    Reply::later(async move {
        // Whether it was made is seen by its shards.
        let _ = creating.await;
        answer(&node, &context, request)
    })
}

fn create_topic(node: &Arc<Node>, key_type: i8) {
    let created = match key_type {
        TRANSACTION => node.create_transactions_topic(),
        SHARE => node.create_share_state_topic(),
        _ => node.create_offsets_topic(),
    };
    if let Err(error) = created {
        tracing::error!(%error, "cannot create a coordinator's topic");
    }
}

fn answer(node: &Node, context: &RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if context.api_version >= 4 {
        let keys = request.coordinator_keys.into_iter();
        let coordinators = keys.map(|key| find(node, context, request.key_type, key)).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } =
        find(node, context, request.key_type, request.key);
    FindCoordinatorResponse { error_code, error_message, node_id, host, port, ..Default::default() }
}

/// Whether a key names a share partition; the group's name may have colons.
fn is_share_key(key: &str) -> bool {
    let mut parts = key.rsplitn(3, ':');
    let partition = parts.next().is_some_and(|text| text.parse::<i32>().is_ok());
    let topic = parts.next().is_some_and(|text| text.parse::<riverrun_core::Uuid>().is_ok());
    partition && topic && parts.next().is_some_and(|group| !group.is_empty())
}

fn find(node: &Node, context: &RequestContext, key_type: i8, key: String) -> Coordinator {
    let found = match key_type {
        GROUP if node.groups.is_open() => Ok(()),
        GROUP => {
            let error = CoordinatorError::NotAvailable;
            Err((group_error(&error), error.to_string()))
        }
        TRANSACTION if node.transactions.is_open() => Ok(()),
        TRANSACTION => {
            let error = transactions::CoordinatorError::NotAvailable;
            Err((transactional::code(&error), error.to_string()))
        }
        SHARE if !is_share_key(&key) => {
            Err((ErrorCode::InvalidRequest, "a key is group:topic id:partition".to_owned()))
        }
        SHARE if node.shares.is_open() => Ok(()),
        SHARE => Err((ErrorCode::CoordinatorNotAvailable, "the share coordinator is not available".to_owned())),
        other => Err((ErrorCode::InvalidRequest, format!("there are no coordinators for keys of type {other}"))),
    };
    match found {
        Ok(()) => {
            let endpoint = node.advertised(context.listener);
            Coordinator {
                key,
                node_id: node.id.0,
                host: endpoint.host,
                port: i32::from(endpoint.port),
                error_message: Some(String::new()),
                ..Default::default()
            }
        }
        Err((code, message)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: code.code(),
            error_message: Some(message),
            ..Default::default()
        },
    }
}
