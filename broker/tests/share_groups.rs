//! Share groups end to end: two members, acknowledgements of every kind, redelivery with its count, what a restart
//! remembers, what operators may ask, and what each setting of a group does; in process and over TCP.

mod common;

use common::{BOTH, PATIENCE, Peer, Way, batch, batch_of, produce_request, single};
use riverrun_broker::{Broker, BrokerBuilder};
use riverrun_core::{
    Uuid,
    protocol::{
        ErrorCode,
        messages::{
            AddPartitionsToTxnRequest, AlterShareGroupOffsetsRequest, DeleteGroupsRequest,
            DescribeShareGroupOffsetsRequest, EndTxnRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest,
            InitProducerIdRequest, ListGroupsRequest, ProduceRequest, ReadShareGroupStateRequest,
            ShareAcknowledgeRequest, ShareFetchRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest,
            WriteShareGroupStateRequest,
            add_partitions_to_txn::AddPartitionsToTxnTopic,
            alter_share_group_offsets::{AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic},
            describe_share_group_offsets::DescribeShareGroupOffsetsRequestGroup,
            incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
            read_share_group_state, share_acknowledge,
            share_fetch::{AcknowledgementBatch, FetchPartition, FetchTopic},
            write_share_group_state,
        },
    },
    record::{BatchBuilder, BatchOptions},
};

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;
const RENEW: i8 = 4;

