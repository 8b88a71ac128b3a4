//! The sticky task assignor: what it gives in plain cases, its rules on random groups, and how it compares with what
//! Apache Kafka 4.3 assigned (`tests/fixtures/streams_group`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use super::super::{AssignorInput, AssignorMember, SubtopologyTasks, TaskSet, Tasks, assign, has_task, task_count};
use crate::group::MemberId;

/// A group with what its members had.
#[derive(Debug, Clone, Default)]
struct Group {
    replicas: usize,
    subtopologies: BTreeMap<Arc<str>, SubtopologyTasks>,
    members: BTreeMap<MemberId, (String, Tasks)>,
}

impl Group {
    fn assign(&self) -> BTreeMap<MemberId, Tasks> {
        let member = |(process, target)| AssignorMember { process_id: process, target };
        let members = self.members.iter().map(|(id, (process, target))| (id, member((process.as_str(), target))));
        assign(&AssignorInput {
            members: members.collect(),
            subtopologies: self.subtopologies.iter().map(|(id, part)| (id, *part)).collect(),
            standby_replicas: self.replicas,
        })
    }

    /// The group once its members have what they are to have.
    fn assigned(&self) -> Self {
        let mut next = self.clone();
        for (id, tasks) in self.assign() {
            next.members.get_mut(&id).unwrap().1 = tasks;
        }
        next
    }
}

fn split<'a>(text: &'a str, by: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(by).map(str::trim).filter(|part| !part.is_empty())
}

fn task_set(text: &str) -> TaskSet {
    let mut set = TaskSet::new();
    for task in split(text, ",") {
        let (subtopology, partition) = task.split_once(':').unwrap();
        set.entry(subtopology.into()).or_default().insert(partition.parse().unwrap());
    }
    set
}

/// Reads members like `m0@p0 0:0,0:1 / 1:0; m1@p0  / `.
fn members(text: &str) -> BTreeMap<MemberId, (String, Tasks)> {
    let mut members = BTreeMap::new();
    for member in split(text, ";") {
        let (name, tasks) = member.split_once(' ').unwrap();
        let (id, process) = name.split_once('@').unwrap();
        let (active, standby) = tasks.split_once('/').unwrap();
        let tasks = Tasks { active: task_set(active), standby: task_set(standby), ..Tasks::default() };
        members.insert(id.into(), (process.to_owned(), tasks));
    }
    members
}

/// Reads a group like `A 1 | 0:4:s,1:2:n | members`: replicas, subtopologies (id, tasks, with state or not), members.
fn group(text: &str) -> Group {
    let fields: Vec<&str> = text.strip_prefix("A ").unwrap().split(" | ").collect();
    let [replicas, subtopologies, list] = fields[..] else { panic!("fields of {text}") };
    let mut group = Group { replicas: replicas.parse().unwrap(), members: members(list), ..Group::default() };
    for part in split(subtopologies, ",") {
        let fields: Vec<&str> = part.split(':').collect();
        let [id, tasks, state] = fields[..] else { panic!("fields of {part}") };
        let tasks = SubtopologyTasks { task_count: tasks.parse().unwrap(), stateful: state == "s" };
        group.subtopologies.insert(id.into(), tasks);
    }
    group
}

fn holders<'a>(
    tasks: impl IntoIterator<Item = (&'a MemberId, &'a TaskSet)>,
) -> BTreeMap<(Arc<str>, i32), Vec<MemberId>> {
    let mut holders: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, set) in tasks {
        for (subtopology, partitions) in set {
            for partition in partitions {
                holders.entry((Arc::clone(subtopology), *partition)).or_default().push(id.clone());
            }
        }
    }
    holders
}

impl Group {
    fn active(&self) -> BTreeMap<(Arc<str>, i32), Vec<MemberId>> {
        holders(self.members.iter().map(|(id, (_, tasks))| (id, &tasks.active)))
    }

    fn standby(&self) -> BTreeMap<(Arc<str>, i32), Vec<MemberId>> {
        holders(self.members.iter().map(|(id, (_, tasks))| (id, &tasks.standby)))
    }

    /// Each task once, in order.
    fn all_tasks(&self) -> Vec<(Arc<str>, i32)> {
        let parts = self.subtopologies.iter();
        parts.flat_map(|(id, part)| (0..part.task_count).map(move |partition| (Arc::clone(id), partition))).collect()
    }

    fn processes(&self) -> BTreeMap<&str, Vec<&Tasks>> {
        let mut processes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (process, tasks) in self.members.values() {
            processes.entry(process.as_str()).or_default().push(tasks);
        }
        processes
    }

