//! Transactions on partitions as clients see them, in process and over TCP: Fetch and ListOffsets by isolation level,
//! WriteTxnMarkers, DescribeProducers, and the consumer that leaves out what was aborted.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use riverrun_client::{
    AutoOffsetReset, Client, IsolationLevel, NewTopic, TopicPartition,
    transport::{Connection, TcpOptions, TcpTransport, Transport},
};
use riverrun_core::{
    protocol::{
        ApiKey, ErrorCode, Request,
        messages::{
            DescribeProducersRequest, FetchRequest, ListOffsetsRequest, WriteTxnMarkersRequest,
            describe_producers::TopicRequest,
            fetch::{FetchPartition, FetchTopic, PartitionData},
            list_offsets::{ListOffsetsPartition, ListOffsetsTopic},
            write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic},
        },
    },
    record::{BatchBuilder, BatchOptions},
};

use crate::{Broker, storage::Partition};

const PATIENCE: Duration = Duration::from_secs(30);

/// A broker with the topic `t`, a client, and a connection of the same kind.
struct Stage {
    broker: Broker,
    client: Client,
    connection: Arc<dyn Connection>,
    /// One for requests that wait: those behind them on a connection are answered after them.
    patient: Arc<dyn Connection>,
    partition: Arc<Partition>,
}

impl Stage {
    async fn set(tcp: bool) -> Self {
        let builder = Broker::builder().in_memory().listen("127.0.0.1:0");
        let broker = builder.start().await.unwrap();
        let address = broker.addresses()[0].to_string();
        let (transport, client): (Arc<dyn Transport>, _) = if tcp {
            let transport = TcpTransport::new(&address, TcpOptions::default()).unwrap();
            (Arc::new(transport), Client::connect(&address).await.unwrap())
        } else {
            (broker.transport(), broker.client())
        };
        client.admin().create_topics(&[NewTopic::new("t", 1)]).await.unwrap()["t"].as_ref().unwrap();
        let bootstrap = transport.bootstrap().remove(0);
        let connection = transport.connect(&bootstrap).await.unwrap();
        let patient = transport.connect(&bootstrap).await.unwrap();
        let node = &broker.0.node;
        let id = node.image().topic("t").unwrap().id;
        let partition = node.storage.partition(id, 0).unwrap();
        Self { broker, client, connection, patient, partition }
    }

    async fn call<R: Request>(&self, version: i16, request: R) -> R::Response {
        let connection = if R::KEY == ApiKey::Fetch { &self.patient } else { &self.connection };
        let answer = tokio::time::timeout(PATIENCE, connection.call(version, request.into())).await;
        answer.expect("in time").unwrap().unwrap().try_into().unwrap_or_else(|_| panic!("another API's response"))
    }

