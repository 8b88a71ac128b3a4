//! `riverrun broker`: the broker alone, until Ctrl-C or SIGTERM.

use std::{num::NonZero, path::PathBuf};

use anyhow::{Context, Result};
use riverrun::broker::{Broker, StartError, config};

use super::{Termination, pair};

/// Flags of `riverrun broker`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = config::help())]
pub(crate) struct Args {
    /// Folder that holds the data; made if it does not exist [default: log.dirs of --config, else ./riverrun-data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Address to listen on, repeatable; port 0 takes a free one [default: listeners of --config, else 127.0.0.1:9092]
    #[arg(long)]
    listen: Vec<String>,
    /// A Kafka server.properties file
    #[arg(long)]
    config: Option<PathBuf>,
    /// One Kafka broker setting, as name=value; repeatable, and stronger than --config
    #[arg(long, value_parser = pair)]
    set: Vec<(String, String)>,
    /// Threads that serve clients [default: one for each processor but one, at least one]
    #[arg(long, env = "TOKIO_WORKER_THREADS")]
    workers: Option<NonZero<usize>>,
}

impl Args {
    /// Threads for the runtime. One processor is left to what else there is to do: syncs, compaction, the system's network,
    /// clients on the same host. `docs/performance.md` has what that was measured to bring on two processors.
    pub(crate) fn workers(&self) -> NonZero<usize> {
        let all_but_one = || {
            let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
            NonZero::new(processors.saturating_sub(1)).unwrap_or(NonZero::<usize>::MIN)
        };
        self.workers.unwrap_or_else(all_but_one)
    }
}

/// Runs the broker until the process is told to end.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut termination = Termination::watch()?;
    let mut builder = Broker::builder();
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        builder = builder.properties(&text).with_context(|| format!("in {}", path.display()))?;
    }
    for (name, value) in &args.set {
        builder = builder.set(name, value)?;
    }
    if let Some(folder) = &args.data_dir {
        builder = builder.data_dir(folder);
    } else if !builder.has_data_dir() {
        builder = builder.data_dir("riverrun-data");
    }
    for address in &args.listen {
        builder = builder.listen(address);
    }
    if args.listen.is_empty() && !builder.has_listener() {
        builder = builder.listen("127.0.0.1:9092");
    }
    for warning in builder.warnings() {
        eprintln!("riverrun: warning: {warning}");
    }
    let broker = match builder.start_unless(termination.received()).await {
        Ok(broker) => broker,
        Err(StartError::Stopped) => {
            println!("riverrun broker: stopped before it served");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    for address in broker.addresses() {
        println!("riverrun broker: listening on {address}");
    }
    termination.received().await;
    println!("riverrun broker: stopping");
    broker.shutdown().await?;
    println!("riverrun broker: stopped");
    Ok(())
}
