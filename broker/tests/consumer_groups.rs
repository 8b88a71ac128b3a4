//! Groups of the consumer protocol (KIP-848) end to end: sharing, commits by epoch, what operators see, what survives a
//! restart, the change from the classic protocol; in process and over TCP.

mod common;

use bytes::Bytes;
use common::{BOTH, Peer, builder};
use riverrun_core::protocol::{
    ErrorCode,
    consumer::ConsumerProtocolSubscription,
    encode_versioned,
    messages::{
        ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
        JoinGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
        consumer_group_heartbeat::TopicPartitions,
        join_group::JoinGroupRequestProtocol,
        offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch::OffsetFetchRequestGroup,
    },
};

fn beat(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member.into(),
        member_epoch: epoch,
        ..Default::default()
    }
}

fn join(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..beat(member, 0)
    }
}

fn told(response: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    let assignment = response.assignment.as_ref()?;
    Some(assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

/// Calls until the coordinator has read its log.
async fn call(peer: &Peer, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
    loop {
        let response = peer.call(request.clone()).await;
        if response.error_code != ErrorCode::CoordinatorLoadInProgress.code() {
            return response;
        }
        tokio::task::yield_now().await;
    }
}

async fn find_coordinator(peer: &Peer) {
    let request = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    assert_eq!(peer.call(request).await.coordinators[0].error_code, 0);
}

async fn commit(peer: &Peer, version: i16, member: &str, epoch: i32) -> i16 {
    let partition = OffsetCommitRequestPartition { partition_index: 0, committed_offset: 7, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: epoch,
        member_id: member.into(),
        topics: vec![topic],
        ..Default::default()
    };
    peer.call_in(version, request).await.topics[0].partitions[0].error_code
}

async fn fetch(peer: &Peer, member: Option<&str>, epoch: i32) -> Result<i64, i16> {
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_id: member.map(Into::into),
        member_epoch: epoch,
        topics: None,
    };
    let fetched = peer.call_in(9, OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
    match fetched.groups[0].error_code {
        0 => Ok(fetched.groups[0].topics[0].partitions[0].committed_offset),
        code => Err(code),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_shares_commits_and_is_remembered() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let interval = ("group.consumer.assignment.interval.ms", "0");
        let start = || builder().data_dir(folder.path()).set(interval.0, interval.1).unwrap().start();
        let broker = start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 4).await;
        find_coordinator(&peer).await;
        let joined = call(&peer, join("a")).await;
        assert_eq!((joined.member_epoch, told(&joined)), (2, Some(vec![0, 1, 2, 3])));
        assert_eq!(joined.heartbeat_interval_ms, 5_000);
        assert_eq!((call(&peer, join("b")).await).member_epoch, 3);
        let shrunk = call(&peer, beat("a", 2)).await;
        assert_eq!((shrunk.member_epoch, told(&shrunk)), (2, Some(vec![0, 1])));
        let topic_id = shrunk.assignment.unwrap().topic_partitions[0].topic_id;
        let owned = TopicPartitions { topic_id, partitions: vec![0, 1] };
        let settled =
            call(&peer, ConsumerGroupHeartbeatRequest { topic_partitions: Some(vec![owned]), ..beat("a", 2) }).await;
        assert_eq!(settled.member_epoch, 3);
        assert_eq!(told(&call(&peer, beat("b", 3)).await), Some(vec![2, 3]));

        assert_eq!(commit(&peer, 9, "a", 3).await, 0);
        assert_eq!(commit(&peer, 9, "a", 2).await, 0, "it has had the partition since then");
        assert_eq!(commit(&peer, 9, "a", 1).await, ErrorCode::StaleMemberEpoch.code());
        assert_eq!(commit(&peer, 9, "b", 2).await, ErrorCode::StaleMemberEpoch.code());
        assert_eq!(commit(&peer, 9, "z", 3).await, ErrorCode::UnknownMemberId.code());
        assert_eq!(commit(&peer, 8, "a", 3).await, ErrorCode::UnsupportedVersion.code());
        assert_eq!(fetch(&peer, Some("a"), 3).await, Ok(7));
        assert_eq!(fetch(&peer, Some("a"), 2).await, Err(ErrorCode::StaleMemberEpoch.code()));
        assert_eq!(fetch(&peer, Some("z"), 3).await, Err(ErrorCode::UnknownMemberId.code()));
        broker.shutdown().await.unwrap();

        let broker = start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let stayed = call(&peer, beat("b", 3)).await;
        assert_eq!((stayed.member_epoch, told(&stayed)), (3, None));
        assert_eq!(fetch(&peer, None, -1).await, Ok(7));
        operators_see_it(&peer).await;
        for member in ["a", "b"] {
            assert_eq!(call(&peer, beat(member, -1)).await.member_epoch, -1);
        }
        let deleted = peer.call(DeleteGroupsRequest { groups_names: vec!["g".into()] }).await;
        assert_eq!(deleted.results[0].error_code, 0);
        assert!(peer.call(ListGroupsRequest::default()).await.groups.is_empty());
        assert_eq!(call(&peer, beat("a", 3)).await.error_code, ErrorCode::GroupIdNotFound.code());
        broker.shutdown().await.unwrap();
    }
}

async fn operators_see_it(peer: &Peer) {
    let list = || peer.call(ListGroupsRequest { types_filter: vec!["Consumer".into()], ..Default::default() });
    let mut listed = list().await;
    // Other partitions of the groups' topic may still be read after the start; a client asks again, as for Kafka.
    while listed.error_code == ErrorCode::CoordinatorLoadInProgress.code() {
        listed = list().await;
    }
    assert_eq!(listed.error_code, 0);
    let group = &listed.groups[0];
    assert_eq!((group.group_state.as_str(), group.group_type.as_str()), ("Stable", "consumer"));
    let described =
        peer.call(ConsumerGroupDescribeRequest { group_ids: vec!["g".into(), "none".into()], ..Default::default() });
    let described = described.await;
    let group = &described.groups[0];
    assert_eq!((group.group_epoch, group.assignment_epoch, group.assignor_name.as_str()), (3, 3, "uniform"));
    let member = &group.members[0];
    assert_eq!((member.member_id.as_str(), member.member_epoch, member.member_type), ("a", 3, 1));
    assert_eq!(member.assignment, member.target_assignment);
    assert_eq!(member.assignment.topic_partitions[0].topic_name, "t");
    assert_eq!(described.groups[1].error_code, ErrorCode::GroupIdNotFound.code());
    let classic = peer.call(DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() }).await;
    assert_eq!(classic.groups[0].error_code, ErrorCode::GroupIdNotFound.code());
    let refused = peer.call(DeleteGroupsRequest { groups_names: vec!["g".into()] }).await;
    assert_eq!(refused.results[0].error_code, ErrorCode::NonEmptyGroup.code());
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: "t".into(), partitions }];
    let refused = peer.call(OffsetDeleteRequest { group_id: "g".into(), topics }).await;
    assert_eq!(refused.topics[0].partitions[0].error_code, ErrorCode::GroupSubscribedToTopic.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_decide_who_names_a_member() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let versions = ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1".into() };
        let versions = peer.call(versions).await;
        let level = versions.finalized_features.iter().find(|feature| feature.name == "group.version");
        assert_eq!(level.map(|feature| feature.max_version_level), Some(1));
        find_coordinator(&peer).await;
        let named = peer.call_in(0, join("")).await;
        assert_eq!((named.error_code, named.member_id.is_some_and(|id| !id.is_empty())), (0, true));
        assert_eq!(call(&peer, join("")).await.error_code, ErrorCode::InvalidRequest.code());
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classic_member_joins_a_consumer_group() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 2).await;
        find_coordinator(&peer).await;
        assert_eq!(told(&call(&peer, join("a")).await), Some(vec![0, 1]));
        let classic = |member_id: &str, metadata: Bytes| JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            member_id: member_id.into(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
            ..Default::default()
        };
        let subscription = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
        let metadata = encode_versioned(&subscription, 1).unwrap();
        let unreadable = peer.call(classic("c", Bytes::from_static(b"?"))).await;
        assert_eq!(unreadable.error_code, ErrorCode::InconsistentGroupProtocol.code());
        let first = peer.call(classic("", metadata.clone())).await;
        assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code());
        let joined = peer.call(classic(&first.member_id, metadata)).await;
        assert_eq!((joined.error_code, joined.leader.as_str(), joined.members.len()), (0, "", 0));
        let described =
            peer.call(ConsumerGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() }).await;
        let types: Vec<_> = described.groups[0].members.iter().map(|member| member.member_type).collect();
        assert_eq!(types.iter().sum::<i8>(), 1, "one of each: {types:?}");
        broker.shutdown().await.unwrap();
    }
}
