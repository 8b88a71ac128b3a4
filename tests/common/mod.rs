//! What the suites share: a broker reached both ways, so that every story runs in process and over TCP.

use std::{path::Path, time::Duration};

use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, Client, ConsumerRecord, admin::NewTopic},
};

/// How a client reaches the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Typed requests handed over.
    InProcess,
    /// Frames over a socket.
    Tcp,
}

pub(crate) const BOTH: [Reach; 2] = [Reach::InProcess, Reach::Tcp];

/// An embedded broker on `data_dir`, listening on a free port, without the pause before a group's first rebalance.
pub(crate) async fn start(data_dir: &Path) -> Broker {
    Broker::builder()
        .data_dir(data_dir)
        .listen("127.0.0.1:0")
        .set("group.initial.rebalance.delay.ms", "0")
        .expect("a known setting")
        .start()
        .await
        .expect("the broker starts")
}

/// A client of `broker`.
pub(crate) async fn client(broker: &Broker, reach: Reach) -> Client {
    match reach {
        Reach::InProcess => broker.client(),
        Reach::Tcp => Client::connect(&broker.addresses()[0].to_string()).await.expect("the broker answers"),
    }
}

pub(crate) async fn create_topic(client: &Client, name: &str, partitions: i32) {
    let results = client.admin().create_topics(&[NewTopic::new(name, partitions)]).await.expect("the call works");
    for (_, result) in results {
        result.expect("the topic is made");
    }
}

/// Reads `count` records of all of `topic` from its beginning; what has not come after 30 s never will.
pub(crate) async fn read(client: &Client, topic: &str, count: usize) -> Vec<ConsumerRecord> {
    let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build().expect("a consumer");
    let partitions: Vec<_> = consumer.partitions_for(topic).await.expect("the topic is known");
    let partitions: Vec<_> = partitions.into_iter().map(|info| info.topic_partition).collect();
    consumer.assign(&partitions);
    let mut records = Vec::new();
    while records.len() < count {
        let batch = consumer.poll(Duration::from_secs(30)).await.expect("a poll works");
        assert!(!batch.is_empty(), "only {} of {count} records of {topic} came", records.len());
        records.extend(batch);
    }
    consumer.close().await.expect("closes");
    records
}
