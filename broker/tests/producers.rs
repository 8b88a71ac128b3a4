//! How long and how many producers a partition remembers, as clients see it; in process and over TCP.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod common;

use bytes::Bytes;
use common::{BOTH, PATIENCE, Peer, batch_of, builder, produce_request, single};
use riverrun_broker::Broker;
use riverrun_core::{
    protocol::{
        ErrorCode,
        messages::{
            DescribeConfigsRequest, DescribeProducersRequest, EndTxnRequest, FindCoordinatorRequest,
            IncrementalAlterConfigsRequest, InitProducerIdRequest, ProduceRequest,
            describe_configs::DescribeConfigsResource,
            describe_producers::{ProducerState, TopicRequest},
            incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
            produce::PartitionProduceResponse,
        },
    },
    record::BatchOptions,
};

/// A batch of one record.
fn numbered(producer_id: i64, base_sequence: i32) -> Bytes {
    batch_of(BatchOptions { producer_id, producer_epoch: 0, base_sequence, ..Default::default() }, &["value"])
}

async fn start(settings: &str) -> Broker {
    builder().in_memory().properties(settings).unwrap().start().await.unwrap()
}

/// The producers that partition 0 of a topic remembers.
async fn remembered(peer: &Peer, topic: &str) -> Vec<ProducerState> {
    let topics = vec![TopicRequest { name: topic.into(), partition_indexes: vec![0] }];
    let mut described = peer.call(DescribeProducersRequest { topics }).await;
    let partition = described.topics.remove(0).partitions.remove(0);
    assert_eq!(partition.error_code, 0, "{partition:?}");
    partition.active_producers
}

fn ids(producers: &[ProducerState]) -> Vec<i64> {
    producers.iter().map(|producer| producer.producer_id).collect()
}

