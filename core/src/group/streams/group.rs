//! One streams group, as its records say, and the questions asked of it. Only [`replay`](StreamsGroup::replay) changes
//! it, apart from the few fields that a restart may forget.
//!
//! Invariants:
//! - a task is active with at most one member, to be given back ones included;
//! - no process has a task twice, of whatever kind.
//!
//! Source: Kafka `StreamsGroup`, `StreamsGroupMember`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    ConfiguredTopology, CurrentTasks, StreamsEpoch, StreamsMemberInfo, StreamsRecord, TaskSet, Tasks, Topology,
    record::{AssignedTasks, FIRST_EPOCH},
};
use crate::group::{Epoch, GroupError, GroupId, GroupRecord, GroupState, MemberId, MemberState, TargetEpoch};

/// A member of a streams group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::group) struct StreamsMember {
    pub(in crate::group) id: MemberId,
    /// What it told of itself: stored in one record.
    pub(super) info: StreamsMemberInfo,
    /// What it has: stored in another.
    pub(super) current: CurrentTasks,
}

impl StreamsMember {
    /// A member that was never here.
    pub(super) fn new(id: MemberId) -> Self {
        let info = StreamsMemberInfo {
            rebalance_timeout_ms: -1,
            topology_epoch: super::TopologyEpoch(-1),
            ..Default::default()
        };
        Self { id, info, current: CurrentTasks::default() }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.current.epoch
    }

    pub(super) fn is_reconciled_to(&self, epoch: Epoch) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == epoch
    }

    /// All it holds: its tasks and what it has not given back yet.
    fn held(&self) -> impl Iterator<Item = (TaskKind, Arc<str>, i32)> {
        [&self.current.assigned, &self.current.revoking].into_iter().flat_map(each_task)
    }
}

fn each_task(tasks: &AssignedTasks) -> impl Iterator<Item = (TaskKind, Arc<str>, i32)> {
    let active = tasks.active.iter().flat_map(|(part, partitions)| partitions.keys().map(move |p| (part, *p)));
    let plain = |tasks: &TaskSet| -> Vec<(Arc<str>, i32)> {
        tasks.iter().flat_map(|(part, partitions)| partitions.iter().map(|p| (Arc::clone(part), *p))).collect()
    };
    let active = active.map(|(part, p)| (TaskKind::Active, Arc::clone(part), p));
    let standby = plain(&tasks.standby).into_iter().map(|(part, p)| (TaskKind::Standby, part, p));
    let warmup = plain(&tasks.warmup).into_iter().map(|(part, p)| (TaskKind::Warmup, part, p));
    active.chain(standby).chain(warmup)
}

/// What a member has a task for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TaskKind {
    Active,
    Standby,
    Warmup,
}

type Owners = BTreeMap<Arc<str>, BTreeMap<i32, BTreeSet<(TaskKind, MemberId)>>>;

/// A streams group.
#[derive(Debug, Clone)]
pub(in crate::group) struct StreamsGroup {
    pub(in crate::group) id: GroupId,
    pub(super) group: StreamsEpoch,
    pub(super) target: TargetEpoch,
    pub(in crate::group) members: BTreeMap<MemberId, StreamsMember>,
    pub(super) targets: BTreeMap<MemberId, Tasks>,
    pub(super) topology: Option<Arc<Topology>>,
    /// Who holds each task, to be given back ones included.
    owners: Owners,
    /// What is forgotten by a restart.
    pub(super) soft: SoftState,
}

/// What a restart may forget.
#[derive(Debug, Clone, Default)]
pub(super) struct SoftState {
    /// The topology on the topics as they were last looked at.
    pub(super) configured: Option<Arc<ConfiguredTopology>>,
    /// The version of the metadata at which the topics were last looked at.
    pub(super) checked_version: Option<i64>,
    /// Who asked the whole application to shut down.
    pub(super) shutdown_by: Option<MemberId>,
    /// Counts the changes of what is to be told of endpoints.
    pub(super) endpoint_epoch: i32,
}

impl StreamsGroup {
    /// A group nobody has joined.
    pub(in crate::group) fn new(id: GroupId) -> Self {
        Self {
            id,
            group: StreamsEpoch::default(),
            target: TargetEpoch { epoch: FIRST_EPOCH, timestamp_ms: 0 },
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            topology: None,
            owners: Owners::new(),
            soft: SoftState::default(),
        }
    }

