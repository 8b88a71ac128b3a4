//! One member of a consumer group: what it wants, what it has, and how far it has come.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assigned, CurrentAssignment, Epoch, MemberSubscription, PartitionSet};
use crate::{
    Uuid,
    group::{InstanceId, MemberId},
};

/// How far a member has come on its way to its target.
///
/// ```text
///              target changes, nothing to give back
///            ┌──────────────────────────────────────┐
///  joins ─► Stable ── something to give back ─► UnrevokedPartitions
///            ▲  │                                   │ no longer owned
///            │  └─ others still hold its share ─►   ▼
///            └────── they let go ─────────── UnreleasedPartitions
/// ```
///
/// Source: Kafka `MemberState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It has all it is to have.
    #[default]
    Stable,
    /// It is to give partitions back, and has not yet.
    UnrevokedPartitions,
    /// Partitions of its target are still with others.
    UnreleasedPartitions,
    /// Written by a newer coordinator that knew more states.
    Unknown(i8),
}

impl MemberState {
    /// Reads the number in a record.
    pub(super) fn from_wire(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            other => Self::Unknown(other),
        }
    }

    /// The number in a record.
    pub(super) fn to_wire(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown(other) => other,
        }
    }
}

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::group) struct ConsumerMember {
    pub(in crate::group) id: MemberId,
    /// What it told of itself: stored in one record.
    pub(in crate::group) subscription: MemberSubscription,
    /// What it has: stored in another.
    pub(in crate::group) current: CurrentAssignment,
}

impl ConsumerMember {
    /// A member that was never here.
    pub(super) fn new(id: MemberId) -> Self {
        Self { id, subscription: MemberSubscription::default(), current: CurrentAssignment::default() }
    }

    pub(in crate::group) fn epoch(&self) -> Epoch {
        self.current.epoch
    }

    pub(in crate::group) fn instance_id(&self) -> Option<&InstanceId> {
        self.subscription.instance_id.as_ref()
    }

    /// Whether it speaks JoinGroup and SyncGroup.
    pub(in crate::group) fn is_classic(&self) -> bool {
        self.subscription.classic.is_some()
    }

    pub(super) fn is_reconciled_to(&self, epoch: Epoch) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == epoch
    }

    /// All it holds: its share and what it has not given back yet.
    pub(super) fn held(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let maps = [&self.current.assigned, &self.current.revoking];
        maps.into_iter().flatten().flat_map(|(topic, partitions)| partitions.keys().map(|p| (*topic, *p)))
    }
}

/// Its partitions without the epochs at which it got them.
pub(super) fn partitions_of(assigned: &Assigned) -> PartitionSet {
    let keys = |partitions: &BTreeMap<i32, Epoch>| partitions.keys().copied().collect::<BTreeSet<_>>();
    assigned.iter().map(|(topic, partitions)| (*topic, keys(partitions))).collect()
}
