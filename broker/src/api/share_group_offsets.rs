//! The offsets of share groups, for operators: DescribeShareGroupOffsets (API key 90; v1: lag, KIP-1226),
//! AlterShareGroupOffsets (91), DeleteShareGroupOffsets (92) (KIP-932).

use std::{collections::BTreeSet, sync::Arc};

use riverrun_core::{
    Uuid,
    group::GroupId,
    metadata::Image,
    protocol::{
        ErrorCode,
        messages::{
            AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
            DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
            alter_share_group_offsets::{AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic},
            delete_share_group_offsets::DeleteShareGroupOffsetsResponseTopic,
            describe_share_group_offsets::{
                DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsResponseGroup,
                DescribeShareGroupOffsetsResponsePartition, DescribeShareGroupOffsetsResponseTopic,
            },
        },
    },
    share::{
        group::{Partitions, ShareGroupError},
        state::SharePartitionKey,
    },
};

use super::group_error;
use crate::{
    Reply,
    groups::CoordinatorError,
    node::Node,
    share::{StateShardError, state_code},
};

type Refusal = (ErrorCode, String);

fn coordinator(error: &CoordinatorError) -> Refusal {
    (group_error(error), error.to_string())
}

fn refused(error: &ShareGroupError) -> Refusal {
    (ErrorCode::from(error), error.to_string())
}

fn state(error: &StateShardError) -> Refusal {
    (state_code(error), error.to_string())
}

fn key(group: &str, topic_id: Uuid, partition: i32) -> SharePartitionKey {
    SharePartitionKey { group_id: group.into(), topic_id, partition }
}

/// The partitions of a group that have a state.
fn known(node: &Node, group: &str, must_be_empty: bool) -> Result<Partitions, Refusal> {
    let shard = node.group_shard(group).map_err(|error| coordinator(&error))?;
    let known = shard.ask(|machine| match must_be_empty {
        true => machine.share().partitions_of_empty(group),
        false => machine.share().partitions(group),
    });
    known.map_err(|error| coordinator(&error))?.map_err(|error| refused(&error))
}

/// DescribeShareGroupOffsets.
pub(super) fn describe(node: &Node, request: DescribeShareGroupOffsetsRequest) -> DescribeShareGroupOffsetsResponse {
    let image = node.image();
    let groups = request.groups.into_iter().map(|group| describe_group(node, &image, group));
    DescribeShareGroupOffsetsResponse { groups: groups.collect(), ..Default::default() }
}

fn describe_group(
    node: &Node,
    image: &Image,
    group: DescribeShareGroupOffsetsRequestGroup,
) -> DescribeShareGroupOffsetsResponseGroup {
    let group_id = group.group_id;
    let known = match known(node, &group_id, false) {
        Ok(known) => known,
        Err((code, message)) => {
            return DescribeShareGroupOffsetsResponseGroup {
                group_id,
                error_code: code.code(),
                error_message: Some(message),
                ..Default::default()
            };
        }
    };
    let wanted: Vec<(String, Option<Uuid>, Vec<i32>)> = match group.topics {
        Some(topics) => topics
            .into_iter()
            .map(|topic| {
                let id = image.topic(&topic.topic_name).map(|topic| topic.id);
                (topic.topic_name, id, topic.partitions)
            })
            .collect(),
        None => known
            .iter()
            .filter_map(|(id, indexes)| {
                let topic = image.topic_by_id(*id)?;
                Some((topic.name.to_string(), Some(*id), indexes.iter().copied().collect()))
            })
            .collect(),
    };
    let topics = wanted.into_iter().map(|(topic_name, id, indexes)| {
        let partitions = indexes.into_iter().map(|index| match id {
            Some(id) => describe_partition(node, &known, &group_id, id, index),
            None => DescribeShareGroupOffsetsResponsePartition {
                partition_index: index,
                start_offset: -1,
                lag: -1,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                error_message: Some(ErrorCode::UnknownTopicOrPartition.name().to_owned()),
                ..Default::default()
            },
        });
        DescribeShareGroupOffsetsResponseTopic {
            topic_name,
            topic_id: id.unwrap_or(Uuid::ZERO),
            partitions: partitions.collect(),
        }
    });
    let topics = topics.collect();
    DescribeShareGroupOffsetsResponseGroup { group_id, topics, ..Default::default() }
}

