//! Stories of one streams group. Epochs and statuses are those that Apache Kafka 4.3 answers to the same calls.

use super::world::{
    GROUP, REBALANCE_MS, SESSION_MS, World, active, counting, joining, owning, part, stateless, staying,
};
use crate::{
    TopicPartition,
    group::{
        ConsumerHeartbeat, Epoch, GenerationId, GroupError, GroupId, GroupState, InstanceId, JoinRequest, ListFilter,
        MemberId, OffsetCommitRequest, OffsetToCommit, PartitionSet, Protocol, Ticket,
        streams::{Endpoint, StatusCode, StreamsHeartbeat, StreamsHeartbeatResponse, Tasks, TopologyEpoch},
    },
    protocol::ErrorCode,
};

fn statuses(response: &StreamsHeartbeatResponse) -> Vec<StatusCode> {
    response.status.iter().map(|status| status.code).collect()
}

fn epoch(response: &StreamsHeartbeatResponse) -> i32 {
    response.member_epoch.0
}

/// A group of one member with all three tasks, at epoch 2.
fn settled() -> World {
    let mut world = World::new();
    world.topic("in", 3);
    world.beat(&joining("m1", "p1", stateless())).unwrap();
    world.pass(3_000);
    let all = world.beat(&staying("m1", 1)).unwrap();
    assert_eq!((epoch(&all), all.tasks), (2, Some(active(0..3))));
    world
}

fn state(world: &World) -> GroupState {
    world.shard.describe_streams_group(&GROUP.into()).unwrap().state
}

#[test]
fn a_new_group_waits_for_more_members_before_its_first_assignment() {
    let mut world = World::new();
    world.topic("in", 3);
    let first = world.beat(&joining("m1", "p1", stateless())).unwrap();
    assert_eq!((epoch(&first), statuses(&first)), (1, vec![StatusCode::AssignmentDelayed]));
    assert_eq!(first.tasks, Some(Tasks::default()));
    world.pass(1_000);
    let second = world.beat(&joining("m2", "p2", stateless())).unwrap();
    assert_eq!((epoch(&second), statuses(&second)), (1, vec![StatusCode::AssignmentDelayed]));
    world.pass(2_000);
    let (first, second) = (world.beat(&staying("m1", 1)).unwrap(), world.beat(&staying("m2", 1)).unwrap());
    assert_eq!((epoch(&first), epoch(&second), statuses(&first)), (3, 3, vec![]));
    assert_eq!((first.tasks, second.tasks), (Some(active([0, 2])), Some(active([1]))));
    assert_eq!(state(&world), GroupState::Stable);
}

#[test]
fn a_task_is_given_back_before_another_member_gets_it() {
    let mut world = settled();
    world.pass(1_000);
    let second = world.beat(&joining("m2", "p2", stateless())).unwrap();
    assert_eq!((epoch(&second), second.tasks), (3, Some(Tasks::default())));
    assert_eq!(state(&world), GroupState::Reconciling);
    let told = world.beat(&staying("m1", 2)).unwrap();
    assert_eq!((epoch(&told), told.tasks.clone()), (2, Some(active([0, 1]))));
    let still = world.beat(&owning("m1", 2, &active(0..3))).unwrap();
    assert_eq!((epoch(&still), still.tasks), (2, None));
    assert_eq!(world.beat(&staying("m2", 3)).unwrap().tasks, None);
    let gone = world.beat(&owning("m1", 2, &active([0, 1]))).unwrap();
    assert_eq!((epoch(&gone), gone.tasks), (3, None));
    assert_eq!(world.beat(&staying("m2", 3)).unwrap().tasks, Some(active([2])));
    assert_eq!(state(&world), GroupState::Stable);
    world.restart();
    assert_eq!(world.beat(&staying("m2", 3)).unwrap().tasks, None);
}

#[test]
fn who_does_not_give_back_in_time_is_put_out() {
    let mut world = settled();
    world.pass(1_000);
    world.beat(&joining("m2", "p2", stateless())).unwrap();
    world.beat(&staying("m1", 2)).unwrap();
    world.pass(i64::from(REBALANCE_MS));
    assert_eq!(world.beat(&staying("m1", 2)), Err(GroupError::UnknownMember));
    assert_eq!(world.beat(&staying("m2", 3)).unwrap().tasks, Some(active(0..3)));
}