/// A broker whose share groups assign at once.
fn builder() -> BrokerBuilder {
    common::builder().set("group.share.assignment.interval.ms", "0").expect("a setting")
}

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
        let request = self.acknowledgement(epoch, first_offset, last_offset, types);
        let told = self.peer.call(request).await;
        let part = told.responses.iter().flat_map(|topic| &topic.partitions).map(|part| part.error_code).next();
        (told.error_code, part.unwrap_or_default())
    }

    /// Asks for more time with records. The code and the message of the partition, and the time.
    async fn renew(&mut self, epoch: i32, first_offset: i64, last_offset: i64) -> (i16, Option<String>, i32) {
        let request = self.acknowledgement(epoch, first_offset, last_offset, &[RENEW]);
        let told = self.peer.call(ShareAcknowledgeRequest { is_renew_ack: true, ..request }).await;
        let part = &told.responses[0].partitions[0];
        (part.error_code, part.error_message.clone(), told.acquisition_lock_timeout_ms)
    }

    fn acknowledgement(
        &self,
        epoch: i32,
        first_offset: i64,
        last_offset: i64,
        types: &[i8],
    ) -> ShareAcknowledgeRequest {
        let batch =
            share_acknowledge::AcknowledgementBatch { first_offset, last_offset, acknowledge_types: types.to_vec() };
        let partition =
            share_acknowledge::AcknowledgePartition { acknowledgement_batches: vec![batch], ..Default::default() };
        let topic = share_acknowledge::AcknowledgeTopic { topic_id: self.topic_id, partitions: vec![partition] };
        ShareAcknowledgeRequest {
            group_id: Some("s".into()),
            member_id: Some(self.id.clone()),
            share_session_epoch: epoch,
            topics: vec![topic],
            ..Default::default()
        }
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

/// Sets something of the group `s`. The code and the message.
async fn set(peer: &Peer, name: &str, value: &str) -> (i16, Option<String>) {
    let config = AlterableConfig { name: name.into(), config_operation: 0, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type: 32, resource_name: "s".into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let told = peer.call(request).await.responses.remove(0);
    (told.error_code, told.error_message)
}

const SET: (i16, Option<String>) = (0, None);

#[tokio::test]
async fn a_member_asks_for_more_time_if_the_group_lets_it() {
    for way in BOTH {
        let broker = builder().in_memory().set("group.share.min.record.lock.duration.ms", "1000").unwrap();
        let broker = broker.start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let topic_id = prepare(&peer).await;
        assert_eq!(set(&peer, "share.record.lock.duration.ms", "5000").await, SET);
        let mut one = Member::join(&broker, way, "one", topic_id).await;
        assert_eq!(one.fetch(&[], 1000).await.1, [(0, 3, 1)]);
        assert_eq!(
            one.acknowledge(1, 0, 1, &[RENEW]).await,
            (0, ErrorCode::InvalidRequest.code()),
            "it does not say so"
        );
        assert_eq!(one.renew(2, 0, 1).await, (0, None, 5000));
        assert_eq!(one.renew(3, 40, 41).await.0, ErrorCode::InvalidRequest.code(), "never delivered");
        assert_eq!(set(&peer, "share.renew.acknowledge.enable", "false").await, SET);
        let refused = one.renew(4, 0, 1).await;
        let words = "Renewing acquisition locks is not enabled for the group.";
        assert_eq!(refused, (ErrorCode::InvalidRecordState.code(), Some(words.to_owned()), 5000));
        assert_eq!(one.acknowledge(5, 0, 3, &[ACCEPT]).await, (0, 0));

        // Whoever keeps silent loses them, and a fetch that waits gets them.
        assert_eq!(set(&peer, "share.record.lock.duration.ms", "1000").await, SET);
        let mut two = Member::join(&broker, way, "two", topic_id).await;
        one.epoch = 6;
        assert_eq!(one.fetch(&[], 1000).await.1, [(4, 7, 1)]);
        assert_eq!(two.fetch(&[], 20_000).await.1, [(4, 7, 2)]);
        assert_eq!(one.acknowledge(7, 4, 7, &[ACCEPT]).await, (0, ErrorCode::InvalidRecordState.code()));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_group_says_how_often_and_how_many() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let topic_id = prepare(&peer).await;
        assert_eq!(set(&peer, "share.delivery.count.limit", "2").await, SET);
        assert_eq!(set(&peer, "share.partition.max.record.locks", "100").await, SET);
        let above = "share.delivery.count.limit must be less than or equal to group.share.max.delivery.count.limit";
        let refused = (ErrorCode::InvalidConfig.code(), Some(above.to_owned()));
        assert_eq!(set(&peer, "share.delivery.count.limit", "11").await, refused);
        let mut one = Member::join(&broker, way, "one", topic_id).await;
        assert_eq!(one.fetch(&[], 1000).await.1, [(0, 3, 1)]);
        assert_eq!(one.fetch(&[(0, 3, RELEASE)], 0).await.1, [(0, 3, 2)]);
        assert_eq!(one.fetch(&[(0, 3, RELEASE)], 0).await.1, [(4, 7, 1)], "twice is enough");
        assert_eq!(one.fetch(&[(4, 7, ACCEPT)], 0).await, (0, vec![], 0));

        let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for values in [&many[..], &["i", "j"]] {
            assert_eq!(peer.produce("t", batch(values)).await.error_code, 0);
        }
        let mut two = Member::join(&broker, way, "two", topic_id).await;
        assert_eq!(one.fetch(&[], 1000).await.1.first(), Some(&(8, 107, 1)));
        assert_eq!(two.fetch(&[], 0).await.1, [], "a hundred are in flight");
        one.epoch = -1;
        assert_eq!(one.fetch(&[(8, 107, ACCEPT)], 0).await.2, 0);
        assert_eq!(two.fetch(&[], 1000).await.1, [(108, 109, 1)]);
        broker.shutdown().await.unwrap();
    }
}

fn batch_at(timestamp: i64, value: &str) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(timestamp, None, Some(value.as_bytes()), []).expect("it fits");
    builder.build().expect("a batch")
}

#[tokio::test]
async fn a_group_begins_with_records_of_a_certain_age() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let find = FindCoordinatorRequest { coordinator_keys: vec!["s".into()], ..Default::default() };
        assert_eq!(peer.call(find).await.coordinators[0].error_code, 0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        for minutes in [120, 30, 0] {
            let at = i64::try_from(now).unwrap() - minutes * 60_000;
            assert_eq!(peer.produce("t", batch_at(at, "v")).await.error_code, 0);
        }
        assert_eq!(set(&peer, "share.auto.offset.reset", "by_duration:PT1H").await, SET);
        assert_eq!(set(&peer, "share.auto.offset.reset", "by_duration:-PT1H").await.0, ErrorCode::InvalidConfig.code());
        let topic_id = peer.describe_topic("t").await.topic_id;
        let mut one = Member::join(&broker, way, "one", topic_id).await;
        assert_eq!(one.fetch(&[], 1000).await.1, [(1, 2, 1)]);
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_group_can_do_without_records_of_aborted_transactions() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let topic_id = prepare(&peer).await;
        begin_at(&peer, 8).await;
        for (id, committed) in [("aborted", Some(false)), ("committed", Some(true)), ("open", None)] {
            transact(&peer, id, committed).await;
        }
        assert_eq!(set(&peer, "share.isolation.level", "read_committed").await, SET);
        let mut one = Member::join(&broker, way, "one", topic_id).await;
        // The markers follow the answers to the ends of transactions.
        let mut acquired: Vec<i64> = Vec::new();
        while !acquired.contains(&10) {
            let (code, fetched, _) = one.fetch(&[], 20_000).await;
            assert_eq!((code, fetched.is_empty()), (0, false), "after {acquired:?}");
            acquired.extend(fetched.iter().flat_map(|(first, last, _)| *first..=*last));
        }
        assert!(!acquired.contains(&8) && !acquired.contains(&12), "{acquired:?}");
        broker.shutdown().await.unwrap();
    }
}

