//! Learn how members of a consumer group share a topic: partitions move when one joins or leaves, and commits made
//! before they move see to it that nothing is handled twice.
//!
//! Run it with `cargo run --example consumer_group`.

use std::{ops::Range, time::Duration};

use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, Client, Consumer, ConsumerEvent, ProducerRecord},
};

/// A consumer and the numbers it has handled.
struct Member {
    name: &'static str,
    consumer: Consumer,
    handled: Vec<u32>,
}

impl Member {
    fn join(client: &Client, name: &'static str) -> anyhow::Result<Self> {
        let mut consumer = client
            .consumer()
            .group("workers")
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .auto_commit(false)
            .heartbeat_interval(Duration::from_millis(50))
            .build()?;
        consumer.subscribe(&["jobs"]);
        Ok(Self { name, consumer, handled: Vec::new() })
    }

    /// Deals with what comes next, if anything does for a moment.
    async fn step(&mut self) -> anyhow::Result<()> {
        match self.consumer.poll_event(Duration::from_millis(50)).await? {
            ConsumerEvent::Assigned(partitions) => println!("{} gets {partitions:?}", self.name),
            ConsumerEvent::Revoked(partitions) => {
                // They go at the next poll. Whoever gets them begins at what is committed now.
                println!("{} gives {partitions:?} back", self.name);
                self.consumer.commit_consumed().await?;
            }
            ConsumerEvent::Records(records) => {
                for value in records.into_iter().filter_map(|record| record.value) {
                    self.handled.push(String::from_utf8_lossy(&value).parse()?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let broker = Broker::builder().in_memory().set("num.partitions", "4")?.start().await?;
    let client = broker.client();

    // Alone, a member has all partitions.
    produce(&client, 0..40).await?;
    let mut ann = Member::join(&client, "ann")?;
    while ann.handled.len() < 40 {
        ann.step().await?;
    }
    assert_eq!(ann.consumer.assignment().len(), 4);

    // With a second one, each has half of them.
    let mut bob = Member::join(&client, "bob")?;
    while (ann.consumer.assignment().len(), bob.consumer.assignment().len()) != (2, 2) {
        tokio::try_join!(ann.step(), bob.step())?;
    }
    produce(&client, 40..80).await?;
    while ann.handled.len() + bob.handled.len() < 80 {
        tokio::try_join!(ann.step(), bob.step())?;
    }
    assert!(ann.handled.len() > 40 && !bob.handled.is_empty());

    // When one leaves, the other takes over; it begins where the first has committed.
    ann.consumer.commit_consumed().await?;
    ann.consumer.close().await?;
    produce(&client, 80..120).await?;
    while ann.handled.len() + bob.handled.len() < 120 {
        bob.step().await?;
    }
    assert_eq!(bob.consumer.assignment().len(), 4);
    println!("ann has handled {}, bob {}", ann.handled.len(), bob.handled.len());
    let mut all = [ann.handled, bob.handled].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..120), "each once");
    broker.shutdown().await?;
    Ok(())
}

async fn produce(client: &Client, numbers: Range<u32>) -> anyhow::Result<()> {
    let producer = client.producer().build()?;
    for number in numbers {
        producer.send(ProducerRecord::to("jobs").key(number.to_string()).value(number.to_string())).await?.await?;
    }
    producer.close().await;
    Ok(())
}
