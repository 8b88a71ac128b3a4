//! `riverrun produce`: one record per line of standard input.

use anyhow::{Context, Result, bail};
use riverrun::client::{Acks, Compression, ProducerRecord};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Cluster, pair};

/// As many deliveries are awaited at once, at most.
const IN_FLIGHT: usize = 10_000;

/// Flags of `riverrun produce`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// The topic
    topic: String,
    /// What separates a line's key from its value; without it records have no key
    #[arg(long, short = 'K')]
    key_separator: Option<String>,
    /// A header of every record, as name=value; repeatable
    #[arg(long, short = 'H', value_parser = pair)]
    header: Vec<(String, String)>,
    /// The partition [default: by key, or spread]
    #[arg(long, short)]
    partition: Option<i32>,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, short = 'z', default_value = "none")]
    compression: Compression,
    /// When a record counts as written: all, leader or none
    #[arg(long, default_value = "all", value_parser = acks)]
    acks: Acks,
}

fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "leader" | "1" => Ok(Acks::Leader),
        "none" | "0" => Ok(Acks::None),
        _ => Err(format!("'{text}' is none of all, leader, none")),
    }
}

/// Produces until standard input ends.
pub(crate) async fn run(args: Args) -> Result<()> {
    let client = args.cluster.client().await?;
    let idempotent = args.acks == Acks::All;
    let producer = client.producer().acks(args.acks).idempotent(idempotent).compression(args.compression).build()?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut deliveries = std::collections::VecDeque::new();
    let (mut sent, mut failed) = (0u64, 0u64);
    while let Some(line) = lines.next_line().await.context("cannot read standard input")? {
        let delivery = producer.send(record(&args, &line)).await;
        deliveries.push_back(delivery.with_context(|| format!("cannot produce to topic {}", args.topic))?);
        sent += 1;
        if deliveries.len() >= IN_FLIGHT
            && let Some(delivery) = deliveries.pop_front()
        {
            failed += note(delivery.await);
        }
    }
    for delivery in deliveries {
        failed += note(delivery.await);
    }
    producer.close().await;
    if failed > 0 {
        bail!("{failed} of {sent} records were not written to topic {}", args.topic);
    }
    eprintln!("produced {sent} records to {}", args.topic);
    Ok(())
}

fn note(result: Result<riverrun::client::RecordMetadata, riverrun::client::ProduceError>) -> u64 {
    match result {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("riverrun: a record was not written: {error}");
            1
        }
    }
}

fn record(args: &Args, line: &str) -> ProducerRecord {
    let (key, value) = match args.key_separator.as_deref().and_then(|separator| line.split_once(separator)) {
        Some((key, value)) => (Some(key), value),
        None => (None, line),
    };
    let mut record = ProducerRecord::to(args.topic.as_str()).value(value.as_bytes().to_vec());
    if let Some(key) = key {
        record = record.key(key.as_bytes().to_vec());
    }
    if let Some(partition) = args.partition {
        record = record.partition(partition);
    }
    for (name, value) in &args.header {
        record = record.header(name.as_str(), value.as_bytes().to_vec());
    }
    record
}
