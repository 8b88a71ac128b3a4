//! From generation to generation: joins, leaves, silence, and what is written.

use super::harness::{Broker, FIRST_WAIT_MS, REBALANCE_MS, SESSION_MS, in_generation, subscribing};
use crate::group::{GenerationId, GroupError, GroupRecord, GroupState, JoinRequest, LeavingMember, SyncRequest};

#[test]
fn everybody_gets_its_share_and_the_generation_is_written_once() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    assert_eq!(broker.log.len(), 1);
    let GroupRecord::Group { value: Some(stored), .. } = &broker.log[0] else { panic!() };
    assert_eq!((stored.generation, stored.members.len()), (GenerationId(1), 3));
    assert_eq!(stored.leader.as_ref(), Some(&members[0].member_id));
    // Asking again changes nothing.
    let ticket = broker.sync(&members[1], &[]);
    assert_eq!(broker.synced(ticket).assignment, members[1].member_id.as_bytes());
    assert_eq!(broker.heartbeat(&members[1]), Ok(()));
}

#[test]
fn a_newcomer_calls_everybody_back() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    let newcomer = broker.newcomer();
    let third = broker.join(&newcomer);
    for member in &members {
        assert_eq!(broker.heartbeat(member), Err(GroupError::RebalanceInProgress));
        let ticket = broker.sync(member, &[]);
        assert_eq!(broker.sync_error(ticket), GroupError::RebalanceInProgress);
    }
    let requests = [broker.rejoin(&members[0]), broker.rejoin(&members[1])];
    let tickets = [broker.join(&requests[0]), broker.join(&requests[1])];
    let joined = [broker.joined(tickets[0]), broker.joined(tickets[1]), broker.joined(third)];
    assert!(joined.iter().all(|m| m.generation == GenerationId(2) && m.leader == members[0].member_id));
    assert_eq!(broker.heartbeat(&members[0]), Err(GroupError::IllegalGeneration { current: GenerationId(2) }));
    broker.assign(&joined);
}

#[test]
fn who_does_not_come_back_in_time_is_out() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    let follower = broker.rejoin(&members[1]);
    let changed = JoinRequest { protocols: vec![subscribing("range", &["t", "u"])], ..follower };
    let ticket = broker.join(&changed);
    for _ in 0..REBALANCE_MS / 5_000 {
        assert_eq!(broker.heartbeat(&members[0]), Err(GroupError::RebalanceInProgress));
        broker.pass(5_000);
    }
    let joined = broker.joined(ticket);
    assert_eq!((joined.leader, joined.members.len()), (members[1].member_id.clone(), 1));
    assert_eq!(broker.heartbeat(&members[0]), Err(GroupError::UnknownMember));
}

#[test]
fn silence_ends_a_membership_and_heartbeats_prolong_it() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    broker.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(broker.heartbeat(&members[0]), Ok(()));
    broker.pass(1);
    assert_eq!(broker.heartbeat(&members[0]), Err(GroupError::RebalanceInProgress));
    assert_eq!(broker.heartbeat(&members[1]), Err(GroupError::UnknownMember));
    broker.pass(i64::from(SESSION_MS));
    assert_eq!(broker.state(), GroupState::Empty);
    let GroupRecord::Group { value: Some(stored), .. } = broker.log.last().unwrap() else { panic!() };
    assert_eq!((stored.generation, stored.members.len(), &stored.leader), (GenerationId(2), 0, &None));
}

#[test]
fn a_parked_member_is_not_taken_for_dead() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    let request = broker.rejoin(&members[0]);
    let ticket = broker.join(&request);
    for _ in 0..4 {
        broker.pass(i64::from(SESSION_MS) - 1);
        assert_eq!(broker.heartbeat(&members[1]), Err(GroupError::RebalanceInProgress));
    }
    // The other one falls silent: now nobody is missing.
    broker.pass(i64::from(SESSION_MS));
    let joined = broker.joined(ticket);
    broker.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(broker.heartbeat(&joined), Ok(()));
}

