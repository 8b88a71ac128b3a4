//! LeaveGroup (API key 13): members go. v3: several at once, also by instance id (KIP-345); v5: a reason (KIP-800).

use std::sync::Arc;

use riverrun_core::{
    group::{GroupId, InstanceId, LeaveRequest, LeavingMember, MemberId},
    protocol::{
        ErrorCode,
        messages::{
            LeaveGroupRequest, LeaveGroupResponse,
            leave_group::{MemberIdentity, MemberResponse},
        },
    },
};

use super::group_error;
use crate::{Reply, RequestContext, groups::CoordinatorError, node::Node};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: LeaveGroupRequest) -> Reply {
    let names_members = context.api_version >= 3;
    let shard = match node.group_shard(&request.group_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(&error)),
    };
    let members = if names_members {
        request.members
    } else {
        vec![MemberIdentity { member_id: request.member_id, ..Default::default() }]
    };
    let leaving = |member: &MemberIdentity| LeavingMember {
        member_id: MemberId::from_wire(&member.member_id),
        group_instance_id: member.group_instance_id.clone().map(InstanceId::from),
    };
    let command =
        LeaveRequest { group_id: GroupId::from(request.group_id), members: members.iter().map(leaving).collect() };
    for reason in members.iter().filter_map(|member| member.reason.as_deref()) {
        tracing::debug!(group = %command.group_id, reason, "member leaves");
    }
    let left = node.groups.command(&shard, |machine, now| machine.leave(&command, now));
    Reply::later(async move {
        let outcomes = match left.await {
            Ok(outcomes) => outcomes,
            Err(error) => return refused(&error),
        };
        let codes = outcomes.iter().map(|outcome| outcome.as_ref().map_or_else(ErrorCode::from, |()| ErrorCode::None));
        if !names_members {
            let code = codes.into_iter().next().unwrap_or(ErrorCode::None);
            return LeaveGroupResponse { error_code: code.code(), ..Default::default() };
        }
        let members = members.into_iter().zip(codes).map(|(member, code)| MemberResponse {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error_code: code.code(),
        });
        LeaveGroupResponse { members: members.collect(), ..Default::default() }
    })
}

fn refused(error: &CoordinatorError) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: group_error(error).code(), ..Default::default() }
}
