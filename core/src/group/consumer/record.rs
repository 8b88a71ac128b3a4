//! What is stored of a consumer group, in the terms of the domain: the group's epoch, and per member its subscription,
//! its target and what it has; and what regular expressions stand for. The bytes are in [`codec`](super::codec).

use std::collections::{BTreeMap, BTreeSet};

use super::{Epoch, MemberState};
use crate::{
    Uuid,
    group::{InstanceId, MemberId, Protocol},
};

/// Partitions by the id of their topic.
pub type PartitionSet = BTreeMap<Uuid, BTreeSet<i32>>;

/// The same, each with the epoch at which its member got it (KIP-1251).
pub type Assigned = BTreeMap<Uuid, BTreeMap<i32, Epoch>>;

/// One change of a consumer group. `None` as a value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerRecord {
    /// The group. Its tombstone ends it.
    Group(Option<GroupEpoch>),
    /// Topics in the form early 4.0 releases stored: read to be removed, never written with a value.
    PartitionMetadata,
    /// What a member told of itself.
    Member(MemberId, Option<Box<MemberSubscription>>),
    /// Of which epoch the targets are.
    TargetEpoch(Option<TargetEpoch>),
    /// What a member is to have.
    Target(MemberId, Option<PartitionSet>),
    /// What a member has.
    Current(MemberId, Option<CurrentAssignment>),
    /// What a regular expression stands for.
    Regex(String, Option<ResolvedRegex>),
}

/// The group's epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupEpoch {
    /// Counts the changes of the subscriptions and of what they stand for.
    pub epoch: Epoch,
    /// Of the topics subscribed to, see `topics.rs`.
    pub metadata_hash: i64,
}

/// What a member told of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSubscription {
    /// A static member's own name.
    pub instance_id: Option<InstanceId>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// The client id of its connection.
    pub client_id: String,
    /// The address of its connection.
    pub client_host: String,
    /// The topics it subscribes to by name.
    pub topic_names: BTreeSet<String>,
    /// The topics it subscribes to by pattern.
    pub topic_regex: Option<String>,
    /// How long it may take to give partitions back.
    pub rebalance_timeout_ms: i32,
    /// The assignor it wishes for.
    pub server_assignor: Option<String>,
    /// What a member of the classic protocol tells beyond that.
    pub classic: Option<ClassicSubscription>,
}

impl MemberSubscription {
    /// Its pattern, if it has one.
    pub(in crate::group) fn regex(&self) -> Option<&str> {
        self.topic_regex.as_deref()
    }
}

/// What a member of the classic protocol tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassicSubscription {
    /// Silence after which it is taken for dead.
    pub session_timeout_ms: i32,
    /// What it supports, best first.
    pub protocols: Vec<Protocol>,
}

/// Of which epoch the targets are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The group's epoch they were decided for.
    pub epoch: Epoch,
    /// When, by the wall clock (KIP-1263); 0 if not known.
    pub timestamp_ms: i64,
}

/// What a member has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// The epoch it has reached.
    pub epoch: Epoch,
    /// The one before: its answer may have been lost.
    pub previous_epoch: Epoch,
    /// How far it has come.
    pub state: MemberState,
    /// Its share.
    pub assigned: Assigned,
    /// What it is to give back.
    pub revoking: Assigned,
}

/// What a regular expression stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedRegex {
    /// The topics it matches.
    pub topics: BTreeSet<String>,
    /// The version of the metadata it was matched against.
    pub version: i64,
    /// When, by the wall clock.
    pub timestamp_ms: i64,
}