#[test]
fn who_is_silent_for_its_session_is_put_out() {
    let mut world = settled();
    world.pass(SESSION_MS - 1);
    world.beat(&staying("m1", 2)).unwrap();
    world.pass(SESSION_MS);
    assert_eq!(world.beat(&staying("m1", 2)), Err(GroupError::UnknownMember));
    assert_eq!(state(&world), GroupState::Empty);
}

#[test]
fn epochs_of_members_are_checked_as_in_kafka() {
    let mut world = settled();
    let fenced = |known, told| Err(GroupError::FencedMemberEpoch { known: Epoch(known), told: Epoch(told) });
    assert_eq!(world.beat(&staying("m1", 7)), fenced(2, 7));
    assert_eq!(world.beat(&staying("m1", 1)), fenced(2, 1));
    assert_eq!(epoch(&world.beat(&owning("m1", 1, &Tasks::default())).unwrap()), 2);
    assert_eq!(world.beat(&staying("m9", 1)), Err(GroupError::UnknownMember));
    let left = world.beat(&staying("m1", -1)).unwrap();
    assert_eq!((epoch(&left), left.heartbeat_interval_ms), (-1, 0));
    assert_eq!(world.beat(&staying("m1", -1)), Err(GroupError::UnknownMember));
    let elsewhere = StreamsHeartbeat { group_id: "h".into(), ..staying("m1", 2) };
    assert_eq!(world.beat(&elsewhere), Err(GroupError::GroupNotFound { group: "h".into() }));
}

#[test]
fn requests_that_contradict_themselves_or_ask_for_what_there_is_not_are_refused() {
    let mut world = settled();
    let join = || joining("m2", "p2", stateless());
    let mut with_regex = stateless();
    with_regex.subtopologies[0].1.source_topic_regex.push("x.*".into());
    let mut other_topology = stateless();
    other_topology.subtopologies[0].0 = "1".into();
    let mut newer = stateless();
    newer.epoch = TopologyEpoch(1);
    let refused = [
        StreamsHeartbeat { member_id: "".into(), ..join() },
        StreamsHeartbeat { group_id: "".into(), ..join() },
        StreamsHeartbeat { rack_id: Some(String::new()), ..join() },
        StreamsHeartbeat { rebalance_timeout_ms: None, ..join() },
        StreamsHeartbeat { topology: None, ..join() },
        StreamsHeartbeat { active: None, standby: None, warmup: None, ..join() },
        StreamsHeartbeat { active: Some(part([0])), ..join() },
        StreamsHeartbeat { instance_id: Some(InstanceId::from("i")), ..join() },
        StreamsHeartbeat { tells_task_offsets: true, ..staying("m1", 2) },
        StreamsHeartbeat { warmup: Some(part([0])), ..owning("m1", 2, &active([0])) },
        StreamsHeartbeat { warmup: None, ..owning("m1", 2, &active([0])) },
        StreamsHeartbeat { topology: Some(stateless()), ..staying("m1", 2) },
        staying("m1", -2),
        staying("m1", -3),
        owning("m1", 2, &active([7])),
        StreamsHeartbeat { active: Some([("9".into(), [0].into())].into()), ..owning("m1", 2, &Tasks::default()) },
        joining("m2", "p2", with_regex),
        joining("m2", "p2", other_topology),
        joining("m2", "p2", newer),
    ];
    for request in refused {
        let error = world.beat(&request).unwrap_err();
        assert_eq!(ErrorCode::from(&error), ErrorCode::InvalidRequest, "{request:?}");
    }
    let mut fixed = counting();
    fixed.subtopologies[0].1.state_changelog_topics[0].partitions = Some(3);
    let error = world.beat(&joining("m2", "p2", fixed)).unwrap_err();
    assert_eq!(ErrorCode::from(&error), ErrorCode::StreamsInvalidTopology);
    assert_eq!(world.shard.describe_streams_group(&GROUP.into()).unwrap().members.len(), 1);
}

#[test]
fn a_member_with_an_older_topology_is_told_so() {
    let mut world = World::new();
    world.topic("in", 1);
    let mut newer = stateless();
    newer.epoch = TopologyEpoch(3);
    world.beat(&joining("m1", "p1", newer)).unwrap();
    let stale = world.beat(&joining("m2", "p2", stateless())).unwrap();
    assert_eq!(statuses(&stale), [StatusCode::StaleTopology, StatusCode::AssignmentDelayed]);
}

