//! One story each: what a member is told, checked against what Apache Kafka 4.3 told in the same one.

use super::world::{GROUP, REBALANCE_MS, SESSION_MS, World, joining, of, staying};
use crate::{
    Uuid,
    group::{ConsumerHeartbeat, ConsumerHeartbeatResponse, Epoch, GroupError, GroupState, MemberState, PartitionSet},
};

fn told(response: Result<ConsumerHeartbeatResponse, GroupError>) -> (i32, Option<PartitionSet>) {
    let response = response.unwrap();
    (response.member_epoch.0, response.assignment)
}

fn state(world: &World) -> GroupState {
    world.shard.describe_consumer_group(&GROUP.into()).unwrap().state
}

#[test]
fn two_members_share_and_one_leaves() {
    let mut world = World::new();
    let t = world.topic("t", 4);
    assert_eq!(told(world.beat(&joining("a", &["t"]))), (2, Some(of(t, 0..4))));
    assert_eq!(state(&world), GroupState::Stable);
    // Within the interval nothing is assigned anew.
    assert_eq!(told(world.beat(&joining("b", &["t"]))), (2, Some(PartitionSet::new())));
    assert_eq!(state(&world), GroupState::Assigning);
    world.pass(1_000);
    assert_eq!(told(world.beat(&staying("a", 2))), (2, Some(of(t, 0..2))));
    assert_eq!(state(&world), GroupState::Reconciling);
    // What the other has not given back is not given out.
    assert_eq!(told(world.beat(&staying("b", 2))), (3, None));
    let owning = |member: &str, epoch, owned| ConsumerHeartbeat { owned: Some(owned), ..staying(member, epoch) };
    assert_eq!(told(world.beat(&owning("a", 2, of(t, 0..4)))), (2, None));
    assert_eq!(told(world.beat(&owning("a", 2, of(t, 0..2)))), (3, None));
    assert_eq!(told(world.beat(&staying("b", 3))), (3, Some(of(t, 2..4))));
    assert_eq!(state(&world), GroupState::Stable);
    assert_eq!(told(world.beat(&staying("b", Epoch::LEAVING.0))), (-1, None));
    world.pass(1_000);
    assert_eq!(told(world.beat(&staying("a", 3))), (4, Some(of(t, 0..4))));
}

#[test]
fn who_is_elsewhere_is_fenced() {
    let mut world = World::new();
    let t = world.topic("t", 1);
    let unknown = world.beat(&staying("a", 1));
    assert_eq!(unknown, Err(GroupError::GroupNotFound { group: GROUP.into() }));
    world.beat(&joining("a", &["t"])).unwrap();
    assert_eq!(world.beat(&staying("b", 1)), Err(GroupError::UnknownMember));
    for epoch in [1, 3] {
        let fenced = GroupError::FencedMemberEpoch { known: Epoch(2), told: Epoch(epoch) };
        assert_eq!(world.beat(&staying("a", epoch)), Err(fenced));
    }
    // One whose answer was lost begins where it was.
    assert_eq!(told(world.beat(&joining("a", &["t"]))), (2, Some(of(t, 0..1))));
}

#[test]
fn silence_and_holding_on_end_a_membership() {
    let mut world = World::new();
    let t = world.topic("t", 2);
    world.beat(&joining("a", &["t"])).unwrap();
    world.pass(1_000);
    world.beat(&joining("b", &["t"])).unwrap();
    assert_eq!(told(world.beat(&staying("a", 2))), (2, Some(of(t, 0..1))));
    for _ in 0..2 {
        world.pass(i64::from(REBALANCE_MS) / 2 - 1);
        world.beat(&staying("a", 2)).unwrap();
        world.beat(&staying("b", 3)).unwrap();
    }
    world.pass(2);
    assert_eq!(world.beat(&staying("a", 2)), Err(GroupError::UnknownMember));
    assert_eq!(told(world.beat(&staying("b", 3))), (4, Some(of(t, 0..2))));
    world.pass(SESSION_MS);
    assert_eq!(world.beat(&staying("b", 4)), Err(GroupError::UnknownMember));
    assert_eq!(state(&world), GroupState::Empty);
}

#[test]
fn a_static_member_comes_back_to_its_share() {
    let mut world = World::new();
    let t = world.topic("t", 2);
    let named = |call: ConsumerHeartbeat| ConsumerHeartbeat { instance_id: Some("i".into()), ..call };
    world.beat(&named(joining("a", &["t"]))).unwrap();
    let taken = world.beat(&named(joining("b", &["t"])));
    assert_eq!(taken, Err(GroupError::UnreleasedInstance { instance_id: "i".into(), owner: "a".into() }));
    assert_eq!(told(world.beat(&named(staying("a", Epoch::AWAY.0)))), (-2, None));
    world.restart();
    assert_eq!(told(world.beat(&named(joining("b", &["t"])))), (2, Some(of(t, 0..2))));
    let fenced = world.beat(&named(staying("a", 2)));
    assert_eq!(fenced, Err(GroupError::FencedInstance { instance_id: "i".into() }));
    // The one that is away for good ends with its session; its successor lives on.
    world.pass(SESSION_MS - 1);
    world.beat(&named(staying("b", 2))).unwrap();
    world.pass(2);
    assert_eq!(told(world.beat(&named(staying("b", 2)))), (2, None));
}

