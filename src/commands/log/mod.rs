//! `riverrun log`: looking into the files of logs, those of this broker and those of Apache Kafka. Nothing is written.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Subcommand;

mod decode;
mod dump;
mod progress;
mod render;
mod small;
mod target;
mod verify;

/// Flags of `riverrun log`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Print what stands in segments, indexes, snapshots and checkpoints
    ///
    /// Exits with 0, with 1 if something in the files was damaged or could not be read.
    Dump(dump::Args),
    /// Search a data directory, or a partition's folder, for damage, without changing anything
    ///
    /// Each finding says how serious it is: "damage" cannot be mended, "torn tail" is cut off by the next start of the
    /// broker, "rebuildable" is a derived file that is made anew, "leftover" is needed by nobody. While a broker runs on the
    /// directory, the segments that grow are left out. Exits with 0 if all is sound, with 1 if something was found, with
    /// 2 if nothing can be said.
    Verify(verify::Args),
}

/// What all of them are told to look at.
#[derive(clap::Args, Debug)]
struct Selection {
    /// A partition's folder, a data directory, or a single file of either
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Of a data directory, the partitions of this topic only
    #[arg(long)]
    topic: Option<String>,
    /// Of a data directory, the partitions with this index only
    #[arg(long)]
    partition: Option<i32>,
}

/// Does what was asked for, and prints it.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    match args.action {
        Action::Dump(args) => dump::run(&args),
        Action::Verify(args) => Ok(verify::run(&args)),
    }
}
