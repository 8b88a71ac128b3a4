//! `riverrun consume`: prints the records of topics, alone or as a member of a group.

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use riverrun::client::{AutoOffsetReset, Consumer, ConsumerRecord};

use super::Cluster;

/// Flags of `riverrun consume`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// The topics
    #[arg(required = true)]
    topics: Vec<String>,
    /// Read as a member of this group, and commit what was printed
    #[arg(long, short)]
    group: Option<String>,
    /// Begin with the oldest records [default: only new ones; with a group, where it has not committed yet]
    #[arg(long)]
    from_beginning: bool,
    /// Stop after so many records
    #[arg(long, short = 'n')]
    max: Option<u64>,
    /// Stop at the end of the topics
    #[arg(long, short = 'e')]
    exit: bool,
    /// Print partition, offset, timestamp and key before the value
    #[arg(long, short)]
    meta: bool,
}

/// Prints records until told to stop.
pub(crate) async fn run(args: Args) -> Result<()> {
    let client = args.cluster.client().await?;
    let reset = if args.from_beginning { AutoOffsetReset::Earliest } else { AutoOffsetReset::Latest };
    let mut builder = client.consumer().auto_offset_reset(reset).auto_commit(false);
    if let Some(group) = &args.group {
        builder = builder.group(group.as_str());
    }
    let mut consumer = builder.build()?;
    let known = client.admin().describe_topics(&args.topics).await?;
    for (name, topic) in known {
        topic.with_context(|| format!("cannot consume topic {name}; riverrun topic list shows what there is"))?;
    }
    if args.group.is_some() {
        consumer.subscribe(&args.topics);
    } else {
        let mut partitions = Vec::new();
        for topic in &args.topics {
            partitions.extend(consumer.partitions_for(topic).await?.into_iter().map(|info| info.topic_partition));
        }
        consumer.assign(&partitions);
    }
    let mut printed = 0;
    let mut termination = super::Termination::watch()?;
    let result = tokio::select! {
        result = print_records(&args, &mut consumer, &mut printed) => result,
        () = termination.received() => Ok(()),
    };
    if args.group.is_some() && printed > 0 {
        consumer.commit_consumed().await?;
    }
    consumer.close().await?;
    eprintln!("consumed {printed} records");
    result
}

async fn print_records(args: &Args, consumer: &mut Consumer, printed: &mut u64) -> Result<()> {
    loop {
        let records = consumer.poll(Duration::from_millis(500)).await?;
        for record in records.iter() {
            if let Err(error) = print(args, record) {
                // Whoever read us has gone: that is how a pipe says enough.
                return if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) };
            }
            *printed += 1;
            if args.max.is_some_and(|max| *printed >= max) {
                // Position is behind all of the batch, but only what was printed may be committed.
                consumer.seek(&record.topic_partition(), record.offset + 1)?;
                return Ok(());
            }
        }
        if args.exit && records.is_empty() && at_end(consumer).await? {
            return Ok(());
        }
    }
}

async fn at_end(consumer: &mut Consumer) -> Result<bool> {
    let partitions = consumer.assignment();
    if partitions.is_empty() {
        return Ok(false);
    }
    let ends = consumer.end_offsets(&partitions).await?;
    for partition in &partitions {
        let Some(end) = ends.get(partition) else { bail!("{partition} has no end") };
        if consumer.position(partition).is_none_or(|position| position < *end) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn print(args: &Args, record: &ConsumerRecord) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if args.meta {
        write!(out, "{}-{}@{} {} ", record.topic, record.partition, record.offset, record.timestamp)?;
        out.write_all(record.key.as_deref().unwrap_or(b"(null)"))?;
        out.write_all(b" ")?;
    }
    out.write_all(record.value.as_deref().unwrap_or(b"(null)"))?;
    out.write_all(b"\n")?;
    out.flush()
}