#[test]
fn topics_come_grow_and_go() {
    let mut world = World::new();
    assert_eq!(told(world.beat(&joining("a", &["t"]))), (2, Some(PartitionSet::new())));
    let t = world.topic("t", 1);
    world.pass(1_000);
    assert_eq!(told(world.beat(&staying("a", 2))), (3, Some(of(t, 0..1))));
    world.topic("t", 3);
    world.pass(1_000);
    assert_eq!(told(world.beat(&staying("a", 3))), (4, Some(of(t, 0..3))));
    world.remove_topic("t");
    world.pass(1_000);
    assert_eq!(told(world.beat(&staying("a", 4))), (4, Some(PartitionSet::new())));
    let nothing = ConsumerHeartbeat { owned: Some(PartitionSet::new()), ..staying("a", 4) };
    assert_eq!(told(world.beat(&nothing)), (5, None));
}

#[test]
fn a_pattern_stands_for_what_matches_it() {
    let mut world = World::new();
    let (one, _) = (world.topic("logs-1", 1), world.topic("other", 1));
    let pattern =
        |regex: &str, call| ConsumerHeartbeat { topic_names: None, topic_regex: Some(regex.to_owned()), ..call };
    let invalid = world.beat(&pattern("(", joining("a", &[])));
    assert!(matches!(invalid, Err(GroupError::InvalidRegex { .. })));
    assert_eq!(told(world.beat(&pattern("logs-.*", joining("a", &[])))), (2, Some(of(one, 0..1))));
    let two = world.topic("logs-2", 1);
    world.pass(10_001);
    let both: PartitionSet = [one, two].into_iter().flat_map(|topic| of(topic, 0..1)).collect();
    assert_eq!(told(world.beat(&staying("a", 2))), (3, Some(both)));
    world.restart();
    world.pass(1_000);
    world.beat(&pattern("", staying("a", 3))).unwrap();
    assert!(world.shard.consumers[&crate::group::GroupId::from(GROUP)].subscribed_topics().is_empty());
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let mut world = World::new();
    let complete = joining("a", &["t"]);
    let invalid = [
        ConsumerHeartbeat { member_id: "".into(), ..complete.clone() },
        ConsumerHeartbeat { group_id: "".into(), ..complete.clone() },
        ConsumerHeartbeat { instance_id: Some("".into()), ..complete.clone() },
        ConsumerHeartbeat { rack_id: Some(String::new()), ..complete.clone() },
        ConsumerHeartbeat { rebalance_timeout_ms: None, ..complete.clone() },
        ConsumerHeartbeat { owned: None, ..complete.clone() },
        ConsumerHeartbeat { owned: Some(of(Uuid::ZERO, 0..1)), ..complete.clone() },
        ConsumerHeartbeat { topic_names: None, ..complete.clone() },
        staying("a", -2),
        staying("a", -3),
    ];
    for request in invalid {
        let refused = world.beat(&request);
        assert!(matches!(refused, Err(GroupError::InvalidRequest { .. })), "{request:?}: {refused:?}");
    }
    let wish = ConsumerHeartbeat { server_assignor: Some("mine".to_owned()), ..complete };
    assert!(matches!(world.beat(&wish), Err(GroupError::UnsupportedAssignor { .. })));
    assert!(world.shard.consumers.is_empty() && world.log.is_empty());
}

#[test]
fn the_hash_of_topics_is_kafkas() {
    // Apache Kafka 4.3.0 stored this hash for a group that subscribes to the topic with this id.
    let mut world = World::new();
    let id = "FFFh9ExRQs6qt6-07QNDoQ".parse().unwrap();
    world.topic_with_id("ta1", id, 4);
    world.beat(&joining("a", &["ta1"])).unwrap();
    let hash = world.log.iter().find_map(|record| match record {
        crate::group::GroupRecord::Consumer { record: crate::group::ConsumerRecord::Group(Some(group)), .. } => {
            Some(group.metadata_hash)
        }
        _ => None,
    });
    assert_eq!(hash, Some(-3_805_204_851_558_860_926));
}

#[test]
fn states_of_newer_releases_are_kept() {
    for number in -1..5 {
        assert_eq!(MemberState::from_wire(number).to_wire(), number);
    }
}
