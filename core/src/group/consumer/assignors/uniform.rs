//! The assignor `uniform`: shares whose sizes differ by as little as the subscriptions allow, changed as little as
//! possible.
//!
//! If all members subscribe to the same topics, every share is of the one size or one larger. Otherwise no member has two
//! partitions more than another that could have one of them.
//!
//! Source: Kafka `UniformAssignor`, `UniformHomogeneousAssignmentBuilder`, `UniformHeterogeneousAssignmentBuilder`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{AssignorInput, AssignorMember, Targets, in_order};
use crate::{Uuid, group::MemberId};

type Partition = (Uuid, i32);

/// A member and its share as it grows.
struct Share<'a> {
    member_id: &'a MemberId,
    member: AssignorMember<'a>,
    partitions: BTreeSet<Partition>,
}

pub(super) fn assign(input: &AssignorInput<'_>) -> Targets {
    let mut taken = BTreeSet::new();
    let members = in_order(input).into_iter();
    let mut shares: Vec<_> = members.map(|(id, member)| keep(input, id, member, &mut taken)).collect();
    let mut topics = input.members.values().map(|member| &member.topics);
    let first = topics.next().cloned().unwrap_or_default();
    if topics.all(|topics| *topics == first) {
        equal_shares(input, &first, &mut shares);
    } else {
        let free = input.topics.iter().flat_map(|(topic, count)| (0..*count).map(|p| (*topic, p)));
        give_to_least(&mut shares, free.filter(|partition| !taken.contains(partition)).collect());
        balance(&mut shares);
    }
    shares.into_iter().map(|share| (share.member_id.clone(), by_topic(share.partitions))).collect()
}

/// What a member was to have until now, as far as it still may.
fn keep<'a>(
    input: &AssignorInput<'a>,
    member_id: &'a MemberId,
    member: AssignorMember<'a>,
    taken: &mut BTreeSet<Partition>,
) -> Share<'a> {
    let former = member.target.into_iter().flatten();
    let former = former.flat_map(|(topic, partitions)| partitions.iter().map(|p| (*topic, *p)));
    let may_have = |(topic, partition): &Partition| {
        member.topics.contains(topic) && input.topics.get(topic).is_some_and(|count| (0..*count).contains(partition))
    };
    let partitions = former.filter(may_have).filter(|partition| taken.insert(*partition)).collect();
    Share { member_id, member, partitions }
}

/// All subscribe to the same: each is cut down to its quota, and what is left over fills up those below.
fn equal_shares(input: &AssignorInput<'_>, topics: &BTreeSet<Uuid>, shares: &mut [Share<'_>]) {
    let counts = topics.iter().filter_map(|topic| Some((*topic, *input.topics.get(topic)?)));
    let all: Vec<Partition> = counts.flat_map(|(topic, count)| (0..count).map(move |p| (topic, p))).collect();
    let Some(least) = all.len().checked_div(shares.len()) else { return };
    let mut larger = all.len() - least * shares.len();
    for share in &mut *shares {
        let quota = if share.partitions.len() > least && larger > 0 {
            larger -= 1;
            least + 1
        } else {
            least
        };
        while share.partitions.len() > quota {
            share.partitions.pop_last();
        }
    }
    let kept: BTreeSet<Partition> = shares.iter().flat_map(|share| share.partitions.iter().copied()).collect();
    let mut free = all.into_iter().filter(|partition| !kept.contains(partition));
    // In turns, so that the partitions of one topic are spread.
    let mut below: VecDeque<&mut Share<'_>> = shares.iter_mut().filter(|s| s.partitions.len() < least).collect();
    while let Some(share) = below.pop_front() {
        share.partitions.extend(free.next());
        if share.partitions.len() < least {
            below.push_back(share);
        }
    }
    for (share, partition) in shares.iter_mut().filter(|share| share.partitions.len() == least).zip(free) {
        share.partitions.insert(partition);
    }
}

/// Gives each partition to the subscriber with the smallest share; topics with few subscribers first, as there is least
/// choice.
fn give_to_least(shares: &mut [Share<'_>], free: Vec<Partition>) {
    let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (index, share) in shares.iter().enumerate() {
        for topic in &share.member.topics {
            subscribers.entry(*topic).or_default().push(index);
        }
    }
    let mut by_topic: BTreeMap<Uuid, Vec<Partition>> = BTreeMap::new();
    for partition in free {
        by_topic.entry(partition.0).or_default().push(partition);
    }
    let mut topics: Vec<_> = by_topic.into_iter().collect();
    topics.sort_by_key(|(topic, _)| (subscribers.get(topic).map_or(0, Vec::len), *topic));
    for (topic, partitions) in topics {
        let size = |shares: &[Share<'_>], index: usize| shares.get(index).map_or(usize::MAX, |s| s.partitions.len());
        let indices = subscribers.get(&topic).into_iter().flatten();
        let mut queue: BTreeSet<(usize, usize)> = indices.map(|index| (size(shares, *index), *index)).collect();
        for partition in partitions {
            let Some((_, index)) = queue.pop_first() else { break };
            if let Some(share) = shares.get_mut(index) {
                share.partitions.insert(partition);
            }
            queue.insert((size(shares, index), index));
        }
    }
}

/// Moves single partitions from larger to smaller shares, topic by topic, until there is no pair of members to do that
/// with. Each move brings the sizes nearer to each other, so this ends.
fn balance(shares: &mut [Share<'_>]) {
    let topics: BTreeSet<Uuid> = shares.iter().flat_map(|share| share.member.topics.iter().copied()).collect();
    let mut has_moved = true;
    while std::mem::take(&mut has_moved) {
        for topic in &topics {
            while move_one(shares, *topic) {
                has_moved = true;
            }
        }
    }
}

fn move_one(shares: &mut [Share<'_>], topic: Uuid) -> bool {
    let of_topic = |share: &Share<'_>| share.partitions.range((topic, i32::MIN)..=(topic, i32::MAX)).next().is_some();
    let subscribers = || shares.iter().enumerate().filter(|(_, share)| share.member.topics.contains(&topic));
    let Some((to, least)) = subscribers().min_by_key(|(_, share)| share.partitions.len()) else { return false };
    let largest = subscribers().filter(|(_, share)| of_topic(share)).max_by_key(|(_, share)| share.partitions.len());
    let Some((from, largest)) = largest else { return false };
    if largest.partitions.len() < least.partitions.len() + 2 {
        return false;
    }
    let was_its = |(topic, partition): &&Partition| {
        largest.member.target.and_then(|target| target.get(topic)).is_some_and(|target| target.contains(partition))
    };
    // One it did not have before costs the least.
    let candidates = || largest.partitions.range((topic, i32::MIN)..=(topic, i32::MAX)).rev();
    let Some(partition) = candidates().find(|p| !was_its(p)).or_else(|| candidates().next()).copied() else {
        return false;
    };
    if let Some(share) = shares.get_mut(from) {
        share.partitions.remove(&partition);
    }
    if let Some(share) = shares.get_mut(to) {
        share.partitions.insert(partition);
    }
    true
}

fn by_topic(partitions: BTreeSet<Partition>) -> BTreeMap<Uuid, BTreeSet<i32>> {
    let mut topics: BTreeMap<Uuid, BTreeSet<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().insert(partition);
    }
    topics
}
