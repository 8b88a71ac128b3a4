//! Consumer groups end to end: joining, offsets, what survives a restart; in process and over TCP.

mod common;

use bytes::Bytes;
use common::{BOTH, Peer, batch, builder};
use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, InitProducerIdRequest,
        JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest,
        SyncGroupRequest,
        join_group::JoinGroupRequestProtocol,
        leave_group::MemberIdentity,
        offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::OffsetFetchRequestGroup,
        sync_group::SyncGroupRequestAssignment,
    },
};

fn join(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"sub") }],
        ..Default::default()
    }
}

#[tokio::test]
async fn before_anybody_looks_for_a_coordinator_there_is_none() {
    let not_coordinator = ErrorCode::NotCoordinator.code();
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let described = peer.call(DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() }).await;
        let group = &described.groups[0];
        assert_eq!((group.error_code, group.group_state.as_str()), (not_coordinator, ""), "{way:?}");
        let group = OffsetFetchRequestGroup { group_id: "g".into(), ..Default::default() };
        let fetched = peer.call(OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
        assert_eq!(fetched.groups[0].error_code, not_coordinator, "{way:?}");
        assert_eq!(peer.call(join("")).await.error_code, not_coordinator, "{way:?}");
        let init = InitProducerIdRequest { transactional_id: Some("x".into()), ..Default::default() };
        assert_eq!(peer.call(init).await.error_code, not_coordinator, "{way:?}");
        broker.shutdown().await.unwrap();
    }
}

/// Joins alone and syncs; gives the member's id and generation.
async fn become_stable(peer: &Peer) -> (String, i32) {
    let coordinator =
        peer.call(FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() }).await;
    assert_eq!(coordinator.coordinators[0].error_code, 0);
    let first = peer.call(join("")).await;
    assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code());
    let joined = peer.call(join(&first.member_id)).await;
    assert_eq!((joined.error_code, joined.leader.as_str()), (0, joined.member_id.as_str()));
    let assignments = vec![SyncGroupRequestAssignment {
        member_id: joined.member_id.clone(),
        assignment: Bytes::from_static(b"all"),
    }];
    let sync = SyncGroupRequest {
        group_id: "g".into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments,
        ..Default::default()
    };
    let synced = peer.call(sync).await;
    assert_eq!((synced.error_code, &*synced.assignment), (0, b"all".as_slice()));
    (joined.member_id, joined.generation_id)
}

async fn commit(peer: &Peer, member_id: &str, generation: i32, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_metadata: Some("note".into()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.into(),
        topics: vec![topic],
        ..Default::default()
    };
    peer.call_in(9, request).await.topics[0].partitions[0].error_code
}

async fn committed(peer: &Peer) -> (i64, Option<String>) {
    loop {
        let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
        let fetched = peer.call_in(9, OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
        let group = &fetched.groups[0];
        if group.error_code == ErrorCode::CoordinatorLoadInProgress.code() {
            tokio::task::yield_now().await;
            continue;
        }
        assert_eq!(group.error_code, 0);
        let partition = &group.topics[0].partitions[0];
        return (partition.committed_offset, partition.metadata.clone());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_lives_dies_and_is_remembered() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        peer.produce("t", batch(&["a"])).await;
        let (member, generation) = become_stable(&peer).await;
        assert_eq!(commit(&peer, &member, generation, 1).await, 0);
        assert_eq!(commit(&peer, &member, generation + 1, 2).await, ErrorCode::IllegalGeneration.code());
        assert_eq!(committed(&peer).await, (1, Some("note".to_owned())));
        let described = peer.call(DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() }).await;
        let group = &described.groups[0];
        assert_eq!((group.group_state.as_str(), group.members.len()), ("Stable", 1));
        broker.shutdown().await.unwrap();

        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(committed(&peer).await, (1, Some("note".to_owned())));
        let beat = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.clone(),
            ..Default::default()
        };
        assert_eq!(peer.call(beat).await.error_code, 0, "the member is still there");
        let refused = peer.call(DeleteGroupsRequest { groups_names: vec!["g".into()] }).await;
        assert_eq!(refused.results[0].error_code, ErrorCode::NonEmptyGroup.code());
        let members = vec![MemberIdentity { member_id: member, ..Default::default() }];
        let left = peer.call(LeaveGroupRequest { group_id: "g".into(), members, ..Default::default() }).await;
        assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
        assert_eq!(peer.call(ListGroupsRequest::default()).await.groups[0].group_state, "Empty");
        let deleted = peer.call(DeleteGroupsRequest { groups_names: vec!["g".into()] }).await;
        assert_eq!(deleted.results[0].error_code, 0);
        assert!(peer.call(ListGroupsRequest::default()).await.groups.is_empty());
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_member_makes_the_first_join_again() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let (one, two) = (Peer::connect(&broker, way).await, Peer::connect(&broker, way).await);
        let (first, generation) = become_stable(&one).await;
        let second = two.call(join("")).await.member_id;
        let (joined_two, joined_one) = tokio::join!(two.call(join(&second)), async {
            loop {
                let beat = HeartbeatRequest {
                    group_id: "g".into(),
                    generation_id: generation,
                    member_id: first.clone(),
                    ..Default::default()
                };
                if one.call(beat).await.error_code == ErrorCode::RebalanceInProgress.code() {
                    return one.call(join(&first)).await;
                }
            }
        });
        assert_eq!((joined_one.error_code, joined_two.error_code), (0, 0));
        assert_eq!((joined_one.generation_id, joined_two.generation_id), (generation + 1, generation + 1));
        assert_eq!(joined_one.members.len() + joined_two.members.len(), 2, "the leader alone sees the members");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_waits_is_told_when_the_broker_stops() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let (one, two) = (Peer::connect(&broker, way).await, Peer::connect(&broker, way).await);
        become_stable(&one).await;
        let second = two.call(join("")).await.member_id;
        let waiting = two.call(join(&second));
        let stop = async {
            let state = async || {
                let request = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
                one.call(request).await.groups.remove(0).group_state
            };
            while state().await != "PreparingRebalance" {}
            broker.shutdown().await.unwrap();
        };
        let (joined, ()) = tokio::join!(waiting, stop);
        assert!(ErrorCode::from_code(joined.error_code).is_retriable(), "{joined:?}");
    }
}
