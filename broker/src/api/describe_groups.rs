//! DescribeGroups (API key 15): groups in full. A group that does not exist is "Dead" without an error before v6, and
//! GROUP_ID_NOT_FOUND from then on (KIP-1043). Authorized operations are not told: there is no authorizer.

use riverrun_core::{
    group::{DescribedGroup as Described, GroupError, GroupId},
    protocol::messages::{
        DescribeGroupsRequest, DescribeGroupsResponse,
        describe_groups::{DescribedGroup, DescribedGroupMember},
    },
};

use super::group_error;
use crate::{RequestContext, groups::CoordinatorError, node::Node};

const DEAD: &str = "Dead";

pub(super) fn handle(node: &Node, context: &RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let describe = |group: String| {
        let described = node.group_shard(&group).and_then(|shard| {
            let id = GroupId::from(group.as_str());
            Ok(shard.ask(|machine| machine.describe(&id))??)
        });
        match described {
            Ok(described) => found(group, described),
            Err(CoordinatorError::Group(GroupError::GroupNotFound { .. })) if context.api_version < 6 => {
                DescribedGroup { group_id: group, group_state: DEAD.to_owned(), ..Default::default() }
            }
            Err(error) => {
                let is_dead = matches!(error, CoordinatorError::Group(GroupError::GroupNotFound { .. }));
                DescribedGroup {
                    error_code: group_error(&error).code(),
                    error_message: Some(error.to_string()).filter(|_| context.api_version >= 6),
                    group_id: group,
                    group_state: if is_dead { DEAD.to_owned() } else { String::new() },
                    ..Default::default()
                }
            }
        }
    };
    DescribeGroupsResponse { groups: request.groups.into_iter().map(describe).collect(), ..Default::default() }
}

fn found(group_id: String, described: Described) -> DescribedGroup {
    let members = described.members.into_iter().map(|member| DescribedGroupMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id,
        client_host: member.client_host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    });
    DescribedGroup {
        group_id,
        group_state: described.state.name().to_owned(),
        protocol_type: described.protocol_type,
        protocol_data: described.protocol_name,
        members: members.collect(),
        ..Default::default()
    }
}
