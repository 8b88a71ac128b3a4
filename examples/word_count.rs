//! Learn to write a stream job and to run it with the broker in the same program: it counts words.
//!
//! Run it with `cargo run --example word_count`.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, ConsumerRecord, NewTopic, ProducerRecord, TopicPartition},
    streams::{Streams, prelude::*},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let broker = Broker::builder().in_memory().start().await?;
    let client = broker.client();
    for (_, created) in client.admin().create_topics(&[NewTopic::new("lines", 1), NewTopic::new("counts", 1)]).await? {
        created?;
    }

    // The job: a topology from topic to topic.
    let b = StreamsBuilder::new("word-count");
    b.stream("lines", (Raw, Utf8))
        .flat_map_values(|_, line: String| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by("by-word", (Utf8, Utf8), |_, word| word.clone())
        .count("words")
        .to_stream()
        .to("counts", (Utf8, I64.nullable()));
    let topology = b.build()?;

    // Its input.
    let producer = client.producer().build()?;
    for line in ["To be or not to be", "that is the question"] {
        producer.send(ProducerRecord::to("lines").value(line)).await?.await?;
    }
    producer.close().await;

    // The job runs until this is done: here, until ten words have been counted.
    let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build()?;
    consumer.assign(&[TopicPartition::new("counts", 0)]);
    let mut records = Ok(Vec::new());
    let counted = async { records = consumer.into_stream().take(10).try_collect().await };
    Streams::on(&broker).run(topology, counted).await?;

    // Each record of the output is a word's new count, so the last one holds.
    let mut counts = BTreeMap::new();
    for ConsumerRecord { key, value, .. } in records? {
        let (Some(key), Some(value)) = (key, value) else { continue };
        counts.insert(Utf8.decode(&key)?, I64.decode(&value)?);
    }
    for (word, count) in &counts {
        println!("{count} {word}");
    }
    assert_eq!((counts.len(), counts["to"], counts["be"], counts["question"]), (8, 2, 2, 1));
    broker.shutdown().await?;
    Ok(())
}
