//! The sticky task assignor: who processes which task and who keeps a copy of its state.
//!
//! 1. An active task stays with the member that has it, else goes to a member that keeps a copy of its state, each only
//!    up to that member's share of all active tasks.
//! 2. Active tasks left over go, subtopology by subtopology, to the process with the fewest tasks for each of its
//!    members, and there to the member with the fewest.
//! 3. A standby task goes to the member that had the task active, else to one that had it as a standby, each only up to
//!    that member's share of all tasks, and then to the process with the fewest tasks. No process has a task twice, so
//!    with too few processes there are fewer standby tasks than asked for.
//!
//! Rules kept: with a member at all, every task is active exactly once; no process has the same task twice; tasks
//! without state have no standby. The outcome depends on nothing but the input: of equally busy processes
//! one that had the task is first, then the one with the idlest member, then the first by id. Kafka leaves that to the
//! order of its hash tables.
//!
//! One rule is that of later Kafka versions: among the former holders of a standby task, those whose process has
//! the task by now are passed over. Kafka 4.3 may stop at the first of them and then move a standby task without need.
//!
//! Source: KIP-1071; Kafka `StickyTaskAssignor`, `ProcessState`.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{TaskSet, Tasks};
use crate::group::MemberId;

/// A member as the assignor sees it.
#[derive(Debug, Clone, Copy)]
pub struct AssignorMember<'a> {
    /// The process it is part of: state is on the disk of a process.
    pub process_id: &'a str,
    /// What it was to have until now.
    pub target: &'a Tasks,
}

/// A subtopology as the assignor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubtopologyTasks {
    /// How many tasks it has.
    pub task_count: i32,
    /// Whether its tasks keep state.
    pub stateful: bool,
}

/// A group as the assignor sees it.
#[derive(Debug, Clone, Default)]
pub struct AssignorInput<'a> {
    /// The members by id.
    pub members: BTreeMap<&'a MemberId, AssignorMember<'a>>,
    /// The subtopologies by id.
    pub subtopologies: BTreeMap<&'a Arc<str>, SubtopologyTasks>,
    /// How many standby tasks there are to be for each task with state.
    pub standby_replicas: usize,
}

/// Gives every member its tasks. Without members there is nobody to give any to.
pub fn assign(input: &AssignorInput<'_>) -> BTreeMap<MemberId, Tasks> {
    if input.members.is_empty() {
        return BTreeMap::new();
    }
    let mut assignment = Assignment::new(input);
    assignment.assign_active(all_tasks(input, |_| true));
    if input.standby_replicas > 0 {
        assignment.assign_standby(all_tasks(input, |part| part.stateful), input.standby_replicas);
    }
    assignment.members.into_iter().map(|(id, member)| (id.clone(), member.tasks)).collect()
}

/// A task; the order is the one in which a subtopology's tasks come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Task<'a> {
    subtopology: &'a Arc<str>,
    partition: i32,
}

impl Task<'_> {
    /// The order in which the same partitions of different subtopologies come together.
    fn by_partition(&self, other: &Self) -> Ordering {
        self.partition.cmp(&other.partition).then_with(|| self.subtopology.cmp(other.subtopology))
    }
}

fn all_tasks<'a>(input: &AssignorInput<'a>, wanted: impl Fn(&SubtopologyTasks) -> bool) -> Vec<Task<'a>> {
    let parts = input.subtopologies.iter().filter(|(_, part)| wanted(part));
    parts
        .flat_map(|(&subtopology, part)| (0..part.task_count).map(move |partition| Task { subtopology, partition }))
        .collect()
}

/// How many tasks a member may have by its share: it shrinks to what the members that are not full yet need.
#[derive(Debug, Clone, Copy)]
struct Quota {
    /// The tasks of the members that are not full.
    tasks: usize,
    /// How many members are not full.
    members: usize,
    /// The share of one of them.
    per_member: usize,
}

impl Quota {
    fn new(tasks: usize, members: usize) -> Self {
        let per_member = if members == 0 { 0 } else { tasks.div_ceil(members) };
        Self { tasks, members, per_member }
    }

    /// A member has a task more and so many now.
    fn count(&mut self, task_count: usize) {
        if task_count == self.per_member {
            *self = Self::new(self.tasks.saturating_sub(task_count), self.members.saturating_sub(1));
        }
    }
}

#[derive(Debug)]
struct Member<'a> {
    process_id: &'a str,
    task_count: usize,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Process<'a> {
    members: Vec<&'a MemberId>,
    /// The tasks of its members, of whatever kind.
    tasks: BTreeSet<Task<'a>>,
}

