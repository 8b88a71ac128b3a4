//! Share groups end to end: two members, acknowledgements of every kind, redelivery with its count, what a restart
//! remembers, and what operators may ask; in process and over TCP.

mod common;

use common::{BOTH, Peer, Way, batch, builder};
use riverrun_broker::Broker;
use riverrun_core::{
    Uuid,
    protocol::{
        ErrorCode,
        messages::{
            AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DescribeShareGroupOffsetsRequest,
            FindCoordinatorRequest, ListGroupsRequest, ReadShareGroupStateRequest, ShareAcknowledgeRequest,
            ShareFetchRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest, WriteShareGroupStateRequest,
            alter_share_group_offsets::{AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic},
            describe_share_group_offsets::DescribeShareGroupOffsetsRequestGroup,
            read_share_group_state, share_acknowledge,
            share_fetch::{AcknowledgementBatch, FetchPartition, FetchTopic},
            write_share_group_state,
        },
    },
};

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;

/// A member of the share group `s`, with its connection.
struct Member {
    peer: Peer,
    id: String,
    topic_id: Uuid,
    epoch: i32,
}

impl Member {
    async fn join(broker: &Broker, way: Way, id: &str, topic_id: Uuid) -> Self {
        let mut member = Self { peer: Peer::connect(broker, way).await, id: id.to_owned(), topic_id, epoch: 0 };
        let joined = member.beat(0).await;
        assert_eq!(joined.0, 0);
        assert_eq!(joined.2, [0], "the partition is assigned at once");
        member
    }

    /// The code, the epoch, the partitions.
    async fn beat(&mut self, epoch: i32) -> (i16, i32, Vec<i32>) {
        let request = ShareGroupHeartbeatRequest {
            group_id: "s".into(),
            member_id: self.id.clone(),
            member_epoch: epoch,
            subscribed_topic_names: (epoch == 0).then(|| vec!["t".into()]),
            ..Default::default()
        };
        let told = self.peer.call(request).await;
        let assigned = told.assignment.map(|a| a.topic_partitions.into_iter().flat_map(|t| t.partitions).collect());
        (told.error_code, told.member_epoch, assigned.unwrap_or_default())
    }

    /// The code, what was acquired, the code of the acknowledgements.
    async fn fetch(&mut self, acks: &[(i64, i64, i8)], wait_ms: i32) -> (i16, Vec<(i64, i64, i16)>, i16) {
        let acknowledgement_batches = acks
            .iter()
            .map(|(first_offset, last_offset, kind)| AcknowledgementBatch {
                first_offset: *first_offset,
                last_offset: *last_offset,
                acknowledge_types: vec![*kind],
            })
            .collect();
        let partition = FetchPartition { acknowledgement_batches, ..Default::default() };
        let request = ShareFetchRequest {
            group_id: Some("s".into()),
            member_id: Some(self.id.clone()),
            share_session_epoch: self.epoch,
            max_wait_ms: wait_ms,
            min_bytes: 1,
            max_bytes: 1 << 20,
            max_records: 4,
            batch_size: 4,
            topics: vec![FetchTopic { topic_id: self.topic_id, partitions: vec![partition] }],
            ..Default::default()
        };
        self.epoch += 1;
        let fetched = self.peer.call(request).await;
        let mut acquired = Vec::new();
        let mut acknowledged = 0;
        for partition in fetched.responses.iter().flat_map(|topic| &topic.partitions) {
            assert_eq!(partition.error_code, 0);
            acknowledged = partition.acknowledge_error_code;
            acquired
                .extend(partition.acquired_records.iter().map(|a| (a.first_offset, a.last_offset, a.delivery_count)));
        }
        (fetched.error_code, acquired, acknowledged)
    }

