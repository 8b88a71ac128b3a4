//! Who is let in, and what a first generation looks like.

use super::harness::{Broker, REBALANCE_MS, SESSION_MS, subscribing};
use crate::group::{GenerationId, GroupConfig, GroupError, GroupState, JoinRequest, Protocol};

#[test]
fn the_first_member_waits_for_others_and_leads() {
    let mut broker = Broker::new();
    let first = broker.newcomer();
    let first = broker.join(&first);
    broker.pass(2_999);
    let second = broker.newcomer();
    let second = broker.join(&second);
    // The second arrived within the first wait of 3 s, so there is another one.
    broker.pass(3_000);
    assert_eq!(broker.state(), GroupState::PreparingRebalance);
    broker.pass(1);
    let (first, second) = (broker.joined(first), broker.joined(second));
    assert_eq!(first.leader, first.member_id);
    assert_eq!(first.members.len(), 2);
    assert_eq!((second.leader, second.members), (first.member_id.clone(), vec![]));
    assert_eq!((first.generation, second.generation), (GenerationId(1), GenerationId(1)));
    assert_eq!(first.protocol_name.as_deref(), Some("range"));
}

#[test]
fn the_first_wait_ends_with_the_rebalance_timeout_however_many_arrive() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    broker.join(&JoinRequest { rebalance_timeout_ms: 7_000, ..request });
    for _ in 0..7 {
        assert_eq!(broker.state(), GroupState::PreparingRebalance);
        broker.pass(999);
        let request = broker.newcomer();
        broker.join(&JoinRequest { rebalance_timeout_ms: 7_000, ..request });
    }
    broker.pass(7);
    assert_eq!(broker.state(), GroupState::CompletingRebalance);
    assert_eq!(broker.answers.len(), 8);
}

#[test]
fn without_initial_delay_the_answer_is_immediate() {
    let mut broker = Broker::with(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() });
    let request = broker.newcomer();
    let ticket = broker.join(&request);
    assert_eq!(broker.joined(ticket).generation, GenerationId(1));
}

#[test]
fn a_new_dynamic_member_comes_back_with_the_id_it_is_given() {
    let mut broker = Broker::new();
    let request = JoinRequest { requires_known_member_id: true, ..broker.newcomer() };
    let ticket = broker.join(&request);
    let GroupError::MemberIdRequired { member_id } = broker.join_error(ticket) else { panic!("let in without id") };
    assert!(member_id.starts_with("c-"));
    let ticket = broker.join(&JoinRequest { member_id: Some(member_id.clone()), ..request.clone() });
    broker.pass(3_000);
    assert_eq!(broker.joined(ticket).member_id, member_id);

    // Another one is given an id and waited for, but not for longer than its session.
    let request = JoinRequest { new_member_uuid: broker.new_uuid(), ..request };
    let other = broker.join(&request);
    let GroupError::MemberIdRequired { member_id: other } = broker.join_error(other) else { panic!() };
    broker.pass(i64::from(SESSION_MS));
    let late = broker.join(&JoinRequest { member_id: Some(other), ..request });
    assert_eq!(broker.join_error(late), GroupError::UnknownMember);
}

#[test]
fn an_id_given_out_holds_up_the_rebalance_until_it_expires() {
    let mut broker = Broker::new();
    let member = broker.newcomer();
    let members = broker.stable(&[member]);
    let newcomer = JoinRequest { requires_known_member_id: true, ..broker.newcomer() };
    broker.join(&newcomer);
    let request = broker.rejoin(&members[0]);
    let ticket = broker.join(&request);
    broker.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(broker.state(), GroupState::PreparingRebalance);
    broker.pass(1);
    assert_eq!(broker.joined(ticket).generation, GenerationId(2));
}

#[test]
fn a_parked_newcomer_is_not_kept_for_ever() {
    let mut broker = Broker::new();
    let long_ms = 1_800_000;
    let old = JoinRequest { rebalance_timeout_ms: long_ms, session_timeout_ms: long_ms, ..broker.newcomer() };
    let leader = broker.stable(&[old]);
    let request = broker.newcomer();
    let ticket = broker.join(&request);
    broker.pass(300_000);
    assert_eq!(broker.join_error(ticket), GroupError::UnknownMember);
    assert_eq!(broker.heartbeat(&leader[0]), Err(GroupError::RebalanceInProgress));
}

