//! Learn to embed the broker: the same topics are reached in process, without sockets, and over a port, where any Kafka
//! client may connect.
//!
//! Run it with `cargo run --example embedded_broker`.

use futures::{StreamExt, TryStreamExt};
use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, Client, ConsumerRecord, ProducerRecord, TopicPartition},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // For a broker that keeps what it has, give it `.data_dir("...")` in place of `.in_memory()`.
    let broker = Broker::builder().in_memory().listen("127.0.0.1:0").start().await?;
    let address = broker.addresses()[0].to_string();
    println!("kcat -b {address} -L");

    let inside = broker.client();
    let outside = Client::connect(&address).await?;

    // What is written inside can be read outside, and the other way around.
    write(&inside, "from-inside", ["one", "two"]).await?;
    assert_eq!(read(&outside, "from-inside", 2).await?, ["one", "two"]);
    write(&outside, "from-outside", ["three", "four"]).await?;
    assert_eq!(read(&inside, "from-outside", 2).await?, ["three", "four"]);

    let topics = inside.admin().list_topics().await?;
    let names: Vec<&str> = topics.iter().filter(|topic| !topic.is_internal).map(|topic| &*topic.name).collect();
    assert_eq!(names, ["from-inside", "from-outside"], "made when first written to");
    println!("{names:?}");

    broker.shutdown().await?;
    Ok(())
}

async fn write<const N: usize>(client: &Client, topic: &str, values: [&'static str; N]) -> anyhow::Result<()> {
    let producer = client.producer().build()?;
    for value in values {
        // The first await is for a place in the buffer, the second for the broker's acknowledgement.
        let written = producer.send(ProducerRecord::to(topic).value(value)).await?.await?;
        println!("{value} is at offset {} of {}", written.offset, written.topic_partition);
    }
    producer.close().await;
    Ok(())
}

async fn read(client: &Client, topic: &str, count: usize) -> anyhow::Result<Vec<String>> {
    let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build()?;
    consumer.assign(&[TopicPartition::new(topic, 0)]);
    let text = |record: ConsumerRecord| String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
    Ok(consumer.into_stream().take(count).map_ok(text).try_collect().await?)
}
