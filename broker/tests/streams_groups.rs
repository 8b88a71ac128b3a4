//! Groups of the streams protocol (KIP-1071) end to end: joining, internal topics, sharing of tasks, commits by epoch,
//! what operators see, what survives a restart, and the feature that turns it all off; in process and over TCP.

mod common;

use common::{BOTH, Peer, builder};
use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        ApiVersionsRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, ListGroupsRequest,
        MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, StreamsGroupDescribeRequest,
        StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse, UpdateFeaturesRequest,
        metadata::MetadataRequestTopic,
        offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch::OffsetFetchRequestGroup,
        streams_group_heartbeat::{KeyValue, Subtopology, TaskIds, TopicInfo, Topology},
        update_features::FeatureUpdateKey,
    },
};

const MISSING_INTERNAL_TOPICS: i8 = 3;

fn beat(member: &str, epoch: i32) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member.into(),
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        ..Default::default()
    }
}

fn changelog(name: &str) -> TopicInfo {
    let compact = KeyValue { key: "cleanup.policy".into(), value: "compact".into() };
    TopicInfo { name: name.into(), topic_configs: vec![compact], ..Default::default() }
}

fn join(member: &str) -> StreamsGroupHeartbeatRequest {
    let part = Subtopology {
        subtopology_id: "0".into(),
        source_topics: vec!["in".into()],
        state_changelog_topics: vec![changelog("g-count-changelog")],
        ..Default::default()
    };
    StreamsGroupHeartbeatRequest {
        rebalance_timeout_ms: 30_000,
        topology: Some(Topology { epoch: 0, subtopologies: vec![part] }),
        process_id: Some(format!("process-{member}")),
        ..owning(member, 0, &[])
    }
}

fn owning(member: &str, epoch: i32, partitions: &[i32]) -> StreamsGroupHeartbeatRequest {
    let tasks = TaskIds { subtopology_id: "0".into(), partitions: partitions.to_vec() };
    StreamsGroupHeartbeatRequest {
        active_tasks: Some(if partitions.is_empty() { Vec::new() } else { vec![tasks] }),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        ..beat(member, epoch)
    }
}

fn told(response: &StreamsGroupHeartbeatResponse) -> Option<Vec<i32>> {
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    Some(response.active_tasks.as_ref()?.iter().flat_map(|part| part.partitions.clone()).collect())
}

/// Calls until the coordinator has read its log.
async fn call(peer: &Peer, request: StreamsGroupHeartbeatRequest) -> StreamsGroupHeartbeatResponse {
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

async fn commit(peer: &Peer, version: i16, member: &str, epoch: i32, partition: i32) -> i16 {
    let partition =
        OffsetCommitRequestPartition { partition_index: partition, committed_offset: 7, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: "in".into(), partitions: vec![partition], ..Default::default() };
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

async fn partition_count(peer: &Peer, topic: &str) -> usize {
    let topic = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    peer.call(request).await.topics[0].partitions.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_shares_tasks_commits_and_is_remembered() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            let builder = builder().data_dir(folder.path());
            let builder = builder.set("group.streams.initial.rebalance.delay.ms", "0").unwrap();
            builder.set("group.streams.assignment.interval.ms", "0").unwrap().start()
        };
        let broker = start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("in", 4).await;
        find_coordinator(&peer).await;
        let joined = call(&peer, join("a")).await;
        assert_eq!((joined.member_epoch, told(&joined)), (2, Some(vec![])));
        let codes: Vec<_> = joined.status.iter().flatten().map(|status| status.status_code).collect();
        assert_eq!(codes, [MISSING_INTERNAL_TOPICS]);
        assert_eq!(joined.heartbeat_interval_ms, 5_000);
        assert_eq!(partition_count(&peer, "g-count-changelog").await, 4);
        let got = call(&peer, beat("a", 2)).await;
        assert_eq!((got.member_epoch, told(&got)), (3, Some(vec![0, 1, 2, 3])));
        assert_eq!((call(&peer, join("b")).await).member_epoch, 4);
        let shrunk = call(&peer, beat("a", 3)).await;
        assert_eq!((shrunk.member_epoch, told(&shrunk)), (3, Some(vec![0, 1])));
        assert_eq!(told(&call(&peer, beat("b", 4)).await), None, "they have not been given back");
        assert_eq!(call(&peer, owning("a", 3, &[0, 1])).await.member_epoch, 4);
        assert_eq!(told(&call(&peer, beat("b", 4)).await), Some(vec![2, 3]));

        assert_eq!(commit(&peer, 9, "a", 4, 0).await, 0);
        assert_eq!(commit(&peer, 9, "a", 3, 0).await, 0, "it has had the task since then");
        assert_eq!(commit(&peer, 9, "a", 3, 2).await, ErrorCode::StaleMemberEpoch.code());
        assert_eq!(commit(&peer, 9, "a", 5, 0).await, ErrorCode::StaleMemberEpoch.code());
        assert_eq!(commit(&peer, 9, "z", 4, 0).await, ErrorCode::UnknownMemberId.code());
        assert_eq!(commit(&peer, 8, "a", 4, 0).await, ErrorCode::UnsupportedVersion.code());
        assert_eq!(fetch(&peer, Some("a"), 4).await, Ok(7));
        assert_eq!(fetch(&peer, Some("a"), 3).await, Err(ErrorCode::StaleMemberEpoch.code()));
        broker.shutdown().await.unwrap();

        let broker = start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let stayed = call(&peer, beat("b", 4)).await;
        assert_eq!((stayed.member_epoch, told(&stayed)), (4, None));
        assert_eq!(fetch(&peer, None, -1).await, Ok(7));
        operators_see_it(&peer).await;
        for member in ["a", "b"] {
            assert_eq!(call(&peer, beat(member, -1)).await.member_epoch, -1);
        }
        let deleted = peer.call(DeleteGroupsRequest { groups_names: vec!["g".into()] }).await;
        assert_eq!(deleted.results[0].error_code, 0);
        assert!(peer.call(ListGroupsRequest::default()).await.groups.is_empty());
        assert_eq!(call(&peer, beat("a", 4)).await.error_code, ErrorCode::GroupIdNotFound.code());
        broker.shutdown().await.unwrap();
    }
}

