//! The `riverrun-load` command; see the library. It prints its report as one JSON line.

use clap::Parser;
use riverrun_load::cli;

fn main() -> anyhow::Result<()> {
    let report = cli::run(cli::Args::parse())?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
