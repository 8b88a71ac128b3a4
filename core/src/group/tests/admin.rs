//! Listing, describing and deleting.

use super::harness::{Broker, GROUP, commit_request};
use crate::{
    TopicPartition,
    group::{GroupError, GroupState, JoinRequest, ListFilter},
};

fn states(names: &[&str], types: &[&str]) -> Option<ListFilter> {
    ListFilter::from_wire(names.iter().copied(), types.iter().copied())
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut broker = Broker::new();
    broker.commit(None, 1).unwrap();
    let other = JoinRequest { group_id: "other".into(), ..broker.newcomer() };
    broker.join(&other);
    let all = broker.shard.list(&ListFilter::default());
    let seen: Vec<_> = all.iter().map(|g| (g.group_id.as_str(), g.protocol_type.as_str(), g.state)).collect();
    assert_eq!(seen, [("g", "", GroupState::Empty), ("other", "consumer", GroupState::PreparingRebalance)]);
    let filter = states(&["preparingREBALANCE", "nonsense"], &["Classic"]).unwrap();
    assert_eq!(broker.shard.list(&filter).len(), 1);
    assert_eq!(states(&["nonsense"], &[]), None);
    let consumer_type = states(&[], &["consumer"]).unwrap();
    assert_eq!(broker.shard.list(&consumer_type), []);
}

#[test]
fn a_stable_group_shows_subscriptions_and_assignments() {
    let mut broker = Broker::new();
    let requests = [broker.newcomer(), broker.newcomer()];
    let members = broker.stable(&requests);
    let described = broker.shard.describe(&GROUP.into()).unwrap();
    assert_eq!((described.state, described.protocol_name.as_str()), (GroupState::Stable, "range"));
    assert_eq!(described.members.len(), 2);
    for member in &described.members {
        assert_eq!(member.assignment, member.member_id.as_bytes());
        assert_eq!(member.metadata, requests[0].protocols[0].metadata);
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("c", "/127.0.0.1"));
    }
    broker.leave_dynamic(&members[0]).unwrap();
    let described = broker.shard.describe(&GROUP.into()).unwrap();
    assert_eq!((described.state, described.protocol_name.as_str()), (GroupState::PreparingRebalance, ""));
    assert!(described.members[0].metadata.is_empty(), "no protocol is chosen");
    assert_eq!(described.members[0].assignment, members[1].member_id.as_bytes(), "it is what it had");
    assert_eq!(broker.shard.describe(&"h".into()), Err(GroupError::GroupNotFound { group: "h".into() }));
}

#[test]
fn only_a_group_without_members_is_deleted() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    broker.commit(Some(&members[0]), 5).unwrap();
    let mut delete = |group: &str| {
        let decision = broker.shard.delete(&group.into());
        broker.carry_out(decision).unwrap()
    };
    assert_eq!(delete("h"), Err(GroupError::GroupNotFound { group: "h".into() }));
    assert_eq!(delete(GROUP), Err(GroupError::GroupNotEmpty { group: GROUP.into() }));
    broker.leave_dynamic(&members[0]).unwrap();
    let decision = broker.shard.delete(&GROUP.into());
    assert_eq!(broker.carry_out(decision), Some(Ok(())));
    assert_eq!((broker.state(), broker.committed("t")), (GroupState::Dead, None));
    broker.restart();
    assert_eq!((broker.state(), broker.committed("t")), (GroupState::Dead, None));
}

#[test]
fn positions_are_deleted_unless_their_topic_is_read() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    broker.commit_with(&commit_request(Some(&members[0]), &[("t", 0, 5), ("u", 0, 6)])).unwrap();
    let partitions = ["t", "u", "never"].map(|topic| TopicPartition::new(topic, 0));
    let decision = broker.shard.delete_offsets(&GROUP.into(), &partitions);
    let subscribed = GroupError::SubscribedToTopic { group: GROUP.into(), topic: "t".to_owned() };
    assert_eq!(broker.carry_out(decision), Some(Ok(vec![Err(subscribed), Ok(()), Ok(())])));
    assert_eq!((broker.committed("t"), broker.committed("u")), (Some(5), None));

    let decision = broker.shard.delete_offsets(&"h".into(), &partitions);
    assert_eq!(broker.carry_out(decision), Some(Err(GroupError::GroupNotFound { group: "h".into() })));
    let connect = JoinRequest { group_id: "workers".into(), protocol_type: "connect".to_owned(), ..broker.newcomer() };
    broker.join(&connect);
    let decision = broker.shard.delete_offsets(&"workers".into(), &partitions);
    assert_eq!(broker.carry_out(decision), Some(Err(GroupError::GroupNotEmpty { group: "workers".into() })));
}

#[test]
fn positions_of_a_deleted_topic_are_forgotten() {
    let mut broker = Broker::new();
    broker.commit_with(&commit_request(None, &[("t", 0, 5), ("t", 1, 7), ("u", 0, 6)])).unwrap();
    let decision = broker.shard.forget_partitions(|tp| &*tp.topic == "t");
    assert_eq!(decision.records.len(), 2);
    broker.carry_out(decision);
    assert_eq!((broker.committed("t"), broker.committed("u")), (None, Some(6)));
}
