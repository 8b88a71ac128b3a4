//! Who may commit, what is stored, and when it expires.

use super::harness::{Broker, GROUP, SESSION_MS, commit_request, in_generation};
use crate::{
    TopicPartition,
    group::{
        GenerationId, GroupConfig, GroupError, GroupRecord, GroupState, JoinRequest, OffsetCommitRequest,
        OffsetSelection, OffsetToCommit,
    },
};

const RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
const CHECK_MS: i64 = 600_000;

#[test]
fn a_consumer_without_a_group_manager_commits_while_the_group_is_empty() {
    let mut broker = Broker::new();
    assert_eq!(broker.committed("t"), None);
    assert_eq!(broker.commit(None, 5), Ok(()));
    assert_eq!((broker.committed("t"), broker.committed("u")), (Some(5), None));
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    assert_eq!(broker.commit(None, 6), Err(GroupError::UnknownMember));
    assert_eq!(broker.commit(Some(&members[0]), 6), Ok(()));
    assert_eq!(broker.committed("t"), Some(6));
}

#[test]
fn a_commit_comes_from_the_current_generation_or_not_at_all() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    let stale = in_generation(&members[0], 0);
    assert_eq!(broker.commit(Some(&stale), 1), Err(GroupError::IllegalGeneration { current: GenerationId(1) }));
    let mut stranger = members[0].clone();
    stranger.member_id = "stranger".into();
    assert_eq!(broker.commit(Some(&stranger), 1), Err(GroupError::UnknownMember));
    let fenced = OffsetCommitRequest { group_instance_id: Some("i".into()), ..commit_request(Some(&members[0]), &[]) };
    assert_eq!(broker.commit_with(&fenced), Err(GroupError::UnknownMember));
    let elsewhere = OffsetCommitRequest { group_id: "h".into(), ..commit_request(Some(&members[0]), &[]) };
    assert_eq!(broker.commit_with(&elsewhere), Err(GroupError::IllegalGeneration { current: GenerationId(0) }));
    assert_eq!(broker.committed("t"), None);
}

