//! Client quotas: who is beyond one is told how long to wait, and nothing is read from its connection for as long; in
//! process its answer comes late (KIP-13, KIP-124, KIP-219, KIP-599, KIP-612).
//!
//! The bounds are such that a client is beyond them as long as a request takes less than a second.

mod common;

use std::time::{Duration, Instant};

use common::{BOTH, Peer, RawPeer, Way, batch, builder, fetch_request, produce_request, single, values};
use riverrun_broker::{Broker, BrokerBuilder};
use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        AlterClientQuotasRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
        CreateTopicsResponse, DeleteTopicsRequest, FetchRequest, MetadataRequest, ProduceRequest,
        alter_client_quotas::{EntityData, EntryData, OpData},
        create_partitions::CreatePartitionsTopic,
        create_topics::CreatableTopic,
        metadata::MetadataRequestTopic,
    },
};

/// Of a batch; about twice what the bounds on bytes allow at once.
const LARGE: usize = 2_000;
const TRIES: usize = 50;

fn settings() -> BrokerBuilder {
    builder().properties("quota.window.num=2\ncontroller.quota.window.num=2").expect("known settings")
}

async fn start() -> Broker {
    settings().in_memory().start().await.expect("it starts")
}

/// Sets or removes a quota. Its own connection may be bounded by it, so every time there is another.
async fn alter(broker: &Broker, entity: &[(&str, Option<&str>)], key: &str, value: Option<f64>) {
    let entity = entity
        .iter()
        .map(|(kind, name)| EntityData { entity_type: (*kind).to_owned(), entity_name: name.map(str::to_owned) });
    let op = OpData { key: key.to_owned(), value: value.unwrap_or_default(), remove: value.is_none() };
    let entry = EntryData { entity: entity.collect(), ops: vec![op] };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    let altered = Peer::connect(broker, Way::InProcess).await.call(request).await;
    assert_eq!(altered.entries[0].error_code, 0, "{altered:?}");
}

const ANY_USER: &[(&str, Option<&str>)] = &[("user", None)];

fn large() -> bytes::Bytes {
    batch(&["x".repeat(LARGE).as_str()])
}

