//! `riverrun connect`: runs the connectors of TOML or properties files, until Ctrl-C or SIGTERM.

use std::path::PathBuf;

use anyhow::Result;
use riverrun::connect::{ConfigFile, Worker};

use super::{Cluster, Termination};

/// Flags of `riverrun connect`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// Configuration files: TOML with any number of connectors, or Java properties with one
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Runs the connectors until the process is told to end.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut termination = Termination::watch()?;
    let files = args.files.iter().map(ConfigFile::load).collect::<Result<Vec<_>, _>>()?;
    let client = tokio::select! {
        client = args.cluster.client() => client?,
        () = termination.received() => return Ok(()),
    };
    let mut builder = Worker::builder(client);
    for file in files {
        builder = builder.file(file);
    }
    let worker = builder.start()?;
    println!("riverrun connect: {} connectors running", worker.status().len());
    tokio::select! {
        () = termination.received() => {}
        () = super::report_failures(&worker) => {}
    }
    for connector in worker.stop().await {
        let records: u64 = connector.tasks.iter().map(|task| task.records).sum();
        println!("riverrun connect: {} stopped after {records} records", connector.name);
    }
    Ok(())
}
