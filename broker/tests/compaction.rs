//! Compaction as clients see it: topics shrink to the last value of every key, tombstones go, positions of groups stay; in
//! process and over TCP, on disk and in memory.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod common;

use bytes::Bytes;
use common::{BOTH, PATIENCE, Peer, Way, builder};
use riverrun_broker::{Broker, BrokerBuilder};
use riverrun_core::{
    protocol::{
        ErrorCode,
        messages::{
            CreateTopicsRequest, DeleteTopicsRequest, FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest,
            create_topics::{CreatableTopic, CreatableTopicConfig},
            offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
            offset_fetch::OffsetFetchRequestGroup,
        },
    },
    record::{BatchBuilder, BatchOptions, DecompressLimits, batches},
};
use tokio::time::Instant;

/// Looks for something to compact all the time.
fn eager() -> BrokerBuilder {
    let settings = [
        ("log.cleaner.backoff.ms", "1"),
        ("log.cleaner.min.cleanable.ratio", "0"),
        ("log.cleaner.delete.retention.ms", "0"),
        ("offsets.topic.num.partitions", "1"),
        ("log.roll.ms", "1"),
    ];
    settings.iter().fold(builder(), |builder, (name, value)| builder.set(name, value).unwrap())
}

async fn create(peer: &Peer, name: &str) {
    let config = CreatableTopicConfig { name: "cleanup.policy".into(), value: Some("compact".into()) };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..Default::default()
    };
    let created = peer.call(CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
    assert_eq!(created.topics[0].error_code, 0, "{created:?}");
}

/// A producer whose every batch is older than the segment before may be: each has a segment of its own.
struct Writer<'p> {
    peer: &'p Peer,
    topic: &'static str,
    timestamp: i64,
}

impl Writer<'_> {
    async fn write(&mut self, key: &str, value: Option<&str>) {
        self.timestamp += 10;
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.append(self.timestamp, Some(key.as_bytes()), value.map(str::as_bytes), []).unwrap();
        let produced = self.peer.produce(self.topic, builder.build().unwrap()).await;
        assert_eq!(produced.error_code, 0, "{produced:?}");
    }

    async fn write_rounds(&mut self, rounds: usize) {
        for round in 0..rounds {
            for key in ["a", "b", "c"] {
                self.write(key, Some(&format!("{key}{round}"))).await;
            }
        }
    }
}

/// The keys and values a consumer from the beginning sees.
async fn consume(peer: &Peer, topic: &str) -> Vec<(Bytes, Option<Bytes>)> {
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let fetched = peer.fetch(topic, next, 0).await;
        assert_eq!(fetched.error_code, 0, "{fetched:?}");
        let records = fetched.records.unwrap_or_default();
        if records.is_empty() {
            assert_eq!(next, fetched.high_watermark, "the consumer gets to the end");
            return found;
        }
        for batch in batches(records) {
            let batch = batch.unwrap();
            next = batch.header().next_offset();
            for record in &batch.decode(&DecompressLimits::default()).unwrap() {
                let record = record.unwrap();
                let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
                found.push((record.key.map(bytes).unwrap_or_default(), record.value.map(bytes)));
            }
        }
    }
}

fn values(records: &[(Bytes, Option<Bytes>)]) -> Vec<&str> {
    records.iter().map(|(_, value)| str::from_utf8(value.as_deref().unwrap_or_default()).unwrap()).collect()
}

/// Ends a look at what the cleaner has done so far, which is at work in its own time.
async fn look_again(deadline: Instant, seen: usize) {
    assert!(Instant::now() < deadline, "still {seen} records");
    tokio::task::yield_now().await;
}

async fn shrinks(broker: &Broker, way: Way) {
    let peer = Peer::connect(broker, way).await;
    create(&peer, "t").await;
    Writer { peer: &peer, topic: "t", timestamp: 1000 }.write_rounds(20).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = consume(&peer, "t").await;
        // The segment that grows has the last one, and is not looked at.
        if values(&seen) == ["c18", "a19", "b19", "c19"] {
            break;
        }
        look_again(deadline, seen.len()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_sees_the_last_value_of_every_key() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = eager().data_dir(folder.path()).start().await.unwrap();
        shrinks(&broker, way).await;
        broker.shutdown().await.unwrap();
        let broker = eager().data_dir(folder.path()).start().await.unwrap();
        let seen = consume(&Peer::connect(&broker, way).await, "t").await;
        assert_eq!(values(&seen), ["c18", "a19", "b19", "c19"]);
        let checkpoint = std::fs::read_to_string(folder.path().join("cleaner-offset-checkpoint")).unwrap();
        assert_eq!(checkpoint, "0\n1\nt 0 59\n");
        let peer = Peer::connect(&broker, way).await;
        let request = DeleteTopicsRequest { topic_names: vec!["t".into()], timeout_ms: 1000, ..Default::default() };
        assert_eq!(peer.call_in(5, request).await.responses[0].error_code, 0);
        let checkpoint = std::fs::read_to_string(folder.path().join("cleaner-offset-checkpoint")).unwrap();
        assert_eq!(checkpoint, "0\n0\n");
        broker.shutdown().await.unwrap();

        let broker = eager().in_memory().start().await.unwrap();
        shrinks(&broker, way).await;
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleaner_that_is_off_leaves_everything() {
    let broker = eager().set("log.cleaner.enable", "false").unwrap().in_memory().start().await.unwrap();
    let peer = Peer::connect(&broker, Way::InProcess).await;
    create(&peer, "t").await;
    Writer { peer: &peer, topic: "t", timestamp: 1000 }.write_rounds(5).await;
    assert_eq!(consume(&peer, "t").await.len(), 15);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_goes_with_what_it_deletes() {
    for way in BOTH {
        let broker = eager().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        create(&peer, "t").await;
        let mut writer = Writer { peer: &peer, topic: "t", timestamp: 1000 };
        writer.write("gone", Some("value")).await;
        writer.write("gone", None).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            writer.write_rounds(1).await;
            let seen = consume(&peer, "t").await;
            if seen.iter().all(|(key, _)| key != "gone") {
                break;
            }
            look_again(deadline, seen.len()).await;
        }
        broker.shutdown().await.unwrap();
    }
}

async fn commit(peer: &Peer, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition { partition_index: 0, committed_offset: offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    peer.call_in(9, request).await.topics[0].partitions[0].error_code
}

async fn committed(peer: &Peer) -> i64 {
    loop {
        let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
        let fetched = peer.call_in(9, OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
        let group = &fetched.groups[0];
        if group.error_code != ErrorCode::CoordinatorLoadInProgress.code() {
            return group.topics[0].partitions[0].committed_offset;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_of_groups_are_compacted_and_survive_a_restart() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = eager().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        create(&peer, "t").await;
        let find = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
        assert_eq!(peer.call(find).await.coordinators[0].error_code, 0);
        let (mut last, deadline) = (0, Instant::now() + PATIENCE);
        loop {
            last += 1;
            assert_eq!(commit(&peer, last).await, 0);
            let seen = consume(&peer, "__consumer_offsets").await.len();
            if last > 50 && seen < 20 {
                break;
            }
            look_again(deadline, seen).await;
        }
        broker.shutdown().await.unwrap();
        let broker = eager().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(committed(&peer).await, last);
        assert_eq!(commit(&peer, last + 1).await, 0);
        assert_eq!(committed(&peer).await, last + 1);
        broker.shutdown().await.unwrap();
    }
}
