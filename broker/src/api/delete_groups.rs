//! DeleteGroups (API key 42): groups without members go, with their positions (KIP-229).

use std::sync::Arc;

use futures::future::join_all;
use riverrun_core::{
    group::GroupId,
    protocol::{
        ErrorCode,
        messages::{DeleteGroupsRequest, DeleteGroupsResponse, delete_groups::DeletableGroupResult},
    },
};

use super::{group_error, share_group_offsets};
use crate::{Reply, node::Node};

pub(super) fn handle(node: &Arc<Node>, request: DeleteGroupsRequest) -> Reply {
    let deletions: Vec<_> = request.groups_names.into_iter().map(|group| delete(node, group)).collect();
    Reply::later(async move { DeleteGroupsResponse { results: join_all(deletions).await, ..Default::default() } })
}

fn delete(node: &Arc<Node>, group_id: String) -> impl Future<Output = DeletableGroupResult> + Send + use<> {
    let id = GroupId::from(group_id.as_str());
    let deleted = node.group_shard(&group_id);
    let deleted = deleted.map(|shard| node.groups.command(&shard, move |machine, _| machine.delete(&id)));
    let node = Arc::clone(node);
    async move {
        if let Some(code) = share_group_offsets::delete_group(&node, &group_id).await {
            return DeletableGroupResult { group_id, error_code: code.code() };
        }
        let outcome = match deleted {
            Ok(deleted) => deleted.await,
            Err(error) => Err(error),
        };
        let code = outcome.map_or_else(|error| group_error(&error), |()| ErrorCode::None);
        DeletableGroupResult { group_id, error_code: code.code() }
    }
}
