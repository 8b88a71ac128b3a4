//! ShareGroupHeartbeat (API key 76): a member of a share group joins, leaves, or says that it is alive (KIP-932).
//!
//! Partitions without a state are initialized here, between two looks at the group: so the first heartbeat may already
//! be told what to fetch from.

use std::sync::Arc;

use riverrun_core::{
    group::GroupId,
    protocol::{
        ErrorCode,
        messages::{
            ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
            share_group_heartbeat::{Assignment, TopicPartitions},
        },
    },
    share::{
        group::{Partitions, ShareGroupError, ShareHeartbeat, ShareHeartbeatReply},
        state::SharePartitionKey,
    },
};

use super::group_error;
use crate::{Reply, RequestContext, groups::CoordinatorError, node::Node, share::StateShardError};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: ShareGroupHeartbeatRequest) -> Reply {
    let settings = node.group_configs.get(&request.group_id);
    let beat = ShareHeartbeat {
        group_id: request.group_id.as_str().into(),
        member_id: request.member_id.clone(),
        member_epoch: request.member_epoch,
        rack_id: request.rack_id,
        topics: request.subscribed_topic_names,
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: context.client_host.clone(),
        session_timeout_ms: Some(settings.share_session_timeout_ms),
        heartbeat_interval_ms: Some(settings.share_heartbeat_interval_ms),
        assignment_interval_ms: Some(settings.share_assignment_interval_ms),
    };
    let node = Arc::clone(node);
    Reply::later(async move {
        let member_id = beat.member_id.clone();
        match run(&node, beat).await {
            Ok(reply) => ShareGroupHeartbeatResponse {
                member_id: Some(member_id),
                member_epoch: reply.member_epoch,
                heartbeat_interval_ms: reply.heartbeat_interval_ms,
                assignment: reply.assignment.map(assignment),
                ..Default::default()
            },
            Err((code, message)) => ShareGroupHeartbeatResponse {
                error_code: code.code(),
                error_message: Some(message),
                ..Default::default()
            },
        }
    })
}

fn assignment(partitions: Partitions) -> Assignment {
    let topic = |(topic_id, indexes): (_, std::collections::BTreeSet<i32>)| TopicPartitions {
        topic_id,
        partitions: indexes.into_iter().collect(),
    };
    Assignment { topic_partitions: partitions.into_iter().map(topic).collect() }
}

async fn run(node: &Arc<Node>, beat: ShareHeartbeat) -> Result<ShareHeartbeatReply, (ErrorCode, String)> {
    let leaves = beat.member_epoch < 0;
    let session = (beat.group_id.clone(), beat.member_id.as_str().into());
    let told = told(node, beat.clone()).await?;
    if leaves {
        node.shares.end_session(&session);
        return Ok(told);
    }
    if told.initialize.is_empty() {
        return Ok(told);
    }
    if !node.shares.is_open() {
        let made = node.off_runtime(|node| node.create_share_state_topic()).await;
        if let Err(error) = made {
            tracing::error!(%error, "cannot create the topic of share group states");
        }
    }
    if let Err(error) = initialize(node, &beat.group_id, &told).await {
        // The member comes again, and so does this.
        tracing::warn!(group = %beat.group_id, %error, "share partitions are not initialized");
        return Ok(told);
    }
    let (group, partitions) = (beat.group_id.clone(), told.initialize.clone());
    let shard = node.group_shard(&beat.group_id).map_err(coordinator)?;
    let noted =
        node.groups.share_command(&shard, move |machine, _| Ok((machine.share().initialized(&group, &partitions), ())));
    noted.await.map_err(coordinator)?.map_err(refused)?;
    let again = ShareHeartbeat { member_epoch: told.member_epoch, topics: None, ..beat };
    let mut after = self::told(node, again).await?;
    after.assignment = after.assignment.or(told.assignment);
    Ok(after)
}

async fn told(node: &Arc<Node>, beat: ShareHeartbeat) -> Result<ShareHeartbeatReply, (ErrorCode, String)> {
    let shard = node.group_shard(&beat.group_id).map_err(coordinator)?;
    let image = node.image();
    let told = node.groups.share_command(&shard, move |machine, now| {
        if machine.has_other_than_share(&beat.group_id) {
            return Err(ShareGroupError::GroupNotFound { group: beat.group_id.to_string() });
        }
        machine.share().heartbeat(&beat, &image, now)
    });
    told.await.map_err(coordinator)?.map_err(refused)
}

/// Gives partitions a state, unless they have one that is as new.
async fn initialize(node: &Node, group: &GroupId, told: &ShareHeartbeatReply) -> Result<(), StateShardError> {
    let mut waits = Vec::new();
    for (topic_id, indexes) in &told.initialize {
        for partition in indexes {
            let key = SharePartitionKey { group_id: group.as_str().into(), topic_id: *topic_id, partition: *partition };
            let shard = node.shares.shard_of(&key)?;
            // Another heartbeat may have been quicker, and records delivered since.
            let is_there = shard.ask(|machine| machine.summary(&key).is_some())?;
            if !is_there {
                waits.push(shard.change(|machine, now| machine.initialize(&key, told.state_epoch, None, now))?);
            }
        }
    }
    for committed in waits {
        committed.await.map_err(|_| StateShardError::NotAvailable)?;
    }
    Ok(())
}

fn coordinator(error: CoordinatorError) -> (ErrorCode, String) {
    (group_error(&error), error.to_string())
}

fn refused(error: ShareGroupError) -> (ErrorCode, String) {
    (ErrorCode::from(&error), error.to_string())
}
