//! Learn to write a source connector: lines that a TCP server sends become records of a topic.
//!
//! The server and the broker are in this program too. Run it with `cargo run --example connector_source`.

use futures::{StreamExt, TryStreamExt};
use riverrun::{
    broker::Broker,
    client::{AutoOffsetReset, ConsumerRecord, TopicPartition},
    connect::{Connectors, Properties, Source, SourceContext, SourceRecord, TaskError, Worker, config},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
};

config! {
    /// What the feed can be told: keys, types, and what they mean.
    struct LineFeedConfig {
        /// Where the lines come from, `host:port`.
        address: String = "address", High;
        /// Topic the lines go to.
        topic: String = "topic", High;
    }
}

struct LineFeed {
    lines: Lines<BufReader<TcpStream>>,
    topic: String,
}

impl Source for LineFeed {
    type Config = LineFeedConfig;

    async fn start(config: LineFeedConfig, _: SourceContext) -> Result<Self, TaskError> {
        let stream = TcpStream::connect(config.address).await?;
        Ok(Self { lines: BufReader::new(stream).lines(), topic: config.topic })
    }

    async fn poll(&mut self) -> Result<Vec<SourceRecord>, TaskError> {
        match self.lines.next_line().await? {
            Some(line) => Ok(vec![SourceRecord::new(self.topic.as_str(), line)]),
            // A failed task is started again after a while: that connects anew.
            None => Err(TaskError::fatal("the server has closed the connection")),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let broker = Broker::builder().in_memory().start().await?;
    let worker = Worker::builder(&broker)
        .connectors(Connectors::builtin().with_source::<LineFeed>("line-feed"))
        .connector(
            Properties::connector("ships", "line-feed")
                .set("address", server.local_addr()?)
                .set("topic", "positions")
                .set("value.converter", "string")
                .set("restart.delay.ms", 100),
        )
        .start()?;

    // The server hangs up after two lines, and sends the third to whoever connects again.
    let (mut connection, _) = server.accept().await?;
    connection.write_all(b"Pequod 41.28N 70.10W\nRachel 35.01N 155.40E\n").await?;
    drop(connection);
    let (mut connection, _) = server.accept().await?;
    connection.write_all(b"Pequod 0.02N 161.55W\n").await?;

    let mut consumer = broker.client().consumer().auto_offset_reset(AutoOffsetReset::Earliest).build()?;
    consumer.assign(&[TopicPartition::new("positions", 0)]);
    let records: Vec<ConsumerRecord> = consumer.into_stream().take(3).try_collect().await?;
    for record in &records {
        println!("{}: {}", record.offset, String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()));
    }
    assert_eq!(records[2].value.as_deref(), Some(&b"Pequod 0.02N 161.55W"[..]));

    let task = &worker.stop().await[0].tasks[0];
    assert_eq!((task.records, task.restarts), (3, 1));
    broker.shutdown().await?;
    Ok(())
}
