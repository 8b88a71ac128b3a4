//! The stories every user lives through, each told in process and over TCP: records through every codec, a group that
//! rebalances, a restart.

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{BOTH, client, create_topic, read, start};
use riverrun::client::{AutoOffsetReset, Client, Consumer, ConsumerEvent, ProducerRecord};
use riverrun::core::{TopicPartition, record::Compression};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

async fn produce(client: &Client, topic: &str, compression: Compression, values: std::ops::Range<u32>) {
    let producer = client.producer().compression(compression).build().expect("a producer");
    let mut deliveries = Vec::new();
    for value in values {
        let record = ProducerRecord::to(topic)
            .key(format!("key-{}", value % 5).into_bytes())
            .value(format!("value {value} {}", "x".repeat(value as usize % 200)).into_bytes())
            .header("trace", "one")
            .header("trace", "two");
        deliveries.push(producer.send(record).await.expect("there is room"));
    }
    for delivery in deliveries {
        delivery.await.expect("delivered");
    }
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_pass_through_every_codec() {
    for reach in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = start(folder.path()).await;
        let client = client(&broker, reach).await;
        for codec in CODECS {
            let topic = format!("codec-{codec}");
            create_topic(&client, &topic, 1).await;
            produce(&client, &topic, codec, 0..200).await;
            let records = read(&client, &topic, 200).await;
            for (index, record) in records.iter().enumerate() {
                assert_eq!(record.offset, index as i64, "{reach:?} {codec}");
                let start = format!("value {index} ");
                assert!(record.value.as_deref().expect("a value").starts_with(start.as_bytes()), "{reach:?} {codec}");
                let headers: Vec<_> =
                    record.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
                let expected = ["one", "two"].map(|value| ("trace".to_owned(), Some(value.into())));
                assert_eq!(headers, expected, "headers keep order and doubles");
            }
        }
        broker.shutdown().await.expect("stops");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_offsets_outlive_a_restart() {
    for reach in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        for round in 0..3u32 {
            let broker = start(folder.path()).await;
            let client = client(&broker, reach).await;
            if round == 0 {
                create_topic(&client, "kept", 1).await;
            }
            produce(&client, "kept", Compression::Lz4, round * 50..(round + 1) * 50).await;
            let mut consumer = member(&client, "readers");
            let mut offsets = Vec::new();
            while offsets.len() < 50 {
                let records = consumer.poll(Duration::from_secs(30)).await.expect("a poll works");
                assert!(!records.is_empty(), "{reach:?}: records are missing");
                offsets.extend(records.into_iter().map(|record| record.offset));
            }
            let expected: Vec<i64> = (i64::from(round) * 50..i64::from(round + 1) * 50).collect();
            assert_eq!(offsets, expected, "{reach:?}: the group goes on where it committed");
            consumer.commit_consumed().await.expect("commits");
            consumer.close().await.expect("closes");
            broker.shutdown().await.expect("stops");
        }
    }
}

fn member(client: &Client, group: &str) -> Consumer {
    let builder = client.consumer().group(group).auto_offset_reset(AutoOffsetReset::Earliest).auto_commit(false);
    let mut consumer = builder.build().expect("a consumer");
    consumer.subscribe(&["kept"]);
    consumer
}

/// Polls members in turn until what they own is spread as `sizes` says.
async fn settle(members: &mut [Consumer], sizes: &[usize]) -> Vec<BTreeSet<TopicPartition>> {
    for _ in 0..1000 {
        for member in members.iter_mut() {
            // A short wait: the others must be polled for the rebalance to go on.
            let event = member.poll_event(Duration::from_millis(50)).await.expect("a poll works");
            assert!(!matches!(event, ConsumerEvent::Lost(_)), "{event:?}");
        }
        let owned: Vec<BTreeSet<_>> = members.iter().map(|member| member.assignment().into_iter().collect()).collect();
        let mut have: Vec<_> = owned.iter().map(BTreeSet::len).collect();
        have.sort_unstable();
        if have == sizes {
            return owned;
        }
    }
    panic!("the group does not settle on {sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_shares_partitions_and_takes_over_those_of_a_leaver() {
    for reach in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = start(folder.path()).await;
        let client = client(&broker, reach).await;
        create_topic(&client, "kept", 6).await;
        let mut members = vec![member(&client, "sharers")];
        settle(&mut members, &[6]).await;
        members.push(member(&client, "sharers"));
        members.push(member(&client, "sharers"));
        let owned = settle(&mut members, &[2, 2, 2]).await;
        let all: BTreeSet<_> = owned.iter().flatten().collect();
        assert_eq!(all.len(), 6, "{reach:?}: each partition has one owner");
        members.remove(0).close().await.expect("leaves");
        settle(&mut members, &[3, 3]).await;
        for member in members {
            member.close().await.expect("leaves");
        }
        broker.shutdown().await.expect("stops");
    }
}
