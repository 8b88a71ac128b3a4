//! Caps on connections, over TCP: who waits, who is closed, and that every cap can be changed while the broker runs.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, Peer, RawPeer, Way, builder};
use riverrun_broker::Broker;
use riverrun_core::protocol::messages::{
    IncrementalAlterConfigsRequest, MetadataRequest,
    incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
};

/// How long a connection that waits is watched.
const WHILE: Duration = Duration::from_millis(50);

async fn start(settings: &str) -> Broker {
    builder().in_memory().properties(settings).unwrap().start().await.unwrap()
}

/// Sets a setting of the broker by a client in the process, which is no connection. The error code.
async fn alter(broker: &Broker, name: &str, value: &str) -> i16 {
    let config = AlterableConfig { name: name.into(), config_operation: 0, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type: 4, resource_name: "1".into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    Peer::connect(broker, Way::InProcess).await.call(request).await.responses[0].error_code
}

/// A connection that has asked something.
async fn asking(broker: &Broker) -> RawPeer {
    let mut peer = RawPeer::connect(broker.addresses()[0]).await;
    ask(&mut peer).await;
    peer
}

async fn ask(peer: &mut RawPeer) {
    peer.request(9, 7, MetadataRequest::default()).await;
}

/// Whether what was asked is answered; else the connection was closed.
async fn is_answered(peer: &mut RawPeer) -> bool {
    peer.frame().await.is_some()
}

/// Whether neither an answer nor an end comes for a while.
async fn waits(peer: &mut RawPeer) -> bool {
    tokio::time::timeout(WHILE, peer.frame()).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_cap_a_connection_waits_until_one_goes() {
    for setting in ["max.connections", "listener.name.plaintext.max.connections"] {
        let broker = start(&format!("{setting}=2")).await;
        let (mut first, mut second) = (asking(&broker).await, asking(&broker).await);
        assert!(is_answered(&mut first).await && is_answered(&mut second).await);
        let (mut third, mut fourth) = (asking(&broker).await, asking(&broker).await);
        assert!(waits(&mut third).await && waits(&mut fourth).await, "{setting}");
        ask(&mut first).await;
        assert!(is_answered(&mut first).await, "those that are open are served, {setting}");
        drop(second);
        assert!(is_answered(&mut third).await, "in their order, {setting}");
        assert!(waits(&mut fourth).await, "{setting}");
        drop(third);
        assert!(is_answered(&mut fourth).await, "{setting}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_stops_while_connections_wait() {
    let broker = start("max.connections=0").await;
    let mut waiting = asking(&broker).await;
    assert!(waits(&mut waiting).await);
    tokio::time::timeout(PATIENCE, broker.shutdown()).await.expect("in time").unwrap();
    assert!(!is_answered(&mut waiting).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_let_in_when_the_cap_is_raised() {
    for setting in ["max.connections", "listener.name.plaintext.max.connections"] {
        let broker = start(&format!("{setting}=1")).await;
        let mut first = asking(&broker).await;
        assert!(is_answered(&mut first).await);
        let (mut second, mut third) = (asking(&broker).await, asking(&broker).await);
        assert!(waits(&mut second).await, "{setting}");
        assert_ne!(alter(&broker, setting, "-1").await, 0);
        assert_eq!(alter(&broker, setting, "2").await, 0);
        assert!(is_answered(&mut second).await, "{setting}");
        assert!(waits(&mut third).await, "{setting}");
        assert_eq!(alter(&broker, setting, "3").await, 0);
        assert!(is_answered(&mut third).await, "{setting}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_cap_falls_the_longest_silent_are_closed() {
    let broker = start("").await;
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = asking(&broker).await;
        assert!(is_answered(&mut peer).await);
        peers.push(peer);
    }
    // Times are taken in milliseconds.
    for index in [2, 0] {
        assert!(waits(&mut peers[index]).await);
        ask(&mut peers[index]).await;
        assert!(is_answered(&mut peers[index]).await);
    }
    assert_eq!(alter(&broker, "max.connections", "2").await, 0);
    for (index, stays) in [(1, false), (3, false), (0, true), (2, true)] {
        if stays {
            ask(&mut peers[index]).await;
        }
        assert_eq!(is_answered(&mut peers[index]).await, stays, "{index}");
    }
    assert!(waits(&mut asking(&broker).await).await, "there is no room for another");
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caps_of_addresses_change_for_those_that_come() {
    let broker = start("").await;
    let mut open = Vec::new();
    for (setting, value, lets_in) in [
        ("max.connections.per.ip", "1", true),
        ("max.connections.per.ip", "2", true),
        ("max.connections.per.ip", "2", false),
        ("max.connections.per.ip.overrides", "10.0.0.1:7,127.0.0.1:3", true),
        ("max.connections.per.ip.overrides", "10.0.0.1:7,127.0.0.1:3", false),
        ("max.connections.per.ip.overrides", "10.0.0.1:7", false),
        ("max.connections.per.ip", "1", false),
        ("max.connections.per.ip", "4", true),
    ] {
        assert_eq!(alter(&broker, setting, value).await, 0, "{setting}={value}");
        let mut peer = asking(&broker).await;
        assert_eq!(is_answered(&mut peer).await, lets_in, "{setting}={value}");
        if lets_in {
            open.push(peer);
        }
    }
    assert_ne!(alter(&broker, "max.connections.per.ip.overrides", "127.0.0.1:many").await, 0);
    for peer in &mut open {
        ask(peer).await;
        assert!(is_answered(peer).await, "nobody was closed for a cap that fell");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_of_connections_changes() {
    for setting in ["max.connection.creation.rate", "listener.name.plaintext.max.connection.creation.rate"] {
        let broker = start("quota.window.num=2").await;
        assert_eq!(alter(&broker, setting, "1").await, 0);
        let began = Instant::now();
        for _ in 0..3 {
            assert!(is_answered(&mut asking(&broker).await).await);
        }
        assert!(began.elapsed() >= Duration::from_millis(900), "{setting}: {:?}", began.elapsed());
        assert_eq!(alter(&broker, setting, "2147483647").await, 0);
        let began = Instant::now();
        for _ in 0..20 {
            assert!(is_answered(&mut asking(&broker).await).await);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{setting}: {:?}", began.elapsed());
        broker.shutdown().await.unwrap();
    }
}
