//! Limits against clients that mean no good, over TCP: what they cannot have, and that others have what is theirs.

mod common;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use common::{PATIENCE, Peer, RawPeer, Way, batch, builder, fetch_request, produce_request, single};
use riverrun_broker::{Broker, BrokerBuilder};
use riverrun_core::protocol::{
    ErrorCode, encode_request,
    messages::{
        ApiVersionsRequest, ConsumerGroupHeartbeatRequest, FetchRequest, FindCoordinatorRequest,
        IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, MetadataRequest, ProduceRequest,
        SaslHandshakeRequest, ShareGroupHeartbeatRequest,
        incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
        join_group::JoinGroupRequestProtocol,
        metadata::MetadataRequestTopic,
    },
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn with(settings: &str) -> BrokerBuilder {
    builder().in_memory().properties(settings).expect("known settings")
}

async fn start(settings: &str) -> Broker {
    with(settings).start().await.expect("it starts")
}

/// The bytes of a request that produces so many bytes to `t`.
fn produce_bytes(correlation_id: i32, size: usize) -> Bytes {
    let body = produce_request("t", batch(&["x".repeat(size).as_str()]), -1).into();
    encode_request(&body, 9, correlation_id, Some("raw")).expect("it can be written").to_bytes()
}

/// Whether a connection is served.
async fn is_served(peer: &mut RawPeer) -> bool {
    let frame = encode_request(&MetadataRequest::default().into(), 9, 1, None).expect("it can be written");
    peer.try_send(&frame.to_bytes()).await && peer.frame().await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_arrive_does_not_hold_up_the_others() {
    let broker = start("queued.max.request.bytes=10000\nriverrun.request.receive.timeout.ms=300").await;
    Peer::connect(&broker, Way::Tcp).await.create_topic("t", 1).await;
    let mut slow = RawPeer::connect(broker.addresses()[0]).await;
    slow.send(&produce_bytes(1, 50_000)[..20_000]).await;
    // As long as there is memory the others are served; when there is none they wait, until the slow one is gone.
    let mut other = RawPeer::connect(broker.addresses()[0]).await;
    let gone = async { assert_eq!(slow.frame().await, None, "it may not hold the memory forever") };
    let served = async {
        loop {
            assert!(is_served(&mut other).await);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = gone => {}
        () = served => {}
    }
    assert!(is_served(&mut RawPeer::connect(broker.addresses()[0]).await).await);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_request_is_waited_for_as_long_as_nobody_needs_its_memory() {
    let broker = start("queued.max.request.bytes=100000\nriverrun.request.receive.timeout.ms=1").await;
    Peer::connect(&broker, Way::Tcp).await.create_topic("t", 1).await;
    let mut slow = RawPeer::connect(broker.addresses()[0]).await;
    let frame = produce_bytes(1, 50_000);
    slow.send(&frame[..20_000]).await;
    let mut other = RawPeer::connect(broker.addresses()[0]).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(50) {
        assert!(is_served(&mut other).await);
    }
    slow.send(&frame[20_000..]).await;
    assert_eq!(single(slow.response::<ProduceRequest>(9).await.1).error_code, 0);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_requests_get_through_a_small_budget() {
    const CLIENTS: usize = 12;
    const EACH: i32 = 5;
    // Each request is larger than all of it, and some clients never finish theirs.
    let broker = start("queued.max.request.bytes=100000\nriverrun.request.receive.timeout.ms=2000").await;
    Peer::connect(&broker, Way::Tcp).await.create_topic("t", 1).await;
    let address = broker.addresses()[0];
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut peer = RawPeer::connect(address).await;
        peer.send(&produce_bytes(1, 300_000)[..1_000]).await;
        stalled.push(peer);
    }
    let clients = (0..CLIENTS).map(|_| {
        tokio::spawn(async move {
            let mut peer = RawPeer::connect(address).await;
            for correlation_id in 0..EACH {
                peer.send(&produce_bytes(correlation_id, 300_000)).await;
                let (answered, produced) = peer.response::<ProduceRequest>(9).await;
                assert_eq!((answered, single(produced).error_code), (correlation_id, 0));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    broker.shutdown().await.unwrap();
}

/// A stream that ends in a panic where it should end.
struct Panics {
    left: BytesMut,
}

impl AsyncRead for Panics {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        assert!(!self.left.is_empty(), "the panic of a test");
        let count = self.left.len().min(buf.remaining());
        buf.put_slice(&self.left.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Panics {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_its_connection_and_nothing_else() {
    let broker = start("max.connections=2\nqueued.max.request.bytes=100000").await;
    let mut healthy = RawPeer::connect(broker.addresses()[0]).await;
    assert!(is_served(&mut healthy).await);
    for _ in 0..3 {
        // In the middle of a request, so that it holds its share of everything.
        let left = BytesMut::from(&produce_bytes(1, 300_000)[..1_000]);
        broker.serve_stream(Panics { left }, ([127, 0, 0, 1], 1).into(), 0).await;
        assert!(is_served(&mut healthy).await);
    }
    assert!(is_served(&mut RawPeer::connect(broker.addresses()[0]).await).await, "its place is free again");
    assert!(Peer::connect(&broker, Way::InProcess).await.call(MetadataRequest::default()).await.topics.is_empty());
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_address_are_counted() {
    for (settings, allowed) in [
        ("max.connections.per.ip=1", 1),
        ("max.connections.per.ip=1\nmax.connections.per.ip.overrides=127.0.0.1:3", 3),
        ("max.connections.per.ip.overrides=127.0.0.1:2", 2),
    ] {
        let broker = start(settings).await;
        let mut peers = Vec::new();
        for number in 1..=allowed + 1 {
            let mut peer = RawPeer::connect(broker.addresses()[0]).await;
            assert_eq!(is_served(&mut peer).await, number <= allowed, "{settings}: {number}");
            peers.push(peer);
        }
        // When one goes, another may come.
        peers.clear();
        let began = Instant::now();
        while !is_served(&mut RawPeer::connect(broker.addresses()[0]).await).await {
            assert!(began.elapsed() < PATIENCE);
        }
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_closed_and_who_waits_is_not() {
    let broker = start("connections.max.idle.ms=300").await;
    Peer::connect(&broker, Way::Tcp).await.create_topic("t", 1).await;
    let mut waits = RawPeer::connect(broker.addresses()[0]).await;
    waits.request(12, 7, fetch_request("t", 0, 900)).await;
    let mut silent = RawPeer::connect(broker.addresses()[0]).await;
    assert_eq!(silent.frame().await, None);
    assert_eq!(waits.response::<FetchRequest>(12).await.0, 7);
    broker.shutdown().await.unwrap();
}

const SASL: &str = "listeners=SASL_PLAINTEXT://127.0.0.1:0\nsasl.enabled.mechanisms=SCRAM-SHA-256";

async fn start_with_sasl(settings: &str) -> Broker {
    let builder = Broker::builder().in_memory().properties(&format!("{SASL}\n{settings}")).expect("known settings");
    builder.start().await.expect("it starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_authentication_there_is_little_to_be_had_and_not_for_long() {
    let broker = start_with_sasl("sasl.server.max.receive.size=1000").await;
    let address = broker.addresses()[0];
    let mut asks = RawPeer::connect(address).await;
    asks.request(3, 1, ApiVersionsRequest::default()).await;
    assert_eq!(asks.response::<ApiVersionsRequest>(3).await.0, 1);
    asks.request(1, 2, SaslHandshakeRequest { mechanism: "SCRAM-SHA-256".into() }).await;
    assert_eq!(asks.response::<SaslHandshakeRequest>(1).await.1.error_code, 0);
    asks.request(9, 3, MetadataRequest::default()).await;
    assert_eq!(asks.frame().await, None, "not before it has authenticated");
    let mut large = RawPeer::connect(address).await;
    large.send(&1_001i32.to_be_bytes()).await;
    assert_eq!(large.frame().await, None, "closed at its length, before any of it has come");
    broker.shutdown().await.unwrap();

    let broker = start_with_sasl("riverrun.authentication.timeout.ms=200").await;
    let mut asks = RawPeer::connect(broker.addresses()[0]).await;
    // However busy it is with nothing: the deadline is that of the whole exchange.
    asks.request(3, 1, ApiVersionsRequest::default()).await;
    assert_eq!(asks.response::<ApiVersionsRequest>(3).await.0, 1);
    asks.request(1, 2, SaslHandshakeRequest { mechanism: "SCRAM-SHA-256".into() }).await;
    asks.response::<SaslHandshakeRequest>(1).await;
    assert_eq!(asks.frame().await, None);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_grows_when_it_is_decoded_is_not() {
    let broker = start("riverrun.request.max.decoded.bytes=2000").await;
    let mut peer = RawPeer::connect(broker.addresses()[0]).await;
    assert!(is_served(&mut peer).await);
    // Three bytes each on the wire.
    let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic; 200]), ..Default::default() };
    peer.request(9, 2, request).await;
    assert_eq!(peer.frame().await, None);
    assert!(is_served(&mut RawPeer::connect(broker.addresses()[0]).await).await);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_on_one_connection_are_few() {
    let broker = start("riverrun.connection.inflight.max=2").await;
    Peer::connect(&broker, Way::Tcp).await.create_topic("t", 1).await;
    let mut peer = RawPeer::connect(broker.addresses()[0]).await;
    for correlation_id in 0..2 {
        peer.request(12, correlation_id, fetch_request("t", 0, 60_000)).await;
    }
    // Were it handled before the fetches are answered, they would be answered by it.
    peer.request(9, 2, produce_request("t", batch(&["mine"]), -1)).await;
    let other = Peer::connect(&broker, Way::Tcp).await;
    assert_eq!(other.produce("t", batch(&["others"])).await.base_offset, 0);
    for correlation_id in 0..2 {
        assert_eq!(peer.response::<FetchRequest>(12).await.0, correlation_id);
    }
    assert_eq!(single(peer.response::<ProduceRequest>(9).await.1).base_offset, 1);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_is_not_offered_where_nobody_receives_it() {
    let broker = start("").await;
    for way in common::BOTH {
        let peer = Peer::connect(&broker, way).await;
        let request = ApiVersionsRequest { client_software_name: "t".into(), client_software_version: "1".into() };
        let versions = peer.call(request).await;
        assert_eq!(versions.error_code, ErrorCode::None.code());
        // GetTelemetrySubscriptions, PushTelemetry.
        assert!(versions.api_keys.iter().all(|api| ![71, 72].contains(&api.api_key)));
    }
    broker.shutdown().await.unwrap();
}

fn join(group: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"sub") }],
        ..Default::default()
    }
}

fn beat(group: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

fn share_beat(group: &str, member: &str) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        subscribed_topic_names: Some(vec!["t".into()]),
        ..Default::default()
    }
}

/// Asks again as a client does, as long as the coordinator is not ready.
async fn settled<R>(ask: impl AsyncFn() -> (i16, R)) -> (i16, R) {
    let not_ready =
        [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];
    let began = Instant::now();
    loop {
        let answer = ask().await;
        if !not_ready.iter().any(|code| code.code() == answer.0) || began.elapsed() > PATIENCE {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

async fn find(peer: &Peer, key_type: i8, key: &str) {
    let ask = async || {
        let request = FindCoordinatorRequest { key_type, coordinator_keys: vec![key.into()], ..Default::default() };
        (peer.call(request).await.coordinators[0].error_code, ())
    };
    assert_eq!(settled(ask).await.0, 0, "{key}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_their_members_are_counted() {
    const FULL: i16 = ErrorCode::GroupMaxSizeReached.code();
    const KNOWN: i16 = ErrorCode::MemberIdRequired.code();
    for way in common::BOTH {
        let broker = start(
            "group.max.size=2\ngroup.consumer.max.size=1\ngroup.share.max.size=1\nriverrun.groups.per.partition.max=2\n\
             offsets.topic.num.partitions=1",
        )
        .await;
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        find(&peer, 0, "g").await;
        // Classic: a member that was given an id takes a place.
        let joined = async |group| settled(async || (peer.call_in(4, join(group)).await.error_code, ())).await.0;
        assert_eq!([joined("g").await, joined("g").await, joined("g").await], [KNOWN, KNOWN, FULL], "{way:?}");
        // Of the consumer protocol and of share groups.
        let consumes =
            async |group, member| settled(async || (peer.call(beat(group, member)).await.error_code, ())).await.0;
        assert_eq!([consumes("c", "m1").await, consumes("c", "m2").await], [0, FULL], "{way:?}");
        let shares =
            async |group, member| settled(async || (peer.call(share_beat(group, member)).await.error_code, ())).await.0;
        assert_eq!([shares("s", "m1").await, shares("s", "m2").await], [0, FULL], "{way:?}");
        // A third group; share groups are counted apart.
        assert_eq!([joined("x").await, consumes("y", "m1").await], [FULL; 2], "{way:?}");
        assert_eq!([shares("z", "m1").await, shares("w", "m1").await], [0, FULL], "{way:?}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactional_ids_are_counted() {
    for way in common::BOTH {
        let broker =
            start("riverrun.transactional.ids.per.partition.max=2\ntransaction.state.log.num.partitions=1").await;
        let peer = Peer::connect(&broker, way).await;
        find(&peer, 1, "a").await;
        let init = async |id: &str| {
            let ask = async || {
                let transactional_id = Some(id.to_owned());
                let request =
                    InitProducerIdRequest { transactional_id, transaction_timeout_ms: 1_000, ..Default::default() };
                (peer.call(request).await.error_code, ())
            };
            settled(ask).await.0
        };
        assert_eq!([init("a").await, init("b").await], [0, 0]);
        assert_eq!(init("c").await, ErrorCode::PolicyViolation.code(), "{way:?}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_leave_behind_has_a_budget_and_it_can_be_raised() {
    const FULL: i16 = ErrorCode::GroupMaxSizeReached.code();
    for way in common::BOTH {
        let broker = start("riverrun.state.max.bytes=100000\noffsets.topic.num.partitions=1").await;
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        find(&peer, 0, "g").await;
        let joins = async |number: usize| {
            let beat = async || (peer.call(beat(&format!("g{number}"), "m")).await.error_code, ());
            settled(beat).await.0
        };
        let mut groups = 0;
        while joins(groups).await == 0 {
            groups += 1;
            assert!(groups < 100, "each takes a kilobyte or more");
        }
        assert!(groups > 0);
        assert_eq!(joins(groups).await, FULL, "{way:?}");
        assert_eq!(joins(0).await, 0, "{way:?}: who is there begins anew");
        let config = AlterableConfig {
            name: "riverrun.state.max.bytes".into(),
            config_operation: 0,
            value: Some("200000".into()),
        };
        let resource = AlterConfigsResource { resource_type: 4, resource_name: "1".into(), configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        assert_eq!(
            peer.call(request).await.responses[0].error_code,
            0,
            "{way:?}: not held back by the limit it raises"
        );
        assert_eq!(joins(groups).await, 0, "{way:?}");
        broker.shutdown().await.unwrap();
    }
}