    async fn acknowledge(&mut self, epoch: i32, first_offset: i64, last_offset: i64, types: &[i8]) -> (i16, i16) {
        let batch =
            share_acknowledge::AcknowledgementBatch { first_offset, last_offset, acknowledge_types: types.to_vec() };
        let partition =
            share_acknowledge::AcknowledgePartition { acknowledgement_batches: vec![batch], ..Default::default() };
        let topic = share_acknowledge::AcknowledgeTopic { topic_id: self.topic_id, partitions: vec![partition] };
        let request = ShareAcknowledgeRequest {
            group_id: Some("s".into()),
            member_id: Some(self.id.clone()),
            share_session_epoch: epoch,
            topics: vec![topic],
            ..Default::default()
        };
        let told = self.peer.call(request).await;
        let part = told.responses.iter().flat_map(|topic| &topic.partitions).map(|part| part.error_code).next();
        (told.error_code, part.unwrap_or_default())
    }
}

async fn prepare(peer: &Peer) -> Uuid {
    peer.create_topic("t", 1).await;
    let found = peer.call(FindCoordinatorRequest { coordinator_keys: vec!["s".into()], ..Default::default() }).await;
    assert_eq!(found.coordinators[0].error_code, 0);
    for values in [["a", "b", "c", "d"], ["e", "f", "g", "h"]] {
        assert_eq!(peer.produce("t", batch(&values)).await.error_code, 0);
    }
    begin_at(peer, 0).await;
    peer.describe_topic("t").await.topic_id
}

/// Has the group begin at an offset.
async fn begin_at(peer: &Peer, start_offset: i64) {
    let partition = AlterShareGroupOffsetsRequestPartition { partition_index: 0, start_offset };
    let topic = AlterShareGroupOffsetsRequestTopic { topic_name: "t".into(), partitions: vec![partition] };
    let altered = peer.call(AlterShareGroupOffsetsRequest { group_id: "s".into(), topics: vec![topic] }).await;
    assert_eq!((altered.error_code, altered.responses[0].partitions[0].error_code), (0, 0));
}

/// The start offset and the lag.
async fn offsets(peer: &Peer) -> (i64, i64) {
    let group = DescribeShareGroupOffsetsRequestGroup { group_id: "s".into(), topics: None };
    let told = peer.call(DescribeShareGroupOffsetsRequest { groups: vec![group] }).await;
    let partition = &told.groups[0].topics[0].partitions[0];
    (partition.start_offset, partition.lag)
}

