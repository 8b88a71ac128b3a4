//! Consumers without a group, each in a thread of its own with its share of the partitions, that read a log from its
//! start. The log is written first, by the raw generator's pipeline, and lies in the page cache.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use riverrun_load::{Common, Report, cli};

/// How often the main thread looks at the counters.
const LOOK: Duration = Duration::from_millis(1);
/// Records between two updates of the shared counters.
const TELL_EVERY: u64 = 256;
/// Nothing has come for so long: something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Flags of `consume`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Partitions of the topic
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Consumers
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Milliseconds that librdkafka pauses when so many records wait to be taken (`fetch.queue.backoff.ms`, whose default
    /// is 1000: a broker that is faster than the consumer is then idle most of the time)
    #[arg(long, default_value_t = 1)]
    queue_backoff_ms: u32,
    /// Records of a partition that wait to be taken when librdkafka fetches no more (`queued.min.messages`, whose default
    /// is 100000: more than a processor's cache holds, which makes the consumer slower and dearer)
    #[arg(long, default_value_t = 4_000)]
    queue_records: u32,
}

#[derive(Debug, Default)]
struct Tally {
    records: AtomicU64,
    bytes: AtomicU64,
    stop: AtomicBool,
}

/// Fills the partitions and consumes them until the window is over.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let common = &args.common;
    let clients = i32::try_from(args.clients).ok().filter(|clients| (1..=args.partitions).contains(clients));
    let clients = clients.context("as many clients as partitions at most, and at least one")?;
    common.with_topic(args.partitions, || {
        // A tenth more than is counted, so that no consumer runs dry while it counts.
        cli::fill(common, args.partitions, (common.warm_up_mb + common.mb) * 11 / 10)?;
        let tally = Arc::new(Tally::default());
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let consumer = consumer(args, (client..args.partitions).step_by(args.clients))?;
                let tally = Arc::clone(&tally);
                Ok(thread::spawn(move || drain(&consumer, &tally)))
            })
            .collect::<Result<_>>()?;
        let report = count(&tally, common);
        tally.stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().ok().context("a consumer panicked")??;
        }
        report
    })
}

fn consumer(args: &Args, partitions: impl Iterator<Item = i32>) -> Result<BaseConsumer> {
    let common = &args.common;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &common.broker)
        // Not used: partitions are assigned by hand and nothing is committed. librdkafka wants one all the same.
        .set("group.id", "load")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", args.queue_backoff_ms.to_string())
        .set("queued.min.messages", args.queue_records.to_string())
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        assignment.add_partition_offset(&common.topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

fn count(tally: &Tally, common: &Common) -> Result<Report> {
    let mut meter = common.meter()?;
    let (mut records, mut bytes) = (0, 0);
    let mut came = Instant::now();
    while !meter.is_done() {
        thread::sleep(LOOK);
        ensure!(!tally.stop.load(Ordering::Relaxed), "a consumer has stopped");
        let now = Instant::now();
        let (all_records, all_bytes) = (tally.records.load(Ordering::Relaxed), tally.bytes.load(Ordering::Relaxed));
        meter.count(now, all_records - records, all_bytes - bytes)?;
        if all_records > records {
            came = now;
        }
        ensure!(now - came < PATIENCE, "nothing has come for {PATIENCE:?}");
        (records, bytes) = (all_records, all_bytes);
    }
    meter.report()
}

/// Takes record after record.
fn drain(consumer: &BaseConsumer, tally: &Tally) -> Result<()> {
    let (mut records, mut bytes) = (0, 0);
    while !tally.stop.load(Ordering::Relaxed) {
        // Without a record for a moment, what has been counted is told too.
        let message = consumer.poll(Duration::from_millis(20));
        let idle = message.is_none();
        if let Some(message) = message {
            let message = message.inspect_err(|_| tally.stop.store(true, Ordering::Relaxed))?;
            records += 1;
            bytes += message.payload_len() as u64;
        }
        if idle || records == TELL_EVERY {
            tally.records.fetch_add(records, Ordering::Relaxed);
            tally.bytes.fetch_add(bytes, Ordering::Relaxed);
            (records, bytes) = (0, 0);
        }
    }
    Ok(())
}