#[test]
fn internal_topics_are_created_and_then_there_are_tasks() {
    let mut world = World::new();
    let early = world.beat(&joining("m1", "p1", counting())).unwrap();
    assert_eq!(statuses(&early), [StatusCode::AssignmentDelayed, StatusCode::MissingSourceTopics]);
    assert_eq!(state(&world), GroupState::NotReady);
    world.topic("in", 2);
    let missing = world.beat(&staying("m1", 1)).unwrap();
    assert_eq!(statuses(&missing), [StatusCode::AssignmentDelayed, StatusCode::MissingInternalTopics]);
    let topic = &missing.topics_to_create["g-count-changelog"];
    assert_eq!((topic.partitions, topic.configs["cleanup.policy"].as_str()), (2, "compact"));
    world.pass(3_000);
    let ready = world.beat(&staying("m1", 1)).unwrap();
    assert_eq!(ready.topics_to_create, Default::default());
    world.pass(1_000);
    assert_eq!(world.beat(&staying("m1", epoch(&ready))).unwrap().tasks, Some(active([0, 1])));
    assert_eq!(state(&world), GroupState::Stable);
    world.topic("in", 4);
    let broken = world.beat(&staying("m1", 4)).unwrap();
    assert_eq!(statuses(&broken).last(), Some(&StatusCode::IncorrectlyPartitionedTopics));
    assert_eq!(state(&world), GroupState::NotReady);
}

#[test]
fn standby_tasks_are_on_other_processes_and_come_when_the_setting_does() {
    let mut world = World::new();
    world.topic("in", 2);
    world.topic("g-count-changelog", 2);
    for (member, process) in [("m1", "p1"), ("m2", "p2"), ("m3", "p2")] {
        world.beat(&joining(member, process, counting())).unwrap();
    }
    world.pass(3_000);
    let mut tasks: Vec<_> =
        ["m1", "m2", "m3"].map(|m| world.beat(&staying(m, 1)).unwrap().tasks.unwrap_or_default()).into();
    assert!(tasks.iter().all(|tasks| tasks.standby.is_empty()));
    world.set("streams.num.standby.replicas", "1");
    world.pass(1_000);
    for _ in 0..3 {
        for (n, member) in ["m1", "m2", "m3"].into_iter().enumerate() {
            let known = world.shard.describe_streams_group(&GROUP.into()).unwrap().members[n].member_epoch.0;
            if let Some(told) = world.beat(&owning(member, known, &tasks[n])).unwrap().tasks {
                tasks[n] = told;
            }
        }
    }
    let standby: usize = tasks.iter().map(|tasks| crate::group::streams::task_count(&tasks.standby)).sum();
    assert_eq!((standby, state(&world)), (2, GroupState::Stable), "{tasks:?}");
}

#[test]
fn a_shutdown_is_told_to_all_until_nobody_is_left() {
    let mut world = settled();
    let asked = world.beat(&StreamsHeartbeat { shutdown_application: true, ..staying("m1", 2) }).unwrap();
    assert_eq!(statuses(&asked), [StatusCode::ShutdownApplication]);
    world.pass(1_000);
    let other = world.beat(&joining("m2", "p2", stateless())).unwrap();
    assert_eq!(statuses(&other), [StatusCode::ShutdownApplication]);
    world.beat(&staying("m1", -1)).unwrap();
    world.beat(&staying("m2", -1)).unwrap();
    assert_eq!(statuses(&world.beat(&joining("m3", "p3", stateless())).unwrap()), [StatusCode::AssignmentDelayed]);
}

#[test]
fn endpoints_are_told_when_they_change() {
    let mut world = World::new();
    world.topic("in", 2);
    let endpoint = Some(Endpoint { host: "h".to_owned(), port: 7 });
    let join = StreamsHeartbeat { user_endpoint: endpoint.clone(), ..joining("m1", "p1", stateless()) };
    assert_eq!(world.beat(&join).unwrap().endpoint_epoch, 0);
    world.pass(3_000);
    let got = world.beat(&staying("m1", 1)).unwrap();
    assert_eq!(got.endpoint_epoch, 1);
    let served = got.endpoints.unwrap();
    assert_eq!((served.len(), Some(&served[0].endpoint)), (1, endpoint.as_ref()));
    assert_eq!(served[0].active["in"], [0, 1].into());
    let known = StreamsHeartbeat { endpoint_epoch: 1, ..staying("m1", 2) };
    assert_eq!(world.beat(&known).unwrap().endpoints, None);
}