#[test]
fn session_timeouts_have_bounds() {
    let mut broker = Broker::new();
    for requested_ms in [-1, 5_999, 1_800_001] {
        let request = JoinRequest { session_timeout_ms: requested_ms, ..broker.newcomer() };
        let ticket = broker.join(&request);
        let refused = GroupError::InvalidSessionTimeout { requested_ms, min_ms: 6_000, max_ms: 1_800_000 };
        assert_eq!(broker.join_error(ticket), refused);
    }
}

#[test]
fn protocols_must_fit_those_of_the_group() {
    let mut broker = Broker::new();
    let nothing = JoinRequest { protocols: vec![], ..broker.newcomer() };
    let untyped = JoinRequest { protocol_type: String::new(), ..broker.newcomer() };
    for request in [nothing, untyped] {
        let ticket = broker.join(&request);
        assert_eq!(broker.join_error(ticket), GroupError::InconsistentProtocol);
        assert_eq!(broker.state(), GroupState::Dead, "a refused member must not leave a group behind");
    }
    let request = broker.newcomer();
    broker.join(&request);
    let other_protocol = JoinRequest { protocols: vec![subscribing("sticky", &["t"])], ..broker.newcomer() };
    let other_type = JoinRequest { protocol_type: "connect".to_owned(), ..broker.newcomer() };
    for request in [other_protocol, other_type] {
        let ticket = broker.join(&request);
        assert_eq!(broker.join_error(ticket), GroupError::InconsistentProtocol);
    }
}

#[test]
fn members_vote_for_the_protocol() {
    let mut broker = Broker::new();
    let mut tickets = Vec::new();
    for names in [&["sticky", "range", "own"][..], &["range", "sticky"], &["other", "range", "sticky"]] {
        let protocols: Vec<Protocol> = names.iter().map(|name| subscribing(name, &["t"])).collect();
        let request = JoinRequest { protocols, ..broker.newcomer() };
        tickets.push(broker.join(&request));
    }
    broker.pass(i64::from(REBALANCE_MS));
    assert_eq!(broker.joined(tickets[0]).protocol_name.as_deref(), Some("range"));
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut broker = Broker::with(GroupConfig { members_max: 2, groups_max: 1, ..GroupConfig::default() });
    let both = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&both);
    let request = broker.newcomer();
    let ticket = broker.join(&request);
    assert_eq!(broker.join_error(ticket), GroupError::GroupFull { group: "g".into(), limit: 2 });
    let other = JoinRequest { group_id: "other".into(), ..request };
    let ticket = broker.join(&other);
    assert_eq!(broker.join_error(ticket), GroupError::TooManyGroups { limit: 1 });
    // A member does not need a place of its own.
    let request = broker.rejoin(&members[1]);
    let ticket = broker.join(&request);
    assert_eq!(broker.joined(ticket).generation, GenerationId(1));
}

#[test]
fn a_member_the_group_does_not_know_must_begin_anew() {
    let mut broker = Broker::new();
    let request = JoinRequest { member_id: Some("who".into()), ..broker.newcomer() };
    let ticket = broker.join(&request);
    assert_eq!(broker.join_error(ticket), GroupError::UnknownMember);
    let empty_group = JoinRequest { group_id: "".into(), ..broker.newcomer() };
    let ticket = broker.join(&empty_group);
    assert_eq!(broker.join_error(ticket), GroupError::InvalidGroupId);
}

#[test]
fn a_second_call_of_a_member_supersedes_the_first() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    let newcomer = broker.newcomer();
    broker.join(&newcomer);
    let pending = JoinRequest { requires_known_member_id: true, ..broker.newcomer() };
    broker.join(&pending);
    let request = broker.rejoin(&members[0]);
    let (older, newer) = (broker.join(&request), broker.join(&request));
    assert_eq!(broker.join_error(older), GroupError::RebalanceInProgress);
    broker.pass(i64::from(REBALANCE_MS));
    assert_eq!(broker.joined(newer).generation, GenerationId(2));
}
