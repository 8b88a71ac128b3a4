//! Learn how windows end: an average per five seconds is written once, when its window closes, and what comes later than
//! the grace allows goes to a topic of its own.
//!
//! Run it with `cargo run --example windowed_average`.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, Client, ConsumerRecord, NewTopic, ProducerRecord, TopicPartition},
    streams::{Streams, Topology, TopologyError, prelude::*},
};

const SIZE: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(1);
/// An arbitrary start of a window.
const START: i64 = 1_700_000_000_000;

/// Averages of `temperatures` per room and window.
fn averages() -> Result<Topology, TopologyError> {
    let b = StreamsBuilder::new("averages");
    let (windows, late) = b
        .stream("temperatures", (Utf8, F64))
        .group_by_key("by-room", (Utf8, F64))
        .windowed_by(TimeWindows::tumbling(SIZE).grace(GRACE))
        .emit(EmitStrategy::on_window_close())
        .with_late();
    windows
        .aggregate("sums", Json, || (0.0, 0), |_, celsius, (sum, count)| (*sum, *count) = (*sum + celsius, *count + 1))
        .map_values(|_, (sum, count): (f64, u32)| sum / f64::from(count))
        .to_stream()
        .to("averages", (Utf8.windowed(SIZE), F64.nullable()));
    late.map_values(|_, late: Late<f64>| late.value).to("late", (Utf8, F64));
    b.build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let broker = Broker::builder().in_memory().start().await?;
    let client = broker.client();
    let topics = ["temperatures", "averages", "late"].map(|name| NewTopic::new(name, 1));
    for (_, created) in client.admin().create_topics(&topics).await? {
        created?;
    }

    // Time is the records' own, so nothing here waits for a clock.
    let producer = client.producer().build()?;
    for (at_ms, celsius) in [
        (0, 20.0_f64),
        (4_900, 22.0),
        (5_000, 30.0),
        (3_000, 21.0),  // out of order, but within the grace: it counts
        (6_000, 25.0),  // closes the first window
        (4_000, 99.0),  // too late
        (11_000, 20.0), // closes the second window
    ] {
        let record = ProducerRecord::to("temperatures").key("kitchen").timestamp(START + at_ms);
        producer.send(record.value(celsius.to_be_bytes().to_vec())).await?.await?;
    }
    producer.close().await;

    let mut results = (Ok(Vec::new()), Ok(Vec::new()));
    let read = async { results = tokio::join!(read(&client, "averages", 2), read(&client, "late", 1)) };
    Streams::on(&broker).run(averages()?, read).await?;

    let mut averages = Vec::new();
    for (key, celsius) in results.0? {
        let Windowed { key: room, window } = Utf8.windowed(SIZE).decode(&key)?;
        println!(
            "{room}, {:>2} s to {:>2} s: {celsius} °C",
            (window.start - START) / 1_000,
            (window.end - START) / 1_000
        );
        averages.push((window.start - START, celsius));
    }
    let late: Vec<f64> = results.1?.into_iter().map(|(_, celsius)| celsius).collect();
    println!("late: {late:?}");
    assert_eq!(averages, [(0, 21.0), (5_000, 27.5)]);
    assert_eq!(late, [99.0]);
    broker.shutdown().await?;
    Ok(())
}

/// The first `count` records of a topic: keys as they are, values as numbers.
async fn read(client: &Client, topic: &str, count: usize) -> anyhow::Result<Vec<(Bytes, f64)>> {
    let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build()?;
    consumer.assign(&[TopicPartition::new(topic, 0)]);
    let records: Vec<ConsumerRecord> = consumer.into_stream().take(count).try_collect().await?;
    let typed =
        |ConsumerRecord { key, value, .. }| Ok((key.unwrap_or_default(), F64.decode(&value.unwrap_or_default())?));
    records.into_iter().map(typed).collect()
}
