//! Offsets asked for and committed: the calls, with what differs between their versions. Every function takes what it
//! needs and owns it, so that a consumer may keep the future and go on.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use riverrun_core::{
    TopicPartition, Uuid,
    protocol::{
        ErrorCode,
        messages::{
            ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest,
            list_offsets::{ListOffsetsPartition, ListOffsetsTopic},
            offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
            offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics},
        },
    },
};
use tokio::time::{Instant, sleep};

use super::{
    embedded::by_topic,
    error::CommitError,
    group::{Group, Lane},
    record::{OffsetAndMetadata, OffsetAndTimestamp},
};
use crate::{
    backoff::Backoff,
    cluster::{Cluster, Image, REQUEST_TIMEOUT, Wanted},
    error::{CallError, ClientError},
    producer::concerns_metadata,
    transport::BrokerAddress,
};

/// The last version of OffsetCommit and OffsetFetch that names topics.
const NAMES_UP_TO: i16 = 9;

/// The ids of topics, if all are known.
fn ids<'a>(image: &Image, topics: impl Iterator<Item = &'a Arc<str>>) -> Option<HashMap<Arc<str>, Uuid>> {
    topics.map(|topic| Some((Arc::clone(topic), image.topic(topic)?.id?))).collect()
}

/// The topic that a response names, by name or by id.
fn named(name: String, id: Uuid, image: &Image) -> Arc<str> {
    if name.is_empty()
        && let Some(topic) = image.topic_by_id(id)
    {
        return Arc::clone(&topic.name);
    }
    name.into()
}

/// Commits offsets on behalf of the member, or of nobody in particular if it is none.
pub(super) async fn commit(
    group: Arc<Group>,
    offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
    limit: Duration,
) -> Result<(), CommitError> {
    if offsets.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + limit;
    let mut failures = 0;
    loop {
        let error = match commit_once(&group, &offsets).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        failures += 1;
        let wait = Backoff::default().after(failures, rand::random());
        let again = error.is_retriable() && !matches!(error, CommitError::RebalanceInProgress);
        if !again || Instant::now() + wait >= deadline {
            return Err(error);
        }
        tracing::debug!(group = %group.id, %error, "commit is tried again");
        sleep(wait).await;
    }
}

async fn commit_once(group: &Group, offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>) -> Result<(), CommitError> {
    let image = group.cluster.image();
    let partitions: Vec<_> = offsets.keys().cloned().collect();
    let topics = by_topic(&partitions);
    let ids = ids(&image, topics.keys().copied());
    let version_max = if ids.is_some() { i16::MAX } else { NAMES_UP_TO };
    let build = |version| {
        let (generation_id_or_member_epoch, member_id) = group.membership().identity();
        let topic = |(topic, partitions): (&&Arc<str>, &Vec<i32>)| OffsetCommitRequestTopic {
            name: topic.to_string(),
            topic_id: ids.as_ref().and_then(|ids| ids.get(*topic).copied()).unwrap_or_default(),
            partitions: partitions.iter().filter_map(|partition| wire_offset(offsets, topic, *partition)).collect(),
        };
        let instance = group.settings.group_instance_id.as_deref().filter(|_| version >= 7);
        OffsetCommitRequest {
            group_id: group.id.to_string(),
            generation_id_or_member_epoch,
            member_id,
            group_instance_id: instance.map(str::to_owned),
            topics: topics.iter().map(topic).collect(),
            ..Default::default()
        }
    };
    let response = group.call(Lane::Offsets, REQUEST_TIMEOUT, version_max, build).await?;
    for topic in response.topics {
        let name = named(topic.name, topic.topic_id, &image);
        for partition in topic.partitions {
            let topic_partition = TopicPartition { topic: Arc::clone(&name), partition: partition.partition_index };
            commit_result(group, topic_partition, ErrorCode::from_code(partition.error_code))?;
        }
    }
    Ok(())
}

fn wire_offset(
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    topic: &Arc<str>,
    partition: i32,
) -> Option<OffsetCommitRequestPartition> {
    let offset = offsets.get(&TopicPartition { topic: Arc::clone(topic), partition })?;
    Some(OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
        committed_metadata: Some(offset.metadata.clone()),
    })
}

