//! What a streams group weighs; see [`group::weight`](crate::group).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    StreamsGroup, StreamsMemberInfo, StreamsRecord, TaskSet, Tasks, TopicInfo, Topology,
    group::{StreamsMember, TaskKind},
    record::{ActiveTasks, AssignedTasks},
    topology::Subtopology,
};
use crate::{
    budget::{entry_bytes, heap_bytes, map_bytes, node_bytes},
    group::{GroupId, InstanceId, MemberId, weight::TIMER},
};

/// A topology is kept as it was told, as it was resolved on the topics, and with what is to be created for it.
const COPIES_OF_A_TOPOLOGY: usize = 3;

impl StreamsGroup {
    /// A group without members.
    pub(in crate::group) const WEIGHT: usize = entry_bytes::<GroupId, Self>()
        + TIMER
        + node_bytes::<MemberId, StreamsMember>()
        + node_bytes::<MemberId, Tasks>()
        + 4 * node_bytes::<String, String>();

    /// The terms of its weight that a record can change.
    pub(in crate::group) fn weight_at(&self, record: &StreamsRecord) -> usize {
        match record {
            StreamsRecord::Group(None) => self.weight(),
            StreamsRecord::Group(Some(_)) | StreamsRecord::TargetEpoch(_) => 0,
            StreamsRecord::Member(id, _) | StreamsRecord::Current(id, _) => {
                self.members.get(id).map_or(0, member_weight)
            }
            StreamsRecord::Target(id, _) => self.targets.get(id).map_or(0, |target| target_weight(id, target)),
            StreamsRecord::Topology(_) => self.topology.as_deref().map_or(0, topology_weight),
        }
    }

    /// Its members, targets and topology.
    pub(in crate::group) fn weight(&self) -> usize {
        let members = self.members.values().map(member_weight);
        let targets = self.targets.iter().map(|(id, target)| target_weight(id, target));
        members.chain(targets).sum::<usize>() + self.topology.as_deref().map_or(0, topology_weight)
    }

    /// By how much a record makes it grow with what a client has chosen. There may be no such group so far.
    pub(in crate::group) fn growth(group: Option<&Self>, record: &StreamsRecord) -> usize {
        match record {
            StreamsRecord::Member(id, Some(info)) => {
                let known = group.and_then(|group| group.members.get(id));
                let known = known.map_or(0, |member| member_fixed(id) + info_weight(&member.info));
                (member_fixed(id) + info_weight(info)).saturating_sub(known)
            }
            StreamsRecord::Topology(Some(topology)) => {
                let known = group.map_or(0, |group| group.weight_at(record));
                topology_weight(topology).saturating_sub(known)
            }
            StreamsRecord::Group(_)
            | StreamsRecord::Member(_, None)
            | StreamsRecord::TargetEpoch(_)
            | StreamsRecord::Target(..)
            | StreamsRecord::Current(..)
            | StreamsRecord::Topology(None) => 0,
        }
    }
}

fn member_weight(member: &StreamsMember) -> usize {
    member_fixed(&member.id)
        + info_weight(&member.info)
        + assigned_weight(&member.current.assigned)
        + assigned_weight(&member.current.revoking)
}

/// What a member takes, whatever it tells.
fn member_fixed(id: &MemberId) -> usize {
    entry_bytes::<MemberId, StreamsMember>() + 2 * TIMER + heap_bytes(id.len())
}

fn info_weight(info: &StreamsMemberInfo) -> usize {
    let instance =
        info.instance_id.as_ref().map_or(0, |id| map_bytes::<InstanceId, MemberId>(1) + heap_bytes(id.len()));
    instance
        + info.rack_id.as_ref().map_or(0, |rack| heap_bytes(rack.len()))
        + heap_bytes(info.client_id.len())
        + heap_bytes(info.client_host.len())
        + heap_bytes(info.process_id.len())
        + info.user_endpoint.as_ref().map_or(0, |endpoint| heap_bytes(endpoint.host.len()))
        + configs_weight(&info.client_tags)
}

fn configs_weight(configs: &BTreeMap<String, String>) -> usize {
    let each = configs.iter().map(|(name, value)| heap_bytes(name.len()) + heap_bytes(value.len()));
    map_bytes::<String, String>(configs.len()) + each.sum::<usize>()
}

/// Tasks a member has, and that they are its own.
fn assigned_weight(assigned: &AssignedTasks) -> usize {
    let active = assigned.active.values().map(BTreeMap::len);
    let others = assigned.standby.values().chain(assigned.warmup.values()).map(BTreeSet::len);
    let parts = assigned.active.len() + assigned.standby.len() + assigned.warmup.len();
    // Each task is an entry of its part, and has its own set of owners.
    let task = entry_bytes::<i32, ActiveTasks>() + entry_bytes::<i32, ()>() + map_bytes::<(TaskKind, MemberId), ()>(1);
    2 * parts * (entry_bytes::<Arc<str>, TaskSet>() + node_bytes::<i32, ActiveTasks>())
        + active.chain(others).sum::<usize>() * task
}

fn target_weight(id: &MemberId, target: &Tasks) -> usize {
    let kinds = [&target.active, &target.standby, &target.warmup];
    let tasks = kinds.into_iter().flat_map(BTreeMap::values).map(|tasks| map_bytes::<i32, ()>(tasks.len()));
    let parts = kinds.into_iter().map(|parts| map_bytes::<Arc<str>, TaskSet>(parts.len()));
    entry_bytes::<MemberId, Tasks>() + heap_bytes(id.len()) + tasks.sum::<usize>() + parts.sum::<usize>()
}

fn topology_weight(topology: &Topology) -> usize {
    let names =
        |names: &[Arc<str>]| -> usize { names.iter().map(|name| size_of::<Arc<str>>() + heap_bytes(name.len())).sum() };
    let infos = |infos: &[TopicInfo]| -> usize {
        infos
            .iter()
            .map(|topic| size_of::<TopicInfo>() + heap_bytes(topic.name.len()) + configs_weight(&topic.configs))
            .sum()
    };
    let part = |(id, part): (&Arc<str>, &Subtopology)| {
        let groups = part.copartition_groups.iter().map(|group| {
            let positions =
                group.source_topics.len() + group.source_topic_regex.len() + group.repartition_source_topics.len();
            size_of_val(group) + heap_bytes(positions * size_of::<i16>())
        });
        heap_bytes(id.len())
            + names(&part.source_topics)
            + names(&part.source_topic_regex)
            + names(&part.repartition_sink_topics)
            + infos(&part.state_changelog_topics)
            + infos(&part.repartition_source_topics)
            + groups.sum::<usize>()
            + 6 * heap_bytes(0)
    };
    let parts = topology.subtopologies.iter().map(part).sum::<usize>();
    COPIES_OF_A_TOPOLOGY
        * (size_of::<Topology>() + map_bytes::<Arc<str>, Subtopology>(topology.subtopologies.len()) + parts)
}
