//! `riverrun broker`: the broker alone, until Ctrl-C or SIGTERM.

use std::path::PathBuf;

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
