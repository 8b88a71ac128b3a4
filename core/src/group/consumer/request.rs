//! What members of the consumer protocol ask and are told, in the terms of the domain.

use super::{Assignor, Epoch, PartitionSet};
use crate::group::{GroupError, GroupId, InstanceId, MemberId};

/// A member joins, stays, says what it owns, or leaves (ConsumerGroupHeartbeat). What is `None` has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group_id: GroupId,
    /// Who the member is.
    pub member_id: MemberId,
    /// The epoch it has reached, or what it wants: see [`Epoch`].
    pub member_epoch: Epoch,
    /// A static member's own name.
    pub instance_id: Option<InstanceId>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// How long it may take to give partitions back.
    pub rebalance_timeout_ms: Option<i32>,
    /// The client id of its connection.
    pub client_id: String,
    /// The address of its connection.
    pub client_host: String,
    /// The topics it subscribes to by name.
    pub topic_names: Option<Vec<String>>,
    /// The topics it subscribes to by pattern.
    pub topic_regex: Option<String>,
    /// The assignor it wishes for.
    pub server_assignor: Option<String>,
    /// The partitions it owns.
    pub owned: Option<PartitionSet>,
}

impl ConsumerHeartbeat {
    /// A call that tells only that the member is there, at an epoch.
    pub fn new(group_id: GroupId, member_id: MemberId, member_epoch: Epoch) -> Self {
        Self {
            group_id,
            member_id,
            member_epoch,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: None,
            client_id: String::new(),
            client_host: String::new(),
            topic_names: None,
            topic_regex: None,
            server_assignor: None,
            owned: None,
        }
    }

    pub(super) fn joins(&self) -> bool {
        self.member_epoch == Epoch::JOINING
    }

    /// Whether it tells everything, as after an error: then it is told everything too.
    pub(super) fn is_full(&self) -> bool {
        let subscribes = self.topic_names.is_some() || self.topic_regex.is_some();
        self.rebalance_timeout_ms.is_some() && subscribes && self.owned.is_some()
    }

    /// Checks what can be told from the request alone.
    pub(super) fn validate(&self, assignors: &[Assignor]) -> Result<(), GroupError> {
        let invalid = |reason| Err(GroupError::InvalidRequest { reason });
        if self.member_id.is_empty() {
            return invalid("MemberId can't be empty.");
        }
        if self.group_id.is_empty() {
            return invalid("GroupId can't be empty.");
        }
        if self.instance_id.as_ref().is_some_and(|id| id.is_empty()) {
            return invalid("InstanceId can't be empty.");
        }
        if self.rack_id.as_ref().is_some_and(String::is_empty) {
            return invalid("RackId can't be empty.");
        }
        if self.joins() {
            if self.rebalance_timeout_ms.is_none() {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if self.topic_names.is_none() && self.topic_regex.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        } else if self.member_epoch == Epoch::AWAY {
            if self.instance_id.is_none() {
                return invalid("InstanceId can't be null.");
            }
        } else if self.member_epoch < Epoch::AWAY {
            return invalid("MemberEpoch is invalid.");
        }
        match &self.server_assignor {
            Some(name) if !Assignor::from_name(name).is_some_and(|assignor| assignors.contains(&assignor)) => {
                let supported: Vec<_> = assignors.iter().map(|assignor| assignor.name()).collect();
                Err(GroupError::UnsupportedAssignor { assignor: name.clone(), supported: supported.join(", ") })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeatResponse {
    /// Who it is.
    pub member_id: MemberId,
    /// The epoch it has reached.
    pub member_epoch: Epoch,
    /// How long it should wait before it calls again; 0 for one that leaves.
    pub heartbeat_interval_ms: i32,
    /// Its share, if it is to be told.
    pub assignment: Option<PartitionSet>,
}
