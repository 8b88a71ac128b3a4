//! The command line: one subcommand per workload. Each makes its topic, runs, and removes the topic.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use riverrun_core::record::Compression;

use crate::{
    Common, Report, admin, bare,
    connection::connect,
    crowd::{self, Pace},
    disk, fetch, memory,
    meter::{Budget, Meter},
    pipeline,
    request::{Requests, Shape},
    tail,
};

/// Bytes of a batch with which a log is filled before it is read.
const FILL_BATCH_BYTES: usize = 100_000;

/// Replays pre-encoded requests against a broker
#[derive(Debug, Parser)]
#[command(name = "riverrun-load")]
pub struct Args {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, Subcommand)]
enum Workload {
    /// Produce over and over; with --rate as an open loop, else as fast as answers come
    Produce(Produce),
    /// Fill a partition, then read it over and over
    Fetch(Fetch),
    /// Measure the time from producing a record to the long poll that waits for it
    Tail(Tail),
    /// Measure fdatasync after an append of 4 KiB
    Disk {
        /// Folder to write to
        folder: PathBuf,
        /// How long
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// Measure what requests of one record cost that are received, written to a file and answered, without a broker
    Bare {
        /// Folder to write to
        folder: PathBuf,
        /// Connections with a request in flight each
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// Bytes of a record's value
        #[arg(long, default_value_t = 100)]
        record_bytes: usize,
        /// How long
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// What `bare` starts
    #[command(hide = true)]
    BareServer {
        folder: PathBuf,
        #[arg(long)]
        topic: String,
    },
    /// Touch memory, so that what follows finds warm pages
    Touch {
        /// How much
        #[arg(long, default_value_t = 7)]
        gib: usize,
    },
}

#[derive(Debug, clap::Args)]
struct Produce {
    #[command(flatten)]
    common: Common,
    /// Partitions of the topic, which requests go to in turns
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Records of a batch
    #[arg(long, default_value_t = 1000)]
    batch_records: u64,
    /// 1 or all
    #[arg(long, default_value = "1")]
    acks: String,
    /// Connections
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests that are always under way on each connection
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// Requests per second over all connections, sent when they are due
    #[arg(long, conflicts_with = "in_flight")]
    rate: Option<f64>,
}

#[derive(Debug, clap::Args)]
struct Fetch {
    #[command(flatten)]
    common: Common,
    /// MB to read from
    #[arg(long, default_value_t = 500)]
    fill_mb: u64,
    /// Bytes of one fetch
    #[arg(long, default_value_t = 1 << 20)]
    max_bytes: i32,
}

#[derive(Debug, clap::Args)]
struct Tail {
    #[command(flatten)]
    common: Common,
}

/// Runs one workload.
///
/// # Errors
/// If the broker cannot be reached, refuses something, or ends.
pub fn run(args: Args) -> Result<Report> {
    match args.workload {
        Workload::Produce(args) => produce(&args),
        Workload::Fetch(args) => read(&args),
        Workload::Tail(Tail { common }) => {
            let requests = Requests::encode(&common.shape(1, 1, "1")?)?;
            common.with_topic(1, || {
                let mut meter = common.meter()?;
                tail::run(&common.broker, &common.topic, &requests, &mut meter)?;
                meter.report()
            })
        }
        Workload::Disk { folder, seconds } => disk::sync_latency(&folder, Duration::try_from_secs_f64(seconds)?),
        Workload::Bare { folder, connections, record_bytes, seconds } => {
            let measured = Duration::try_from_secs_f64(seconds).with_context(|| format!("{seconds} seconds"))?;
            let of = |duration| Budget { bytes: u64::MAX, duration };
            let compression = Compression::None;
            let shape =
                Shape { topic: "load".into(), partitions: 1, record_bytes, batch_records: 1, acks: 1, compression };
            bare::run(&folder, connections, &shape, of(Duration::from_secs(2)), of(measured))
        }
        Workload::BareServer { folder, topic } => {
            bare::serve(&folder, &topic)?;
            Ok(Report::default())
        }
        Workload::Touch { gib } => {
            memory::touch(gib << 30);
            Ok(Report::default())
        }
    }
}

fn produce(args: &Produce) -> Result<Report> {
    let common = &args.common;
    if args.connections == 0 || args.in_flight == 0 || args.rate.is_some_and(|rate| rate <= 0.0) {
        bail!("connections, requests in flight and rate must be positive");
    }
    let requests = Requests::encode(&common.shape(args.partitions, args.batch_records, &args.acks)?)?;
    common.with_topic(args.partitions, || {
        if args.partitions > 1 {
            // What a partition does once only is no part of what is measured: with its first batch it makes its files,
            // with its second, where that is larger than `index.interval.bytes`, its indexes.
            let round = requests.bytes * u64::try_from(args.partitions)?;
            let rounds = Budget { bytes: 2 * round, duration: Duration::MAX };
            let mut uncounted = Meter::new(Budget { bytes: 0, duration: Duration::ZERO }, rounds, None);
            pipeline::run(&connect(&common.broker)?, &requests, 1, &mut uncounted)?;
        }
        let mut meter = common.meter()?;
        match args.rate {
            None if args.connections == 1 => {
                pipeline::run(&connect(&common.broker)?, &requests, args.in_flight, &mut meter)?;
            }
            rate => {
                let pace = rate.map_or(Pace::InFlight(args.in_flight), Pace::PerSecond);
                crowd::run(&common.broker, args.connections, &requests, pace, &mut meter)?;
            }
        }
        meter.report()
    })
}

fn read(args: &Fetch) -> Result<Report> {
    let common = &args.common;
    common.with_topic(1, || {
        fill(common, 1, args.fill_mb)?;
        let end = admin::end_offsets(&common.broker, &common.topic, 1)?.first().copied().unwrap_or_default();
        let mut meter = common.meter()?;
        fetch::run(&mut connect(&common.broker)?, &common.topic, args.max_bytes, end, &mut meter)?;
        meter.report()
    })
}

/// Writes about `mb` MB of records, in batches of 100 KB, to the partitions in turns: what is to be read.
///
/// # Errors
/// If the broker refuses.
pub fn fill(common: &Common, partitions: i32, mb: u64) -> Result<()> {
    let batch_records = (FILL_BATCH_BYTES / common.record_bytes.max(1)).max(1) as u64;
    let requests = Requests::encode(&common.shape(partitions, batch_records, "1")?)?;
    let all = Budget { bytes: mb * 1_000_000, duration: Duration::MAX };
    let nothing = Budget { bytes: 0, duration: Duration::ZERO };
    pipeline::run(&connect(&common.broker)?, &requests, 5, &mut Meter::new(nothing, all, None))
}
