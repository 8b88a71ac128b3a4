//! The records of streams groups to and from keys and values of `__consumer_offsets`.
//!
//! | key type | key | value |
//! |---|---|---|
//! | 17 | group | epoch of the group, hash of its topics, the topology found to fit, settings of the assignment |
//! | 19 | group, member | what the member told |
//! | 20 | group | epoch of the targets |
//! | 21 | group, member | target |
//! | 22 | group, member | what the member has |
//! | 23 | group | topology |
//!
//! Source: Kafka `StreamsCoordinatorRecordHelpers`; KIP-1071.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    ActiveTasks, AssignedTasks, CopartitionGroup, CurrentTasks, Endpoint, StreamsEpoch, StreamsMemberInfo,
    StreamsRecord, Subtopology, TaskSet, Tasks, TopicInfo, Topology, TopologyEpoch,
};
use crate::{
    group::{
        DecodeRecordError, EncodedRecord, Epoch, GroupId, GroupRecord, InstanceId, MemberId, MemberState, TargetEpoch,
    },
    protocol::{
        DecodeError, DecodeLimits, EncodeError, RootMessage, decode_key, decode_versioned, encode_key,
        encode_versioned,
        records::{
            StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue,
            StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue, StreamsGroupMetadataKey,
            StreamsGroupMetadataValue, StreamsGroupTargetAssignmentMemberKey, StreamsGroupTargetAssignmentMemberValue,
            StreamsGroupTargetAssignmentMetadataKey, StreamsGroupTargetAssignmentMetadataValue,
            StreamsGroupTopologyKey, StreamsGroupTopologyValue, streams_group as wire,
        },
    },
};

const GROUP: i16 = 17;
const MEMBER: i16 = 19;
const TARGET_EPOCH: i16 = 20;
const TARGET: i16 = 21;
const CURRENT: i16 = 22;
const TOPOLOGY: i16 = 23;

/// What stands for "no topology" in a record.
const NO_TOPOLOGY: i32 = -1;

/// Whether records of this type are read here.
pub(in crate::group) fn is_streams_record(record_type: i16) -> bool {
    matches!(record_type, GROUP | MEMBER | TARGET_EPOCH | TARGET | CURRENT | TOPOLOGY)
}

/// Writes a record.
pub(in crate::group) fn encode(group_id: &GroupId, record: &StreamsRecord) -> Result<EncodedRecord, EncodeError> {
    let group_id = group_id.to_string();
    match record {
        StreamsRecord::Group(value) => {
            encoded(&StreamsGroupMetadataKey { group_id }, value.as_ref().map(epoch_to_wire))
        }
        StreamsRecord::Member(member_id, value) => encoded(
            &StreamsGroupMemberMetadataKey { group_id, member_id: member_id.to_string() },
            value.as_deref().map(info_to_wire),
        ),
        StreamsRecord::TargetEpoch(value) => encoded(
            &StreamsGroupTargetAssignmentMetadataKey { group_id },
            value.map(|v| StreamsGroupTargetAssignmentMetadataValue {
                assignment_epoch: v.epoch.0,
                assignment_timestamp: v.timestamp_ms,
            }),
        ),
        StreamsRecord::Target(member_id, value) => encoded(
            &StreamsGroupTargetAssignmentMemberKey { group_id, member_id: member_id.to_string() },
            value.as_ref().map(|tasks| StreamsGroupTargetAssignmentMemberValue {
                active_tasks: tasks_to_wire(&tasks.active),
                standby_tasks: tasks_to_wire(&tasks.standby),
                warmup_tasks: tasks_to_wire(&tasks.warmup),
            }),
        ),
        StreamsRecord::Current(member_id, value) => encoded(
            &StreamsGroupCurrentMemberAssignmentKey { group_id, member_id: member_id.to_string() },
            value.as_ref().map(current_to_wire),
        ),
        StreamsRecord::Topology(value) => {
            encoded(&StreamsGroupTopologyKey { group_id }, value.as_deref().map(topology_to_wire))
        }
    }
}

fn encoded<K: RootMessage, V: RootMessage>(key: &K, value: Option<V>) -> Result<EncodedRecord, EncodeError> {
    let value = value.map(|value| encode_versioned(&value, V::VALID_VERSIONS.last)).transpose()?;
    Ok(EncodedRecord { key: encode_key(key)?, value })
}

