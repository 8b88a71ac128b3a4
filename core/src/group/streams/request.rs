//! What members of streams groups ask and are told, in the terms of the domain.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Endpoint, InternalTopic, StatusCode, Subtopology, TaskSet, Tasks, Topology, TopologyEpoch};
use crate::group::{Epoch, GroupError, GroupId, InstanceId, MemberId};

/// A member joins, stays, says what it owns, or leaves (StreamsGroupHeartbeat). What is `None` has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsHeartbeat {
    /// The group.
    pub group_id: GroupId,
    /// Who the member is.
    pub member_id: MemberId,
    /// The epoch it has reached, or what it wants: see [`Epoch`].
    pub member_epoch: Epoch,
    /// Which state of the endpoints it knows.
    pub endpoint_epoch: i32,
    /// A static member's own name.
    pub instance_id: Option<InstanceId>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// How long it may take to give tasks back.
    pub rebalance_timeout_ms: Option<i32>,
    /// The client id of its connection.
    pub client_id: String,
    /// The address of its connection.
    pub client_host: String,
    /// The topology it runs, as it is listed on the wire.
    pub topology: Option<ToldTopology>,
    /// The active tasks it owns.
    pub active: Option<TaskSet>,
    /// The standby tasks it owns.
    pub standby: Option<TaskSet>,
    /// The warm-up tasks it owns.
    pub warmup: Option<TaskSet>,
    /// The process it is part of.
    pub process_id: Option<String>,
    /// Where it serves interactive queries.
    pub user_endpoint: Option<Endpoint>,
    /// What it tells of its place.
    pub client_tags: Option<BTreeMap<String, String>>,
    /// Whether it tells how far its tasks are.
    pub tells_task_offsets: bool,
    /// Whether the whole application is to shut down.
    pub shutdown_application: bool,
}

/// A topology as it is listed on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldTopology {
    /// Its version.
    pub epoch: TopologyEpoch,
    /// Its parts.
    pub subtopologies: Vec<(Arc<str>, Subtopology)>,
}

impl StreamsHeartbeat {
    /// A call that tells only that the member is there, at an epoch.
    pub fn new(group_id: GroupId, member_id: MemberId, member_epoch: Epoch) -> Self {
        Self {
            group_id,
            member_id,
            member_epoch,
            endpoint_epoch: 0,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: None,
            client_id: String::new(),
            client_host: String::new(),
            topology: None,
            active: None,
            standby: None,
            warmup: None,
            process_id: None,
            user_endpoint: None,
            client_tags: None,
            tells_task_offsets: false,
            shutdown_application: false,
        }
    }

    pub(super) fn joins(&self) -> bool {
        self.member_epoch == Epoch::JOINING
    }

    /// The tasks it says it owns, if it says so.
    pub(super) fn owned(&self) -> Option<Tasks> {
        let (active, standby, warmup) = (self.active.clone()?, self.standby.clone()?, self.warmup.clone()?);
        Some(Tasks { active, standby, warmup })
    }

    /// Checks what can be told from the request alone; gives its topology.
    pub(super) fn validate(&self) -> Result<Option<Arc<Topology>>, GroupError> {
        let invalid = |reason| Err(GroupError::InvalidRequest { reason });
        self.validate_features()?;
        if self.member_id.is_empty() {
            return invalid("MemberId can't be empty.");
        }
        if self.group_id.is_empty() {
            return invalid("GroupId can't be empty.");
        }
        if self.rack_id.as_ref().is_some_and(String::is_empty) {
            return invalid("RackId can't be empty.");
        }
        if self.joins() {
            if self.rebalance_timeout_ms.is_none() {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if self.owned().is_none_or(|owned| !owned.is_empty()) {
                return invalid("ActiveTasks, StandbyTasks and WarmupTasks must be empty when (re-)joining.");
            }
            if self.topology.is_none() {
                return invalid("Topology must be non-null when (re-)joining.");
            }
        } else if self.member_epoch == Epoch::AWAY {
            return invalid("InstanceId can't be null.");
        } else if self.member_epoch < Epoch::AWAY {
            return invalid("MemberEpoch must be greater than or equal to -2.");
        }
        let told = [&self.active, &self.standby, &self.warmup].into_iter().filter(|tasks| tasks.is_some()).count();
        if !matches!(told, 0 | 3) {
            return invalid("If one task-type is non-null, all must be non-null.");
        }
        if !self.joins() && self.topology.is_some() {
            return invalid("Topology can only be provided when (re-)joining.");
        }
        let topology = self.topology.clone().map(|told| Topology::from_parts(told.epoch, told.subtopologies));
        Ok(topology.transpose()?.map(Arc::new))
    }

    /// What the protocol has, but no coordinator does so far.
    fn validate_features(&self) -> Result<(), GroupError> {
        let reason = if self.instance_id.is_some() {
            "Static membership is not yet supported."
        } else if self.tells_task_offsets {
            "TaskOffsets and TaskEndOffsets are not supported yet."
        } else if self.warmup.as_ref().is_some_and(|warmup| !warmup.is_empty()) {
            "WarmupTasks are not supported yet."
        } else {
            return Ok(());
        };
        Err(GroupError::InvalidRequest { reason })
    }
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsHeartbeatResponse {
    /// Who it is.
    pub member_id: MemberId,
    /// The epoch it has reached.
    pub member_epoch: Epoch,
    /// How long it should wait before it calls again; 0 for one that leaves.
    pub heartbeat_interval_ms: i32,
    /// What it should know of the group.
    pub status: Vec<GroupStatus>,
    /// Its tasks, if it is to be told.
    pub tasks: Option<Tasks>,
    /// Which state of the endpoints there is.
    pub endpoint_epoch: i32,
    /// Who serves what, if the member knows another state of it.
    pub endpoints: Option<Vec<EndpointPartitions>>,
    /// The topics that the broker is to create for the group.
    pub topics_to_create: BTreeMap<Arc<str>, InternalTopic>,
}

/// One thing a member should know of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// What kind of thing.
    pub code: StatusCode,
    /// In words.
    pub detail: String,
}

/// What an endpoint serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointPartitions {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Partitions its member processes, by topic.
    pub active: BTreeMap<Arc<str>, BTreeSet<i32>>,
    /// Partitions of whose state its member keeps a copy, by topic.
    pub standby: BTreeMap<Arc<str>, BTreeSet<i32>>,
}
