//! Properties that all assignors have, and examples whose results are Kafka's.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn member(id: &str, topics: &[&str]) -> GroupMember {
    GroupMember {
        member_id: id.into(),
        group_instance_id: None,
        topics: topics.iter().map(|topic| Arc::from(*topic)).collect(),
        owned: Vec::new(),
        generation_id: None,
        user_data: None,
    }
}

fn shown(assignments: &Assignments) -> BTreeMap<&str, Vec<String>> {
    let shown = |partitions: &Vec<TopicPartition>| partitions.iter().map(ToString::to_string).collect();
    assignments.iter().map(|(member, partitions)| (&**member, shown(partitions))).collect()
}

#[test]
fn range_gives_runs() {
    let topics = ClusterTopics::from_iter([("a", 3), ("b", 3)]);
    let assignments = Range.assign(&topics, &[member("y", &["a", "b"]), member("x", &["a", "b"])]);
    let shown = shown(&assignments);
    assert_eq!(shown["x"], ["a-0", "a-1", "b-0", "b-1"]);
    assert_eq!(shown["y"], ["a-2", "b-2"]);
}

#[test]
fn static_members_come_first() {
    let topics = ClusterTopics::from_iter([("a", 1)]);
    let fixed = GroupMember { group_instance_id: Some("z".into()), ..member("z", &["a"]) };
    let assignments = Range.assign(&topics, &[member("a", &["a"]), fixed]);
    assert_eq!(shown(&assignments)["z"], ["a-0"]);
}

#[test]
fn round_robin_deals_out() {
    let topics = ClusterTopics::from_iter([("a", 3), ("b", 3)]);
    let assignments = RoundRobin.assign(&topics, &[member("x", &["a", "b"]), member("y", &["a", "b"])]);
    let shown = shown(&assignments);
    assert_eq!(shown["x"], ["a-0", "a-2", "b-1"]);
    assert_eq!(shown["y"], ["a-1", "b-0", "b-2"]);
}

#[test]
fn newcomer_waits_for_what_moves() {
    let topics = ClusterTopics::from_iter([("a", 4)]);
    let old = GroupMember { owned: topics.partitions().collect(), generation_id: Some(1), ..member("x", &["a"]) };
    let first = CooperativeSticky.assign(&topics, &[old, member("y", &["a"])]);
    assert_eq!((first["x"].len(), first["y"].len()), (2, 0));
    let old = GroupMember { owned: first["x"].clone(), generation_id: Some(2), ..member("x", &["a"]) };
    let second = CooperativeSticky.assign(&topics, &[old, member("y", &["a"])]);
    assert_eq!(second["x"], first["x"]);
    assert_eq!(second["y"].len(), 2);
}

#[test]
fn newer_generation_wins() {
    let topics = ClusterTopics::from_iter([("a", 2)]);
    let all: Vec<_> = topics.partitions().collect();
    let stale = GroupMember { owned: all.clone(), generation_id: Some(1), ..member("x", &["a"]) };
    let newer = GroupMember { owned: all.clone(), generation_id: Some(5), ..member("y", &["a"]) };
    let assignments = CooperativeSticky.assign(&topics, &[stale, newer]);
    assert_eq!(assignments["y"].len(), 1);
    assert!(assignments["x"].is_empty(), "what y gives up is handed over in the next round");
}

fn group() -> impl Strategy<Value = (ClusterTopics, Vec<GroupMember>)> {
    let topics = prop::collection::vec(1..8i32, 1..5);
    let members = prop::collection::vec(prop::collection::vec(any::<bool>(), 5), 1..7);
    (topics, members, any::<bool>()).prop_map(|(counts, members, same)| {
        let names = ["t0", "t1", "t2", "t3", "t4"];
        let topics = names.iter().zip(counts).map(|(name, count)| (*name, count)).collect();
        let members = members.iter().enumerate().map(|(index, wants)| {
            let mine: Vec<_> = names.iter().zip(wants).filter(|(_, wants)| same || **wants).map(|(n, _)| *n).collect();
            member(&format!("m{index}"), &mine)
        });
        (topics, members.collect())
    })
}

fn wanted(topics: &ClusterTopics, members: &[GroupMember]) -> BTreeSet<TopicPartition> {
    topics.partitions().filter(|p| members.iter().any(|m| m.subscribes_to(&p.topic))).collect()
}

/// Runs rounds as members would until nothing moves; gives the final assignment.
fn settle(topics: &ClusterTopics, mut members: Vec<GroupMember>) -> (Assignments, Vec<GroupMember>) {
    for generation in 1..10 {
        let assignments = CooperativeSticky.assign(topics, &members);
        let mut seen = BTreeSet::new();
        for member in &mut members {
            let given = assignments.get(&member.member_id).cloned().unwrap_or_default();
            for partition in &given {
                assert!(seen.insert(partition.clone()), "{partition} has two owners");
                assert!(member.subscribes_to(&partition.topic));
            }
            member.owned = given;
            member.generation_id = Some(generation);
        }
        if seen == wanted(topics, &members) {
            return (assignments, members);
        }
    }
    panic!("not settled");
}

proptest! {
    #[test]
    fn each_partition_has_one_owner((topics, members) in group()) {
        let assignors: [&dyn Assignor; 2] = [&Range, &RoundRobin];
        for assignor in assignors {
            let assignments = assignor.assign(&topics, &members);
            let mut seen = BTreeSet::new();
            for (id, partitions) in &assignments {
                let member = members.iter().find(|member| member.member_id == *id).unwrap();
                for partition in partitions {
                    prop_assert!(member.subscribes_to(&partition.topic));
                    prop_assert!(seen.insert(partition.clone()));
                }
            }
            prop_assert_eq!(&seen, &wanted(&topics, &members));
            let mut turned = members.clone();
            turned.reverse();
            prop_assert_eq!(assignor.assign(&topics, &turned), assignments);
        }
    }

    #[test]
    fn sticky_is_even_and_stays((topics, members) in group(), leaves in any::<prop::sample::Index>()) {
        let (assignments, settled) = settle(&topics, members);
        // Nobody could take a partition of somebody who has two more.
        for from in &settled {
            for to in &settled {
                let (more, less) = (&assignments[&from.member_id], &assignments[&to.member_id]);
                if more.len() > less.len() + 1 {
                    prop_assert!(more.iter().all(|partition| !to.subscribes_to(&partition.topic)));
                }
            }
        }
        prop_assert_eq!(&CooperativeSticky.assign(&topics, &settled), &assignments, "nothing moves without a cause");
        // When a member leaves, with equal subscriptions, the others keep all they had.
        let same = settled.iter().all(|member| member.topics == settled[0].topics);
        if same && settled.len() > 1 {
            let mut rest = settled.clone();
            rest.remove(leaves.index(rest.len()));
            let (after, _) = settle(&topics, rest.clone());
            for member in &rest {
                let kept: BTreeSet<_> = after[&member.member_id].iter().collect();
                prop_assert!(member.owned.iter().all(|partition| kept.contains(partition)));
            }
        }
    }
}