    /// What must hold of every assignment.
    fn check(&self) {
        let active = self.active();
        assert_eq!(active.keys().cloned().collect::<Vec<_>>(), self.all_tasks(), "every task is active");
        assert!(active.values().all(|members| members.len() == 1), "active once: {active:?}");

        let processes = self.processes();
        let standby = self.standby();
        for (id, part) in &self.subtopologies {
            let wanted = if part.stateful { self.replicas.min(processes.len() - 1) } else { 0 };
            for partition in 0..part.task_count {
                let count = standby.get(&(Arc::clone(id), partition)).map_or(0, Vec::len);
                assert_eq!(count, wanted, "standby tasks of {id}:{partition}");
            }
        }
        for (process, members) in &processes {
            let mut seen = BTreeSet::new();
            for set in members.iter().flat_map(|tasks| [&tasks.active, &tasks.standby, &tasks.warmup]) {
                for task in set.iter().flat_map(|(id, partitions)| partitions.iter().map(move |it| (id, it))) {
                    assert!(seen.insert(task), "{process} has {task:?} twice");
                }
            }
        }
        self.check_balance(&processes);
    }

    /// No member has more than its share of the active tasks rounded up, no process less than its members' shares
    /// rounded down. Standby tasks cannot always be balanced: a process that has the task is no choice.
    fn check_balance(&self, processes: &BTreeMap<&str, Vec<&Tasks>>) {
        let (all, members) = (self.all_tasks().len(), self.members.len());
        for (process, tasks) in processes {
            let counts = || tasks.iter().map(|tasks| task_count(&tasks.active));
            assert!(counts().all(|count| count <= all.div_ceil(members)), "member of {process} has too many");
            assert!(counts().sum::<usize>() >= all / members * tasks.len(), "{process} has too few");
        }
    }
}

fn active_of(tasks: &Tasks) -> &TaskSet {
    &tasks.active
}

fn standby_of(tasks: &Tasks) -> &TaskSet {
    &tasks.standby
}

/// How many tasks of one kind the members of a group have that they had before.
fn kept(before: &Group, after: &BTreeMap<MemberId, Tasks>, kind: fn(&Tasks) -> &TaskSet) -> usize {
    let mut kept = 0;
    for (id, tasks) in after {
        let had = kind(&before.members[id].1);
        for (subtopology, partitions) in kind(tasks) {
            kept += partitions.iter().filter(|partition| has_task(had, subtopology, **partition)).count();
        }
    }
    kept
}

#[test]
fn without_members_nobody_gets_anything() {
    assert!(group("A 1 | 0:4:s | ").assign().is_empty());
}

#[test]
fn tasks_are_dealt_out_subtopology_by_subtopology() {
    let assigned = group("A 0 | 0:2:s,1:2:n | a@p  / ; b@q  / ").assigned();
    assert_eq!(assigned.members, members("a@p 0:0,1:0 / ; b@q 0:1,1:1 / "));
}

#[test]
fn processes_get_tasks_by_the_number_of_their_members() {
    let assigned = group("A 0 | 0:6:n | a@p  / ; b@p  / ; c@q  / ").assigned();
    let counts: Vec<_> = assigned.members.values().map(|(_, tasks)| task_count(&tasks.active)).collect();
    assert_eq!(counts, [2, 2, 2]);
}

#[test]
fn who_has_a_copy_of_the_state_takes_over() {
    let before = group("A 1 | 0:3:s | a@p 0:0 / 0:1; b@q 0:1 / 0:2; c@r 0:2 / 0:0");
    assert_eq!(before.assigned().members, before.members);
    let mut left = before;
    left.members.remove(&MemberId::from("a"));
    // Both keep what they have; the copy of what `a` had is at `c`, so `c` has it now and `b` gets a copy.
    assert_eq!(left.assigned().members, members("b@q 0:1 / 0:0,0:2; c@r 0:0,0:2 / 0:1"));
}

#[test]
fn a_member_that_gives_up_an_active_task_keeps_its_state() {
    let before = group("A 1 | 0:2:s | a@p 0:0,0:1 / ; b@q  / 0:0,0:1");
    assert_eq!(before.assigned().members, members("a@p 0:0 / 0:1; b@q 0:1 / 0:0"));
}

#[test]
fn members_of_one_process_are_no_standby_for_each_other() {
    let assigned = group("A 2 | 0:4:s | a@p  / ; b@p  / ").assigned();
    assigned.check();
    assert!(assigned.standby().is_empty());
}

#[test]
fn tasks_that_are_gone_are_forgotten() {
    let assigned = group("A 1 | 0:1:s | a@p 0:0,0:5,9:0 / 0:6; b@q  / 0:0,9:1").assigned();
    assert_eq!(assigned.members, members("a@p 0:0 / ; b@q  / 0:0"));
}

#[test]
fn kafka_assigns_the_same_but_for_ties() {
    let (mut cases, mut same) = (0, 0);
    let (mut kept_here, mut kept_there) = (0, 0);
    for line in include_str!("../../../../tests/fixtures/streams_group/assignments.txt").lines() {
        let Some((input, expected)) = line.split_once(" => ") else { continue };
        let group = group(input);
        let theirs: BTreeMap<_, _> = members(expected).into_iter().map(|(id, (_, tasks))| (id, tasks)).collect();
        let ours = group.assign();
        group.assigned().check();
        let standby = |members: &BTreeMap<MemberId, Tasks>| -> usize {
            members.values().map(|tasks| task_count(&tasks.standby)).sum()
        };
        assert_eq!(standby(&ours), standby(&theirs), "standby tasks of {line}");
        for kind in [active_of, standby_of] {
            kept_here += kept(&group, &ours, kind);
            kept_there += kept(&group, &theirs, kind);
        }
        cases += 1;
        same += usize::from(ours == theirs);
    }
    assert!(cases > 0 && same * 3 > cases * 2, "the same in {same} of {cases}");
    assert!(kept_here >= kept_there, "kept {kept_here}, Kafka {kept_there}");
}