/// Writes one record in a transaction of its own, and ends it or leaves it open.
async fn transact(peer: &Peer, id: &str, committed: Option<bool>) {
    let find = FindCoordinatorRequest { key_type: 1, coordinator_keys: vec![id.into()], ..Default::default() };
    assert_eq!(peer.call(find).await.coordinators[0].error_code, 0);
    let loading = [ErrorCode::CoordinatorLoadInProgress.code(), ErrorCode::CoordinatorNotAvailable.code()];
    let given = loop {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.into()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let given = peer.call(request).await;
        if !loading.contains(&given.error_code) {
            break given;
        }
    };
    assert_eq!(given.error_code, 0);
    let (producer_id, producer_epoch) = (given.producer_id, given.producer_epoch);
    let topic = AddPartitionsToTxnTopic { name: "t".into(), partitions: vec![0] };
    let add = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.into(),
        v3_and_below_producer_id: producer_id,
        v3_and_below_producer_epoch: producer_epoch,
        v3_and_below_topics: vec![topic],
        ..Default::default()
    };
    let added = peer.call_in(3, add).await;
    assert_eq!(added.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code, 0);
    let options =
        BatchOptions { producer_id, producer_epoch, base_sequence: 0, transactional: true, ..Default::default() };
    let request = produce_request("t", batch_of(options, &["x"]), -1);
    let request = ProduceRequest { transactional_id: Some(id.into()), ..request };
    assert_eq!(single(peer.call_in(9, request).await).error_code, 0);
    if let Some(committed) = committed {
        let end = EndTxnRequest { transactional_id: id.into(), producer_id, producer_epoch, committed };
        assert_eq!(peer.call_in(3, end).await.error_code, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_counted() {
    for way in BOTH {
        let builder = builder().in_memory().set("group.share.max.share.sessions", "2").unwrap();
        let broker = builder.start().await.unwrap();
        let topic_id = prepare(&Peer::connect(&broker, way).await).await;
        let mut members = Vec::new();
        for id in ["a", "b", "c"] {
            members.push(Member::join(&broker, way, id, topic_id).await);
        }
        let mut third = members.pop().unwrap();
        for member in &mut members {
            assert_eq!(member.fetch(&[], 0).await.0, 0, "{way:?}");
        }
        assert_eq!(third.fetch(&[], 0).await.0, ErrorCode::ShareSessionLimitReached.code(), "{way:?}");
        assert_eq!(members[0].fetch(&[], 0).await.0, 0, "who has a session goes on, {way:?}");
        // One is closed by its member, then one with its connection.
        assert_eq!(members[0].acknowledge(-1, 0, 3, &[ACCEPT]).await.0, 0);
        third.epoch = 0;
        assert_eq!(third.fetch(&[], 0).await.0, 0, "{way:?}");
        members[0].epoch = 0;
        assert_eq!(members[0].fetch(&[], 0).await.0, ErrorCode::ShareSessionLimitReached.code(), "{way:?}");
        drop(members.pop());
        let again = async {
            loop {
                members[0].epoch = 0;
                if members[0].fetch(&[], 0).await.0 == 0 {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, again).await.expect("its connection is gone");
        broker.shutdown().await.unwrap();
    }
}