#[test]
fn a_member_commits_while_it_is_called_back_but_not_before_it_has_its_share() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    let newcomer = broker.newcomer();
    broker.join(&newcomer);
    assert_eq!(broker.commit(Some(&members[0]), 1), Ok(()));
    let request = broker.rejoin(&members[0]);
    let ticket = broker.join(&request);
    let joined = broker.joined(ticket);
    assert_eq!(broker.commit(Some(&joined), 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(broker.committed("t"), Some(1));
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    for offset in 0..3 {
        broker.pass(i64::from(SESSION_MS) - 1);
        assert_eq!(broker.commit(Some(&members[0]), offset), Ok(()));
    }
    assert_eq!(broker.state(), GroupState::Stable);
}

#[test]
fn each_position_has_its_own_outcome() {
    let mut broker = Broker::new();
    let mut request = commit_request(None, &[("t", 0, 1), ("t", 1, 2)]);
    request.offsets[0].metadata = "x".repeat(4_097);
    let outcomes = broker.commit_with(&request);
    assert_eq!(outcomes, Ok(vec![Err(GroupError::OffsetMetadataTooLarge { length: 4_097, limit: 4_096 }), Ok(())]));
    let all = broker.shard.fetch_offsets(&GROUP.into(), &OffsetSelection::All, false);
    assert_eq!(all.iter().map(|f| f.topic_partition.clone()).collect::<Vec<_>>(), [TopicPartition::new("t", 1)]);
}

#[test]
fn what_a_commit_says_is_what_a_fetch_returns_even_after_a_restart() {
    let mut broker = Broker::new();
    let offset = OffsetToCommit {
        topic_partition: TopicPartition::new("t", 0),
        topic_id: Some(crate::Uuid([7; 16])),
        offset: 42,
        leader_epoch: Some(3),
        metadata: "here".to_owned(),
    };
    let request = OffsetCommitRequest { offsets: vec![offset], ..commit_request(None, &[]) };
    assert_eq!(broker.commit_with(&request), Ok(vec![Ok(())]));
    broker.restart();
    let fetched = broker.shard.fetch_offsets(&GROUP.into(), &OffsetSelection::All, false);
    let committed = fetched[0].committed.clone().unwrap();
    assert_eq!((committed.offset, committed.leader_epoch, committed.metadata.as_str()), (42, Some(3), "here"));
    assert_eq!(committed.commit_timestamp_ms, broker.now().wall_ms);
    assert_eq!(committed.topic_id, Some(crate::Uuid([7; 16])));
}

#[test]
fn a_commit_that_cannot_be_written_did_not_happen() {
    let mut broker = Broker::new();
    broker.append_fails = true;
    assert_eq!(broker.commit(None, 5), Err(GroupError::LogUnavailable));
    assert_eq!(broker.committed("t"), None);
}

#[test]
fn positions_of_a_group_that_only_stores_them_expire_after_their_commit() {
    let mut broker = Broker::new();
    broker.commit(None, 5).unwrap();
    broker.pass(RETENTION_MS - 1);
    assert_eq!(broker.committed("t"), Some(5));
    broker.pass(CHECK_MS);
    assert_eq!((broker.committed("t"), broker.state()), (None, GroupState::Dead));
    assert!(matches!(broker.log.last(), Some(GroupRecord::Group { value: None, .. })));
}

#[test]
fn positions_of_a_group_with_members_outlive_their_retention() {
    let mut broker = Broker::new();
    let long = 1_800_000;
    let request = JoinRequest { session_timeout_ms: long, ..broker.newcomer() };
    let members = broker.stable(&[request]);
    let request = commit_request(Some(&members[0]), &[("t", 0, 5), ("unsubscribed", 0, 6)]);
    broker.commit_with(&request).unwrap();
    for _ in 0..=(RETENTION_MS + CHECK_MS) / i64::from(long - 1) {
        broker.pass(i64::from(long - 1));
        assert_eq!(broker.heartbeat(&members[0]), Ok(()));
    }
    // The retention of a topic nobody reads any more counts from the commit.
    assert_eq!((broker.committed("t"), broker.committed("unsubscribed")), (Some(5), None));
    // That of the others from the moment the last member leaves.
    broker.leave_dynamic(&members[0]).unwrap();
    broker.pass(RETENTION_MS - 1);
    assert_eq!(broker.committed("t"), Some(5));
    broker.pass(CHECK_MS);
    assert_eq!((broker.committed("t"), broker.state()), (None, GroupState::Dead));
}

#[test]
fn a_restart_does_not_prolong_the_retention() {
    let mut broker = Broker::new();
    let request = broker.newcomer();
    let members = broker.stable(&[request]);
    broker.commit(Some(&members[0]), 5).unwrap();
    broker.leave_dynamic(&members[0]).unwrap();
    broker.pass(RETENTION_MS / 2);
    broker.restart();
    broker.pass(RETENTION_MS / 2 - 1);
    assert_eq!(broker.committed("t"), Some(5));
    broker.pass(CHECK_MS);
    assert_eq!(broker.committed("t"), None);
}

#[test]
fn a_commit_may_bring_a_retention_of_its_own() {
    let mut broker = Broker::new();
    let request = OffsetCommitRequest { retention_ms: Some(1_000), ..commit_request(None, &[("t", 0, 5)]) };
    broker.commit_with(&request).unwrap();
    broker.pass(CHECK_MS);
    assert_eq!(broker.committed("t"), None);
}

#[test]
fn settings_bound_what_is_stored() {
    let config = GroupConfig { offset_metadata_bytes_max: 0, groups_max: 1, ..GroupConfig::default() };
    let mut broker = Broker::with(config);
    broker.commit(None, 5).unwrap();
    let other = OffsetCommitRequest { group_id: "h".into(), ..commit_request(None, &[("t", 0, 5)]) };
    assert_eq!(broker.commit_with(&other), Err(GroupError::TooManyGroups { limit: 1 }));
}
