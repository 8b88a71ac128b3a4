//! A broker that goes away and comes back at the same address: a producer and a group member that were at work go on,
//! every record arrives once and in order.

use std::{collections::HashMap, path::Path, time::Duration};

use riverrun_broker::Broker;
use riverrun_client::{AutoOffsetReset, Client, NewTopic, ProducerRecord, TopicPartition};
use tokio::time::{Instant, timeout};

async fn broker(data_dir: &Path, listen: &str) -> Broker {
    let builder = Broker::builder().data_dir(data_dir).listen(listen);
    let builder = builder.set("group.initial.rebalance.delay.ms", "0").expect("a setting");
    builder.start().await.expect("the broker starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producer_and_member_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = broker(folder.path(), "127.0.0.1:0").await;
    let address = first.addresses()[0].to_string();
    let client = Client::connect(&address).await.expect("the broker answers");
    client.admin().create_topics(&[NewTopic::new("t", 2)]).await.expect("created")["t"].as_ref().expect("created");
    let builder = client.consumer().group("g").auto_offset_reset(AutoOffsetReset::Earliest).auto_commit(false);
    let mut consumer = builder.build().expect("settings");
    consumer.subscribe(&["t"]);
    let producer = client.producer().build().expect("settings");
    let mut deliveries = Vec::new();
    let mut broker_now = Some(first);
    for index in 0..300 {
        let record = ProducerRecord::to("t").partition(index % 2).value(index.to_string());
        deliveries.push(producer.send(record).await.expect("accepted"));
        if index % 100 == 50 {
            let down = broker_now.take().expect("it runs");
            let (stopped, ()) = tokio::join!(down.shutdown(), async {
                for late in 0..3 {
                    let record = ProducerRecord::to("t").partition(0).value(format!("during-{index}-{late}"));
                    deliveries.push(producer.send(record).await.expect("accepted"));
                }
            });
            stopped.expect("it stops");
            drop(down);
            broker_now = Some(broker(folder.path(), &address).await);
        }
    }
    timeout(Duration::from_secs(60), producer.flush()).await.expect("all is told");
    let mut sent: HashMap<i32, Vec<i64>> = HashMap::new();
    for delivery in deliveries {
        let written = delivery.await.expect("written");
        sent.entry(written.topic_partition.partition).or_default().push(written.offset);
    }
    for offsets in sent.values() {
        let expected: Vec<i64> = (0..).take(offsets.len()).collect();
        assert_eq!(*offsets, expected, "each once and in order");
    }
    let mut seen: HashMap<i32, Vec<i64>> = HashMap::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while seen.values().map(Vec::len).sum::<usize>() < 309 {
        assert!(Instant::now() < deadline, "records are missing: {seen:?}");
        match consumer.poll(Duration::from_millis(500)).await {
            Ok(records) => {
                for record in records {
                    seen.entry(record.partition).or_default().push(record.offset);
                }
            }
            Err(error) => assert!(error.is_retriable(), "{error}"),
        }
    }
    assert_eq!(seen, sent);
    consumer.commit_consumed().await.expect("committed");
    let committed = consumer.committed(&[TopicPartition::new("t", 0)]).await.expect("asked");
    assert_eq!(committed[&TopicPartition::new("t", 0)].offset, 159);
    consumer.close().await.expect("closed");
    producer.close().await;
}
