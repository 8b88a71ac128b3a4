//! The share coordinator's APIs (keys 83 to 87): InitializeShareGroupState, ReadShareGroupState, WriteShareGroupState,
//! DeleteShareGroupState, ReadShareGroupStateSummary (KIP-932). Kafka's brokers speak them to each other; a single node
//! answers them all the same.

use std::sync::Arc;

use riverrun_core::{
    Uuid,
    protocol::{
        ErrorCode,
        messages::{
            DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
            InitializeShareGroupStateResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
            ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest,
            WriteShareGroupStateResponse, delete_share_group_state, initialize_share_group_state,
            read_share_group_state, read_share_group_state_summary, write_share_group_state,
        },
    },
    share::state::{Decision, DeliveryState, SharePartitionKey, ShareStateShard, StateBatch, StateError, WriteRequest},
};

use crate::{
    Reply,
    node::Node,
    share::{StateShardError, state_code},
    storage::Committed,
};

type Change = Result<Committed, (ErrorCode, String)>;

/// A share partition that is there.
fn key(node: &Node, group: &str, topic_id: Uuid, partition: i32) -> Result<SharePartitionKey, (ErrorCode, String)> {
    if group.is_empty() || topic_id == Uuid::ZERO || partition < 0 {
        return Err((ErrorCode::InvalidRequest, "no share partition is named like this".to_owned()));
    }
    if node.storage.partition(topic_id, partition).is_none() {
        let code = ErrorCode::UnknownTopicOrPartition;
        return Err((code, "no such partition".to_owned()));
    }
    Ok(SharePartitionKey { group_id: group.into(), topic_id, partition })
}

fn told(error: &StateShardError) -> (ErrorCode, String) {
    (state_code(error), error.to_string())
}

fn change(
    node: &Node,
    key: &SharePartitionKey,
    run: impl FnOnce(&ShareStateShard, i64) -> Decision,
) -> Result<Committed, (ErrorCode, String)> {
    let committed = node.shares.shard_of(key).and_then(|shard| shard.change(run)).map_err(|error| told(&error))?;
    // Whoever uses the partition must know.
    node.shares.reload(key);
    Ok(committed)
}

/// What became of a partition.
struct Told {
    partition: i32,
    error_code: i16,
    error_message: Option<String>,
}

/// Waits for changes, by topic and partition.
async fn settled(changes: Vec<(Uuid, Vec<(i32, Change)>)>) -> Vec<(Uuid, Vec<Told>)> {
    let mut topics = Vec::with_capacity(changes.len());
    for (topic_id, changes) in changes {
        let mut partitions = Vec::with_capacity(changes.len());
        for (partition, change) in changes {
            let (error_code, error_message) = match change {
                Ok(committed) => match committed.await {
                    Ok(()) => (0, None),
                    Err(error) => (ErrorCode::CoordinatorNotAvailable.code(), Some(error.to_string())),
                },
                Err((code, message)) => (code.code(), Some(message)),
            };
            partitions.push(Told { partition, error_code, error_message });
        }
        topics.push((topic_id, partitions));
    }
    topics
}

/// InitializeShareGroupState.
pub(super) fn initialize(node: &Arc<Node>, request: InitializeShareGroupStateRequest) -> Reply {
    use initialize_share_group_state::{InitializeStateResult, PartitionResult};
    let mut changes = Vec::new();
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|wanted| {
            let change = key(node, &request.group_id, topic.topic_id, wanted.partition).and_then(|key| {
                let start = (wanted.start_offset >= 0).then_some(wanted.start_offset);
                change(node, &key, |machine, now| machine.initialize(&key, wanted.state_epoch, start, now))
            });
            (wanted.partition, change)
        });
        changes.push((topic.topic_id, partitions.collect::<Vec<_>>()));
    }
    Reply::later(async move {
        let results = settled(changes).await.into_iter().map(|(topic_id, partitions)| {
            let told = |Told { partition, error_code, error_message }| PartitionResult {
                partition,
                error_code,
                error_message,
            };
            InitializeStateResult { topic_id, partitions: partitions.into_iter().map(told).collect() }
        });
        InitializeShareGroupStateResponse { results: results.collect() }
    })
}

/// WriteShareGroupState.
pub(super) fn write(node: &Arc<Node>, request: WriteShareGroupStateRequest) -> Reply {
    use write_share_group_state::{PartitionResult, WriteStateResult};
    let mut changes = Vec::new();
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|wanted| {
            let change = key(node, &request.group_id, topic.topic_id, wanted.partition).and_then(|key| {
                let write = write_request(wanted).map_err(|error| told(&error.into()))?;
                change(node, &key, |machine, now| machine.write(&key, write, now))
            });
            (wanted.partition, change)
        });
        changes.push((topic.topic_id, partitions.collect::<Vec<_>>()));
    }
    Reply::later(async move {
        let results = settled(changes).await.into_iter().map(|(topic_id, partitions)| {
            let told = |Told { partition, error_code, error_message }| PartitionResult {
                partition,
                error_code,
                error_message,
            };
            WriteStateResult { topic_id, partitions: partitions.into_iter().map(told).collect() }
        });
        WriteShareGroupStateResponse { results: results.collect() }
    })
}

