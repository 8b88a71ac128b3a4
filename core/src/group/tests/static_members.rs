//! Members with a name of their own (KIP-345): restarts without rebalances, and fencing.

use super::harness::{Broker, REBALANCE_MS, SESSION_MS, subscribing};
use crate::group::{GenerationId, GroupError, GroupState, HeartbeatRequest, JoinRequest, JoinResponse, SyncRequest};

fn fenced(instance_id: &str) -> GroupError {
    GroupError::FencedInstance { instance_id: instance_id.into() }
}

fn sync_as(member: &JoinResponse, instance_id: &str) -> SyncRequest {
    SyncRequest {
        group_id: "g".into(),
        generation: member.generation,
        member_id: member.member_id.clone(),
        group_instance_id: Some(instance_id.into()),
        protocol_type: None,
        protocol_name: None,
        assignments: Default::default(),
    }
}

#[test]
fn a_follower_returns_without_a_rebalance_and_finds_its_share() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer_as("a"), broker.newcomer_as("b")];
    let members = broker.stable(&requests);
    let instance = members[1].member_id.split('-').next().unwrap().to_owned();
    let request = broker.newcomer_as(&instance);
    let ticket = broker.join(&request);
    let returned = broker.joined(ticket);
    assert_eq!((broker.state(), returned.generation), (GroupState::Stable, GenerationId(1)));
    assert_ne!(returned.member_id, members[1].member_id);
    assert_eq!((&returned.leader, returned.skip_assignment), (&members[0].member_id, false));
    let ticket = broker.sync_with(&sync_as(&returned, &instance));
    assert_eq!(broker.synced(ticket).assignment, members[1].member_id.as_bytes());

    // Its predecessor is out of the game, in whatever it tries.
    let heartbeat = HeartbeatRequest {
        group_id: "g".into(),
        generation: members[1].generation,
        member_id: members[1].member_id.clone(),
        group_instance_id: Some(instance.as_str().into()),
    };
    assert_eq!(broker.shard.heartbeat(&heartbeat, broker.now()), Err(fenced(&instance)));
    let ticket = broker.sync_with(&sync_as(&members[1], &instance));
    assert_eq!(broker.sync_error(ticket), fenced(&instance));
    let request = JoinRequest { member_id: Some(members[1].member_id.clone()), ..broker.newcomer_as(&instance) };
    let ticket = broker.join(&request);
    assert_eq!(broker.join_error(ticket), fenced(&instance));

    // A restart of the broker finds the new id.
    broker.restart();
    let ticket = broker.sync_with(&sync_as(&returned, &instance));
    assert_eq!(broker.synced(ticket).assignment, members[1].member_id.as_bytes());
}

#[test]
fn a_returning_leader_does_not_assign() {
    let mut broker = Broker::new();
    let request = broker.newcomer_as("a");
    let first = broker.stable(&[request]).remove(0);
    let request = broker.newcomer_as("a");
    let ticket = broker.join(&request);
    let second = broker.joined(ticket);
    assert_eq!((&second.leader, second.skip_assignment, second.members.len()), (&second.member_id, true, 1));
    // A client too old to be told so must not take itself for the leader.
    let request = JoinRequest { supports_skip_assignment: false, ..broker.newcomer_as("a") };
    let ticket = broker.join(&request);
    let third = broker.joined(ticket);
    assert_eq!((&third.leader, third.skip_assignment, third.members.len()), (&second.member_id, false, 0));
    let ticket = broker.sync_with(&sync_as(&third, "a"));
    assert_eq!(broker.synced(ticket).assignment, first.member_id.as_bytes());
}

#[test]
fn a_return_with_other_topics_or_another_protocol_is_a_rebalance() {
    for protocols in
        [vec![subscribing("range", &["u"])], vec![subscribing("own", &["t"]), subscribing("range", &["t"])]]
    {
        let mut broker = Broker::new();
        let with_both = |request| JoinRequest {
            protocols: vec![subscribing("range", &["t"]), subscribing("own", &["t"])],
            ..request
        };
        let request = broker.newcomer_as("a");
        broker.stable(&[with_both(request)]);
        let request = JoinRequest { protocols, ..broker.newcomer_as("a") };
        let ticket = broker.join(&request);
        assert_eq!(broker.joined(ticket).generation, GenerationId(2));
    }
}

#[test]
fn a_return_between_join_and_sync_is_a_rebalance() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer_as("a"), broker.newcomer_as("b")];
    let tickets = [broker.join(&requests[0]), broker.join(&requests[1])];
    broker.pass(i64::from(SESSION_MS) - 1);
    let (leader, follower) = (broker.joined(tickets[0]), broker.joined(tickets[1]));
    let waiting = broker.sync(&follower, &[]);
    let request = broker.newcomer_as("b");
    let returned = broker.join(&request);
    assert_eq!(broker.sync_error(waiting), fenced("b"));
    let request = JoinRequest { group_instance_id: Some("a".into()), ..broker.rejoin(&leader) };
    let ticket = broker.join(&request);
    assert_eq!(broker.joined(ticket).generation, GenerationId(2));
    assert_eq!(broker.joined(returned).generation, GenerationId(2));
}

#[test]
fn a_silent_static_member_keeps_its_place_until_its_session_ends() {
    let mut broker = Broker::new();
    let long = JoinRequest { session_timeout_ms: 300_000, ..broker.newcomer_as("a") };
    let requests = [long, broker.newcomer_as("b")];
    let members = broker.stable(&requests);
    let silent = members.iter().find(|m| m.member_id.starts_with("a-")).unwrap();
    let active = members.iter().find(|m| m.member_id.starts_with("b-")).unwrap();
    let changed = JoinRequest {
        group_instance_id: Some("b".into()),
        protocols: vec![subscribing("range", &["u"])],
        ..broker.rejoin(active)
    };
    let ticket = broker.join(&changed);
    broker.pass(i64::from(REBALANCE_MS));
    let joined = broker.joined(ticket);
    assert_eq!((&joined.leader, joined.members.len()), (&active.member_id, 2));
    assert!(joined.members.iter().any(|m| m.member_id == silent.member_id));
}

#[test]
fn only_silent_static_members_do_not_make_a_generation() {
    let mut broker = Broker::new();
    let long = |request| JoinRequest { session_timeout_ms: 300_000, ..request };
    let requests = [broker.newcomer_as("a"), broker.newcomer()];
    let requests = requests.map(long);
    let members = broker.stable(&requests);
    let dynamic = members.iter().find(|m| m.member_id.starts_with("c-")).unwrap();
    assert_eq!(broker.leave_dynamic(dynamic), Ok(()));
    broker.pass(3 * i64::from(REBALANCE_MS));
    assert_eq!(broker.state(), GroupState::PreparingRebalance);
    broker.pass(300_000);
    assert_eq!(broker.state(), GroupState::Empty);
}

#[test]
fn a_replacement_that_cannot_be_written_did_not_happen() {
    let mut broker = Broker::new();
    let request = broker.newcomer_as("a");
    let first = broker.stable(&[request]).remove(0);
    broker.append_fails = true;
    let request = broker.newcomer_as("a");
    let ticket = broker.join(&request);
    assert_eq!(broker.join_error(ticket), GroupError::LogUnavailable);
    let ticket = broker.sync_with(&sync_as(&first, "a"));
    assert_eq!(broker.synced(ticket).assignment, first.member_id.as_bytes());
    broker.append_fails = false;
    let request = broker.newcomer_as("a");
    let ticket = broker.join(&request);
    assert_ne!(broker.joined(ticket).member_id, first.member_id);
}
