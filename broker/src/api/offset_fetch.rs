//! OffsetFetch (API key 9): a group reads its positions. Null topics: all there are. v7: `require_stable` (KIP-447):
//! a position that an open transaction may replace is answered UNSTABLE_OFFSET_COMMIT; v8: several groups; v9: member epoch; v10: topic ids.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use riverrun_core::{
    TopicPartition, Uuid,
    group::{Decision, FetchedOffset, GenerationId, GroupId, MemberId, OffsetSelection},
    protocol::{
        ErrorCode,
        messages::{
            OffsetFetchRequest, OffsetFetchResponse,
            offset_fetch::{
                OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
                OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
                OffsetFetchResponseTopics,
            },
        },
    },
};

use super::group_error;
use crate::{Reply, RequestContext, node::Node};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: OffsetFetchRequest) -> Reply {
    let version = context.api_version;
    let stable = request.require_stable;
    if version >= 8 {
        let groups: Vec<_> =
            request.groups.into_iter().map(|group| fetch_group(node, version >= 10, stable, group)).collect();
        return Reply::later(
            async move { OffsetFetchResponse { groups: join_all(groups).await, ..Default::default() } },
        );
    }
    let topics = request.topics.map(|topics| {
        let topic = |t: riverrun_core::protocol::messages::offset_fetch::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics { name: t.name, partition_indexes: t.partition_indexes, ..Default::default() }
        };
        topics.into_iter().map(topic).collect()
    });
    let group = OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() };
    let fetched = fetch_group(node, false, stable, group);
    Reply::later(async move { to_single(version, fetched.await) })
}

/// Reads the positions of one group; by id, partitions of unknown topics are answered as such.
fn fetch_group(
    node: &Arc<Node>,
    by_id: bool,
    require_stable: bool,
    request: OffsetFetchRequestGroup,
) -> impl Future<Output = OffsetFetchResponseGroup> + Send + use<> {
    let group_id = request.group_id;
    let member_id = request.member_id.as_deref().and_then(MemberId::from_wire);
    let epoch = GenerationId::from_wire(request.member_epoch);
    let (selection, unknown) = selection(node, by_id, request.topics);
    let fetched = node.group_shard(&group_id).map(|shard| {
        let id = GroupId::from(group_id.as_str());
        node.groups.command(&shard, move |machine, _| {
            let admitted = machine.admit_fetch(&id, member_id.as_ref(), epoch);
            let response = admitted.map(|()| machine.fetch_offsets(&id, &selection, require_stable));
            Decision { records: Vec::new(), replies: Vec::new(), response }
        })
    });
    let node = Arc::clone(node);
    async move {
        let fetched = match fetched {
            Ok(fetched) => fetched.await,
            Err(error) => Err(error),
        };
        match fetched {
            Ok(fetched) => {
                let mut topics = by_topic(&node, by_id, fetched);
                topics.extend(unknown);
                OffsetFetchResponseGroup { group_id, topics, ..Default::default() }
            }
            Err(error) => {
                OffsetFetchResponseGroup { group_id, error_code: group_error(&error).code(), ..Default::default() }
            }
        }
    }
}

/// What to read, and the answers for topics whose id nobody knows.
fn selection(
    node: &Node,
    by_id: bool,
    topics: Option<Vec<OffsetFetchRequestTopics>>,
) -> (OffsetSelection, Vec<OffsetFetchResponseTopics>) {
    let Some(topics) = topics else { return (OffsetSelection::All, Vec::new()) };
    let image = node.image();
    let mut partitions = Vec::new();
    let mut unknown = Vec::new();
    for topic in topics {
        let name: Arc<str> = if by_id {
            match image.topic_by_id(topic.topic_id) {
                Some(known) => Arc::clone(&known.name),
                None => {
                    unknown.push(unknown_topic(topic));
                    continue;
                }
            }
        } else {
            topic.name.into()
        };
        partitions.extend(topic.partition_indexes.iter().map(|p| TopicPartition::new(Arc::clone(&name), *p)));
    }
    (OffsetSelection::Partitions(partitions), unknown)
}

fn unknown_topic(topic: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partition = |partition_index: &i32| OffsetFetchResponsePartitions {
        partition_index: *partition_index,
        committed_offset: -1,
        metadata: Some(String::new()),
        error_code: ErrorCode::UnknownTopicId.code(),
        ..Default::default()
    };
    let partitions = topic.partition_indexes.iter().map(partition).collect();
    OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions }
}

fn by_topic(node: &Node, by_id: bool, fetched: Vec<FetchedOffset>) -> Vec<OffsetFetchResponseTopics> {
    let image = node.image();
    let mut topics: BTreeMap<Arc<str>, Vec<OffsetFetchResponsePartitions>> = BTreeMap::new();
    for FetchedOffset { topic_partition, committed, is_unstable } in fetched {
        let partition_index = topic_partition.partition;
        let partition = match committed {
            _ if is_unstable => OffsetFetchResponsePartitions {
                partition_index,
                committed_offset: -1,
                metadata: Some(String::new()),
                error_code: ErrorCode::UnstableOffsetCommit.code(),
                ..Default::default()
            },
            Some(committed) => OffsetFetchResponsePartitions {
                partition_index,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
                metadata: Some(committed.metadata),
                ..Default::default()
            },
            None => OffsetFetchResponsePartitions {
                partition_index,
                committed_offset: -1,
                metadata: Some(String::new()),
                ..Default::default()
            },
        };
        topics.entry(topic_partition.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().filter_map(|(name, partitions)| {
        let topic_id = match image.topic(&name) {
            Some(topic) => topic.id,
            // Its positions are about to be forgotten, and an id is all the response could name it by.
            None if by_id => return None,
            None => Uuid::ZERO,
        };
        Some(OffsetFetchResponseTopics { name: name.to_string(), topic_id, partitions })
    });
    topics.collect()
}

/// The form of versions 1 to 7, in which an error of the group is that of each partition before version 2.
fn to_single(version: i16, group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition = |p: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: p.partition_index,
        committed_offset: p.committed_offset,
        committed_leader_epoch: p.committed_leader_epoch,
        metadata: p.metadata,
        error_code: if version < 2 { group.error_code } else { p.error_code },
    };
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error_code, ..Default::default() }
}