#[tokio::test]
async fn records_go_to_one_member_at_a_time_and_come_again_until_they_are_done() {
    for way in BOTH {
        let data = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(data.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let topic_id = prepare(&peer).await;
        let mut one = Member::join(&broker, way, "one", topic_id).await;
        let mut two = Member::join(&broker, way, "two", topic_id).await;
        assert_eq!(one.fetch(&[], 1000).await, (0, vec![(0, 3, 1)], 0));
        assert_eq!(two.fetch(&[], 1000).await, (0, vec![(4, 7, 1)], 0));
        // Nothing is left; what the other gives back wakes the one that waits.
        let (waited, released) =
            tokio::join!(one.fetch(&[], 20_000), two.acknowledge(1, 4, 7, &[RELEASE, ACCEPT, REJECT, ACCEPT]));
        assert_eq!(released, (0, 0));
        assert_eq!(waited, (0, vec![(4, 4, 2)], 0));
        // Not the holder; then all of it.
        let not_held = ErrorCode::InvalidRecordState.code();
        assert_eq!(two.acknowledge(2, 4, 4, &[ACCEPT]).await, (0, not_held));
        assert_eq!(one.fetch(&[(0, 1, ACCEPT), (4, 4, ACCEPT)], 0).await, (0, vec![], 0));
        assert_eq!(offsets(&peer).await, (0, 2));

        let wrong = ErrorCode::InvalidShareSessionEpoch.code();
        assert_eq!(one.acknowledge(9, 2, 3, &[ACCEPT]).await.0, wrong);
        let mut none = Member { peer: Peer::connect(&broker, way).await, id: "none".into(), topic_id, epoch: 3 };
        assert_eq!(none.fetch(&[], 0).await.0, ErrorCode::ShareSessionNotFound.code());

        // A restart forgets who held 2 and 3, and nothing else.
        drop((peer, one, two, none));
        broker.shutdown().await.unwrap();
        let broker = builder().data_dir(data.path()).start().await.unwrap();
        let mut three = Peer::connect(&broker, way).await;
        let mut member = loop {
            let mut member = Member { peer: three, id: "three".into(), topic_id, epoch: 0 };
            let (code, _, assigned) = member.beat(0).await;
            if code == 0 {
                assert_eq!(assigned, [0]);
                break member;
            }
            assert_eq!(code, ErrorCode::CoordinatorLoadInProgress.code());
            three = member.peer;
        };
        assert_eq!(member.fetch(&[], 20_000).await, (0, vec![(2, 3, 1)], 0));
        // The last request of a session says what became of the records, and gives the others back.
        member.epoch = -1;
        assert_eq!(member.fetch(&[(2, 2, ACCEPT)], 0).await, (0, vec![], 0));
        member.epoch = 0;
        assert_eq!(member.fetch(&[], 1000).await, (0, vec![(3, 3, 1)], 0));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_closes_gives_back_what_its_member_held() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let topic_id = prepare(&peer).await;
        let mut one = Member::join(&broker, way, "one", topic_id).await;
        let mut two = Member::join(&broker, way, "two", topic_id).await;
        assert_eq!(one.fetch(&[], 1000).await.1, [(0, 3, 1)]);
        assert_eq!(two.fetch(&[], 1000).await.1, [(4, 7, 1)]);
        let (waited, ()) = tokio::join!(two.fetch(&[], 20_000), async move { drop(one) });
        assert_eq!(waited.1, [(0, 3, 1)]);
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn operators_see_and_change_a_group() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let topic_id = prepare(&peer).await;
        let mut one = Member::join(&broker, way, "one", topic_id).await;
        let list = || peer.call(ListGroupsRequest { types_filter: vec!["Share".into()], ..Default::default() });
        let mut listed = list().await;
        // Other partitions of the groups' topic may still be read after the start.
        while listed.error_code == ErrorCode::CoordinatorLoadInProgress.code() {
            listed = list().await;
        }
        assert_eq!((listed.groups.len(), listed.groups[0].group_state.as_str()), (1, "Stable"));
        let describe = ShareGroupDescribeRequest { group_ids: vec!["s".into(), "x".into()], ..Default::default() };
        let described = peer.call(describe).await.groups;
        assert_eq!((described[0].assignor_name.as_str(), described[0].members.len()), ("simple", 1));
        assert_eq!(described[0].members[0].assignment.topic_partitions[0].topic_name, "t");
        assert_eq!(described[1].error_code, ErrorCode::GroupIdNotFound.code());
        let delete = || peer.call(DeleteGroupsRequest { groups_names: vec!["s".into()] });
        assert_eq!(delete().await.results[0].error_code, ErrorCode::NonEmptyGroup.code());
        assert_eq!(one.beat(-1).await.0, 0);
        begin_at(&peer, 5).await;
        assert_eq!(offsets(&peer).await, (5, 3));

        // What the broker tells itself, it tells others too.
        let read = read_share_group_state::PartitionData { partition: 0, leader_epoch: 0 };
        let read = read_share_group_state::ReadStateData { topic_id, partitions: vec![read] };
        let read = peer.call(ReadShareGroupStateRequest { group_id: "s".into(), topics: vec![read] }).await;
        let state = read.results[0].partitions[0].clone();
        assert_eq!((state.error_code, state.start_offset), (0, 5));
        let write = write_share_group_state::PartitionData { state_epoch: state.state_epoch - 1, ..Default::default() };
        let write = write_share_group_state::WriteStateData { topic_id, partitions: vec![write] };
        let written = peer.call(WriteShareGroupStateRequest { group_id: "s".into(), topics: vec![write] }).await;
        assert_eq!(written.results[0].partitions[0].error_code, ErrorCode::FencedStateEpoch.code());

        assert_eq!(delete().await.results[0].error_code, 0);
        assert_eq!(delete().await.results[0].error_code, ErrorCode::GroupIdNotFound.code());
        broker.shutdown().await.unwrap();
    }
}