#[test]
fn positions_are_stored_by_who_has_or_had_the_task() {
    let mut world = settled();
    let commit = |member: Option<&str>, epoch: Option<i32>, partition: i32| OffsetCommitRequest {
        group_id: GROUP.into(),
        member_id: member.map(MemberId::from),
        generation: epoch.map(GenerationId),
        group_instance_id: None,
        retention_ms: None,
        tells_member_epoch: true,
        offsets: vec![OffsetToCommit {
            topic_partition: TopicPartition::new("in", partition),
            offset: 1,
            leader_epoch: None,
            metadata: String::new(),
            topic_id: None,
        }],
    };
    let store = |world: &mut World, request: OffsetCommitRequest| {
        let decision = world.shard.commit_offsets(&request, world.now());
        world.carry_out(decision).map(|_| ())
    };
    store(&mut world, commit(Some("m1"), Some(2), 0)).unwrap();
    assert_eq!(store(&mut world, commit(None, None, 0)), Err(GroupError::UnknownMember));
    assert!(matches!(store(&mut world, commit(Some("m1"), Some(3), 0)), Err(GroupError::StaleMemberEpoch { .. })));
    let old = OffsetCommitRequest { tells_member_epoch: false, ..commit(Some("m1"), Some(2), 0) };
    assert_eq!(store(&mut world, old), Err(GroupError::OldCommitVersion));
    world.pass(1_000);
    world.beat(&joining("m2", "p2", stateless())).unwrap();
    world.beat(&staying("m1", 2)).unwrap();
    world.beat(&owning("m1", 2, &active([0, 1]))).unwrap();
    store(&mut world, commit(Some("m1"), Some(2), 0)).unwrap();
    assert!(matches!(store(&mut world, commit(Some("m1"), Some(2), 2)), Err(GroupError::StaleMemberEpoch { .. })));
    let group: GroupId = GROUP.into();
    assert_eq!(world.shard.admit_fetch(&group, Some(&"m1".into()), Some(GenerationId(3))), Ok(()));
    assert!(world.shard.admit_fetch(&group, Some(&"m1".into()), Some(GenerationId(2))).is_err());
}

#[test]
fn the_group_is_listed_described_and_deleted() {
    let mut world = settled();
    let listed = world.shard.list(&ListFilter::default());
    assert_eq!((listed.len(), listed[0].group_type, listed[0].protocol_type.as_str()), (1, "streams", "streams"));
    let described = world.shard.describe_streams_group(&GROUP.into()).unwrap();
    assert_eq!((described.group_epoch, described.target_epoch), (Epoch(2), Epoch(2)));
    assert_eq!(described.members[0].assigned, active(0..3));
    assert!(world.shard.describe(&GROUP.into()).is_err(), "it is no classic group");
    let refused = world.shard.delete(&GROUP.into());
    assert!(matches!(world.carry_out(refused), Err(GroupError::GroupNotEmpty { .. })));
    world.beat(&staying("m1", -1)).unwrap();
    let deleted = world.shard.delete(&GROUP.into());
    world.carry_out(deleted).unwrap();
    assert!(world.shard.list(&ListFilter::default()).is_empty());
}

#[test]
fn a_group_has_one_type_until_nobody_is_left() {
    let mut world = settled();
    let join = |world: &mut World| {
        let ticket = Ticket(world.log.len() as u64);
        let request = JoinRequest {
            group_id: GROUP.into(),
            member_id: None,
            group_instance_id: None,
            client_id: "classic".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol { name: "range".to_owned(), metadata: bytes::Bytes::new() }],
            requires_known_member_id: false,
            supports_skip_assignment: true,
            new_member_uuid: crate::Uuid([7; 16]),
        };
        let decision = world.shard.join(&request, ticket, world.now());
        let refused = decision.replies.first().map(|reply| format!("{:?}", reply.response));
        world.carry_out(decision);
        refused
    };
    let consumer = ConsumerHeartbeat {
        rebalance_timeout_ms: Some(REBALANCE_MS),
        topic_names: Some(vec!["in".to_owned()]),
        owned: Some(PartitionSet::new()),
        ..ConsumerHeartbeat::new(GROUP.into(), "c".into(), Epoch::JOINING)
    };
    assert!(join(&mut world).is_some_and(|refused| refused.contains("InconsistentProtocol")));
    let refused = world.shard.consumer_heartbeat(&consumer, &|_| true, world.now());
    assert!(matches!(world.carry_out(refused), Err(GroupError::WrongType { .. })));
    world.beat(&staying("m1", -1)).unwrap();
    assert_eq!(join(&mut world), None, "it waits for its generation");
    let refused = world.beat(&joining("m1", "p1", stateless()));
    assert!(matches!(refused, Err(GroupError::WrongType { .. })), "{refused:?}");
}
