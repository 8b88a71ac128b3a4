//! Groups that change between the protocols, empty and with members.

use std::collections::BTreeMap;

use super::world::{GROUP, World, joining, of, staying};
use crate::{
    group::{
        ConsumerHeartbeat, Epoch, GroupConfig, GroupError, GroupState, HeartbeatRequest, JoinResponse, LeaveRequest,
        LeavingMember, MigrationPolicy, PartitionSet, Response, SyncRequest, Ticket,
    },
    protocol::{
        DecodeLimits,
        consumer::{AssignedPartitions, ConsumerProtocolAssignment},
        decode_versioned, encode_versioned,
    },
};

fn joined(world: &mut World, ticket: Ticket) -> JoinResponse {
    match world.answers.remove(&ticket) {
        Some(Response::Join(Ok(joined))) => joined,
        other => panic!("{other:?}"),
    }
}

fn sync_of(member: &JoinResponse) -> SyncRequest {
    SyncRequest {
        group_id: GROUP.into(),
        generation: member.generation,
        member_id: member.member_id.clone(),
        group_instance_id: None,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("cooperative-sticky".to_owned()),
        assignments: BTreeMap::new(),
    }
}

fn beat_of(member: &JoinResponse) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: GROUP.into(),
        generation: member.generation,
        member_id: member.member_id.clone(),
        group_instance_id: None,
    }
}