#[test]
fn who_joins_but_never_syncs_is_out() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let tickets = [broker.join(&requests[0]), broker.join(&requests[1])];
    broker.pass(FIRST_WAIT_MS);
    let (leader, follower) = (broker.joined(tickets[0]), broker.joined(tickets[1]));
    let waiting = broker.sync(&follower, &[]);
    for _ in 0..REBALANCE_MS / 5_000 {
        assert_eq!(broker.heartbeat(&leader), Ok(()));
        broker.pass(5_000);
    }
    assert_eq!(broker.sync_error(waiting), GroupError::RebalanceInProgress);
    assert_eq!(broker.heartbeat(&leader), Err(GroupError::UnknownMember));
    assert_eq!(broker.heartbeat(&follower), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_follower_that_never_syncs_ends_even_a_stable_generation() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let tickets = [broker.join(&requests[0]), broker.join(&requests[1])];
    broker.pass(FIRST_WAIT_MS);
    let (leader, follower) = (broker.joined(tickets[0]), broker.joined(tickets[1]));
    let ticket = broker.sync(&leader, &[(&leader.member_id, "all")]);
    assert_eq!(broker.synced(ticket).assignment, "all");
    for _ in 0..REBALANCE_MS / 5_000 {
        assert_eq!((broker.heartbeat(&leader), broker.heartbeat(&follower)), (Ok(()), Ok(())));
        broker.pass(5_000);
    }
    assert_eq!(broker.heartbeat(&follower), Err(GroupError::UnknownMember));
    assert_eq!(broker.heartbeat(&leader), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_leave_is_a_rebalance_and_the_last_leave_empties_the_group() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    assert_eq!(broker.leave_dynamic(&members[0]), Ok(()));
    assert_eq!(broker.leave_dynamic(&members[0]), Err(GroupError::UnknownMember));
    assert_eq!(broker.state(), GroupState::PreparingRebalance);
    let request = broker.rejoin(&members[1]);
    let ticket = broker.join(&request);
    let joined = broker.joined(ticket);
    assert_eq!((&joined.leader, joined.generation), (&joined.member_id, GenerationId(2)));
    assert_eq!(broker.leave_dynamic(&joined), Ok(()));
    assert_eq!(broker.state(), GroupState::Empty);
    assert_eq!(broker.shard.next_timeout().map(|due| due > broker.now_ms + 100_000), Some(true), "a timer is left");
}

#[test]
fn a_leave_of_several_is_one_rebalance() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer_as("b"), broker.newcomer()];
    let members = broker.stable(&requests);
    let static_id = members.iter().find(|m| m.member_id.starts_with("b-")).unwrap().member_id.clone();
    let dynamic: Vec<_> = members.iter().filter(|m| m.member_id != static_id).collect();
    let leaving = |member_id: Option<_>, instance: Option<&str>| LeavingMember {
        member_id,
        group_instance_id: instance.map(Into::into),
    };
    let outcomes = broker.leave(&[
        leaving(Some(dynamic[0].member_id.clone()), None),
        leaving(None, Some("b")),
        leaving(None, Some("nobody")),
        leaving(Some("nobody".into()), None),
        leaving(None, None),
    ]);
    let unknown = || Err(GroupError::UnknownMember);
    assert_eq!(outcomes, Ok(vec![Ok(()), Ok(()), unknown(), unknown(), unknown()]));
    let request = broker.rejoin(dynamic[1]);
    let ticket = broker.join(&request);
    assert_eq!(broker.joined(ticket).generation, GenerationId(2));
}

#[test]
fn a_join_without_change_is_answered_from_the_standing_generation() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let tickets = [broker.join(&requests[0]), broker.join(&requests[1])];
    broker.pass(FIRST_WAIT_MS);
    let (leader, follower) = (broker.joined(tickets[0]), broker.joined(tickets[1]));
    // Both missed their answers.
    let again = [broker.rejoin(&leader), broker.rejoin(&follower)];
    let tickets = [broker.join(&again[0]), broker.join(&again[1])];
    assert_eq!(broker.joined(tickets[0]), leader);
    assert_eq!(broker.joined(tickets[1]), follower);
    broker.assign(&[leader.clone(), follower.clone()]);
    let ticket = broker.join(&again[1]);
    assert_eq!(broker.joined(ticket), follower);
    // The leader may know of a new partition: its join is never idle.
    let ticket = broker.join(&again[0]);
    assert!(broker.parked.contains(&ticket));
    assert_eq!(broker.state(), GroupState::PreparingRebalance);
}

#[test]
fn a_sync_must_agree_with_the_generation() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    let sync = |protocol_type: Option<&str>, protocol_name: Option<&str>| SyncRequest {
        group_id: "g".into(),
        generation: GenerationId(1),
        member_id: members[0].member_id.clone(),
        group_instance_id: None,
        protocol_type: protocol_type.map(str::to_owned),
        protocol_name: protocol_name.map(str::to_owned),
        assignments: Default::default(),
    };
    for request in [sync(Some("connect"), None), sync(None, Some("sticky"))] {
        let ticket = broker.sync_with(&request);
        assert_eq!(broker.sync_error(ticket), GroupError::InconsistentProtocol);
    }
    let ticket = broker.sync_with(&sync(Some("consumer"), Some("range")));
    assert_eq!(broker.synced(ticket).protocol_name.as_deref(), Some("range"));
    let ticket = broker.sync(&in_generation(&members[0], 7), &[]);
    assert_eq!(broker.sync_error(ticket), GroupError::IllegalGeneration { current: GenerationId(1) });
}

#[test]
fn if_the_assignment_cannot_be_written_nobody_gets_it() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let tickets = [broker.join(&requests[0]), broker.join(&requests[1])];
    broker.pass(FIRST_WAIT_MS);
    let members = [broker.joined(tickets[0]), broker.joined(tickets[1])];
    broker.append_fails = true;
    let follower = broker.sync(&members[1], &[]);
    let leader = broker.sync(&members[0], &[(&members[1].member_id, "x")]);
    assert_eq!(broker.sync_error(follower), GroupError::LogUnavailable);
    assert_eq!(broker.sync_error(leader), GroupError::LogUnavailable);
    assert_eq!(broker.state(), GroupState::CompletingRebalance);
    broker.append_fails = false;
    broker.assign(&members);
}

#[test]
fn a_restart_keeps_the_generation_and_gives_everybody_a_session() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    broker.pass(i64::from(SESSION_MS) - 1);
    broker.restart();
    assert_eq!(broker.state(), GroupState::Stable);
    broker.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(broker.heartbeat(&members[0]), Ok(()));
    let ticket = broker.sync(&members[1], &[]);
    assert_eq!(broker.synced(ticket).assignment, members[1].member_id.as_bytes());
    broker.pass(i64::from(SESSION_MS));
    broker.pass(i64::from(SESSION_MS));
    assert_eq!(broker.state(), GroupState::Empty);
}

#[test]
fn a_restart_finds_the_newest_subscription() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    let request = JoinRequest { protocols: vec![subscribing("range", &["t", "u"])], ..broker.rejoin(&members[0]) };
    let ticket = broker.join(&request);
    let joined = broker.joined(ticket);
    broker.assign(&[joined]);
    assert_eq!(broker.recovered().describe(&"g".into()), broker.shard.describe(&"g".into()));
}
