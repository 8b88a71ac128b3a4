//! ListGroups (API key 16): the groups of this broker. v4: by state (KIP-518); v5: by type (KIP-848).

use riverrun_core::{
    group::ListFilter,
    protocol::messages::{ListGroupsRequest, ListGroupsResponse, list_groups::ListedGroup},
};

use super::group_error;
use crate::{groups::CoordinatorError, node::Node};

pub(super) fn handle(node: &Node, request: &ListGroupsRequest) -> ListGroupsResponse {
    match try_handle(node, request) {
        Ok(groups) => ListGroupsResponse { groups, ..Default::default() },
        Err(error) => ListGroupsResponse { error_code: group_error(&error).code(), ..Default::default() },
    }
}

fn try_handle(node: &Node, request: &ListGroupsRequest) -> Result<Vec<ListedGroup>, CoordinatorError> {
    let states = request.states_filter.iter().map(String::as_str);
    let types = request.types_filter.iter().map(String::as_str);
    let Some(filter) = ListFilter::from_wire(states, types) else { return Ok(Vec::new()) };
    let mut groups = Vec::new();
    for shard in node.groups.shards().iter() {
        let listed = shard.ask(|machine| machine.list(&filter))?.into_iter();
        groups.extend(listed.map(|group| ListedGroup {
            group_id: group.group_id.to_string(),
            protocol_type: group.protocol_type,
            group_state: group.state.name().to_owned(),
            group_type: group.group_type.to_owned(),
        }));
    }
    Ok(groups)
}