fn epoch_to_wire(epoch: &StreamsEpoch) -> StreamsGroupMetadataValue {
    let config =
        |(key, value): (&String, &String)| wire::LastAssignmentConfig { key: key.clone(), value: value.clone() };
    let configs = Some(&epoch.assignment_configs).filter(|configs| !configs.is_empty());
    StreamsGroupMetadataValue {
        epoch: epoch.epoch.0,
        metadata_hash: epoch.metadata_hash,
        validated_topology_epoch: epoch.validated_topology.map_or(NO_TOPOLOGY, |topology| topology.0),
        last_assignment_configs: configs.map(|configs| configs.iter().map(config).collect()),
    }
}

fn info_to_wire(info: &StreamsMemberInfo) -> StreamsGroupMemberMetadataValue {
    let tag = |(key, value): (&String, &String)| wire::KeyValue { key: key.clone(), value: value.clone() };
    StreamsGroupMemberMetadataValue {
        instance_id: info.instance_id.as_ref().map(ToString::to_string),
        rack_id: info.rack_id.clone(),
        client_id: info.client_id.clone(),
        client_host: info.client_host.clone(),
        rebalance_timeout_ms: info.rebalance_timeout_ms,
        topology_epoch: info.topology_epoch.0,
        process_id: info.process_id.clone(),
        user_endpoint: info.user_endpoint.as_ref().map(|e| wire::Endpoint { host: e.host.clone(), port: e.port }),
        client_tags: info.client_tags.iter().map(tag).collect(),
    }
}

fn tasks_to_wire(tasks: &TaskSet) -> Vec<wire::TaskIds> {
    let part = |(id, partitions): (&Arc<str>, &BTreeSet<i32>)| wire::TaskIds {
        subtopology_id: id.to_string(),
        partitions: partitions.iter().copied().collect(),
    };
    tasks.iter().map(part).collect()
}

fn current_to_wire(current: &CurrentTasks) -> StreamsGroupCurrentMemberAssignmentValue {
    StreamsGroupCurrentMemberAssignmentValue {
        member_epoch: current.epoch.0,
        previous_member_epoch: current.previous_epoch.0,
        state: state_to_wire(current.state),
        active_tasks: active_to_wire(&current.assigned.active),
        standby_tasks: plain_to_wire(&current.assigned.standby),
        warmup_tasks: plain_to_wire(&current.assigned.warmup),
        active_tasks_pending_revocation: active_to_wire(&current.revoking.active),
        standby_tasks_pending_revocation: plain_to_wire(&current.revoking.standby),
        warmup_tasks_pending_revocation: plain_to_wire(&current.revoking.warmup),
    }
}

/// The states have other numbers than those of consumer groups.
fn state_to_wire(state: MemberState) -> i8 {
    match state {
        MemberState::Stable => 1,
        MemberState::UnrevokedPartitions => 2,
        MemberState::UnreleasedPartitions => 3,
        MemberState::Unknown(other) => other,
    }
}

fn state_from_wire(number: i8) -> MemberState {
    match number {
        1 => MemberState::Stable,
        2 => MemberState::UnrevokedPartitions,
        3 => MemberState::UnreleasedPartitions,
        other => MemberState::Unknown(other),
    }
}

fn active_to_wire(tasks: &ActiveTasks) -> Vec<wire::StreamsGroupCurrentMemberAssignmentTaskIds> {
    let part =
        |(id, partitions): (&Arc<str>, &BTreeMap<i32, Epoch>)| wire::StreamsGroupCurrentMemberAssignmentTaskIds {
            subtopology_id: id.to_string(),
            partitions: partitions.keys().copied().collect(),
            assignment_epochs: Some(partitions.values().map(|epoch| epoch.0).collect()),
        };
    tasks.iter().map(part).collect()
}

fn plain_to_wire(tasks: &TaskSet) -> Vec<wire::StreamsGroupCurrentMemberAssignmentTaskIds> {
    let part = |(id, partitions): (&Arc<str>, &BTreeSet<i32>)| wire::StreamsGroupCurrentMemberAssignmentTaskIds {
        subtopology_id: id.to_string(),
        partitions: partitions.iter().copied().collect(),
        assignment_epochs: None,
    };
    tasks.iter().map(part).collect()
}

