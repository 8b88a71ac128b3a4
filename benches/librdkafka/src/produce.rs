//! Producers, each in a thread of its own, that keep librdkafka's queue full. The main thread counts what has been
//! acknowledged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig},
};
use riverrun_load::{Common, Report, payload};

/// Different values that are sent in turns.
const VALUES: u64 = 1000;
/// Records between two looks for acknowledgements.
const POLL_EVERY: u64 = 500;
/// How often the main thread looks at the counters.
const LOOK: Duration = Duration::from_millis(1);
/// Bytes that may wait in librdkafka, in KiB. Its default of 1 GiB would hold more than a run may write.
const QUEUE_KIB: &str = "65536";

/// Flags of `produce`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Partitions of the topic
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// 1 or all
    #[arg(long, default_value = "1")]
    acks: String,
    /// Producers
    #[arg(long, default_value_t = 1)]
    clients: usize,
}

/// What producers have achieved together.
#[derive(Debug, Default)]
struct Tally {
    records: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

/// Counts deliveries.
#[derive(Debug)]
pub(crate) struct Counting(Arc<Tally>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.0.records } else { &self.0.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs the producers until the window is over.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let common = &args.common;
    ensure!(args.clients > 0, "at least one client");
    common.with_topic(args.partitions, || {
        let tally = Arc::new(Tally::default());
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &common.broker)
            .set("acks", &args.acks)
            .set("compression.type", common.compression.name())
            .set("queue.buffering.max.kbytes", QUEUE_KIB)
            // What is acknowledged after the window is nobody's business.
            .set("message.timeout.ms", "30000");
        let threads: Vec<_> = (0..args.clients)
            .map(|_| {
                let producer: BaseProducer<Counting> = config.create_with_context(Counting(Arc::clone(&tally)))?;
                let (tally, common) = (Arc::clone(&tally), common.clone());
                Ok(thread::spawn(move || feed(&producer, &tally, &common)))
            })
            .collect::<Result<_>>()?;
        let report = count(&tally, common);
        tally.stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().ok().context("a producer panicked")??;
        }
        report
    })
}

fn count(tally: &Tally, common: &Common) -> Result<Report> {
    let mut meter = common.meter()?;
    let mut counted = 0;
    while !meter.is_done() {
        thread::sleep(LOOK);
        let failed = tally.failed.load(Ordering::Relaxed);
        ensure!(failed == 0, "{failed} records could not be produced");
        ensure!(!tally.stop.load(Ordering::Relaxed), "a producer has stopped");
        let records = tally.records.load(Ordering::Relaxed) - counted;
        counted += records;
        meter.count(Instant::now(), records, records * common.record_bytes as u64)?;
    }
    meter.report()
}

/// Keeps one producer's queue full.
fn feed(producer: &BaseProducer<Counting>, tally: &Tally, common: &Common) -> Result<()> {
    let values: Vec<_> = (0..VALUES).map(|seed| payload::value(common.record_bytes, seed)).collect();
    let mut sent = 0;
    for value in values.iter().cycle() {
        let mut record = BaseRecord::<(), [u8]>::to(&common.topic).payload(value);
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                tally.stop.store(true, Ordering::Relaxed);
                bail!("cannot produce: {error}");
            }
            producer.poll(LOOK);
            record = back;
            if tally.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        sent += 1;
        if sent % POLL_EVERY == 0 {
            producer.poll(Duration::ZERO);
            if tally.stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    // What is still queued is given up; only what is on the wire is waited for.
    producer.purge(PurgeConfig::default().queue());
    producer.flush(Duration::from_secs(30)).context("records stay unacknowledged")
}