/// How busy a process is. The order is that of serving: tasks for each member, then what its idlest member has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load<'a> {
    tasks: usize,
    members: usize,
    idlest: usize,
    process_id: &'a str,
}

impl Load<'_> {
    fn per_member(&self, other: &Self) -> Ordering {
        // Fractions compared without division.
        self.tasks.saturating_mul(other.members).cmp(&other.tasks.saturating_mul(self.members))
    }
}

impl Ord for Load<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let rest = || (self.idlest, self.process_id).cmp(&(other.idlest, other.process_id));
        self.per_member(other).then_with(rest)
    }
}

impl PartialOrd for Load<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Active,
    Standby,
}

#[derive(Debug)]
struct Assignment<'a> {
    members: BTreeMap<&'a MemberId, Member<'a>>,
    processes: BTreeMap<&'a str, Process<'a>>,
    active_before: BTreeMap<Task<'a>, &'a MemberId>,
    standby_before: BTreeMap<Task<'a>, Vec<&'a MemberId>>,
    active_quota: Quota,
    quota: Quota,
}

impl<'a> Assignment<'a> {
    fn new(input: &AssignorInput<'a>) -> Self {
        let count = |part: &SubtopologyTasks| usize::try_from(part.task_count).unwrap_or(0);
        let parts = || input.subtopologies.values();
        let active: usize = parts().map(count).sum();
        let stateful: usize = parts().filter(|part| part.stateful).map(count).sum();
        let all = active.saturating_add(stateful.saturating_mul(input.standby_replicas));
        let mut assignment = Self {
            members: BTreeMap::new(),
            processes: BTreeMap::new(),
            active_before: BTreeMap::new(),
            standby_before: BTreeMap::new(),
            active_quota: Quota::new(active, input.members.len()),
            quota: Quota::new(all, input.members.len()),
        };
        for (&id, member) in &input.members {
            let process_id = member.process_id;
            assignment.processes.entry(process_id).or_default().members.push(id);
            assignment.members.insert(id, Member { process_id, task_count: 0, tasks: Tasks::default() });
            assignment.active_before.extend(tasks_of(&member.target.active).map(|task| (task, id)));
            for task in tasks_of(&member.target.standby) {
                assignment.standby_before.entry(task).or_default().push(id);
            }
        }
        assignment
    }

    fn assign_active(&mut self, mut tasks: Vec<Task<'a>>) {
        tasks.sort_by(Task::by_partition);
        tasks.retain(|&task| {
            let before = self.active_before.get(&task).copied();
            !before.is_some_and(|member| self.assign_within(self.active_quota, member, task, Kind::Active))
        });
        tasks.retain(|&task| {
            let before = self.idlest_of_standbys(task, false);
            !before.is_some_and(|member| self.assign_within(self.active_quota, member, task, Kind::Active))
        });
        tasks.sort();
        let mut by_load = self.by_load();
        for task in tasks {
            self.assign_to_idlest(&mut by_load, task, Kind::Active);
        }
    }

    fn assign_standby(&mut self, mut tasks: Vec<Task<'a>>, replicas: usize) {
        tasks.sort_by(|task, other| other.by_partition(task));
        let mut left = Vec::new();
        for task in tasks {
            let sticky = (0..replicas).take_while(|_| self.assign_standby_sticky(task)).count();
            if sticky < replicas {
                left.push((task, replicas - sticky));
            }
        }
        left.sort_by(|(task, _), (other, _)| other.cmp(task));
        let mut by_load = self.by_load();
        for (task, replicas) in left {
            // Once no process takes one, none takes another.
            for _ in 0..replicas.min(self.processes.len()) {
                if !self.assign_to_idlest(&mut by_load, task, Kind::Standby) {
                    break;
                }
            }
        }
    }

    fn assign_standby_sticky(&mut self, task: Task<'a>) -> bool {
        let active = self.active_before.get(&task).copied().filter(|member| !self.process_has(member, task));
        if active.is_some_and(|member| self.assign_within(self.quota, member, task, Kind::Standby)) {
            return true;
        }
        let standby = self.idlest_of_standbys(task, true);
        standby.is_some_and(|member| self.assign_within(self.quota, member, task, Kind::Standby))
    }

