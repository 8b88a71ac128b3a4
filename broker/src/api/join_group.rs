//! JoinGroup (API key 11): a member wants to be part of the next generation. The answer waits until all are there.
//!
//! v4: a new member gets an id first and comes back with it (KIP-394); v5: static members (KIP-345); v7: protocol type;
//! v9: `skip_assignment` (KIP-814). What happens is decided in `riverrun_core::group`.

use std::sync::Arc;

use bytes::Bytes;
use riverrun_core::{
    group::{GroupError, GroupId, InstanceId, JoinRequest, JoinResponse, MemberId, Protocol, Response},
    protocol::messages::{JoinGroupRequest, JoinGroupResponse, join_group::JoinGroupResponseMember},
};

use super::{group_error, null_or_empty};
use crate::{Reply, RequestContext, groups::CoordinatorError, node::Node};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: JoinGroupRequest) -> Reply {
    let version = context.api_version;
    let member_id = request.member_id.clone();
    let shard = match node.group_shard(&request.group_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(version, member_id, &error)),
    };
    let command = command(node, context, request);
    let parked = node.groups.park(&shard, |machine, ticket, now| machine.join(&command, ticket, now));
    Reply::later(async move {
        match parked.await {
            Ok(Response::Join(Ok(joined))) => accepted(version, joined),
            Ok(Response::Join(Err(error))) => refused(version, member_id, &error.into()),
            Ok(Response::Sync(_)) | Err(CoordinatorError::NotAvailable) => {
                refused(version, member_id, &CoordinatorError::NotAvailable)
            }
            Err(error) => refused(version, member_id, &error),
        }
    })
}

fn command(node: &Node, context: &RequestContext, request: JoinGroupRequest) -> JoinRequest {
    let JoinGroupRequest { session_timeout_ms, rebalance_timeout_ms, protocol_type, .. } = request;
    // Copied, since they outlive the request by far and would keep its whole buffer in memory.
    let protocols = request.protocols.into_iter();
    let protocols = protocols.map(|p| Protocol { name: p.name, metadata: Bytes::copy_from_slice(&p.metadata) });
    JoinRequest {
        group_id: GroupId::from(request.group_id),
        member_id: MemberId::from_wire(&request.member_id),
        group_instance_id: request.group_instance_id.map(InstanceId::from),
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: context.client_host.clone(),
        session_timeout_ms,
        rebalance_timeout_ms: if rebalance_timeout_ms < 0 { session_timeout_ms } else { rebalance_timeout_ms },
        protocol_type,
        protocols: protocols.collect(),
        requires_known_member_id: context.api_version >= 4,
        supports_skip_assignment: context.api_version >= 9,
        new_member_uuid: node.random_uuid(),
    }
}

fn accepted(version: i16, joined: JoinResponse) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.group_instance_id.map(|id| id.to_string()),
        metadata: member.metadata,
    });
    JoinGroupResponse {
        generation_id: joined.generation.0,
        protocol_type: joined.protocol_type,
        protocol_name: null_or_empty(version >= 7, joined.protocol_name),
        leader: joined.leader.to_string(),
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id.to_string(),
        members: members.collect(),
        ..Default::default()
    }
}

fn refused(version: i16, member_id: String, error: &CoordinatorError) -> JoinGroupResponse {
    let member_id = match error {
        CoordinatorError::Group(GroupError::MemberIdRequired { member_id }) => member_id.to_string(),
        _ => member_id,
    };
    JoinGroupResponse {
        error_code: group_error(error).code(),
        protocol_name: null_or_empty(version >= 7, None),
        member_id,
        ..Default::default()
    }
}
