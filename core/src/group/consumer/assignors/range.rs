//! The assignor `range`: of each topic a member gets one range of partitions. Topics with the same number of partitions
//! and the same subscribers are cut alike and each cut goes to one member, so that their records can be joined.
//!
//! Within that, a member keeps the range that has most of what it had; who is new gets what is left.
//!
//! Source: Kafka `RangeAssignor`.

use std::collections::{BTreeMap, BTreeSet};

use super::{AssignorInput, AssignorMember, Targets, in_order};
use crate::{Uuid, group::MemberId};

pub(super) fn assign(input: &AssignorInput<'_>) -> Targets {
    let members = in_order(input);
    let mut targets: Targets = members.iter().map(|(id, _)| ((*id).clone(), BTreeMap::new())).collect();
    let mut alike: BTreeMap<(Vec<usize>, i32), Vec<Uuid>> = BTreeMap::new();
    for (topic, count) in &input.topics {
        let subscribers = members.iter().enumerate().filter(|(_, (_, member))| member.topics.contains(topic));
        let subscribers: Vec<usize> = subscribers.map(|(index, _)| index).collect();
        alike.entry((subscribers, *count)).or_default().push(*topic);
    }
    for ((subscribers, count), topics) in alike {
        let subscribers: Vec<_> = subscribers.iter().filter_map(|index| members.get(*index)).collect();
        for (member_id, range) in hand_out(&subscribers, count, &topics) {
            if range.is_empty() {
                continue;
            }
            let target = targets.entry(member_id.clone()).or_default();
            target.extend(topics.iter().map(|topic| (*topic, range.clone().collect())));
        }
    }
    targets
}

/// The range of each subscriber in topics that are alike.
fn hand_out<'a>(
    subscribers: &[&(&'a MemberId, AssignorMember<'a>)],
    count: i32,
    topics: &[Uuid],
) -> Vec<(&'a MemberId, std::ops::Range<i32>)> {
    let ranges = ranges(count, subscribers.len());
    // Who had most of a range keeps it.
    let mut claims = Vec::new();
    for (member, (_, spec)) in subscribers.iter().enumerate() {
        let mut had: BTreeMap<usize, usize> = BTreeMap::new();
        let former = topics.iter().filter_map(|topic| spec.target?.get(topic)).flatten();
        for partition in former {
            if let Some(range) = range_of(&ranges, *partition) {
                *had.entry(range).or_default() += 1;
            }
        }
        claims.extend(had.into_iter().map(|(range, had)| (had, member, range)));
    }
    claims.sort_by_key(|(had, member, range)| (std::cmp::Reverse(*had), *member, *range));
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    let mut served = BTreeSet::new();
    for (_, member, range) in claims {
        if !served.contains(&member) && !owner.contains_key(&range) {
            owner.insert(range, member);
            served.insert(member);
        }
    }
    let mut others = (0..subscribers.len()).filter(|member| !served.contains(member));
    let handed = ranges.into_iter().enumerate().filter_map(|(index, range)| {
        let member = owner.get(&index).copied().or_else(|| others.next())?;
        Some((subscribers.get(member)?.0, range))
    });
    handed.collect()
}

/// Cuts `0..count` into as many ranges as there are members, the first of which are one larger if it does not come out
/// even.
fn ranges(count: i32, members: usize) -> Vec<std::ops::Range<i32>> {
    let Ok(members) = i32::try_from(members) else { return Vec::new() };
    let (Some(least), Some(larger)) = (count.checked_div(members), count.checked_rem(members)) else {
        return Vec::new();
    };
    let start = |index: i32| index * least + index.min(larger);
    (0..members).map(|index| start(index)..start(index + 1)).collect()
}

fn range_of(ranges: &[std::ops::Range<i32>], partition: i32) -> Option<usize> {
    let index = ranges.partition_point(|range| range.end <= partition);
    ranges.get(index).filter(|range| range.contains(&partition)).map(|_| index)
}