    /// Of the members that had a task as a standby the one to have it again: the first, unless a later one is idler as
    /// a member and as a process.
    fn idlest_of_standbys(&self, task: Task<'a>, without_task: bool) -> Option<&'a MemberId> {
        let mut best: Option<(&MemberId, Load<'_>)> = None;
        for &id in self.standby_before.get(&task)? {
            if without_task && self.process_has(id, task) {
                continue;
            }
            let Some(load) = self.load_of(id) else { continue };
            let idler = |best: &Load<'_>| load.per_member(best).is_lt() && load.idlest < best.idlest;
            if best.as_ref().is_none_or(|(_, best)| idler(best)) {
                best = Some((id, load));
            }
        }
        best.map(|(id, _)| id)
    }

    /// The load of a member's process, with the member's own number of tasks as the idlest.
    fn load_of(&self, id: &MemberId) -> Option<Load<'a>> {
        let member = self.members.get(id)?;
        let process = self.processes.get(member.process_id)?;
        let idlest = member.task_count;
        Some(Load { tasks: process.tasks.len(), members: process.members.len(), idlest, process_id: member.process_id })
    }

    fn process_has(&self, id: &MemberId, task: Task<'a>) -> bool {
        let process = self.members.get(id).and_then(|member| self.processes.get(member.process_id));
        process.is_some_and(|process| process.tasks.contains(&task))
    }

    fn assign_within(&mut self, quota: Quota, id: &'a MemberId, task: Task<'a>, kind: Kind) -> bool {
        let has_room = self.members.get(id).is_some_and(|member| member.task_count < quota.per_member);
        if has_room {
            self.add(id, task, kind);
        }
        has_room
    }

    fn by_load(&self) -> BTreeSet<Load<'a>> {
        self.processes.keys().filter_map(|id| self.process_load(id)).collect()
    }

    fn process_load(&self, process_id: &'a str) -> Option<Load<'a>> {
        let process = self.processes.get(process_id)?;
        let idlest =
            process.members.iter().filter_map(|id| self.members.get(id)).map(|member| member.task_count).min()?;
        Some(Load { tasks: process.tasks.len(), members: process.members.len(), idlest, process_id })
    }

    /// Gives a task to the idlest process that does not have it, and there to the idlest member.
    fn assign_to_idlest(&mut self, by_load: &mut BTreeSet<Load<'a>>, task: Task<'a>, kind: Kind) -> bool {
        let Some(load) = self.idlest_process(by_load, task) else { return false };
        let Some(id) = self.idlest_member(load.process_id, task) else { return false };
        by_load.remove(&load);
        self.add(id, task, kind);
        by_load.extend(self.process_load(load.process_id));
        true
    }

    /// The idlest process that does not have a task; among equals one that had it.
    fn idlest_process(&self, by_load: &BTreeSet<Load<'a>>, task: Task<'a>) -> Option<Load<'a>> {
        let has_task = |load: &Load<'a>| self.processes.get(load.process_id).is_some_and(|it| it.tasks.contains(&task));
        let idlest = by_load.iter().find(|load| !has_task(load))?;
        let holders = self.holders(task).filter_map(|id| self.process_load(self.members.get(id)?.process_id));
        let mut as_idle = holders.filter(|load| load.per_member(idlest).is_eq() && !has_task(load));
        Some(as_idle.next().unwrap_or(*idlest))
    }

    /// The idlest member of a process; among equals one that had the task.
    fn idlest_member(&self, process_id: &'a str, task: Task<'a>) -> Option<&'a MemberId> {
        let process = self.processes.get(process_id)?;
        let count = |id: &'a MemberId| self.members.get(id).map(|member| member.task_count);
        let (idlest, first) = process.members.iter().filter_map(|id| Some((count(id)?, *id))).min()?;
        let as_idle = |id: &&'a MemberId| process.members.contains(id) && count(id) == Some(idlest);
        Some(self.holders(task).find(as_idle).unwrap_or(first))
    }

    /// The members that had a task: as active, then as standby.
    fn holders(&self, task: Task<'a>) -> impl Iterator<Item = &'a MemberId> {
        let standby = self.standby_before.get(&task).into_iter().flatten();
        self.active_before.get(&task).into_iter().chain(standby).copied()
    }

    fn add(&mut self, id: &'a MemberId, task: Task<'a>, kind: Kind) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.task_count += 1;
        let set = match kind {
            Kind::Active => &mut member.tasks.active,
            Kind::Standby => &mut member.tasks.standby,
        };
        set.entry(Arc::clone(task.subtopology)).or_default().insert(task.partition);
        if let Some(process) = self.processes.get_mut(member.process_id) {
            process.tasks.insert(task);
        }
        if matches!(kind, Kind::Active) {
            self.active_quota.count(member.task_count);
        }
        self.quota.count(member.task_count);
    }
}

fn tasks_of(set: &TaskSet) -> impl Iterator<Item = Task<'_>> {
    set.iter()
        .flat_map(|(subtopology, partitions)| partitions.iter().map(move |&partition| Task { subtopology, partition }))
}
