//! What both assignors promise, over random groups: everything is given, once, to subscribers; and what each promises
//! beyond that. A second assignment after a change shows what is kept.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Assignor, AssignorInput, AssignorMember, Targets};
use crate::{Uuid, group::MemberId};

/// Topics by their number of partitions, and members by the topics they subscribe to.
#[derive(Debug, Clone)]
struct Group {
    counts: Vec<i32>,
    members: BTreeMap<MemberId, BTreeSet<usize>>,
}

fn id(topic: usize) -> Uuid {
    Uuid((topic as u128 + 1).to_be_bytes())
}

fn name(member: usize) -> MemberId {
    MemberId::from(format!("m{member:02}"))
}

impl Group {
    fn assign(&self, assignor: Assignor, former: &Targets) -> Targets {
        let mut input = AssignorInput::default();
        for (topic, count) in self.counts.iter().enumerate() {
            input.topics.insert(id(topic), *count);
        }
        for (member, topics) in &self.members {
            let topics = topics.iter().map(|topic| id(*topic)).collect();
            input.members.insert(member, AssignorMember { instance_id: None, topics, target: former.get(member) });
        }
        let targets = assignor.assign(&input);
        self.check(&targets);
        targets
    }

    /// Every partition of a topic with subscribers is given once, to one of them.
    fn check(&self, targets: &Targets) {
        let mut given = BTreeSet::new();
        for (member, target) in targets {
            for (topic, partitions) in target {
                let subscribes = self.members[member].iter().any(|number| id(*number) == *topic);
                assert!(subscribes, "{member} does not subscribe to {topic}");
                assert!(!partitions.is_empty());
                for partition in partitions {
                    assert!(given.insert((*topic, *partition)), "{topic}-{partition} is given twice");
                }
            }
        }
        let has_subscriber = |topic: usize| self.members.values().any(|topics| topics.contains(&topic));
        let topics = self.counts.iter().enumerate().filter(|(topic, _)| has_subscriber(*topic));
        let all: BTreeSet<_> = topics.flat_map(|(topic, count)| (0..*count).map(move |p| (id(topic), p))).collect();
        assert_eq!(given, all);
        assert_eq!(targets.len(), self.members.len());
    }
}

fn size(targets: &Targets, member: &MemberId) -> usize {
    targets[member].values().map(BTreeSet::len).sum()
}

fn moved(before: &Targets, after: &Targets) -> usize {
    let has = |targets: &Targets, member: &MemberId, topic: &Uuid, p: i32| {
        targets.get(member).and_then(|target| target.get(topic)).is_some_and(|partitions| partitions.contains(&p))
    };
    let parts = after.iter().flat_map(|(m, target)| target.iter().map(move |(topic, ps)| (m, topic, ps)));
    parts.map(|(m, topic, ps)| ps.iter().filter(|p| !has(before, m, topic, **p)).count()).sum()
}

fn group(same: bool) -> impl Strategy<Value = Group> {
    let counts = proptest::collection::vec(0..9i32, 1..5);
    (counts, 1..8usize, any::<u64>()).prop_map(move |(counts, members, bits)| {
        let topics = counts.len();
        let subscribes = |member: usize, topic: usize| same || bits >> ((member * 5 + topic) % 64) & 1 == 1;
        let members = (0..members)
            .map(|member| (name(member), (0..topics).filter(|topic| subscribes(member, *topic)).collect()))
            .collect();
        Group { counts, members }
    })
}

/// One member fewer, one more, or one topic larger.
fn changed(group: &Group, change: u8) -> Group {
    let mut group = group.clone();
    match change % 3 {
        0 if group.members.len() > 1 => drop(group.members.pop_first()),
        1 => {
            let topics = group.members.values().next().cloned().unwrap_or_default();
            group.members.insert(name(50), topics);
        }
        _ => group.counts[0] += 2,
    }
    group
}