fn commit_result(group: &Group, topic_partition: TopicPartition, code: ErrorCode) -> Result<(), CommitError> {
    match code {
        ErrorCode::None => Ok(()),
        ErrorCode::RebalanceInProgress => {
            group.membership().request_rejoin("a commit met a rebalance");
            Err(CommitError::RebalanceInProgress)
        }
        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::FencedInstanceId => {
            Err(CommitError::Fenced { code })
        }
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
            group.forget_coordinator();
            Err(CommitError::Partition { topic_partition, code })
        }
        code => Err(CommitError::Partition { topic_partition, code }),
    }
}

/// The offsets committed for these partitions; those without are not among them.
pub(super) async fn committed(
    group: Arc<Group>,
    partitions: Vec<TopicPartition>,
    limit: Duration,
) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError> {
    crate::cluster::retrying(limit, || committed_once(&group, &partitions)).await
}

async fn committed_once(
    group: &Group,
    partitions: &[TopicPartition],
) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError> {
    let image = group.cluster.image();
    let topics = by_topic(partitions);
    let ids = ids(&image, topics.keys().copied());
    let version_max = if ids.is_some() { i16::MAX } else { NAMES_UP_TO };
    let build = |version| {
        let mut request = OffsetFetchRequest { require_stable: version >= 7, ..Default::default() };
        if version >= 8 {
            let topics = topics.iter().map(|(topic, partitions)| OffsetFetchRequestTopics {
                name: topic.to_string(),
                topic_id: ids.as_ref().and_then(|ids| ids.get(*topic).copied()).unwrap_or_default(),
                partition_indexes: partitions.clone(),
            });
            let topics = Some(topics.collect());
            let group_id = group.id.to_string();
            request.groups = vec![OffsetFetchRequestGroup { group_id, topics, ..Default::default() }];
        } else {
            let topics = topics.iter().map(|(topic, partitions)| OffsetFetchRequestTopic {
                name: topic.to_string(),
                partition_indexes: partitions.clone(),
            });
            request.group_id = group.id.to_string();
            request.topics = Some(topics.collect());
        }
        request
    };
    let response = group.call(Lane::Offsets, REQUEST_TIMEOUT, version_max, build).await?;
    let mut code = ErrorCode::from_code(response.error_code);
    let mut found = HashMap::new();
    let mut take = |name: &Arc<str>, index, offset: i64, epoch: i32, metadata: Option<String>, error_code| {
        let error = ErrorCode::from_code(error_code);
        if error != ErrorCode::None {
            code = error;
        } else if offset >= 0 {
            let leader_epoch = Some(epoch).filter(|epoch| *epoch >= 0);
            let committed = OffsetAndMetadata { offset, leader_epoch, metadata: metadata.unwrap_or_default() };
            found.insert(TopicPartition { topic: Arc::clone(name), partition: index }, committed);
        }
    };
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        for p in topic.partitions {
            let epoch = p.committed_leader_epoch;
            take(&name, p.partition_index, p.committed_offset, epoch, p.metadata, p.error_code);
        }
    }
    let mut group_code = ErrorCode::None;
    for listed in response.groups {
        group_code = ErrorCode::from_code(listed.error_code);
        for topic in listed.topics {
            let name = named(topic.name, topic.topic_id, &image);
            for p in topic.partitions {
                let epoch = p.committed_leader_epoch;
                take(&name, p.partition_index, p.committed_offset, epoch, p.metadata, p.error_code);
            }
        }
    }
    let code = if group_code == ErrorCode::None { code } else { group_code };
    match code {
        ErrorCode::None => Ok(found),
        code => {
            if matches!(code, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) {
                group.forget_coordinator();
            }
            Err(ClientError::Coordinator { group: Arc::clone(&group.id), code })
        }
    }
}

/// The timestamp that stands for the end of a partition.
pub(crate) const LATEST: i64 = -1;
/// The timestamp that stands for its beginning.
pub(crate) const EARLIEST: i64 = -2;

/// The offset of each partition at the time asked for; nothing where no record is that young.
pub(crate) async fn list_offsets(
    cluster: Arc<Cluster>,
    times: HashMap<TopicPartition, i64>,
    isolation_level: i8,
    limit: Duration,
) -> Result<HashMap<TopicPartition, Option<OffsetAndTimestamp>>, ClientError> {
    let deadline = Instant::now() + limit;
    let mut found = HashMap::new();
    let mut missing = times;
    let mut failures = 0;
    loop {
        let error = match list_offsets_once(&cluster, &mut missing, &mut found, isolation_level).await {
            Ok(()) if missing.is_empty() => return Ok(found),
            Ok(()) => None,
            Err(error) if error.is_retriable() => Some(error),
            Err(error) => return Err(error),
        };
        failures += 1;
        let wait = Backoff::default().after(failures, rand::random());
        if Instant::now() + wait >= deadline {
            return Err(ClientError::TimedOut { after: limit, source: error.map(Box::new) });
        }
        sleep(wait).await;
        let names: Vec<_> = missing.keys().map(|partition| Arc::clone(&partition.topic)).collect();
        // If this fails too the next attempt says so.
        let _ = cluster.refresh(Wanted::Topics { names: &names, allow_auto_create: false }).await;
    }
}