async fn operators_see_it(peer: &Peer) {
    let list = || peer.call(ListGroupsRequest { types_filter: vec!["Streams".into()], ..Default::default() });
    let mut listed = list().await;
    // Other partitions of the groups' topic may still be read after the start; a client asks again, as for Kafka.
    while listed.error_code == ErrorCode::CoordinatorLoadInProgress.code() {
        listed = list().await;
    }
    let group = &listed.groups[0];
    assert_eq!((group.group_state.as_str(), group.group_type.as_str()), ("Stable", "streams"));
    assert_eq!(group.protocol_type, "streams");
    let request = StreamsGroupDescribeRequest { group_ids: vec!["g".into(), "none".into()], ..Default::default() };
    let described = peer.call(request).await;
    let group = &described.groups[0];
    assert_eq!((group.group_epoch, group.assignment_epoch), (4, 4));
    let parts = group.topology.iter().flat_map(|topology| topology.subtopologies.iter().flatten());
    let changelogs: Vec<_> = parts.flat_map(|part| &part.state_changelog_topics).collect();
    assert_eq!((changelogs[0].name.as_str(), changelogs[0].partitions), ("g-count-changelog", 4));
    let member = &group.members[0];
    assert_eq!((member.member_id.as_str(), member.member_epoch, member.process_id.as_str()), ("a", 4, "process-a"));
    assert_eq!(member.assignment, member.target_assignment);
    assert_eq!(member.assignment.active_tasks[0].partitions, [0, 1]);
    assert_eq!(described.groups[1].error_code, ErrorCode::GroupIdNotFound.code());
    let classic = peer.call(DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() }).await;
    assert_eq!(classic.groups[0].error_code, ErrorCode::GroupIdNotFound.code());
    let refused = peer.call(DeleteGroupsRequest { groups_names: vec!["g".into()] }).await;
    assert_eq!(refused.results[0].error_code, ErrorCode::NonEmptyGroup.code());
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: "in".into(), partitions }];
    let refused = peer.call(OffsetDeleteRequest { group_id: "g".into(), topics }).await;
    assert_eq!(refused.topics[0].partitions[0].error_code, ErrorCode::GroupSubscribedToTopic.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_names_its_reason() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("in", 2).await;
        find_coordinator(&peer).await;
        assert_eq!(call(&peer, beat("a", 1)).await.error_code, ErrorCode::GroupIdNotFound.code());
        let with_changelog = |name: &str, partitions: i32| {
            let mut request = join("a");
            let topology = request.topology.as_mut().unwrap();
            topology.subtopologies[0].state_changelog_topics = vec![TopicInfo { partitions, ..changelog(name) }];
            request
        };
        let invalid = ErrorCode::StreamsInvalidTopology.code();
        for request in [with_changelog("no name!", 0), with_changelog("__consumer_offsets", 0), with_changelog("x", 3)]
        {
            assert_eq!(call(&peer, request).await.error_code, invalid);
        }
        let mut static_member = join("a");
        static_member.instance_id = Some("i".into());
        assert_eq!(call(&peer, static_member).await.error_code, ErrorCode::InvalidRequest.code());
        assert_eq!(call(&peer, join("a")).await.error_code, 0);
        let refused = call(&peer, beat("a", 9)).await;
        assert_eq!(refused.error_code, ErrorCode::FencedMemberEpoch.code());
        assert_eq!(refused.status, Some(Vec::new()));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_cannot_be_created_are_named() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("in", 2).await;
        find_coordinator(&peer).await;
        let mut request = join("a");
        let topology = request.topology.as_mut().unwrap();
        topology.subtopologies[0].state_changelog_topics[0].replication_factor = 7;
        let answer = call(&peer, request).await;
        assert_eq!(answer.error_code, 0);
        let detail = &answer.status.as_ref().unwrap().last().unwrap().status_detail;
        assert!(detail.contains("Creation failed: g-count-changelog"), "{detail}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_groups_can_be_turned_off() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let versions = ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1".into() };
        let versions = peer.call(versions).await;
        let level = versions.finalized_features.iter().find(|feature| feature.name == "streams.version");
        assert_eq!(level.map(|feature| feature.max_version_level), Some(1));
        let off = FeatureUpdateKey {
            feature: "streams.version".into(),
            max_version_level: 0,
            upgrade_type: 2,
            ..Default::default()
        };
        let request = UpdateFeaturesRequest { feature_updates: vec![off], ..Default::default() };
        assert_eq!(peer.call(request).await.error_code, 0);
        assert_eq!(peer.call(join("a")).await.error_code, ErrorCode::UnsupportedVersion.code());
        let request = StreamsGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() };
        assert_eq!(peer.call(request).await.groups[0].error_code, ErrorCode::UnsupportedVersion.code());
        broker.shutdown().await.unwrap();
    }
}
