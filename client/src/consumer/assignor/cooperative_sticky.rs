//! `cooperative-sticky`: as even as subscriptions allow, and of all such assignments one that moves little. A
//! partition that changes hands is left out for one round, so that its old owner can give it up first; the membership
//! then asks for the second round.
//!
//! The steps: believe claims of the newest generation, keep what is still subscribed, give what is free to whoever has
//! least, then move single partitions from the fullest to the emptiest as long as that evens things out. Each move
//! lowers the sum of squares of the loads, so it ends. When all members subscribe to the same topics, no assignment as
//! even keeps more.
//!
//! Source: Kafka's `CooperativeStickyAssignor` (name, user data), KIP-54, KIP-429.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use riverrun_core::TopicPartition;

use super::{Assignments, Assignor, ClusterTopics, GroupMember, RebalanceProtocol, in_order};

/// Even and sticky, with the cooperative protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct CooperativeSticky;

impl Assignor for CooperativeSticky {
    fn name(&self) -> &str {
        "cooperative-sticky"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    /// The generation, as Kafka's members of before KIP-792 expect it.
    fn user_data(&self, _owned: &[TopicPartition], generation_id: Option<i32>) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(&generation_id.unwrap_or(-1).to_be_bytes()))
    }

    fn assign(&self, topics: &ClusterTopics, members: &[GroupMember]) -> Assignments {
        let members = in_order(members);
        let claims = claims(topics, &members);
        let mut plan = Plan::new(topics, &members, &claims);
        plan.give_free();
        plan.even_out();
        plan.into_assignments(&claims)
    }
}

/// The member, by index, that owns a partition by the newest generation.
fn claims(topics: &ClusterTopics, members: &[&GroupMember]) -> BTreeMap<TopicPartition, Claim> {
    let mut claims: BTreeMap<TopicPartition, Claim> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        let generation = generation_of(member);
        let exists = |p: &&TopicPartition| {
            topics.partition_count(&p.topic).is_some_and(|count| (0..count).contains(&p.partition))
        };
        for partition in member.owned.iter().filter(exists) {
            let claim = claims.entry(partition.clone()).or_default();
            if claim.generation.is_none_or(|known| generation > known) {
                *claim = Claim { generation: Some(generation), owners: vec![index] };
            } else if claim.generation == Some(generation) && !claim.owners.contains(&index) {
                claim.owners.push(index);
            }
        }
    }
    claims
}

/// Who says that a partition is its own.
#[derive(Debug, Default)]
struct Claim {
    generation: Option<i32>,
    /// More than one only if members contradict each other; then it is kept by none.
    owners: Vec<usize>,
}

fn generation_of(member: &GroupMember) -> i32 {
    let from_user_data = || {
        let bytes: &[u8; 4] = member.user_data.as_ref()?.first_chunk()?;
        Some(i32::from_be_bytes(*bytes))
    };
    member.generation_id.or_else(from_user_data).unwrap_or(-1)
}

/// An assignment in the making.
struct Plan<'a> {
    members: &'a [&'a GroupMember],
    /// The partitions of each member, by its index.
    given: Vec<BTreeSet<TopicPartition>>,
    /// Partitions of nobody yet.
    free: Vec<TopicPartition>,
    /// The members that subscribe to a topic.
    subscribers: BTreeMap<Arc<str>, Vec<usize>>,
}

impl<'a> Plan<'a> {
    fn new(topics: &ClusterTopics, members: &'a [&'a GroupMember], claims: &BTreeMap<TopicPartition, Claim>) -> Self {
        let subscribers = topics.iter().map(|(topic, _)| {
            let who = members.iter().enumerate().filter(|(_, member)| member.subscribes_to(topic));
            (Arc::clone(topic), who.map(|(index, _)| index).collect::<Vec<_>>())
        });
        let mut plan = Self {
            members,
            given: vec![BTreeSet::new(); members.len()],
            free: Vec::new(),
            subscribers: subscribers.collect(),
        };
        for partition in topics.partitions() {
            let owner = match claims.get(&partition).map(|claim| claim.owners.as_slice()) {
                Some([owner]) if plan.subscribers_of(&partition).contains(owner) => Some(*owner),
                _ => None,
            };
            match owner.and_then(|owner| plan.given.get_mut(owner)) {
                Some(given) => {
                    given.insert(partition);
                }
                None => plan.free.push(partition),
            }
        }
        plan
    }

    fn subscribers_of(&self, partition: &TopicPartition) -> &[usize] {
        self.subscribers.get(&partition.topic).map_or(&[], Vec::as_slice)
    }

    fn load(&self, member: usize) -> usize {
        self.given.get(member).map_or(0, BTreeSet::len)
    }

    /// The subscriber with the fewest partitions.
    fn emptiest(&self, partition: &TopicPartition) -> Option<usize> {
        self.subscribers_of(partition).iter().copied().min_by_key(|member| (self.load(*member), *member))
    }

    /// Gives what nobody has to whoever has least; partitions with few takers first.
    fn give_free(&mut self) {
        let mut free = std::mem::take(&mut self.free);
        free.sort_by_key(|partition| self.subscribers_of(partition).len());
        for partition in free {
            if let Some(given) = self.emptiest(&partition).and_then(|member| self.given.get_mut(member)) {
                given.insert(partition);
            }
        }
    }

    /// Moves partitions one by one until no single move makes loads more even.
    fn even_out(&mut self) {
        while let Some((from, to, partition)) = self.next_move() {
            if let Some(given) = self.given.get_mut(from) {
                given.remove(&partition);
            }
            if let Some(given) = self.given.get_mut(to) {
                given.insert(partition);
            }
        }
    }

    fn next_move(&self) -> Option<(usize, usize, TopicPartition)> {
        let mut by_load: Vec<_> = (0..self.members.len()).collect();
        by_load.sort_by_key(|member| std::cmp::Reverse(self.load(*member)));
        let least = by_load.last().map_or(0, |member| self.load(*member));
        for from in by_load {
            let load = self.load(from);
            if load <= least + 1 {
                return None;
            }
            // The last partitions go first: they are the ones a newcomer most likely had before.
            let candidates = self.given.get(from).into_iter().flatten().rev();
            let best = candidates.filter_map(|partition| Some((self.emptiest(partition)?, partition)));
            let best = best.min_by_key(|(to, _)| self.load(*to));
            if let Some((to, partition)) = best
                && self.load(to) + 1 < load
            {
                return Some((from, to, partition.clone()));
            }
        }
        None
    }

    /// What may be handed out now: partitions that another member must give up first are left out.
    fn into_assignments(self, claims: &BTreeMap<TopicPartition, Claim>) -> Assignments {
        let members = self.members;
        let assignments = self.given.into_iter().zip(members).enumerate().map(|(index, (given, member))| {
            let may_have = |partition: &TopicPartition| {
                claims.get(partition).is_none_or(|claim| claim.owners.iter().all(|owner| *owner == index))
            };
            (Arc::clone(&member.member_id), given.into_iter().filter(may_have).collect())
        });
        assignments.collect()
    }
}