    /// Appends as a coordinator does, which asks nobody.
    async fn append(&self, producer_id: i64, values: &[&str]) {
        let transactional = producer_id >= 0;
        let producer_epoch = if transactional { 0 } else { -1 };
        let options = BatchOptions { producer_id, producer_epoch, transactional, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        for value in values {
            builder.append(5, None, Some(value.as_bytes()), []).unwrap();
        }
        let appended = self.partition.append_internal(builder.build().unwrap()).unwrap();
        self.partition.committed(appended.last_offset + 1).await.unwrap();
    }

    async fn end(&self, producer_id: i64, commit: bool, coordinator_epoch: i32) -> ErrorCode {
        let topic = |name: &str| WritableTxnMarkerTopic { name: name.into(), partition_indexes: vec![0] };
        let marker = WritableTxnMarker {
            producer_id,
            producer_epoch: 1,
            transaction_result: commit,
            topics: vec![topic("t"), topic("unknown")],
            coordinator_epoch,
            transaction_version: 2,
        };
        let written = self.call(2, WriteTxnMarkersRequest { markers: vec![marker] }).await;
        let [known, unknown] = written.markers[0].topics.as_slice() else { panic!("two topics") };
        let code = |result: &riverrun_core::protocol::messages::write_txn_markers::WritableTxnMarkerTopicResult| {
            ErrorCode::from_code(result.partitions[0].error_code)
        };
        assert_eq!(code(unknown), ErrorCode::UnknownTopicOrPartition);
        code(known)
    }

    async fn fetch(&self, isolation_level: i8, min_bytes: i32) -> PartitionData {
        let partition = FetchPartition { current_leader_epoch: -1, partition_max_bytes: 1 << 20, ..Default::default() };
        let request = FetchRequest {
            max_wait_ms: 60_000,
            min_bytes,
            max_bytes: 1 << 20,
            isolation_level,
            session_epoch: -1,
            topics: vec![FetchTopic { topic: "t".into(), partitions: vec![partition], ..Default::default() }],
            ..Default::default()
        };
        self.call(12, request).await.responses.remove(0).partitions.remove(0)
    }

    async fn latest(&self, isolation_level: i8) -> i64 {
        let partition = ListOffsetsPartition { current_leader_epoch: -1, timestamp: -1, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, isolation_level, topics, ..Default::default() };
        self.call(7, request).await.topics[0].partitions[0].offset
    }

    /// What a consumer gets, up to the end of what it may see.
    async fn consume(&self, isolation: IsolationLevel, count: usize) -> Vec<Bytes> {
        let consumer = self.client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).isolation(isolation);
        let mut consumer = consumer.build().unwrap();
        consumer.assign(&[TopicPartition::new("t", 0)]);
        let mut values = Vec::new();
        while values.len() < count {
            let records = tokio::time::timeout(PATIENCE, consumer.poll(PATIENCE)).await.unwrap().unwrap();
            values.extend(records.into_iter().filter_map(|record| record.value));
        }
        values
    }
}

async fn story(tcp: bool) {
    let stage = Stage::set(tcp).await;
    stage.append(7, &["aborted 1", "aborted 2"]).await;
    stage.append(8, &["committed"]).await;
    stage.append(7, &["aborted 3"]).await;
    stage.append(-1, &["plain"]).await;
    assert_eq!((stage.latest(0).await, stage.latest(1).await), (5, 0));
    let all = stage.fetch(0, 1).await;
    assert_eq!((all.high_watermark, all.last_stable_offset, all.aborted_transactions), (5, 0, None));

    let described =
        DescribeProducersRequest { topics: vec![TopicRequest { name: "t".into(), partition_indexes: vec![0, 1] }] };
    let described = stage.call(0, described).await.topics.remove(0).partitions;
    let open: HashMap<_, _> =
        described[0].active_producers.iter().map(|p| (p.producer_id, p.current_txn_start_offset)).collect();
    assert_eq!(open, HashMap::from([(7, 0), (8, 2)]));
    assert_eq!(described[1].error_code, ErrorCode::UnknownTopicOrPartition.code());

    // The reader of committed records waits for more bytes than a marker has, and wakes when the markers are there.
    let waits = async { stage.fetch(1, 200).await };
    let ends = async {
        assert_eq!(stage.end(8, true, 4).await, ErrorCode::None);
        assert_eq!(stage.latest(1).await, 0, "the earlier one is open");
        assert_eq!(stage.end(7, false, 4).await, ErrorCode::None);
        assert_eq!(stage.end(7, false, 3).await, ErrorCode::TransactionCoordinatorFenced);
    };
    let (fetched, ()) = futures::join!(waits, ends);
    assert_eq!((fetched.high_watermark, fetched.last_stable_offset), (7, 7));
    let aborted: Vec<_> =
        fetched.aborted_transactions.unwrap().iter().map(|a| (a.producer_id, a.first_offset)).collect();
    assert_eq!(aborted, [(7, 0)]);
    assert_eq!(stage.latest(1).await, 7);

    stage.append(-1, &["last"]).await;
    assert_eq!(stage.consume(IsolationLevel::ReadCommitted, 3).await, ["committed", "plain", "last"]);
    let all = ["aborted 1", "aborted 2", "committed", "aborted 3", "plain", "last"];
    assert_eq!(stage.consume(IsolationLevel::ReadUncommitted, 6).await, all);
    assert_eq!(stage.fetch(1, 1).await.aborted_transactions.map(|aborted| aborted.len()), Some(1));
    stage.broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_in_process() {
    story(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_over_tcp() {
    story(true).await;
}