fn ms(throttle_time_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_beyond_its_quota_waits() {
    for way in BOTH {
        let broker = start().await;
        Peer::connect(&broker, way).await.create_topic("t", 1).await;
        let peer = Peer::connect(&broker, way).await;
        let free = peer.call_in(9, produce_request("t", large(), -1)).await;
        assert_eq!(free.throttle_time_ms, 0, "no quota is set");
        alter(&broker, ANY_USER, "producer_byte_rate", Some(1_000.0)).await;
        let began = Instant::now();
        let told = peer.call_in(9, produce_request("t", large(), -1)).await;
        assert!(told.throttle_time_ms >= 900, "{way:?} {told:?}");
        assert_eq!(single(told.clone()).base_offset, 1, "what came is written");
        // Whatever it asks next is not read before, or in process was not answered before.
        peer.call(MetadataRequest::default()).await;
        assert!(began.elapsed() >= ms(told.throttle_time_ms), "{way:?} {:?} {told:?}", began.elapsed());
        alter(&broker, ANY_USER, "producer_byte_rate", None).await;
        let free = peer.call_in(9, produce_request("t", large(), -1)).await;
        assert_eq!(free.throttle_time_ms, 0, "the quota is gone");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_without_answers_waits_too_and_others_do_not() {
    let broker = start().await;
    Peer::connect(&broker, Way::Tcp).await.create_topic("t", 1).await;
    alter(&broker, &[("client-id", Some("raw"))], "producer_byte_rate", Some(1_000.0)).await;
    let mut peer = RawPeer::connect(broker.addresses()[0]).await;
    let began = Instant::now();
    // Both are in the socket before the first is handled: what was read already waits as well.
    let frames = [(1, produce_request("t", large(), 0).into()), (2, MetadataRequest::default().into())];
    let frames =
        frames.map(|(id, body)| riverrun_core::protocol::encode_request(&body, 9, id, Some("raw")).unwrap().to_bytes());
    peer.send(&frames.concat()).await;
    let other = Peer::connect(&broker, Way::Tcp).await;
    assert_eq!(other.call_in(9, produce_request("t", large(), -1)).await.throttle_time_ms, 0, "another client id");
    assert_eq!(peer.response::<MetadataRequest>(9).await.0, 2);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_beyond_its_quota_gets_nothing_and_later_the_same() {
    for way in BOTH {
        let broker = start().await;
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        for _ in 0..2 {
            assert_eq!(peer.produce("t", large()).await.error_code, 0);
        }
        alter(&broker, ANY_USER, "consumer_byte_rate", Some(2_500.0)).await;
        let (mut withheld, mut answered) = (None, 0);
        for _ in 0..TRIES {
            let asked = Instant::now();
            let fetched = peer.call_in(12, fetch_request("t", 0, 0)).await;
            let Some(topic) = fetched.responses.first() else {
                withheld = Some((fetched.throttle_time_ms, asked));
                break;
            };
            assert_eq!(fetched.throttle_time_ms, 0);
            let got = values(topic.partitions[0].records.clone());
            assert_eq!(got.len(), 1, "no more than the quota allows at once");
            answered += 1;
        }
        let (throttle_time_ms, asked) = withheld.expect("beyond the quota");
        assert!(answered > 0 && throttle_time_ms > 0, "{way:?}");
        let mut tries = 0;
        while peer.call_in(12, fetch_request("t", 0, 0)).await.responses.is_empty() {
            tries += 1;
            assert!(tries < TRIES, "it never gets anything");
        }
        assert!(asked.elapsed() >= ms(throttle_time_ms));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_no_wait_brings_within_the_quota_is_had_all_the_same() {
    let broker = start().await;
    let peer = Peer::connect(&broker, Way::Tcp).await;
    peer.create_topic("t", 1).await;
    assert_eq!(peer.produce("t", large()).await.error_code, 0);
    alter(&broker, ANY_USER, "consumer_byte_rate", Some(1_500.0)).await;
    let fetched = peer.call_in(12, fetch_request("t", 0, 0)).await;
    assert!(fetched.throttle_time_ms > 0);
    assert_eq!(values(fetched.responses[0].partitions[0].records.clone()).len(), 1);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_session_loses_nothing_when_its_client_is_to_wait() {
    let broker = start().await;
    let peer = Peer::connect(&broker, Way::Tcp).await;
    peer.create_topic("t", 1).await;
    assert_eq!(peer.produce("t", large()).await.error_code, 0);
    let mut consumer = RawPeer::connect(broker.addresses()[0]).await;
    let begin = FetchRequest { session_id: 0, session_epoch: 0, ..fetch_request("t", 0, 0) };
    consumer.request(12, 1, begin.clone()).await;
    let (_, begun) = consumer.response::<FetchRequest>(12).await;
    assert_eq!((begun.session_id != 0, begun.responses.len()), (true, 1));
    alter(&broker, ANY_USER, "consumer_byte_rate", Some(2_500.0)).await;
    // The same offset again and again: in each epoch of the session, the batch or nothing.
    let (mut epoch, mut withheld, mut after) = (1, 0, 0);
    while after == 0 {
        let mut more = FetchRequest { session_id: begun.session_id, session_epoch: epoch, ..fetch_request("t", 0, 0) };
        if withheld > 0 {
            // Not named again: the session knows that it has not been told yet.
            more.topics.clear();
        }
        consumer.request(12, 2, more).await;
        let (_, fetched) = consumer.response::<FetchRequest>(12).await;
        assert_eq!((fetched.error_code, fetched.session_id), (0, begun.session_id));
        match (fetched.responses.is_empty(), fetched.throttle_time_ms > 0) {
            (true, true) => withheld += 1,
            (false, false) if withheld > 0 => after += 1,
            (false, false) => {}
            other => panic!("{other:?}"),
        }
        epoch += 1;
        assert!(epoch < 50);
    }
    // A session that begins with nothing does not begin.
    let mut tries = 0;
    loop {
        consumer.request(12, 3, begin.clone()).await;
        let (_, fetched) = consumer.response::<FetchRequest>(12).await;
        if fetched.responses.is_empty() {
            assert_eq!((fetched.session_id, fetched.throttle_time_ms > 0), (0, true));
            break;
        }
        tries += 1;
        assert!(tries < TRIES);
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_requests_is_bounded() {
    for way in BOTH {
        let broker = start().await;
        alter(&broker, ANY_USER, "request_percentage", Some(0.000_01)).await;
        let peer = Peer::connect(&broker, way).await;
        let began = Instant::now();
        let told = peer.call(ApiVersionsRequest { client_software_name: "x".into(), ..Default::default() }).await;
        assert_eq!(told.throttle_time_ms, 1_000, "{way:?}: no longer than a window");
        let told = peer.call(MetadataRequest::default()).await;
        assert_eq!(told.throttle_time_ms, 1_000);
        assert!(began.elapsed() >= Duration::from_millis(1_000));
        broker.shutdown().await.unwrap();
    }
}

fn create(name: &str, num_partitions: i32) -> CreateTopicsRequest {
    let topic = CreatableTopic { name: name.into(), num_partitions, replication_factor: 1, ..Default::default() };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, validate_only: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_topics_are_refused_to_those_who_know_the_code() {
    const REFUSED: i16 = ErrorCode::ThrottlingQuotaExceeded.code();
    let broker = start().await;
    Peer::connect(&broker, Way::Tcp).await.create_topic("old", 2).await;
    alter(&broker, ANY_USER, "controller_mutation_rate", Some(10.0)).await;
    // Each on a connection of its own, since one that is told to wait has to.
    let one = || Peer::connect(&broker, Way::Tcp);
    let created: CreateTopicsResponse = one().await.call(create("first", 200)).await;
    assert_eq!((created.topics[0].error_code, created.throttle_time_ms), (0, 0), "it was not beyond it before");
    let refused = one().await.call(create("second", 1)).await;
    assert_eq!(refused.topics[0].error_code, REFUSED, "{refused:?}");
    assert!(refused.throttle_time_ms > 0 && refused.topics[0].error_message.is_some());
    let delete = DeleteTopicsRequest { topic_names: vec!["old".into()], ..Default::default() };
    let refused = one().await.call_in(5, delete.clone()).await;
    assert_eq!((refused.responses[0].error_code, refused.throttle_time_ms > 0), (REFUSED, true));
    let grow = |count| {
        let topic = CreatePartitionsTopic { name: "old".into(), count, assignments: None };
        CreatePartitionsRequest { topics: vec![topic], ..Default::default() }
    };
    let refused = one().await.call_in(3, grow(3)).await;
    assert_eq!((refused.results[0].error_code, refused.throttle_time_ms > 0), (REFUSED, true));
    let topics = Some(vec![MetadataRequestTopic { name: Some("auto".into()), ..Default::default() }]);
    let auto = MetadataRequest { topics, allow_auto_topic_creation: true, ..Default::default() };
    let unknown = one().await.call(auto).await;
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    assert!(unknown.throttle_time_ms > 0);
    // Those who do not know it are served, and wait the longer.
    let waits = one().await.call_in(5, create("third", 1)).await;
    assert_eq!((waits.topics[0].error_code, waits.throttle_time_ms > 0), (0, true));
    let waits = one().await.call_in(2, grow(3)).await;
    assert_eq!((waits.results[0].error_code, waits.throttle_time_ms > 0), (0, true));
    let waits = one().await.call_in(4, delete).await;
    assert_eq!((waits.responses[0].error_code, waits.throttle_time_ms > 0), (0, true));
    let peer = one().await;
    for (name, exists) in [("first", true), ("second", false), ("third", true), ("old", false), ("auto", false)] {
        assert_eq!(peer.describe_topic(name).await.error_code == 0, exists, "{name}");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_connects_too_fast_is_refused() {
    let broker = start().await;
    let address = broker.addresses()[0];
    alter(&broker, &[("ip", Some("127.0.0.1"))], "connection_creation_rate", Some(2.0)).await;
    let (mut served, mut refused) = (0, 0);
    for _ in 0..TRIES {
        let mut peer = RawPeer::connect(address).await;
        peer.request(9, 1, MetadataRequest::default()).await;
        match peer.frame().await {
            Some(_) => served += 1,
            None => refused += 1,
        }
        if served > 0 && refused > 0 {
            break;
        }
    }
    assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
    alter(&broker, &[("ip", Some("127.0.0.1"))], "connection_creation_rate", None).await;
    alter(&broker, &[("ip", Some("127.0.0.2"))], "connection_creation_rate", Some(1.0)).await;
    for _ in 0..10 {
        let mut peer = RawPeer::connect(address).await;
        peer.request(9, 1, MetadataRequest::default()).await;
        assert!(peer.frame().await.is_some(), "another address's quota");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_connections_a_second_are_accepted_late() {
    let broker = settings().in_memory().set("max.connection.creation.rate", "1").unwrap().start().await.unwrap();
    let began = Instant::now();
    for _ in 0..3 {
        let mut peer = RawPeer::connect(broker.addresses()[0]).await;
        peer.request(9, 1, MetadataRequest::default()).await;
        assert!(peer.frame().await.is_some());
    }
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_hold_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = settings().data_dir(folder.path()).start().await.unwrap();
    Peer::connect(&broker, Way::Tcp).await.create_topic("t", 1).await;
    alter(&broker, ANY_USER, "producer_byte_rate", Some(1_000.0)).await;
    broker.shutdown().await.unwrap();
    let broker = settings().data_dir(folder.path()).start().await.unwrap();
    let mut peer = RawPeer::connect(broker.addresses()[0]).await;
    peer.request(9, 1, produce_request("t", large(), -1)).await;
    assert!(peer.response::<ProduceRequest>(9).await.1.throttle_time_ms > 0);
    broker.shutdown().await.unwrap();
}