/// How often tasks may be dealt out differently though nothing changes.
const ROUNDS_TO_SETTLE: usize = 4;

/// What may happen to a group.
#[derive(Debug, Clone)]
enum Change {
    Join { process: u8 },
    Leave { member: usize },
    Replicas(usize),
    Grow { subtopology: usize, by: i32 },
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..5_u8).prop_map(|process| Change::Join { process }),
        any::<usize>().prop_map(|member| Change::Leave { member }),
        (0..3_usize).prop_map(Change::Replicas),
        (any::<usize>(), 1..4_i32).prop_map(|(subtopology, by)| Change::Grow { subtopology, by }),
    ]
}

fn subtopologies() -> impl Strategy<Value = BTreeMap<Arc<str>, SubtopologyTasks>> {
    let part = (1..9_i32, any::<bool>()).prop_map(|(task_count, stateful)| SubtopologyTasks { task_count, stateful });
    prop::collection::vec(part, 1..4)
        .prop_map(|parts| parts.into_iter().enumerate().map(|(index, part)| (index.to_string().into(), part)).collect())
}

impl Group {
    fn join(&mut self, name: usize, process: &str) {
        self.members.insert(format!("m{name:03}").into(), (process.to_owned(), Tasks::default()));
    }

    fn apply(&mut self, change: &Change, step: usize) {
        match change {
            Change::Join { process } => self.join(step, &format!("p{process}")),
            Change::Leave { member } if self.members.len() > 1 => {
                let id = self.members.keys().nth(member % self.members.len()).unwrap().clone();
                self.members.remove(&id);
            }
            Change::Leave { .. } => {}
            Change::Replicas(replicas) => self.replicas = *replicas,
            Change::Grow { subtopology, by } => {
                let index = subtopology % self.subtopologies.len();
                self.subtopologies.values_mut().nth(index).unwrap().task_count += by;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// The rules hold whatever happens, and a group to which nothing happens comes to rest. (Not always at once, nor in
    /// Kafka: processes are balanced before members, so a member may have more than the share it may keep.)
    #[test]
    fn rules_hold_and_groups_come_to_rest(
        subtopologies in subtopologies(),
        replicas in 0..3_usize,
        changes in prop::collection::vec(change(), 0..30),
    ) {
        let mut group = Group { replicas, subtopologies, ..Group::default() };
        group.join(999, "p0");
        for (step, change) in changes.iter().enumerate() {
            group.apply(change, step);
            group = group.assigned();
            group.check();
            let rounds = std::iter::successors(Some(group.clone()), |group| Some(group.assigned()));
            let settled: Vec<Group> = rounds.take(ROUNDS_TO_SETTLE + 2).collect();
            let [.., before_last, last] = &settled[..] else { unreachable!("rounds") };
            prop_assert_eq!(&before_last.members, &last.members);
        }
    }

    /// With a member to each process, no active task moves if nothing happens; when a member leaves, only what it had
    /// moves, and when one joins, only what it gets, and that is no more than its share.
    #[test]
    fn only_what_must_move_moves(
        subtopologies in subtopologies(),
        replicas in 0..3_usize,
        count in 1..8_usize,
        leaving in any::<usize>(),
    ) {
        let mut group = Group { replicas, subtopologies, ..Group::default() };
        for index in 0..count {
            group.join(index, &format!("p{index}"));
        }
        let before = group.assigned();
        let moved = |from: &Group, to: &Group| -> Vec<(MemberId, MemberId)> {
            let after = to.active();
            let pairs = from.active().into_iter().map(|(task, old)| (old[0].clone(), after[&task][0].clone()));
            pairs.filter(|(old, new)| old != new).collect()
        };

        prop_assert_eq!(before.assigned().active(), before.active());

        let mut joined = before.clone();
        joined.join(count, &format!("p{count}"));
        let joined = joined.assigned();
        let moves = moved(&before, &joined);
        let newcomer = format!("m{count:03}");
        prop_assert!(moves.iter().all(|(_, new)| new.as_str() == newcomer), "{:?}", moves);
        prop_assert!(moves.len() <= joined.all_tasks().len().div_ceil(count + 1));

        if count > 1 {
            let mut left = before.clone();
            let id = left.members.keys().nth(leaving % count).unwrap().clone();
            left.members.remove(&id);
            let moves = moved(&before, &left.assigned());
            prop_assert!(moves.iter().all(|(old, _)| *old == id), "{:?} left: {:?}", id, moves);
        }
    }
}
