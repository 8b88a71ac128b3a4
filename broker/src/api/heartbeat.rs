//! Heartbeat (API key 12): a member is alive. v3: static members (KIP-345).

use riverrun_core::{
    group::{self, GenerationId, GroupId, InstanceId, MemberId},
    protocol::{
        ErrorCode,
        messages::{HeartbeatRequest, HeartbeatResponse},
    },
};

use super::group_error;
use crate::{groups::CoordinatorError, node::Node};

pub(super) fn handle(node: &Node, request: HeartbeatRequest) -> HeartbeatResponse {
    let error_code = match try_handle(node, request) {
        Ok(()) => ErrorCode::None,
        // A loading coordinator does not know yet; the member is to go on as if all were well, as with Kafka.
        Err(CoordinatorError::Loading) => ErrorCode::None,
        Err(error) => group_error(&error),
    };
    HeartbeatResponse { error_code: error_code.code(), ..Default::default() }
}

fn try_handle(node: &Node, request: HeartbeatRequest) -> Result<(), CoordinatorError> {
    let shard = node.group_shard(&request.group_id)?;
    let command = group::HeartbeatRequest {
        group_id: GroupId::from(request.group_id),
        generation: GenerationId(request.generation_id),
        member_id: MemberId::from(request.member_id),
        group_instance_id: request.group_instance_id.map(InstanceId::from),
    };
    let now = node.clock.now();
    Ok(shard.ask(|machine| machine.heartbeat(&command, now))??)
}
