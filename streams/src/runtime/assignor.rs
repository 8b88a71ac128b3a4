//! Shares tasks among the members of the application's group.
//!
//! The unit is the task: all partitions a task reads go to one member. Members say in their subscription which tasks
//! they held last; they keep them as far as the shares stay equal to within one task, since a task that stays needs no
//! restoring. The rest goes where the load is least, counted per sub-topology when totals are equal.
//!
//! What members say about themselves (our own format, version 1): version u8, number of tasks u32, then per task the
//! sub-topology u32 and the partition i32, all big-endian. Anything else is read as "held nothing".

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use riverrun_client::consumer::assignor::{Assignments, Assignor, ClusterTopics, GroupMember};
use riverrun_core::TopicPartition;

use super::plan::Readers;
use crate::engine::TaskId;

const VERSION: u8 = 1;

/// The tasks a member holds, or held before the rebalance under way. Written by its worker, read by its assignor.
pub(super) type HeldTasks = Arc<Mutex<BTreeSet<TaskId>>>;

/// The assignor of one application.
#[derive(Debug)]
pub(super) struct TaskAssignor {
    pub(super) readers: Readers,
    pub(super) held: HeldTasks,
}

impl Assignor for TaskAssignor {
    fn name(&self) -> &str {
        "riverrun-streams"
    }

    fn user_data(&self, _: &[TopicPartition], _: Option<i32>) -> Option<Bytes> {
        Some(encode(&self.held.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn assign(&self, topics: &ClusterTopics, members: &[GroupMember]) -> Assignments {
        let tasks = self.readers.tasks(|topic| topics.partition_count(topic));
        let held = members.iter().map(|member| {
            let held = member.user_data.as_ref().and_then(|data| decode(data)).unwrap_or_default();
            (member.member_id.clone(), held)
        });
        let shares = share(tasks.keys().copied().collect(), held.collect());
        let partitions = |ids: BTreeSet<TaskId>| ids.iter().flat_map(|id| tasks[id].iter().cloned()).collect();
        shares.into_iter().map(|(member, ids)| (member, partitions(ids))).collect()
    }
}

type Shares = BTreeMap<Arc<str>, BTreeSet<TaskId>>;

/// Divides `tasks` among members, given what each held.
fn share(mut tasks: BTreeSet<TaskId>, held: BTreeMap<Arc<str>, Vec<TaskId>>) -> Shares {
    let mut shares: Shares = held.keys().map(|member| (member.clone(), BTreeSet::new())).collect();
    if shares.is_empty() {
        return shares;
    }
    let (least, mut with_one_more) = (tasks.len() / shares.len(), tasks.len() % shares.len());
    for (member, share) in &mut shares {
        for task in held.get(member).into_iter().flatten() {
            let may_have_more = share.len() < least || (share.len() == least && with_one_more > 0);
            if may_have_more && tasks.remove(task) {
                share.insert(*task);
                with_one_more -= usize::from(share.len() > least);
            }
        }
    }
    for task in tasks {
        let load = |share: &BTreeSet<TaskId>| {
            (share.len(), share.iter().filter(|other| other.subtopology == task.subtopology).count())
        };
        if let Some((_, share)) = shares.iter_mut().min_by_key(|(_, share)| load(share)) {
            share.insert(task);
        }
    }
    shares
}

fn encode(held: &BTreeSet<TaskId>) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(VERSION);
    bytes.put_u32(u32::try_from(held.len()).unwrap_or(u32::MAX));
    for id in held {
        bytes.put_u32(u32::try_from(id.subtopology).unwrap_or(u32::MAX));
        bytes.put_i32(id.partition);
    }
    bytes.freeze()
}

fn decode(mut bytes: &[u8]) -> Option<Vec<TaskId>> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let mut held = Vec::new();
    for _ in 0..bytes.try_get_u32().ok()? {
        let subtopology = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
        held.push(TaskId { subtopology, partition: bytes.try_get_i32().ok()? });
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(subtopology: usize, partition: i32) -> TaskId {
        TaskId { subtopology, partition }
    }

    fn members(names: &[&str], held: &[&[TaskId]]) -> BTreeMap<Arc<str>, Vec<TaskId>> {
        names.iter().zip(held).map(|(name, held)| ((*name).into(), held.to_vec())).collect()
    }

    #[test]
    fn each_subtopology_is_spread() {
        let tasks = [task(0, 0), task(0, 1), task(1, 0), task(1, 1)].into();
        let shares = share(tasks, members(&["a", "b"], &[&[], &[]]));
        for share in shares.values() {
            assert_eq!(share.iter().map(|id| id.subtopology).collect::<Vec<_>>(), [0, 1]);
        }
    }

    #[test]
    fn a_newcomer_takes_only_its_part() {
        let tasks = [task(0, 0), task(0, 1), task(0, 2)].into();
        let held = [task(0, 0), task(0, 1), task(0, 2)];
        let shares = share(tasks, members(&["a", "b"], &[&held, &[]]));
        assert_eq!(shares["a"], [task(0, 0), task(0, 1)].into());
        assert_eq!(shares["b"], [task(0, 2)].into());
    }

    proptest! {
        #[test]
        fn shares_are_whole_equal_and_stable(
            parts in proptest::collection::vec(0i32..5, 1..4),
            count in 1usize..6,
            claims in proptest::collection::vec((0usize..6, 0usize..4, 0i32..6), 0..20),
        ) {
            let all: BTreeSet<_> =
                parts.iter().enumerate().flat_map(|(s, n)| (0..*n).map(move |p| task(s, p))).collect();
            let mut held: BTreeMap<Arc<str>, Vec<TaskId>> =
                (0..count).map(|n| (format!("m{n}").into(), Vec::new())).collect();
            for (member, subtopology, partition) in claims {
                if let Some(held) = held.get_mut(&*format!("m{member}")) {
                    held.push(task(subtopology, partition));
                }
            }
            let shares = share(all.clone(), held);
            let given: Vec<_> = shares.values().flatten().copied().collect();
            prop_assert_eq!(given.len(), all.len(), "no task twice");
            prop_assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), all.clone(), "and none lost");
            let sizes = shares.values().map(BTreeSet::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
            let again = shares.iter().map(|(member, share)| (member.clone(), share.iter().copied().collect()));
            prop_assert_eq!(share(all, again.collect()), shares, "what all hold stays");
        }

        #[test]
        fn held_tasks_survive_the_wire(held: BTreeSet<(u16, i32)>) {
            let held: BTreeSet<_> = held.into_iter().map(|(s, p)| task(s.into(), p)).collect();
            prop_assert_eq!(decode(&encode(&held)), Some(held.into_iter().collect()));
        }

        #[test]
        fn any_user_data_is_read(bytes: Vec<u8>) {
            decode(&bytes);
        }
    }
}