fn write_request(wanted: &write_share_group_state::PartitionData) -> Result<WriteRequest, StateError> {
    let batches = wanted.state_batches.iter().map(|batch| {
        Some(StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            state: DeliveryState::from_id(batch.delivery_state)?,
            delivery_count: batch.delivery_count,
        })
    });
    Ok(WriteRequest {
        state_epoch: wanted.state_epoch,
        leader_epoch: (wanted.leader_epoch >= 0).then_some(wanted.leader_epoch),
        start_offset: (wanted.start_offset >= 0).then_some(wanted.start_offset),
        delivery_complete_count: (wanted.delivery_complete_count >= 0).then_some(wanted.delivery_complete_count),
        batches: batches.collect::<Option<_>>().ok_or(StateError::Malformed)?,
    })
}

/// DeleteShareGroupState.
pub(super) fn delete(node: &Arc<Node>, request: DeleteShareGroupStateRequest) -> Reply {
    use delete_share_group_state::{DeleteStateResult, PartitionResult};
    let mut changes = Vec::new();
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|wanted| {
            let change = key(node, &request.group_id, topic.topic_id, wanted.partition)
                .and_then(|key| change(node, &key, |machine, _| machine.delete(&key)));
            (wanted.partition, change)
        });
        changes.push((topic.topic_id, partitions.collect::<Vec<_>>()));
    }
    Reply::later(async move {
        let results = settled(changes).await.into_iter().map(|(topic_id, partitions)| {
            let told = |Told { partition, error_code, error_message }| PartitionResult {
                partition,
                error_code,
                error_message,
            };
            DeleteStateResult { topic_id, partitions: partitions.into_iter().map(told).collect() }
        });
        DeleteShareGroupStateResponse { results: results.collect() }
    })
}

/// ReadShareGroupState.
pub(super) fn read(node: &Node, request: &ReadShareGroupStateRequest) -> ReadShareGroupStateResponse {
    use read_share_group_state::{PartitionResult, ReadStateResult, StateBatch};
    let results = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let state = key(node, &request.group_id, topic.topic_id, wanted.partition).and_then(|key| {
                let leader_epoch = (wanted.leader_epoch >= 0).then_some(wanted.leader_epoch);
                let shard = node.shares.shard_of(&key).map_err(|error| told(&error))?;
                let state = shard.ask(|machine| machine.read(&key, leader_epoch).map(|state| state.cloned()));
                state.map_err(|error| told(&error))?.map_err(|error| told(&error.into()))
            });
            let partition = wanted.partition;
            match state {
                Ok(Some(state)) => PartitionResult {
                    partition,
                    state_epoch: state.state_epoch,
                    start_offset: state.start_offset.unwrap_or(-1),
                    state_batches: state
                        .batches
                        .iter()
                        .map(|batch| StateBatch {
                            first_offset: batch.first_offset,
                            last_offset: batch.last_offset,
                            delivery_state: batch.state.id(),
                            delivery_count: batch.delivery_count,
                        })
                        .collect(),
                    ..Default::default()
                },
                Ok(None) => PartitionResult { partition, start_offset: -1, ..Default::default() },
                Err((code, message)) => PartitionResult {
                    partition,
                    error_code: code.code(),
                    error_message: Some(message),
                    ..Default::default()
                },
            }
        });
        ReadStateResult { topic_id: topic.topic_id, partitions: partitions.collect() }
    });
    ReadShareGroupStateResponse { results: results.collect() }
}

/// ReadShareGroupStateSummary.
pub(super) fn summary(node: &Node, request: &ReadShareGroupStateSummaryRequest) -> ReadShareGroupStateSummaryResponse {
    use read_share_group_state_summary::{PartitionResult, ReadStateSummaryResult};
    let results = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let summary = key(node, &request.group_id, topic.topic_id, wanted.partition).and_then(|key| {
                let shard = node.shares.shard_of(&key);
                shard.and_then(|shard| shard.ask(|machine| machine.summary(&key))).map_err(|error| told(&error))
            });
            let partition = wanted.partition;
            match summary {
                Ok(Some(summary)) => PartitionResult {
                    partition,
                    state_epoch: summary.state_epoch,
                    leader_epoch: summary.leader_epoch,
                    start_offset: summary.start_offset.unwrap_or(-1),
                    delivery_complete_count: summary.delivery_complete_count.unwrap_or(-1),
                    ..Default::default()
                },
                Ok(None) => {
                    PartitionResult { partition, start_offset: -1, delivery_complete_count: -1, ..Default::default() }
                }
                Err((code, message)) => PartitionResult {
                    partition,
                    error_code: code.code(),
                    error_message: Some(message),
                    start_offset: -1,
                    delivery_complete_count: -1,
                    ..Default::default()
                },
            }
        });
        ReadStateSummaryResult { topic_id: topic.topic_id, partitions: partitions.collect() }
    });
    ReadShareGroupStateSummaryResponse { results: results.collect() }
}
