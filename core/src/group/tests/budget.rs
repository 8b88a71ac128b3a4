//! What a shard weighs, and what it refuses when there is no room.

use std::sync::Arc;

use bytes::Bytes;

use super::harness::{Broker, GROUP, commit_request};
use crate::{
    budget::StateBudget,
    group::{ConsumerHeartbeat, Epoch, GroupError, JoinRequest, OffsetCommitRequest, Protocol, SyncRequest},
};

/// A broker whose groups have a budget, not yet used up.
fn bounded() -> (Broker, Arc<StateBudget>) {
    let budget = StateBudget::unlimited();
    let mut broker = Broker::new();
    broker.shard = broker.recovered().within(Arc::clone(&budget));
    let decision = broker.shard.start(broker.now());
    broker.carry_out(decision);
    (broker, budget)
}

#[test]
fn a_member_that_tells_no_more_than_before_joins_again_and_no_other() {
    let (mut broker, budget) = bounded();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    broker.shard.assert_invariants();
    let full = budget.used();
    assert!(full > 0);
    budget.set_limit(full);

    let request = broker.newcomer();
    let ticket = broker.join(&request);
    assert_eq!(broker.join_error(ticket), GroupError::NoRoom);
    assert_eq!(budget.used(), full, "who was refused weighs nothing");
    let mut more = broker.rejoin(&members[0]);
    more.protocols.push(Protocol { name: "other".to_owned(), metadata: Bytes::from(vec![0; 1_000]) });
    let ticket = broker.join(&more);
    assert_eq!(broker.join_error(ticket), GroupError::NoRoom);
    let request = broker.rejoin(&members[0]);
    let ticket = broker.join(&request);
    broker.joined(ticket);

    broker.leave_dynamic(&members[0]).unwrap();
    broker.shard.assert_invariants();
    assert!(budget.used() < full);
    let request = broker.newcomer();
    let ticket = broker.join(&request);
    broker.pass(super::harness::FIRST_WAIT_MS);
    broker.joined(ticket);
}

#[test]
fn a_position_is_stored_anew_but_not_another_one() {
    let (mut broker, budget) = bounded();
    assert_eq!(broker.commit(None, 1), Ok(()));
    broker.shard.assert_invariants();
    budget.set_limit(budget.used());
    let mut admits = |request: &OffsetCommitRequest, pending| {
        let decision = broker.shard.commit_offsets(request, broker.now());
        broker.shard.admits(&decision.records, pending)
    };
    assert!(admits(&commit_request(None, &[("t", 0, 2)]), false));
    assert!(!admits(&commit_request(None, &[("t", 1, 2)]), false));
    assert!(!admits(&commit_request(None, &[("u", 0, 2)]), false));
    assert!(!admits(&commit_request(None, &[("t", 0, 2)]), true), "a transaction's position stands beside it");
    let mut longer = commit_request(None, &[("t", 0, 2)]);
    longer.offsets[0].metadata = "longer".to_owned();
    assert!(!admits(&longer, false));
    let other = OffsetCommitRequest { group_id: "another".into(), ..commit_request(None, &[("t", 0, 2)]) };
    assert!(!admits(&other, false));
}

#[test]
fn a_member_of_the_consumer_protocol_stays_but_none_comes() {
    let (mut broker, budget) = bounded();
    let beat = |member: &str, epoch: Epoch, topics: Option<Vec<String>>| ConsumerHeartbeat {
        group_id: GROUP.into(),
        member_id: member.into(),
        member_epoch: epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: Some(1_000),
        topic_names: topics,
        topic_regex: None,
        server_assignor: None,
        owned: Some(Default::default()),
        client_id: "c".to_owned(),
        client_host: "h".to_owned(),
    };
    let joins = beat("m", Epoch::JOINING, Some(vec!["t".to_owned()]));
    let decision = broker.shard.consumer_heartbeat(&joins, &|_| true, broker.now());
    assert!(broker.shard.admits(&decision.records, false));
    let epoch = broker.carry_out(decision).unwrap().unwrap().member_epoch;
    broker.shard.assert_invariants();
    budget.set_limit(budget.used());
    let mut admits = |request: &ConsumerHeartbeat| {
        let decision = broker.shard.consumer_heartbeat(request, &|_| true, broker.now());
        assert!(decision.response.is_ok());
        broker.shard.admits(&decision.records, false)
    };
    assert!(admits(&beat("m", epoch, None)));
    assert!(admits(&beat("m", epoch, Some(Vec::new()))), "it may want less");
    assert!(!admits(&beat("m", epoch, Some(vec!["t".to_owned(), "u".to_owned()]))));
    assert!(!admits(&beat("n", Epoch::JOINING, Some(vec!["t".to_owned()]))));
}

#[test]
fn who_is_there_has_a_part_of_the_budget_that_newcomers_cannot_take() {
    let (mut broker, budget) = bounded();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    let offsets: Vec<_> = (0..100).map(|partition| ("t", partition, 1)).collect();
    broker.commit_with(&commit_request(Some(&members[0]), &offsets)).unwrap();
    budget.set_limit(budget.used() * 8 / 7);

    let request = JoinRequest { group_id: "another".into(), ..broker.newcomer() };
    let ticket = broker.join(&request);
    assert_eq!(broker.join_error(ticket), GroupError::NoRoom);
    // A transaction of the group, at a position that is there and at one that is not.
    let admits = |broker: &mut Broker, partition| {
        let request = commit_request(Some(&members[0]), &[("t", partition, 2)]);
        let decision = broker.shard.commit_pending_offsets(&request, broker.now());
        assert!(decision.response.is_ok());
        broker.shard.admits(&decision.records, true)
    };
    assert!(admits(&mut broker, 0));
    assert!(!admits(&mut broker, 100));
    // What the leader assigns anew, a little more and much more than before.
    let request = broker.rejoin(&members[0]);
    let ticket = broker.join(&request);
    let joined = broker.joined(ticket);
    for (length, fits) in [(200, true), (1_000_000, false)] {
        let ticket = broker.new_ticket();
        let request = SyncRequest {
            group_id: GROUP.into(),
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            group_instance_id: None,
            protocol_type: None,
            protocol_name: None,
            assignments: [(joined.member_id.clone(), Bytes::from(vec![0; length]))].into(),
        };
        let decision = broker.shard.sync(&request, ticket, broker.now());
        assert_eq!(decision.records.len(), 1);
        assert_eq!(broker.shard.admits(&decision.records, false), fits, "{length}");
    }
}

#[test]
fn a_shard_that_ends_gives_everything_back() {
    let (mut broker, budget) = bounded();
    let request = broker.newcomer();
    broker.stable(&[request]);
    assert!(budget.used() > 0);
    broker.shard.unload();
    assert_eq!(budget.used(), 0);
}
