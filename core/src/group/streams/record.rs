//! What is stored of a streams group, in the terms of the domain: the group's epoch, its topology, and per member what it
//! told of itself, its target and what it has. The bytes are in [`codec`](super::codec).

use std::{collections::BTreeMap, sync::Arc};

use super::{TaskSet, Tasks, Topology, TopologyEpoch};
use crate::group::{Epoch, InstanceId, MemberId, MemberState, TargetEpoch};

/// One change of a streams group. `None` as a value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamsRecord {
    /// The group. Its tombstone ends it.
    Group(Option<StreamsEpoch>),
    /// What a member told of itself.
    Member(MemberId, Option<Box<StreamsMemberInfo>>),
    /// Of which epoch the targets are.
    TargetEpoch(Option<TargetEpoch>),
    /// What a member is to have.
    Target(MemberId, Option<Tasks>),
    /// What a member has.
    Current(MemberId, Option<CurrentTasks>),
    /// The topology of the application.
    Topology(Option<Arc<Topology>>),
}

/// The group's epoch and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsEpoch {
    /// Counts the changes of members, topology, topics and settings.
    pub epoch: Epoch,
    /// Of the topics of the topology.
    pub metadata_hash: i64,
    /// The topology that was found to fit its topics; `None` while none is.
    pub validated_topology: Option<TopologyEpoch>,
    /// The settings that went into the assignment.
    pub assignment_configs: BTreeMap<String, String>,
}

impl Default for StreamsEpoch {
    /// The epoch of a group before its first member, which makes it 2.
    fn default() -> Self {
        Self { epoch: FIRST_EPOCH, metadata_hash: 0, validated_topology: None, assignment_configs: BTreeMap::new() }
    }
}

/// The epoch of a new group and of its targets, which are empty.
pub(super) const FIRST_EPOCH: Epoch = Epoch(1);

/// What a member told of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamsMemberInfo {
    /// A static member's own name: part of the format, though no member has one so far.
    pub instance_id: Option<InstanceId>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// The client id of its connection.
    pub client_id: String,
    /// The address of its connection.
    pub client_host: String,
    /// How long it may take to give tasks back.
    pub rebalance_timeout_ms: i32,
    /// The version of the topology it runs.
    pub topology_epoch: TopologyEpoch,
    /// The process it is part of: state is on the disk of a process.
    pub process_id: String,
    /// Where it serves interactive queries.
    pub user_endpoint: Option<Endpoint>,
    /// What it told of its place for the placing of standby tasks.
    pub client_tags: BTreeMap<String, String>,
}

/// Where a member serves interactive queries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Active tasks, each with the epoch at which its member got it (KIP-1251).
pub type ActiveTasks = BTreeMap<Arc<str>, BTreeMap<i32, Epoch>>;

/// The tasks a member has or is to give back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignedTasks {
    /// The tasks it processes.
    pub active: ActiveTasks,
    /// The tasks whose state it keeps a copy of.
    pub standby: TaskSet,
    /// The tasks whose state it builds up.
    pub warmup: TaskSet,
}

impl AssignedTasks {
    /// The tasks without the epochs at which they were got.
    pub fn tasks(&self) -> Tasks {
        let active = self.active.iter().map(|(part, tasks)| (Arc::clone(part), tasks.keys().copied().collect()));
        Tasks { active: active.collect(), standby: self.standby.clone(), warmup: self.warmup.clone() }
    }
}

/// What a member has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentTasks {
    /// The epoch it has reached.
    pub epoch: Epoch,
    /// The one before: its answer may have been lost.
    pub previous_epoch: Epoch,
    /// How far it has come.
    pub state: MemberState,
    /// Its tasks.
    pub assigned: AssignedTasks,
    /// What it is to give back.
    pub revoking: AssignedTasks,
}