/// The partitions of its one topic that a classic member is told.
fn synced(world: &mut World, member: &JoinResponse) -> Vec<i32> {
    let ticket = world.sync(&sync_of(member));
    match world.answers.remove(&ticket) {
        Some(Response::Sync(Ok(synced))) => {
            let limits = DecodeLimits::default();
            let (_, assignment) = decode_versioned::<ConsumerProtocolAssignment>(&synced.assignment, &limits).unwrap();
            assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// One classic consumer that has all of topic `t`.
fn classic(world: &mut World, partitions: i32) -> JoinResponse {
    let ticket = world.join(None, &["t"], &[]);
    world.pass(3_000);
    let member = joined(world, ticket);
    let all = AssignedPartitions { topic: "t".to_owned(), partitions: (0..partitions).collect() };
    let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![all], ..Default::default() };
    let mut request = sync_of(&member);
    request.assignments.insert(member.member_id.clone(), encode_versioned(&assignment, 1).unwrap());
    let ticket = world.sync(&request);
    assert!(matches!(world.answers.remove(&ticket), Some(Response::Sync(Ok(_)))));
    member
}

#[test]
fn a_group_with_members_goes_over_and_back() {
    let mut world = World::new();
    let t = world.topic("t", 4);
    let old = classic(&mut world, 4);
    // A consumer joins: the classic member keeps what it has until it has let go.
    let answer = world.beat(&joining("new", &["t"])).unwrap();
    assert_eq!((answer.member_epoch, answer.assignment), (Epoch(2), Some(BTreeMap::new())));
    assert!(world.shard.groups.is_empty());
    assert_eq!(world.classic_beat(&beat_of(&old)), Err(GroupError::RebalanceInProgress));
    let ticket = world.join(Some(&old.member_id), &["t"], &[("t", vec![0, 1, 2, 3])]);
    let again = joined(&mut world, ticket);
    assert_eq!(synced(&mut world, &again), [0, 1]);
    assert_eq!(world.beat(&staying("new", 2)).unwrap().assignment, None);
    // It has let go, and joins again to say so.
    assert_eq!(world.classic_beat(&beat_of(&again)), Err(GroupError::RebalanceInProgress));
    let ticket = world.join(Some(&old.member_id), &["t"], &[("t", vec![0, 1])]);
    let settled = joined(&mut world, ticket);
    assert_eq!((settled.generation.0, synced(&mut world, &settled)), (2, vec![0, 1]));
    assert_eq!(world.classic_beat(&beat_of(&settled)), Ok(()));
    assert_eq!(world.beat(&staying("new", 2)).unwrap().assignment, Some(of(t, 2..4)));
    let described = world.shard.describe_consumer_group(&GROUP.into()).unwrap();
    assert_eq!(described.state, GroupState::Stable);
    world.restart();
    assert_eq!(world.classic_beat(&beat_of(&settled)), Ok(()));
    // The last consumer leaves: the group is classic again, and rebalances.
    world.beat(&staying("new", Epoch::LEAVING.0)).unwrap();
    world.pass(0);
    assert!(world.shard.consumers.is_empty());
    assert_eq!(world.shard.describe(&GROUP.into()).unwrap().state, GroupState::PreparingRebalance);
    assert_eq!(
        world.classic_beat(&HeartbeatRequest { generation: crate::group::GenerationId(3), ..beat_of(&settled) }),
        Err(GroupError::IllegalGeneration { current: crate::group::GenerationId(2) })
    );
    assert_eq!(world.classic_beat(&beat_of(&settled)), Err(GroupError::RebalanceInProgress));
    let ticket = world.join(Some(&old.member_id), &["t"], &[("t", vec![0, 1])]);
    assert_eq!(joined(&mut world, ticket).generation.0, 3);
}

/// A consumer of the consumer protocol and a classic one, each with an instance id and with two of the four partitions.
fn two_static(world: &mut World) -> JoinResponse {
    world.topic("t", 4);
    let owning = |epoch: i32, owned: Option<PartitionSet>| ConsumerHeartbeat {
        instance_id: Some("i1".into()),
        owned,
        ..staying("new", epoch)
    };
    let joining = ConsumerHeartbeat { instance_id: Some("i1".into()), ..joining("new", &["t"]) };
    let all = world.beat(&joining).unwrap().assignment.unwrap();
    let ticket = world.join_as(None, Some("i2"), &["t"], &[]);
    let old = joined(world, ticket);
    // There was an assignment a moment ago: the next one waits, and nobody is told to join again meanwhile.
    assert_eq!((old.generation.0, synced(world, &old)), (2, vec![]));
    assert_eq!(world.classic_beat(&beat_of(&old)), Ok(()));
    world.pass(1_000);
    assert_eq!(world.classic_beat(&beat_of(&old)), Ok(()), "nobody has assigned");
    let half = world.beat(&owning(2, Some(all))).unwrap().assignment.unwrap();
    assert_eq!(world.beat(&owning(2, Some(half))).unwrap().member_epoch, Epoch(3));
    assert_eq!(world.classic_beat(&beat_of(&old)), Err(GroupError::RebalanceInProgress));
    let ticket = world.join_as(Some(&old.member_id), Some("i2"), &["t"], &[]);
    let old = joined(world, ticket);
    assert_eq!((old.generation.0, synced(world, &old)), (3, vec![2, 3]));
    old
}

#[test]
fn a_classic_heir_of_the_last_consumer_goes_on_without_a_rebalance() {
    let mut world = World::new();
    let old = two_static(&mut world);
    let ticket = world.join_as(None, Some("i1"), &["t"], &[]);
    let heir = joined(&mut world, ticket);
    assert!(world.shard.consumers.is_empty());
    world.pass(0);
    let described = world.shard.describe(&GROUP.into()).unwrap();
    assert_eq!((described.state, described.members.len()), (GroupState::Stable, 2));
    assert_eq!((heir.generation.0, synced(&mut world, &heir)), (3, vec![0, 1]));
    assert_eq!(synced(&mut world, &old), [2, 3]);
    for member in [&heir, &old] {
        assert_eq!(world.classic_beat(&beat_of(member)), Ok(()));
    }
    world.restart();
    assert_eq!(synced(&mut world, &heir), [0, 1]);
    // Its session runs.
    world.pass(44_000);
    assert_eq!(world.classic_beat(&beat_of(&old)), Ok(()));
    world.pass(2_000);
    assert_eq!(world.classic_beat(&beat_of(&heir)), Err(GroupError::UnknownMember));
}

#[test]
fn a_classic_heir_that_wants_other_topics_makes_the_group_rebalance() {
    let mut world = World::new();
    let old = two_static(&mut world);
    world.topic("u", 1);
    let ticket = world.join_as(None, Some("i1"), &["t", "u"], &[]);
    let heir = joined(&mut world, ticket);
    assert_eq!(heir.generation.0, 0, "one it never had");
    world.pass(0);
    let described = world.shard.describe(&GROUP.into()).unwrap();
    assert_eq!((described.state, described.members.len()), (GroupState::PreparingRebalance, 2));
    assert!(described.members.iter().all(|member| !member.assignment.is_empty()), "what they had stays known");
    let illegal = GroupError::IllegalGeneration { current: crate::group::GenerationId(3) };
    assert_eq!(world.classic_beat(&beat_of(&heir)), Err(illegal));
    assert_eq!(world.classic_beat(&beat_of(&old)), Err(GroupError::RebalanceInProgress));
    let tickets = [
        world.join_as(Some(&heir.member_id), Some("i1"), &["t", "u"], &[]),
        world.join_as(Some(&old.member_id), Some("i2"), &["t"], &[]),
    ];
    for ticket in tickets {
        assert_eq!(joined(&mut world, ticket).generation.0, 4);
    }
}

#[test]
fn a_single_member_is_inherited_too() {
    let mut world = World::new();
    world.topic("t", 2);
    world.beat(&ConsumerHeartbeat { instance_id: Some("i1".into()), ..joining("new", &["t"]) }).unwrap();
    world.beat(&ConsumerHeartbeat { instance_id: Some("i1".into()), ..staying("new", -2) }).unwrap();
    let ticket = world.join_as(None, Some("i1"), &["t"], &[]);
    let heir = joined(&mut world, ticket);
    assert_eq!((heir.generation.0, synced(&mut world, &heir)), (2, vec![0, 1]));
    assert_eq!(world.shard.describe(&GROUP.into()).unwrap().state, GroupState::Stable);
}

#[test]
fn an_empty_group_takes_the_type_of_who_joins() {
    let mut world = World::new();
    let t = world.topic("t", 1);
    let old = classic(&mut world, 1);
    let leaving = LeavingMember { member_id: Some(old.member_id), group_instance_id: None };
    world.leave(&LeaveRequest { group_id: GROUP.into(), members: vec![leaving] });
    assert_eq!(world.beat(&joining("new", &["t"])).unwrap().assignment, Some(of(t, 0..1)));
    assert!(world.shard.groups.is_empty() && world.shard.consumers.len() == 1);
    world.beat(&staying("new", Epoch::LEAVING.0)).unwrap();
    classic(&mut world, 1);
    assert!(world.shard.consumers.is_empty());
    assert_eq!(world.shard.describe(&GROUP.into()).unwrap().state, GroupState::Stable);
}

#[test]
fn the_policy_can_forbid_it() {
    let mut config = GroupConfig::default();
    config.consumer.migration = MigrationPolicy::Disabled;
    let mut world = World::with(config);
    world.topic("t", 1);
    let old = classic(&mut world, 1);
    let refused = world.beat(&joining("new", &["t"]));
    assert_eq!(refused, Err(GroupError::WrongType { group: GROUP.into(), expected: "consumer" }));
    assert_eq!(world.classic_beat(&beat_of(&old)), Ok(()));
}

#[test]
fn a_classic_member_that_does_not_come_back_is_out() {
    let mut world = World::new();
    let t = world.topic("t", 2);
    let old = classic(&mut world, 2);
    world.beat(&joining("new", &["t"])).unwrap();
    for _ in 0..4 {
        assert_eq!(world.classic_beat(&beat_of(&old)), Err(GroupError::RebalanceInProgress));
        world.beat(&staying("new", 2)).unwrap();
        world.pass(9_990);
    }
    assert_eq!(world.classic_beat(&beat_of(&old)), Err(GroupError::UnknownMember));
    let owning = ConsumerHeartbeat { owned: Some(BTreeMap::new()), ..staying("new", 2) };
    assert_eq!(world.beat(&owning).unwrap().assignment, Some(of(t, 0..2)));
}