async fn list_offsets_once(
    cluster: &Cluster,
    missing: &mut HashMap<TopicPartition, i64>,
    found: &mut HashMap<TopicPartition, Option<OffsetAndTimestamp>>,
    isolation_level: i8,
) -> Result<(), ClientError> {
    let mut by_leader: HashMap<BrokerAddress, Vec<(TopicPartition, i64, i32)>> = HashMap::new();
    let mut failure = None;
    for (partition, timestamp) in missing.iter() {
        match leader_of(cluster, partition).await {
            Ok((address, epoch)) => by_leader.entry(address).or_default().push((partition.clone(), *timestamp, epoch)),
            // The others need not wait for this one.
            Err(error) if error.is_retriable() => failure = Some(error),
            Err(error) => return Err(error),
        }
    }
    let calls = by_leader.into_iter().map(|(address, wanted)| async move {
        cluster.pool().call(&address, |version| list_request(version, &wanted, isolation_level)).await
    });
    for response in join_all(calls).await {
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for partition in topic.partitions {
                let key = TopicPartition { topic: Arc::clone(&name), partition: partition.partition_index };
                let Entry::Occupied(entry) = missing.entry(key.clone()) else { continue };
                let code = ErrorCode::from_code(partition.error_code);
                match code {
                    ErrorCode::None => {
                        entry.remove();
                        let leader_epoch = Some(partition.leader_epoch).filter(|epoch| *epoch >= 0);
                        let (offset, timestamp) = (partition.offset, partition.timestamp);
                        let at = OffsetAndTimestamp { offset, timestamp, leader_epoch };
                        found.insert(key, (offset >= 0).then_some(at));
                    }
                    code if concerns_metadata(code) || code.is_retriable() => {
                        failure = Some(ClientError::Topic { topic: Arc::clone(&name), code });
                    }
                    code => return Err(ClientError::Topic { topic: name, code }),
                }
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Where the partition's leader is, and its epoch, -1 if unknown.
async fn leader_of(cluster: &Cluster, partition: &TopicPartition) -> Result<(BrokerAddress, i32), ClientError> {
    let TopicPartition { topic: name, partition: index } = partition;
    let topic = match cluster.image().topic(name) {
        Some(topic) if topic.error.is_none() => Arc::clone(topic),
        _ => cluster.ask_topic(name, false).await?,
    };
    let no_partition = || ClientError::NoPartition { topic: Arc::clone(name), partition: *index };
    let known = topic.partition(*index).ok_or_else(no_partition)?;
    let address = known.leader.and_then(|leader| cluster.image().address(leader).cloned());
    let no_leader = || ClientError::NoLeader { topic: Arc::clone(name), partition: *index };
    Ok((address.ok_or_else(no_leader)?, known.leader_epoch.unwrap_or(-1)))
}

fn list_request(version: i16, wanted: &[(TopicPartition, i64, i32)], isolation_level: i8) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (partition, timestamp, leader_epoch) in wanted {
        let entry = ListOffsetsPartition {
            partition_index: partition.partition,
            current_leader_epoch: *leader_epoch,
            timestamp: *timestamp,
        };
        match topics.iter_mut().find(|topic| *topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => topics.push(ListOffsetsTopic { name: partition.topic.to_string(), partitions: vec![entry] }),
        }
    }
    let isolation_level = if version >= 2 { isolation_level } else { 0 };
    let timeout_ms = if version >= 10 { 30_000 } else { 0 };
    ListOffsetsRequest { replica_id: -1, isolation_level, topics, timeout_ms }
}

/// Why a whole call failed, from an error code.
pub(crate) fn check(api: riverrun_core::protocol::ApiKey, error_code: i16) -> Result<(), CallError> {
    match ErrorCode::from_code(error_code) {
        ErrorCode::None => Ok(()),
        code => Err(CallError::Broker { api, code }),
    }
}
