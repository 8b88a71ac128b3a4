//! SyncGroup (API key 14): a member asks for its share; the leader brings everybody's. The answer waits for the leader.
//!
//! v3: static members (KIP-345); v5: protocol type and name are checked (KIP-559).

use std::sync::Arc;

use bytes::Bytes;
use riverrun_core::{
    group::{GenerationId, GroupId, InstanceId, MemberId, Response, SyncRequest, SyncResponse},
    protocol::messages::{SyncGroupRequest, SyncGroupResponse},
};

use super::group_error;
use crate::{Reply, groups::CoordinatorError, node::Node};

pub(super) fn handle(node: &Arc<Node>, request: SyncGroupRequest) -> Reply {
    let shard = match node.group_shard(&request.group_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(&error)),
    };
    let command = command(request);
    let parked = node.groups.park(&shard, |machine, ticket, now| machine.sync(&command, ticket, now));
    Reply::later(async move {
        match parked.await {
            Ok(Response::Sync(Ok(synced))) => accepted(synced),
            Ok(Response::Sync(Err(error))) => refused(&error.into()),
            Ok(Response::Join(_)) => refused(&CoordinatorError::NotAvailable),
            Err(error) => refused(&error),
        }
    })
}

fn command(request: SyncGroupRequest) -> SyncRequest {
    // Copied, since they outlive the request by far and would keep its whole buffer in memory.
    let assignments = request.assignments.into_iter();
    let assignments =
        assignments.map(|a| (MemberId::from(a.member_id), Bytes::copy_from_slice(&a.assignment))).collect();
    SyncRequest {
        group_id: GroupId::from(request.group_id),
        generation: GenerationId(request.generation_id),
        member_id: MemberId::from(request.member_id),
        group_instance_id: request.group_instance_id.map(InstanceId::from),
        protocol_type: request.protocol_type,
        protocol_name: request.protocol_name,
        assignments,
    }
}

fn accepted(synced: SyncResponse) -> SyncGroupResponse {
    SyncGroupResponse {
        protocol_type: synced.protocol_type,
        protocol_name: synced.protocol_name,
        assignment: synced.assignment,
        ..Default::default()
    }
}

fn refused(error: &CoordinatorError) -> SyncGroupResponse {
    SyncGroupResponse { error_code: group_error(error).code(), ..Default::default() }
}
