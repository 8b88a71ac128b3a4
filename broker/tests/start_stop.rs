//! Starts that work, starts that are refused and say why, and what survives a stop.

mod common;

use common::{BOTH, Peer, batch, builder, values};
use riverrun_broker::{Broker, StartError};
use riverrun_core::protocol::messages::{MetadataRequest, metadata::MetadataRequestTopic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_topics_and_ids_survive_a_restart() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 3).await;
        peer.produce("t", batch(&["a", "b"])).await;
        let (cluster, topic) = (broker.cluster_id().to_owned(), peer.describe_topic("t").await);
        broker.shutdown().await.unwrap();
        assert!(folder.path().join(".kafka_cleanshutdown").exists());
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!((broker.cluster_id(), peer.describe_topic("t").await), (cluster.as_str(), topic));
        assert_eq!(values(peer.fetch("t", 0, 0).await.records), ["a", "b"]);
        assert_eq!(peer.produce("t", batch(&["c"])).await.base_offset, 2);
        broker.shutdown().await.unwrap();
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_told_to_stop_leaves_what_the_next_one_needs() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join(".kafka_cleanshutdown");
    let unwanted = || builder().data_dir(folder.path()).start_unless(std::future::ready(()));
    assert!(matches!(unwanted().await, Err(StartError::Stopped)));
    assert!(mark.exists(), "what was closed cleanly, or is new, is so again");
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let peer = Peer::connect(&broker, common::Way::Tcp).await;
    peer.create_topic("t", 2).await;
    peer.produce("t", batch(&["a"])).await;
    broker.shutdown().await.unwrap();
    // As a crash leaves it.
    std::fs::remove_file(&mark).unwrap();
    assert!(matches!(unwanted().await, Err(StartError::Stopped)));
    assert!(!mark.exists(), "what was not looked at stays so");
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let peer = Peer::connect(&broker, common::Way::InProcess).await;
    assert_eq!(values(peer.fetch("t", 0, 0).await.records), ["a"]);
    broker.shutdown().await.unwrap();
    assert!(mark.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_only_dropped_lets_go_of_everything() {
    let folder = tempfile::tempdir().unwrap();
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let peer = Peer::connect(&broker, common::Way::Tcp).await;
    peer.create_topic("t", 1).await;
    peer.produce("t", batch(&["a"])).await;
    drop((peer, broker));
    let deadline = tokio::time::Instant::now() + common::PATIENCE;
    let broker = loop {
        match builder().data_dir(folder.path()).start().await {
            Ok(broker) => break broker,
            Err(error) => {
                assert!(tokio::time::Instant::now() < deadline, "{error}");
                tokio::task::yield_now().await;
            }
        }
    };
    let peer = Peer::connect(&broker, common::Way::InProcess).await;
    assert_eq!(values(peer.fetch("t", 0, 0).await.records), ["a"]);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_serves_one_broker_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = builder().data_dir(folder.path()).start().await.unwrap();
    let error = builder().data_dir(folder.path()).start().await.unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_directory_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let error = builder().data_dir(folder.path()).start().await.unwrap_err();
    assert!(error.to_string().contains("thesis.txt"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let other = tempfile::tempdir().unwrap();
    builder().data_dir(other.path()).start().await.unwrap().shutdown().await.unwrap();
    let error = builder().data_dir(other.path()).node_id(2).start().await.unwrap_err();
    assert!(error.to_string().contains("set node.id=1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_is_named_with_the_remedy() {
    let first = builder().in_memory().start().await.unwrap();
    let address = first.addresses()[0].to_string();
    let error = Broker::builder().in_memory().listen(&address).start().await.unwrap_err();
    assert!(matches!(error, StartError::AddressInUse { .. }), "{error:?}");
    assert!(error.to_string().contains(&address) && error.to_string().contains("port 0"), "{error}");
    let error = Broker::builder().in_memory().listen("nonsense").start().await.unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
    assert!(matches!(Broker::builder().start().await, Err(StartError::NoDataDirectory)));
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_reach_topics_and_listeners_their_clients() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\nnum.partitions=4\n", folder.path().display());
    let builder = Broker::builder().properties(&text).unwrap().set("num.io.threads", "8").unwrap();
    assert_eq!(builder.warnings(), ["num.io.threads has no effect"]);
    assert!(builder.has_data_dir() && builder.has_listener());
    assert!(builder.clone().set("num.partition", "1").unwrap_err().to_string().contains("`num.partitions`"));
    let broker = builder.listen("127.0.0.1:0").start().await.unwrap();
    assert_eq!(broker.addresses().len(), 2);
    let peer = Peer::connect(&broker, common::Way::Tcp).await;
    let topics = Some(vec![MetadataRequestTopic { name: Some("auto".into()), ..Default::default() }]);
    let request = MetadataRequest { topics, allow_auto_topic_creation: true, ..Default::default() };
    let metadata = peer.call(request).await;
    assert_eq!(metadata.topics[0].partitions.len(), 4);
    assert_eq!(metadata.brokers[0].port, i32::from(broker.addresses()[0].port()));
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn settings_of_groups_that_contradict_each_other_are_refused_in_kafkas_words() {
    for (settings, words) in [
        (
            &[("group.consumer.session.timeout.ms", "1000")][..],
            "group.consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            &[("group.consumer.heartbeat.interval.ms", "100000")],
            "group.consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms",
        ),
        (
            &[("group.consumer.min.session.timeout.ms", "70000")],
            "group.consumer.max.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            &[
                ("group.consumer.heartbeat.interval.ms", "15000"),
                ("group.consumer.min.session.timeout.ms", "1000"),
                ("group.consumer.session.timeout.ms", "14000"),
            ],
            "group.consumer.heartbeat.interval.ms must be less than group.consumer.session.timeout.ms",
        ),
        (
            &[("group.share.session.timeout.ms", "1000")],
            "group.share.session.timeout.ms must be greater than or equal to group.share.min.session.timeout.ms",
        ),
    ] {
        let mut broker = Broker::builder().in_memory();
        for (name, value) in settings {
            broker = broker.set(name, value).unwrap();
        }
        assert_eq!(broker.start().await.unwrap_err().to_string(), words);
    }
}
