//! `riverrun-load-librdkafka`: the load of a real client. librdkafka with its defaults (linger 5 ms, batches of up to
//! 1 MB or 10,000 records), driven as lightly as it allows; what is judged is the broker's CPU time per record, since the
//! client itself ends at a few million records per second.
//!
//! It makes its topic, runs, removes the topic, and prints one JSON line, as the raw generator does and with the same
//! flags. It stands outside the workspace because it builds a C library; see `docs/adr/0012-the-bench.md`.

mod consume;
mod latency;
mod produce;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Drives librdkafka against a broker
#[derive(Debug, Parser)]
#[command(name = "riverrun-load-librdkafka", version)]
struct Args {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, Subcommand)]
enum Workload {
    /// Produce as fast as librdkafka can
    Produce(produce::Args),
    /// Fill partitions, then consume them
    Consume(consume::Args),
    /// Produce one record at a time, without linger
    Latency(latency::Args),
}

fn main() -> Result<()> {
    let report = match Args::parse().workload {
        Workload::Produce(args) => produce::run(&args)?,
        Workload::Consume(args) => consume::run(&args)?,
        Workload::Latency(args) => latency::run(&args)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