fn topology_to_wire(topology: &Topology) -> StreamsGroupTopologyValue {
    let names = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
    let config = |(key, value): (&String, &String)| wire::TopicConfig { key: key.clone(), value: value.clone() };
    let info = |info: &TopicInfo| wire::TopicInfo {
        name: info.name.to_string(),
        partitions: info.partitions.unwrap_or(0),
        replication_factor: info.replication_factor.unwrap_or(0),
        topic_configs: info.configs.iter().map(config).collect(),
    };
    let copartition = |group: &CopartitionGroup| wire::CopartitionGroup {
        source_topics: group.source_topics.clone(),
        source_topic_regex: group.source_topic_regex.clone(),
        repartition_source_topics: group.repartition_source_topics.clone(),
    };
    let part = |(id, part): (&Arc<str>, &Subtopology)| wire::Subtopology {
        subtopology_id: id.to_string(),
        source_topics: names(&part.source_topics),
        source_topic_regex: names(&part.source_topic_regex),
        state_changelog_topics: part.state_changelog_topics.iter().map(info).collect(),
        repartition_sink_topics: names(&part.repartition_sink_topics),
        repartition_source_topics: part.repartition_source_topics.iter().map(info).collect(),
        copartition_groups: part.copartition_groups.iter().map(copartition).collect(),
    };
    StreamsGroupTopologyValue {
        epoch: topology.epoch.0,
        subtopologies: topology.subtopologies.iter().map(part).collect(),
    }
}

/// Reads a record of one of the types of [`is_streams_record`].
pub(in crate::group) fn decode(
    record_type: i16,
    key: &Bytes,
    value: Option<&Bytes>,
) -> Result<GroupRecord, DecodeRecordError> {
    let (group_id, record) = match record_type {
        GROUP => {
            let StreamsGroupMetadataKey { group_id } = read_key(key)?;
            let value = read_value::<StreamsGroupMetadataValue>(&group_id, value)?;
            (group_id, StreamsRecord::Group(value.map(epoch_from_wire)))
        }
        MEMBER => {
            let StreamsGroupMemberMetadataKey { group_id, member_id } = read_key(key)?;
            let value = read_value::<StreamsGroupMemberMetadataValue>(&group_id, value)?;
            (group_id, StreamsRecord::Member(member_id.into(), value.map(info_from_wire).map(Box::new)))
        }
        TARGET_EPOCH => {
            let StreamsGroupTargetAssignmentMetadataKey { group_id } = read_key(key)?;
            let value = read_value::<StreamsGroupTargetAssignmentMetadataValue>(&group_id, value)?;
            let value =
                value.map(|v| TargetEpoch { epoch: Epoch(v.assignment_epoch), timestamp_ms: v.assignment_timestamp });
            (group_id, StreamsRecord::TargetEpoch(value))
        }
        TARGET => {
            let StreamsGroupTargetAssignmentMemberKey { group_id, member_id } = read_key(key)?;
            let value = read_value::<StreamsGroupTargetAssignmentMemberValue>(&group_id, value)?;
            let value = value.map(|v| Tasks {
                active: tasks_from_wire(v.active_tasks),
                standby: tasks_from_wire(v.standby_tasks),
                warmup: tasks_from_wire(v.warmup_tasks),
            });
            (group_id, StreamsRecord::Target(MemberId::from(member_id), value))
        }
        CURRENT => {
            let StreamsGroupCurrentMemberAssignmentKey { group_id, member_id } = read_key(key)?;
            let value = read_value::<StreamsGroupCurrentMemberAssignmentValue>(&group_id, value)?;
            (group_id, StreamsRecord::Current(member_id.into(), value.map(current_from_wire)))
        }
        _ => {
            let StreamsGroupTopologyKey { group_id } = read_key(key)?;
            let value = read_value::<StreamsGroupTopologyValue>(&group_id, value)?;
            (group_id, StreamsRecord::Topology(value.map(topology_from_wire).map(Arc::new)))
        }
    };
    Ok(GroupRecord::Streams { group_id: GroupId::from(group_id), record })
}

fn read_key<K: RootMessage>(key: &Bytes) -> Result<K, DecodeRecordError> {
    decode_key(key, &DecodeLimits::default()).map_err(DecodeRecordError::Key)
}

fn read_value<V: RootMessage>(group: &str, value: Option<&Bytes>) -> Result<Option<V>, DecodeRecordError> {
    let value = value.map(|v| decode_versioned::<V>(v, &DecodeLimits::default())).transpose();
    let failed = |source: DecodeError| DecodeRecordError::Value { group: group.to_owned(), source };
    Ok(value.map_err(failed)?.map(|(_, value)| value))
}