/// Sets a setting of all brokers, or takes it back.
async fn alter(peer: &Peer, name: &str, value: Option<&str>) -> i16 {
    let operation = if value.is_some() { 0 } else { 1 };
    let config = AlterableConfig { name: name.into(), config_operation: operation, value: value.map(Into::into) };
    let resource = AlterConfigsResource { resource_type: 4, configs: vec![config], ..Default::default() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    peer.call(request).await.responses[0].error_code
}

/// The value of a broker setting, and whether it can be altered.
async fn described(peer: &Peer, name: &str) -> (Option<String>, bool) {
    let resource = DescribeConfigsResource {
        resource_type: 4,
        resource_name: "1".into(),
        configuration_keys: Some(vec![name.into()]),
    };
    let answer = peer.call(DescribeConfigsRequest { resources: vec![resource], ..Default::default() }).await;
    let config = answer.results[0].configs[0].clone();
    (config.value, !config.read_only)
}

/// A transactional producer whose first batch is written and whose transaction stays open. Its id and epoch.
async fn open_transaction(peer: &Peer, topic: &str, transactional_id: &str) -> (i64, i16) {
    let given = until(
        async || {
            let keys = vec![transactional_id.into()];
            peer.call(FindCoordinatorRequest { key_type: 1, coordinator_keys: keys, ..Default::default() }).await;
            let request = InitProducerIdRequest {
                transactional_id: Some(transactional_id.into()),
                transaction_timeout_ms: 600_000,
                ..Default::default()
            };
            peer.call(request).await
        },
        |given| given.error_code == 0,
    )
    .await;
    let options = BatchOptions {
        producer_id: given.producer_id,
        producer_epoch: given.producer_epoch,
        base_sequence: 0,
        transactional: true,
        ..Default::default()
    };
    let request = produce_request(topic, batch_of(options, &["value"]), -1);
    let request = ProduceRequest { transactional_id: Some(transactional_id.into()), ..request };
    until(async || single(peer.call_in(12, request.clone()).await), |written| written.error_code == 0).await;
    (given.producer_id, given.producer_epoch)
}

/// Asks until the answer is what it is to become.
async fn until<R: std::fmt::Debug>(ask: impl AsyncFn() -> R, is_it: impl Fn(&R) -> bool) -> R {
    let asking = async {
        loop {
            let answer = ask().await;
            if is_it(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("what is waited for")
}

/// Offset and error of what was produced.
fn outcome(response: &PartitionProduceResponse) -> (i64, i16) {
    (response.base_offset, response.error_code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_producer_is_forgotten_and_one_with_an_open_transaction_is_not() {
    const SETTING: &str = "producer.id.expiration.ms";
    for way in BOTH {
        let broker = start("producer.id.expiration.check.interval.ms=1").await;
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        assert_eq!(described(&peer, SETTING).await, (Some("86400000".into()), true));
        let (open, _) = open_transaction(&peer, "t", "open").await;
        let idle = open + 1_000;
        let first = numbered(idle, 0);
        assert_eq!(outcome(&peer.produce("t", first.clone()).await), (1, 0));
        assert_eq!(outcome(&peer.produce("t", first.clone()).await), (1, 0), "a retry, {way:?}");
        assert_eq!(ids(&remembered(&peer, "t").await), [open, idle]);

        assert_ne!(alter(&peer, SETTING, Some("0")).await, 0);
        assert_eq!(alter(&peer, SETTING, Some("1")).await, 0);
        assert_eq!(described(&peer, SETTING).await, (Some("1".into()), true));
        until(async || ids(&remembered(&peer, "t").await), |left| *left == [open]).await;
        assert_eq!(outcome(&peer.produce("t", first.clone()).await), (2, 0), "nobody knows it for a retry, {way:?}");

        assert_eq!(alter(&peer, SETTING, None).await, 0);
        // Any sequence number may be the first that is known of a producer.
        let later = numbered(idle + 1, 7);
        assert_eq!(outcome(&peer.produce("t", later.clone()).await), (3, 0));
        assert_eq!(outcome(&peer.produce("t", later).await), (3, 0), "remembered again, {way:?}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_cap_the_longest_silent_is_forgotten_also_across_a_restart() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            let builder = builder().data_dir(folder.path());
            builder.properties("riverrun.producers.per.partition.max=3").unwrap().start()
        };
        let broker = start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let write = async |peer: &Peer, id: i64| outcome(&peer.produce("t", numbered(id, 0)).await);
        for (offset, id) in (0..).zip([5, 4, 3, 2, 1]) {
            assert_eq!(write(&peer, id).await, (offset, 0));
        }
        assert_eq!(ids(&remembered(&peer, "t").await), [1, 2, 3], "{way:?}");
        assert_eq!(write(&peer, 3).await, (2, 0), "a retry");
        assert_eq!(write(&peer, 5).await, (5, 0), "who is not known does not retry");
        assert_eq!(ids(&remembered(&peer, "t").await), [1, 2, 5], "3 wrote before them, {way:?}");
        drop(peer);
        broker.shutdown().await.unwrap();

        let broker = start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(ids(&remembered(&peer, "t").await), [1, 2, 5], "{way:?}");
        assert_eq!([write(&peer, 2).await, write(&peer, 5).await], [(3, 0), (5, 0)], "retries");
        assert_eq!(write(&peer, 9).await, (6, 0));
        assert_eq!(ids(&remembered(&peer, "t").await), [1, 5, 9], "the order is kept too, {way:?}");
        drop(peer);
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_producer_is_refused_while_all_have_transactions_open() {
    for way in BOTH {
        let broker = start("riverrun.producers.per.partition.max=2").await;
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let first = open_transaction(&peer, "t", "a").await;
        let second = open_transaction(&peer, "t", "b").await;
        let new = first.0.max(second.0) + 1_000;
        let refused = peer.produce("t", numbered(new, 0)).await;
        assert_eq!(outcome(&refused), (-1, ErrorCode::ThrottlingQuotaExceeded.code()), "{way:?}");
        let message = refused.error_message.unwrap_or_default();
        assert!(message.contains("have a transaction open"), "{message}");
        assert_eq!(peer.produce("t", common::batch(&["without an id"])).await.error_code, 0);

        let request = EndTxnRequest {
            transactional_id: "a".into(),
            producer_id: first.0,
            producer_epoch: first.1,
            committed: true,
        };
        until(async || peer.call(request.clone()).await.error_code, |code| *code == 0).await;
        let written =
            until(async || peer.produce("t", numbered(new, 0)).await, |written| written.error_code == 0).await;
        assert_eq!(written.base_offset, 4, "behind two batches, one without an id, and the marker, {way:?}");
        assert_eq!(ids(&remembered(&peer, "t").await), [second.0, new], "{way:?}");
        broker.shutdown().await.unwrap();
    }
}