    pub(in crate::group) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::group) fn state(&self) -> GroupState {
        let topology_epoch = self.topology.as_ref().map(|topology| topology.epoch);
        if self.members.is_empty() {
            GroupState::Empty
        } else if topology_epoch.is_none() || topology_epoch != self.group.validated_topology {
            GroupState::NotReady
        } else if self.group.epoch > self.target.epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.target.epoch)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// A member by its id.
    pub(super) fn member(&self, member_id: &MemberId) -> Result<&StreamsMember, GroupError> {
        self.members.get(member_id).ok_or(GroupError::UnknownMember)
    }

    /// Whether a member of the process may take the task: nobody else processes it, and its process has it for nothing.
    pub(super) fn is_free(&self, kind: TaskKind, process_id: &str, part: &str, partition: i32) -> bool {
        let owners = self.owners.get(part).and_then(|partitions| partitions.get(&partition));
        owners.into_iter().flatten().all(|(held_as, owner)| {
            let is_own = self.members.get(owner).is_some_and(|owner| owner.info.process_id == process_id);
            let both_active = kind == TaskKind::Active && *held_as == TaskKind::Active;
            !is_own && !both_active
        })
    }

    /// The topics of the user that the members read; none of a group without members.
    pub(in crate::group) fn subscribed_topics(&self) -> BTreeSet<&str> {
        let topology = self.topology.as_ref().filter(|_| !self.is_empty());
        let parts = topology.into_iter().flat_map(|topology| topology.subtopologies.values());
        parts.flat_map(|part| part.input_topics()).map(AsRef::as_ref).collect()
    }

    /// The record `record` of this group.
    pub(super) fn record(&self, record: StreamsRecord) -> GroupRecord {
        GroupRecord::Streams { group_id: self.id.clone(), record }
    }

    /// The records that take a member out.
    pub(super) fn remove_member(&self, member_id: &MemberId, records: &mut Vec<GroupRecord>) {
        records.push(self.record(StreamsRecord::Current(member_id.clone(), None)));
        records.push(self.record(StreamsRecord::Target(member_id.clone(), None)));
        records.push(self.record(StreamsRecord::Member(member_id.clone(), None)));
    }

    /// The records that end the group.
    pub(in crate::group) fn tombstones(&self, records: &mut Vec<GroupRecord>) {
        let ids = || self.members.keys().cloned();
        records.extend(ids().map(|id| self.record(StreamsRecord::Current(id, None))));
        records.extend(ids().map(|id| self.record(StreamsRecord::Target(id, None))));
        records.push(self.record(StreamsRecord::TargetEpoch(None)));
        records.extend(ids().map(|id| self.record(StreamsRecord::Member(id, None))));
        records.push(self.record(StreamsRecord::Group(None)));
        records.push(self.record(StreamsRecord::Topology(None)));
    }

    /// Applies a record of this group other than its end.
    pub(in crate::group) fn replay(&mut self, record: &StreamsRecord) {
        match record {
            StreamsRecord::Group(value) => self.group = value.clone().unwrap_or_default(),
            StreamsRecord::Member(id, Some(info)) => self.change_member(id, |member| member.info = (**info).clone()),
            StreamsRecord::Member(id, None) => {
                let Some(member) = self.members.remove(id) else { return };
                self.disown(&member);
                if self.members.is_empty() {
                    self.soft.shutdown_by = None;
                }
            }
            StreamsRecord::TargetEpoch(value) => {
                self.target = value.unwrap_or(TargetEpoch { epoch: FIRST_EPOCH, timestamp_ms: 0 });
            }
            StreamsRecord::Target(id, Some(target)) => {
                self.targets.insert(id.clone(), target.clone());
            }
            StreamsRecord::Target(id, None) => {
                self.targets.remove(id);
            }
            StreamsRecord::Current(id, None) if !self.members.contains_key(id) => {}
            StreamsRecord::Current(id, value) => {
                self.change_member(id, |member| member.current = value.clone().unwrap_or_default());
            }
            StreamsRecord::Topology(value) => {
                self.topology.clone_from(value);
                self.soft.configured = None;
            }
        }
    }

    fn change_member(&mut self, id: &MemberId, change: impl FnOnce(&mut StreamsMember)) {
        let mut member = self.members.remove(id).unwrap_or_else(|| StreamsMember::new(id.clone()));
        self.disown(&member);
        change(&mut member);
        for (kind, part, partition) in member.held() {
            self.owners.entry(part).or_default().entry(partition).or_default().insert((kind, id.clone()));
        }
        self.members.insert(id.clone(), member);
    }

    fn disown(&mut self, member: &StreamsMember) {
        for (kind, part, partition) in member.held() {
            let Some(partitions) = self.owners.get_mut(&part) else { continue };
            if let Some(owners) = partitions.get_mut(&partition) {
                owners.remove(&(kind, member.id.clone()));
                if owners.is_empty() {
                    partitions.remove(&partition);
                }
            }
            if partitions.is_empty() {
                self.owners.remove(&part);
            }
        }
    }

    /// Panics if an invariant in the file's header does not hold.
    #[cfg(test)]
    pub(in crate::group) fn assert_invariants(&self) {
        let mut active = BTreeMap::new();
        let mut by_process = BTreeMap::new();
        let mut owners = Owners::new();
        for member in self.members.values() {
            for (kind, part, partition) in member.held() {
                if kind == TaskKind::Active {
                    let other = active.insert((Arc::clone(&part), partition), &member.id);
                    assert_eq!(other, None, "{part}_{partition} is active twice: {self:?}");
                }
                let key = (&member.info.process_id, Arc::clone(&part), partition);
                let other = by_process.insert(key, kind);
                assert_eq!(other, None, "a process has {part}_{partition} twice: {self:?}");
                owners.entry(part).or_default().entry(partition).or_default().insert((kind, member.id.clone()));
            }
        }
        assert_eq!(owners, self.owners, "{self:?}");
        assert!(self.target.epoch <= self.group.epoch, "{self:?}");
        assert!(self.targets.keys().all(|id| self.members.contains_key(id)), "{self:?}");
    }

    /// What a restart must find.
    #[cfg(test)]
    pub(in crate::group) fn durable(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let members = (self.members.clone(), self.owners.clone(), self.targets.clone());
        (self.group.clone(), self.target, members, self.topology.clone())
    }
}