fn describe_partition(
    node: &Node,
    known: &Partitions,
    group: &str,
    topic_id: Uuid,
    index: i32,
) -> DescribeShareGroupOffsetsResponsePartition {
    let nothing = DescribeShareGroupOffsetsResponsePartition {
        partition_index: index,
        start_offset: -1,
        lag: -1,
        ..Default::default()
    };
    if !known.get(&topic_id).is_some_and(|indexes| indexes.contains(&index)) {
        return nothing;
    }
    let key = key(group, topic_id, index);
    let shard = node.shares.shard_of(&key);
    match shard.and_then(|shard| shard.ask(|machine| machine.summary(&key))) {
        Ok(summary) => {
            let Some((summary, start)) = summary.and_then(|summary| Some((summary, summary.start_offset?))) else {
                return nothing;
            };
            let end = node.storage.partition(topic_id, index).map(|partition| partition.offsets().high_watermark);
            let complete = summary.delivery_complete_count.map(i64::from);
            let lag = end.zip(complete).map_or(-1, |(end, complete)| (end - start - complete).max(0));
            DescribeShareGroupOffsetsResponsePartition {
                start_offset: start,
                leader_epoch: summary.leader_epoch,
                lag,
                ..nothing
            }
        }
        Err(error) => DescribeShareGroupOffsetsResponsePartition {
            error_code: state_code(&error).code(),
            error_message: Some(error.to_string()),
            ..nothing
        },
    }
}

/// AlterShareGroupOffsets.
pub(super) fn alter(node: &Arc<Node>, request: AlterShareGroupOffsetsRequest) -> Reply {
    let node = Arc::clone(node);
    Reply::later(async move {
        match try_alter(&node, &request).await {
            Ok(responses) => AlterShareGroupOffsetsResponse { responses, ..Default::default() },
            Err((code, message)) => AlterShareGroupOffsetsResponse {
                error_code: code.code(),
                error_message: Some(message),
                ..Default::default()
            },
        }
    })
}

async fn try_alter(
    node: &Arc<Node>,
    request: &AlterShareGroupOffsetsRequest,
) -> Result<Vec<AlterShareGroupOffsetsResponseTopic>, Refusal> {
    if !node.shares.is_open() {
        let made = node.off_runtime(|node| node.create_share_state_topic()).await;
        made.map_err(|error| (ErrorCode::CoordinatorNotAvailable, error.to_string()))?;
    }
    let image = node.image();
    let mut partitions = Partitions::new();
    for topic in &request.topics {
        let Some(known) = image.topic(&topic.topic_name) else { continue };
        let there = topic.partitions.iter().map(|p| p.partition_index).filter(|p| known.partitions.contains_key(p));
        partitions.entry(known.id).or_default().extend(there);
    }
    partitions.retain(|_, indexes: &mut BTreeSet<i32>| !indexes.is_empty());
    let group = GroupId::from(request.group_id.as_str());
    let shard = node.group_shard(&request.group_id).map_err(|error| coordinator(&error))?;
    let (id, changed, topics) = (group.clone(), partitions.clone(), Arc::clone(&image));
    let epoch = node.groups.share_command(&shard, move |machine, _| {
        if machine.has_other_than_share(&id) {
            return Err(ShareGroupError::GroupNotFound { group: id.to_string() });
        }
        machine.share().begin_alteration(&id, &changed, &topics)
    });
    let epoch = epoch.await.map_err(|error| coordinator(&error))?.map_err(|error| refused(&error))?;
    let mut responses = Vec::new();
    for topic in &request.topics {
        let known = image.topic(&topic.topic_name);
        let mut results = Vec::new();
        for wanted in &topic.partitions {
            let index = wanted.partition_index;
            let outcome = match known.filter(|known| known.partitions.contains_key(&index)) {
                Some(known) => {
                    let key = key(&request.group_id, known.id, index);
                    let start = (wanted.start_offset >= 0).then_some(wanted.start_offset);
                    let changed = node
                        .shares
                        .shard_of(&key)
                        .and_then(|shard| shard.change(|machine, now| machine.initialize(&key, epoch, start, now)));
                    node.shares.reload(&key);
                    match changed {
                        Ok(committed) => {
                            let gone = |_| (ErrorCode::CoordinatorNotAvailable, "the log is offline".to_owned());
                            committed.await.map_err(gone)
                        }
                        Err(error) => Err(state(&error)),
                    }
                }
                None => {
                    let code = ErrorCode::UnknownTopicOrPartition;
                    Err((code, code.name().to_owned()))
                }
            };
            let (error_code, error_message) = told(outcome);
            results.push(AlterShareGroupOffsetsResponsePartition { partition_index: index, error_code, error_message });
        }
        responses.push(AlterShareGroupOffsetsResponseTopic {
            topic_name: topic.topic_name.clone(),
            topic_id: known.map_or(Uuid::ZERO, |known| known.id),
            partitions: results,
        });
    }
    Ok(responses)
}