proptest! {
    #[test]
    fn uniform_gives_equal_shares_to_equal_subscribers(group in group(true), change in any::<u8>()) {
        let before = group.assign(Assignor::Uniform, &Targets::new());
        let next = changed(&group, change);
        let after = next.assign(Assignor::Uniform, &before);
        for (group, targets) in [(&group, &before), (&next, &after)] {
            let sizes: Vec<_> = group.members.keys().map(|member| size(targets, member)).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        // What moves is what those above their quota give, and what is new or was with who has gone: nothing else.
        let total: usize = next.members.keys().map(|member| size(&after, member)).sum();
        let (least, members) = (total / next.members.len(), next.members.len());
        let kept: usize = {
            let mut sizes: Vec<_> =
                next.members.keys().map(|m| before.get(m).map_or(0, |t| t.values().map(BTreeSet::len).sum())).collect();
            sizes.sort_unstable_by(|a: &usize, b| b.cmp(a));
            let larger = total - least * members;
            sizes.iter().enumerate().map(|(n, size)| (*size).min(least + usize::from(n < larger))).sum()
        };
        prop_assert_eq!(moved(&before, &after), total - kept);
        prop_assert_eq!(&next.assign(Assignor::Uniform, &after), &after, "nothing moves without a change");
    }

    #[test]
    fn uniform_leaves_no_share_that_a_single_move_would_level(group in group(false), change in any::<u8>()) {
        let before = group.assign(Assignor::Uniform, &Targets::new());
        let next = changed(&group, change);
        let after = next.assign(Assignor::Uniform, &before);
        for (member, target) in &after {
            for topic in target.keys() {
                for (other, _) in next.members.iter().filter(|(_, topics)| topics.iter().any(|t| id(*t) == *topic)) {
                    let (a, b) = (size(&after, member), size(&after, other));
                    prop_assert!(a <= b + 1, "{member} has {a}, {other} has {b} and subscribes to {topic}");
                }
            }
        }
        prop_assert_eq!(&next.assign(Assignor::Uniform, &after), &after, "nothing moves without a change");
    }

    #[test]
    fn range_cuts_like_topics_alike_and_keeps_ranges(group in group(true), change in any::<u8>()) {
        let before = group.assign(Assignor::Range, &Targets::new());
        let next = changed(&group, change);
        let after = next.assign(Assignor::Range, &before);
        for (member, target) in &after {
            for (topic, partitions) in target {
                let (first, last) = (partitions.first().unwrap(), partitions.last().unwrap());
                prop_assert_eq!(usize::try_from(last - first).unwrap() + 1, partitions.len(), "no range: {:?}", target);
                let number = (0..next.counts.len()).find(|number| id(*number) == *topic).unwrap();
                for other in (0..next.counts.len()).filter(|other| next.counts[*other] == next.counts[number]) {
                    prop_assert_eq!(after[member].get(&id(other)), Some(partitions), "not alike");
                }
            }
            let count: i32 = next.counts.iter().sum();
            let members = i32::try_from(next.members.len()).unwrap();
            let most: i32 = next.counts.iter().map(|count| (count + members - 1) / members).sum();
            prop_assert!(i32::try_from(size(&after, member)).unwrap() <= most.min(count));
        }
        prop_assert_eq!(&next.assign(Assignor::Range, &after), &after, "nothing moves without a change");
    }

    #[test]
    fn range_serves_different_subscribers_too(group in group(false)) {
        let before = group.assign(Assignor::Range, &Targets::new());
        prop_assert_eq!(&group.assign(Assignor::Range, &before), &before);
    }
}

#[test]
fn the_names_are_kafkas() {
    for assignor in Assignor::ALL {
        assert_eq!(Assignor::from_name(assignor.name()), Some(assignor));
    }
    let class = "org.apache.kafka.coordinator.group.assignor.RangeAssignor";
    assert_eq!((Assignor::from_name(class), Assignor::from_name("sticky")), (Some(Assignor::Range), None));
}
