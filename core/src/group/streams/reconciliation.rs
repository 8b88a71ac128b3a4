//! The next step of one member towards its target. A member first gives back what is not in its target, and only then
//! moves on to the target's epoch. It gets an active task when nobody processes it any more, and a task of any kind only
//! when its process has it for nothing else: two tasks of one process would share one state directory.
//!
//! | state | condition | next |
//! |---|---|---|
//! | any | has what is not in the target, and has not said that it let go | UnrevokedPartitions, same epoch |
//! | UnrevokedPartitions | still has what it is to give back, or does not say | same |
//! | any | part of the target is not free | UnreleasedPartitions, epoch of the target, with what is free |
//! | any | else | Stable, epoch of the target, with all of it |
//!
//! Source: Kafka `streams.CurrentAssignmentBuilder`; KIP-1071, KIP-1251 (the epoch at which a task was got).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    ActiveTasks, AssignedTasks, CurrentTasks, TaskSet, Tasks,
    group::{StreamsGroup, StreamsMember, TaskKind},
};
use crate::group::{Epoch, GroupError, MemberState};

/// What the member has after this call. `owned` is what it says it owns, if it says so.
///
/// # Errors
/// [`GroupError::FencedMemberEpoch`] if the member is in a state that is not known here and it does not say that it owns
/// nothing.
pub(super) fn next_step(
    group: &StreamsGroup,
    member: &StreamsMember,
    (target_epoch, target): (Epoch, &Tasks),
    owned: Option<&Tasks>,
) -> Result<CurrentTasks, GroupError> {
    let current = &member.current;
    let epoch = match current.state {
        MemberState::Stable if current.epoch == target_epoch => return Ok(current.clone()),
        MemberState::Stable | MemberState::UnreleasedPartitions => current.epoch,
        MemberState::UnrevokedPartitions if owns_any(owned, &current.revoking) => return Ok(current.clone()),
        MemberState::UnrevokedPartitions => Epoch(current.epoch.0.saturating_add(1)),
        MemberState::Unknown(_) if owned.is_some_and(Tasks::is_empty) => target_epoch,
        MemberState::Unknown(_) => {
            return Err(GroupError::FencedMemberEpoch { known: current.epoch, told: current.epoch });
        }
    };
    let (mut kept, revoking) = split(&current.assigned, target);
    if !is_empty(&revoking) && owns_any(owned, &revoking) {
        let state = MemberState::UnrevokedPartitions;
        return Ok(CurrentTasks { epoch, previous_epoch: current.epoch, state, assigned: kept, revoking });
    }
    let mut state = MemberState::Stable;
    let mut missing = |kind, kept: &dyn Fn(&str, i32) -> bool, target: &TaskSet| {
        let wanted = target.iter().flat_map(|(part, partitions)| partitions.iter().map(move |p| (part, *p)));
        let mut free = Vec::new();
        for (part, partition) in wanted.filter(|(part, p)| !kept(part, *p)) {
            match group.is_free(kind, &member.info.process_id, part, partition) {
                true => free.push((Arc::clone(part), partition)),
                false => state = MemberState::UnreleasedPartitions,
            }
        }
        free
    };
    let has_active = |part: &str, p: i32| kept.active.get(part).is_some_and(|kept| kept.contains_key(&p));
    let active = missing(TaskKind::Active, &has_active, &target.active);
    let standby = missing(TaskKind::Standby, &|part, p| super::has_task(&kept.standby, part, p), &target.standby);
    let warmup = missing(TaskKind::Warmup, &|part, p| super::has_task(&kept.warmup, part, p), &target.warmup);
    for (part, partition) in active {
        kept.active.entry(part).or_default().insert(partition, target_epoch);
    }
    for (part, partition) in standby {
        kept.standby.entry(part).or_default().insert(partition);
    }
    for (part, partition) in warmup {
        kept.warmup.entry(part).or_default().insert(partition);
    }
    let is_same = target_epoch == current.epoch && state == current.state && kept == current.assigned;
    if is_same && is_empty(&current.revoking) {
        // To wait again is no change worth a record.
        return Ok(current.clone());
    }
    let revoking = AssignedTasks::default();
    Ok(CurrentTasks { epoch: target_epoch, previous_epoch: current.epoch, state, assigned: kept, revoking })
}

fn is_empty(tasks: &AssignedTasks) -> bool {
    tasks.active.is_empty() && tasks.standby.is_empty() && tasks.warmup.is_empty()
}

/// Whether the member still owns any of `tasks` as what it was. One that does not say what it owns is taken to own all.
fn owns_any(owned: Option<&Tasks>, tasks: &AssignedTasks) -> bool {
    let Some(owned) = owned else { return true };
    let active = tasks
        .active
        .iter()
        .any(|(part, partitions)| partitions.keys().any(|partition| super::has_task(&owned.active, part, *partition)));
    let overlaps = |owned: &TaskSet, tasks: &TaskSet| {
        tasks.iter().any(|(part, partitions)| partitions.iter().any(|p| super::has_task(owned, part, *p)))
    };
    active || overlaps(&owned.standby, &tasks.standby) || overlaps(&owned.warmup, &tasks.warmup)
}

/// What of `assigned` is in the target, and what is not.
fn split(assigned: &AssignedTasks, target: &Tasks) -> (AssignedTasks, AssignedTasks) {
    let (active, no_active) = split_active(&assigned.active, &target.active);
    let (standby, no_standby) = split_plain(&assigned.standby, &target.standby);
    let (warmup, no_warmup) = split_plain(&assigned.warmup, &target.warmup);
    let kept = AssignedTasks { active, standby, warmup };
    (kept, AssignedTasks { active: no_active, standby: no_standby, warmup: no_warmup })
}

fn split_active(assigned: &ActiveTasks, target: &TaskSet) -> (ActiveTasks, ActiveTasks) {
    let (mut kept, mut rest) = (ActiveTasks::new(), ActiveTasks::new());
    for (part, partitions) in assigned {
        let (keep, give): (BTreeMap<_, _>, BTreeMap<_, _>) =
            partitions.iter().partition(|(p, _)| super::has_task(target, part, **p));
        if !keep.is_empty() {
            kept.insert(Arc::clone(part), keep);
        }
        if !give.is_empty() {
            rest.insert(Arc::clone(part), give);
        }
    }
    (kept, rest)
}

fn split_plain(assigned: &TaskSet, target: &TaskSet) -> (TaskSet, TaskSet) {
    let (mut kept, mut rest) = (TaskSet::new(), TaskSet::new());
    for (part, partitions) in assigned {
        let (keep, give): (BTreeSet<_>, BTreeSet<_>) =
            partitions.iter().partition(|p| super::has_task(target, part, **p));
        if !keep.is_empty() {
            kept.insert(Arc::clone(part), keep);
        }
        if !give.is_empty() {
            rest.insert(Arc::clone(part), give);
        }
    }
    (kept, rest)
}
