//! `cargo xtask bench broker`: Riverrun and a peer side by side, driven by the same load generators.
//!
//! The peer is Apache Kafka, started from its script, or any broker that runs already. Each group of rows is run on a
//! fresh broker of each kind in turns (A B A B A B), each row after the machine has settled and memory has been touched.
//! What is reported are medians with minimum and maximum, ratios of medians, and how each stands to its targets. What
//! the rows mean is told in `docs/performance.md`; the rows themselves stand in [`rows`], what runs them in [`runner`].
//!
//! Linux only: it reads `/proc`.

mod build;
mod machine;
mod metric;
mod own_brokers;
mod peer;
mod results;
mod rows;
mod runner;
mod stop;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use peer::Peer;
use rows::{Group, Run};

/// Flags of `cargo xtask bench`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand, Debug)]
enum Subject {
    /// The broker beside Apache Kafka, or beside any other
    Broker(BrokerArgs),
}

/// Flags of `cargo xtask bench broker`.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct BrokerArgs {
    /// Only groups and rows whose name contains this; repeatable
    #[arg(long)]
    only: Vec<String>,
    /// List groups and rows, and run nothing
    #[arg(long)]
    list: bool,
    /// How often each broker has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// One pair, short runs, memory not touched: shows that the bench works, not what the broker can do
    #[arg(long)]
    quick: bool,
    /// Seconds of an open-loop run; the full run has 600
    #[arg(long, default_value_t = 20.0)]
    open_seconds: f64,
    /// Requests per second of the open loop, instead of half of what the peer can do
    #[arg(long)]
    rate: Option<f64>,
    /// GiB of memory touched before each run that moves much
    #[arg(long, default_value_t = 7)]
    touch_gib: u32,
    /// Seconds to wait for the machine to become idle before each run
    #[arg(long, default_value_t = 5.0)]
    settle: f64,
    /// A Riverrun binary, instead of building one
    #[arg(long)]
    riverrun: Option<PathBuf>,
    /// The script that starts Apache Kafka
    #[arg(long, default_value = "../shared/bin/apache-kafka")]
    apache_kafka: PathBuf,
    /// A broker that runs already, host:port, instead of Apache Kafka
    #[arg(long)]
    peer: Option<String>,
    /// That broker's process id; without it there is no CPU time of it
    #[arg(long, requires = "peer")]
    peer_pid: Option<u32>,
    /// Riverrun alone
    #[arg(long, conflicts_with = "peer")]
    no_peer: bool,
    /// Folder for the brokers' data, on the disk that is to be measured [default: target/bench]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Also write the results to this file, as JSON if it ends in .json, else as Markdown
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let Subject::Broker(args) = &args.subject;
    let groups = selected(&args.only)?;
    if args.list {
        for group in &groups {
            println!("{}", group.name);
            group.rows.iter().for_each(|row| println!("  {}", row.id));
        }
        return Ok(());
    }
    runner::Runner::new(args.clone(), &groups)?.run(&groups)
}

/// The groups and rows that one of the patterns is part of; a row's own baseline comes with it.
fn selected(patterns: &[String]) -> Result<Vec<Group>> {
    let mut groups = rows::groups();
    let wanted = |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| name.contains(pattern.as_str()));
    for group in &mut groups {
        if !wanted(group.name) {
            let needed: Vec<_> =
                group.rows.iter().filter(|row| wanted(row.id)).flat_map(|row| row.baselines()).collect();
            group.rows.retain(|row| wanted(row.id) || needed.contains(&row.id));
        }
    }
    groups.retain(|group| !group.rows.is_empty());
    ensure!(!groups.is_empty(), "no group or row is called {}; --list shows them all", patterns.join(" or "));
    Ok(groups)
}

impl BrokerArgs {
    fn riverrun(&self, durability: &'static str) -> Result<Peer> {
        Ok(Peer::Riverrun { binary: build::riverrun(self.riverrun.as_deref())?, durability })
    }

    fn peer(&self) -> Result<Option<Peer>> {
        if self.no_peer {
            return Ok(None);
        }
        if let Some(address) = &self.peer {
            return Ok(Some(Peer::Running { address: address.clone(), pid: self.peer_pid }));
        }
        let script = crate::root().join(&self.apache_kafka);
        let script = script.canonicalize().with_context(|| {
            format!("no script {}: name it with --apache-kafka, or use --peer or --no-peer", script.display())
        })?;
        Ok(Some(Peer::ApacheKafka { script }))
    }
}

/// Whether one of `groups` needs the generator on librdkafka.
fn needs_librdkafka(groups: &[Group]) -> bool {
    groups.iter().flat_map(|group| &group.rows).any(|row| matches!(row.run, Run::Librdkafka(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_selected_with_what_it_is_compared_to() -> Result<()> {
        let groups = selected(&["fsync-64".to_owned()])?;
        let ids: Vec<_> = groups.iter().flat_map(|group| &group.rows).map(|row| row.id).collect();
        assert_eq!(ids, ["fsync-1", "fsync-64"]);
        assert!(selected(&["no such row".to_owned()]).is_err());
        Ok(())
    }
}
