//! The next step of one member towards its target. A member first gives back what is not in its target, and only then
//! moves on to the target's epoch; it gets each partition when nobody holds it any more. So no partition is ever with
//! two members, however late and in whatever order they call.
//!
//! | state | condition | next |
//! |---|---|---|
//! | any | holds what is not in the target, and has not said that it let go | UnrevokedPartitions, same epoch |
//! | UnrevokedPartitions | still owns what it is to give back, or does not say | same |
//! | any | part of the target is with others | UnreleasedPartitions, epoch of the target, with what is free |
//! | any | else | Stable, epoch of the target, with all of it |
//!
//! Source: Kafka `CurrentAssignmentBuilder`; KIP-848, KIP-1251 (the epoch at which a partition was got).

use std::collections::BTreeMap;

use super::{Assigned, ConsumerMember, CurrentAssignment, Epoch, MemberState, PartitionSet};
use crate::{Uuid, group::GroupError};

/// Where a member is to go.
pub(super) struct Goal<'a> {
    /// The epoch of the target.
    pub(super) epoch: Epoch,
    /// The target, as far as the member still subscribes to it.
    pub(super) target: &'a PartitionSet,
    /// Whether the member has just changed what it subscribes to.
    pub(super) subscription_changed: bool,
}

/// What the member has after this call. `owned` is what it says it owns, if it says so; `is_free` tells of a partition
/// whether nobody holds it.
///
/// # Errors
/// [`GroupError::FencedMemberEpoch`] if the member is in a state that is not known here and it does not say that it owns
/// nothing.
pub(super) fn next_step(
    member: &ConsumerMember,
    goal: &Goal<'_>,
    owned: Option<&PartitionSet>,
    is_free: impl Fn(Uuid, i32) -> bool,
) -> Result<CurrentAssignment, GroupError> {
    let current = &member.current;
    let epoch = match current.state {
        MemberState::Stable if current.epoch == goal.epoch && !goal.subscription_changed => {
            return Ok(current.clone());
        }
        MemberState::Stable | MemberState::UnreleasedPartitions => current.epoch,
        MemberState::UnrevokedPartitions if owns_any(owned, &current.revoking) => return Ok(current.clone()),
        MemberState::UnrevokedPartitions => Epoch(current.epoch.0.saturating_add(1)),
        MemberState::Unknown(_) if owned.is_some_and(PartitionSet::is_empty) => goal.epoch,
        MemberState::Unknown(_) => {
            return Err(GroupError::FencedMemberEpoch { known: current.epoch, told: current.epoch });
        }
    };
    let (mut kept, revoking) = split(&current.assigned, goal.target);
    if !revoking.is_empty() && owns_any(owned, &revoking) {
        return Ok(CurrentAssignment {
            epoch,
            previous_epoch: current.epoch,
            state: MemberState::UnrevokedPartitions,
            assigned: kept,
            revoking,
        });
    }
    let mut state = MemberState::Stable;
    for (topic, partitions) in goal.target {
        for partition in partitions {
            if kept.get(topic).is_some_and(|kept| kept.contains_key(partition)) {
                continue;
            }
            if is_free(*topic, *partition) {
                kept.entry(*topic).or_default().insert(*partition, goal.epoch);
            } else {
                state = MemberState::UnreleasedPartitions;
            }
        }
    }
    let next = CurrentAssignment {
        epoch: goal.epoch,
        previous_epoch: current.epoch,
        state,
        assigned: kept,
        revoking: Assigned::new(),
    };
    // To wait again is no change worth a record.
    let is_same = next.epoch == current.epoch && next.state == current.state && next.assigned == current.assigned;
    Ok(if is_same && current.revoking.is_empty() { current.clone() } else { next })
}

/// Whether the member still owns any of `partitions`. One that does not say what it owns is taken to own all.
fn owns_any(owned: Option<&PartitionSet>, partitions: &Assigned) -> bool {
    let Some(owned) = owned else { return true };
    owned.iter().any(|(topic, owned)| {
        partitions.get(topic).is_some_and(|partitions| owned.iter().any(|p| partitions.contains_key(p)))
    })
}

/// What of `assigned` is in the target, and what is not.
fn split(assigned: &Assigned, target: &PartitionSet) -> (Assigned, Assigned) {
    let (mut kept, mut rest) = (Assigned::new(), Assigned::new());
    for (topic, partitions) in assigned {
        let wanted = |partition: &i32| target.get(topic).is_some_and(|target| target.contains(partition));
        let (keep, give): (BTreeMap<_, _>, BTreeMap<_, _>) = partitions.iter().partition(|(p, _)| wanted(p));
        if !keep.is_empty() {
            kept.insert(*topic, keep);
        }
        if !give.is_empty() {
            rest.insert(*topic, give);
        }
    }
    (kept, rest)
}