fn epoch_from_wire(value: StreamsGroupMetadataValue) -> StreamsEpoch {
    let configs = value.last_assignment_configs.unwrap_or_default();
    StreamsEpoch {
        epoch: Epoch(value.epoch),
        metadata_hash: value.metadata_hash,
        validated_topology: Some(value.validated_topology_epoch)
            .filter(|epoch| *epoch != NO_TOPOLOGY)
            .map(TopologyEpoch),
        assignment_configs: configs.into_iter().map(|config| (config.key, config.value)).collect(),
    }
}

fn info_from_wire(value: StreamsGroupMemberMetadataValue) -> StreamsMemberInfo {
    StreamsMemberInfo {
        instance_id: value.instance_id.map(InstanceId::from),
        rack_id: value.rack_id,
        client_id: value.client_id,
        client_host: value.client_host,
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        topology_epoch: TopologyEpoch(value.topology_epoch),
        process_id: value.process_id,
        user_endpoint: value.user_endpoint.map(|e| Endpoint { host: e.host, port: e.port }),
        client_tags: value.client_tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
    }
}

fn tasks_from_wire(parts: Vec<wire::TaskIds>) -> TaskSet {
    parts.into_iter().map(|part| (part.subtopology_id.into(), part.partitions.into_iter().collect())).collect()
}

fn current_from_wire(value: StreamsGroupCurrentMemberAssignmentValue) -> CurrentTasks {
    let epoch = Epoch(value.member_epoch);
    CurrentTasks {
        epoch,
        previous_epoch: Epoch(value.previous_member_epoch),
        state: state_from_wire(value.state),
        assigned: AssignedTasks {
            active: active_from_wire(value.active_tasks, epoch),
            standby: plain_from_wire(value.standby_tasks),
            warmup: plain_from_wire(value.warmup_tasks),
        },
        revoking: AssignedTasks {
            active: active_from_wire(value.active_tasks_pending_revocation, epoch),
            standby: plain_from_wire(value.standby_tasks_pending_revocation),
            warmup: plain_from_wire(value.warmup_tasks_pending_revocation),
        },
    }
}

/// Records of brokers before 4.3 do not tell since when a task is with its member: then since the member's epoch.
fn active_from_wire(parts: Vec<wire::StreamsGroupCurrentMemberAssignmentTaskIds>, member_epoch: Epoch) -> ActiveTasks {
    let part = |part: wire::StreamsGroupCurrentMemberAssignmentTaskIds| {
        let epochs = part.assignment_epochs.unwrap_or_default();
        let epochs = epochs.into_iter().map(Epoch).chain(std::iter::repeat(member_epoch));
        (part.subtopology_id.into(), part.partitions.into_iter().zip(epochs).collect())
    };
    parts.into_iter().map(part).collect()
}

fn plain_from_wire(parts: Vec<wire::StreamsGroupCurrentMemberAssignmentTaskIds>) -> TaskSet {
    parts.into_iter().map(|part| (part.subtopology_id.into(), part.partitions.into_iter().collect())).collect()
}

fn topology_from_wire(value: StreamsGroupTopologyValue) -> Topology {
    let names = |names: Vec<String>| names.into_iter().map(Arc::from).collect();
    let info = |info: wire::TopicInfo| TopicInfo {
        name: info.name.into(),
        partitions: Some(info.partitions).filter(|partitions| *partitions != 0),
        replication_factor: Some(info.replication_factor).filter(|factor| *factor != 0),
        configs: info.topic_configs.into_iter().map(|config| (config.key, config.value)).collect(),
    };
    let copartition = |group: wire::CopartitionGroup| CopartitionGroup {
        source_topics: group.source_topics,
        source_topic_regex: group.source_topic_regex,
        repartition_source_topics: group.repartition_source_topics,
    };
    let part = |part: wire::Subtopology| {
        let id: Arc<str> = part.subtopology_id.into();
        let part = Subtopology {
            source_topics: names(part.source_topics),
            source_topic_regex: names(part.source_topic_regex),
            state_changelog_topics: part.state_changelog_topics.into_iter().map(info).collect(),
            repartition_sink_topics: names(part.repartition_sink_topics),
            repartition_source_topics: part.repartition_source_topics.into_iter().map(info).collect(),
            copartition_groups: part.copartition_groups.into_iter().map(copartition).collect(),
        };
        (id, part)
    };
    Topology { epoch: TopologyEpoch(value.epoch), subtopologies: value.subtopologies.into_iter().map(part).collect() }
}