fn told(outcome: Result<(), Refusal>) -> (i16, Option<String>) {
    match outcome {
        Ok(()) => (0, None),
        Err((code, message)) => (code.code(), Some(message)),
    }
}

/// DeleteShareGroupOffsets.
pub(super) fn delete(node: &Arc<Node>, request: DeleteShareGroupOffsetsRequest) -> Reply {
    let node = Arc::clone(node);
    Reply::later(async move {
        match try_delete(&node, request).await {
            Ok(responses) => DeleteShareGroupOffsetsResponse { responses, ..Default::default() },
            Err((code, message)) => DeleteShareGroupOffsetsResponse {
                error_code: code.code(),
                error_message: Some(message),
                ..Default::default()
            },
        }
    })
}

async fn try_delete(
    node: &Node,
    request: DeleteShareGroupOffsetsRequest,
) -> Result<Vec<DeleteShareGroupOffsetsResponseTopic>, Refusal> {
    let known = known(node, &request.group_id, true)?;
    let image = node.image();
    let mut responses = Vec::new();
    let mut gone = Vec::new();
    for topic in request.topics {
        let id = image.topic(&topic.topic_name).map(|topic| topic.id);
        let outcome = match id.and_then(|id| Some((id, known.get(&id)?))) {
            Some((id, indexes)) => {
                let deleted = delete_states(node, &request.group_id, id, indexes).await;
                if deleted.is_ok() {
                    gone.push(id);
                }
                deleted
            }
            None => {
                let code = ErrorCode::UnknownTopicOrPartition;
                Err((code, code.name().to_owned()))
            }
        };
        let (error_code, error_message) = told(outcome);
        responses.push(DeleteShareGroupOffsetsResponseTopic {
            topic_name: topic.topic_name,
            topic_id: id.unwrap_or(Uuid::ZERO),
            error_code,
            error_message,
        });
    }
    let group = GroupId::from(request.group_id.as_str());
    let shard = node.group_shard(&request.group_id).map_err(|error| coordinator(&error))?;
    let noted =
        node.groups.share_command(&shard, move |machine, _| Ok((machine.share().forget_topics(&group, &gone), ())));
    noted.await.map_err(|error| coordinator(&error))?.map_err(|error| refused(&error))?;
    Ok(responses)
}

async fn delete_states(node: &Node, group: &str, topic_id: Uuid, indexes: &BTreeSet<i32>) -> Result<(), Refusal> {
    for index in indexes {
        let key = key(group, topic_id, *index);
        let changed = node.shares.shard_of(&key).and_then(|shard| shard.change(|machine, _| machine.delete(&key)));
        node.shares.reload(&key);
        let gone = |_| (ErrorCode::CoordinatorNotAvailable, "the log is offline".to_owned());
        changed.map_err(|error| state(&error))?.await.map_err(gone)?;
    }
    Ok(())
}

/// Deletes a share group with the states of its partitions; `None` if there is no share group of that name.
pub(super) async fn delete_group(node: &Node, group: &str) -> Option<ErrorCode> {
    let shard = node.group_shard(group).ok()?;
    if !shard.ask(|machine| machine.share().contains(group)).unwrap_or(false) {
        return None;
    }
    Some(match try_delete_group(node, group).await {
        Ok(()) => ErrorCode::None,
        Err((code, _)) => code,
    })
}

async fn try_delete_group(node: &Node, group: &str) -> Result<(), Refusal> {
    for (topic_id, indexes) in known(node, group, true)? {
        delete_states(node, group, topic_id, &indexes).await?;
    }
    let shard = node.group_shard(group).map_err(|error| coordinator(&error))?;
    let id = group.to_owned();
    let deleted = node.groups.share_command(&shard, move |machine, _| Ok((machine.share().delete(&id)?, ())));
    deleted.await.map_err(|error| coordinator(&error))?.map_err(|error| refused(&error))
}
