//! Learn what grouping by another key costs: the records go through a topic of their own, so that all of one key meet
//! in one task. `describe()` shows it before anything runs.
//!
//! Run it with `cargo run --example repartition`.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, ConsumerRecord, NewTopic, ProducerRecord, TopicPartition},
    streams::{NodeRole, Streams, Topology, TopologyError, prelude::*},
};
use serde::{Deserialize, Serialize};

/// An order; the topic's key is its number.
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    customer: String,
    cents: i64,
}

/// What each customer has spent.
fn spending() -> Result<Topology, TopologyError> {
    let b = StreamsBuilder::new("spending");
    b.stream("orders", (Utf8, Json))
        .group_by("by-customer", (Utf8, Json), |_, order: &Order| order.customer.clone())
        .aggregate("spent", I64, || 0, |_, order, cents| *cents += order.cents)
        .to_stream()
        .to("spent", (Utf8, I64.nullable()));
    b.build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let topology = spending()?;
    let description = topology.describe();
    println!("{description}");
    // One part writes the repartition topic, the other reads it; they share nothing else.
    let reads = |part: usize| description.subtopologies[part].nodes[0].role.clone();
    assert_eq!(description.subtopologies.len(), 2);
    assert_eq!(reads(0), NodeRole::Source { topics: vec!["orders".to_owned()] });
    assert_eq!(reads(1), NodeRole::Source { topics: vec!["by-customer-repartition".to_owned()] });

    let broker = Broker::builder().in_memory().start().await?;
    let client = broker.client();
    for (_, created) in client.admin().create_topics(&[NewTopic::new("orders", 3), NewTopic::new("spent", 1)]).await? {
        created?;
    }
    let producer = client.producer().build()?;
    for number in 0..100 {
        let customer = ["ann", "bob"][number % 2];
        let order = format!(r#"{{"customer": "{customer}", "cents": {}}}"#, number % 2 + 1);
        producer.send(ProducerRecord::to("orders").key(number.to_string()).value(order)).await?.await?;
    }
    producer.close().await;

    // Three partitions of `orders` and as many of the repartition topic: six tasks, on two workers.
    let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build()?;
    consumer.assign(&[TopicPartition::new("spent", 0)]);
    let mut records = Ok(Vec::new());
    let read = async { records = consumer.into_stream().take(100).try_collect().await };
    Streams::on(&broker).threads(2).run(topology, read).await?;

    let mut spent = BTreeMap::new();
    for ConsumerRecord { key, value, .. } in records? {
        spent.insert(Utf8.decode(&key.unwrap_or_default())?, I64.decode(&value.unwrap_or_default())?);
    }
    assert_eq!(spent, BTreeMap::from([("ann".to_owned(), 50), ("bob".to_owned(), 100)]));

    let topics = client.admin().list_topics().await?;
    let repartition = topics.iter().find(|topic| &*topic.name == "spending-by-customer-repartition");
    assert_eq!(repartition.map(|topic| topic.partitions), Some(3), "as many as the topic it is filled from");
    println!("{spent:?}");
    broker.shutdown().await?;
    Ok(())
}
