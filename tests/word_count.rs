//! The word-count job in a test: in process with the broker, over TCP, and on another cluster, such as Apache Kafka, whose
//! address is in `RIVERRUN_TEST_BOOTSTRAP`.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, TryStreamExt};
use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, Client, ConsumerRecord, NewTopic, ProducerRecord, TopicPartition},
    streams::{Streams, Topology, prelude::*},
};

type TestResult = Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn words_are_counted() -> TestResult {
    let broker = Broker::builder().in_memory().start().await?;
    let counts = count_words(broker.client(), &["To be or not to be", "that is the question"]).await?;
    assert_eq!(counts["be"], 2);
    assert_eq!(counts.values().sum::<i64>(), 10);
    Ok(broker.shutdown().await?)
}

#[tokio::test]
async fn words_are_counted_over_tcp() -> TestResult {
    let broker = Broker::builder().in_memory().listen("127.0.0.1:0").start().await?;
    let client = Client::connect(&broker.addresses()[0].to_string()).await?;
    let counts = count_words(client, &["to be or", "not to be"]).await?;
    assert_eq!(counts, BTreeMap::from([("be", 2), ("not", 1), ("or", 1), ("to", 2)].map(|(w, n)| (w.to_owned(), n))));
    Ok(broker.shutdown().await?)
}

#[tokio::test]
async fn words_are_counted_on_another_cluster() -> TestResult {
    let Ok(bootstrap) = std::env::var("RIVERRUN_TEST_BOOTSTRAP") else {
        eprintln!("SKIPPED: set RIVERRUN_TEST_BOOTSTRAP=host:port to run the word count on another cluster");
        return Ok(());
    };
    let counts = count_words(Client::connect(&bootstrap).await?, &["to be or", "not to be"]).await?;
    assert_eq!((counts["to"], counts["or"]), (2, 1));
    Ok(())
}

/// The job itself, from topic to topic.
fn word_count(app: &str, lines: &str, counts: &str) -> Result<Topology, Box<dyn std::error::Error>> {
    let b = StreamsBuilder::new(app);
    b.stream(lines, (Raw, Utf8))
        .flat_map_values(|_, line: String| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by("by-word", (Utf8, Utf8), |_, word| word.clone())
        .count("words")
        .to_stream()
        .to(counts, (Utf8, I64.nullable()));
    Ok(b.build()?)
}

/// Runs the job over `text` until each of its words has been counted.
async fn count_words(client: Client, text: &[&str]) -> Result<BTreeMap<String, i64>, Box<dyn std::error::Error>> {
    // Names of this run's own, for clusters that others use too.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let (app, lines, counts) = (format!("words-{now}"), format!("lines-{now}"), format!("counts-{now}"));
    for (_, created) in client.admin().create_topics(&[NewTopic::new(&lines, 1), NewTopic::new(&counts, 1)]).await? {
        created?;
    }
    let producer = client.producer().build()?;
    for line in text {
        producer.send(ProducerRecord::to(&*lines).value((*line).to_owned())).await?.await?;
    }
    producer.close().await;

    let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build()?;
    consumer.assign(&[TopicPartition::new(&*counts, 0)]);
    let words: usize = text.iter().map(|line| line.split_whitespace().count()).sum();
    let mut records = Ok(Vec::new());
    let counted = async { records = consumer.into_stream().take(words).try_collect().await };
    Streams::on(client).run(word_count(&app, &lines, &counts)?, counted).await?;

    let count = |ConsumerRecord { key, value, .. }: ConsumerRecord| {
        Ok((Utf8.decode(&key.unwrap_or_default())?, I64.decode(&value.unwrap_or_default())?))
    };
    records?.into_iter().map(count).collect()
}
