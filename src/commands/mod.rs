//! The subcommands, and what several of them share: reaching a cluster, waiting for a signal, drawing a table.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use riverrun::{
    client::{Client, admin::Results},
    connect::Worker,
};

pub(crate) mod broker;
pub(crate) mod connect;
pub(crate) mod consume;
pub(crate) mod demo;
pub(crate) mod group;
pub(crate) mod log;
pub(crate) mod produce;
pub(crate) mod topic;
pub(crate) mod user;

/// Where the cluster is.
#[derive(clap::Args, Debug)]
pub(crate) struct Cluster {
    /// Brokers to ask first, as host:port[,host:port]
    #[arg(long, short = 'b', default_value = "127.0.0.1:9092", env = "RIVERRUN_BOOTSTRAP", global = true)]
    pub(crate) bootstrap: String,
}

impl Cluster {
    pub(crate) async fn client(&self) -> Result<Client> {
        Client::connect(&self.bootstrap).await.with_context(|| {
            format!("cannot reach a broker at {}; is one running there? (--bootstrap names another)", self.bootstrap)
        })
    }
}

/// Ctrl-C and SIGTERM, caught from [`watch`](Self::watch) on: before it they end the process at once, so whoever has something
/// to close watches before opening it.
#[derive(Debug)]
pub(crate) struct Termination {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Termination {
    pub(crate) fn watch() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
        let terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
        Ok(Self { interrupt, terminate })
    }

    /// Resolves when one of them comes, or has come since the last call. Nothing is lost if it is dropped.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Termination {
    pub(crate) fn watch() -> Result<Self> {
        Ok(Self {})
    }

    /// Resolves on Ctrl-C.
    pub(crate) async fn received(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a signal handler the process ends by other means.
            std::future::pending::<()>().await;
        }
    }
}

/// Rows as aligned columns under a heading, for people.
pub(crate) fn columns(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let titles: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Says what became of each item; an error if one was refused.
pub(crate) fn report<V>(action: &str, done: &str, results: Results<String, V>) -> Result<()> {
    let mut refusals = 0;
    for (name, result) in &results {
        match result {
            Ok(_) => println!("{done} {name}"),
            Err(refused) => {
                eprintln!("riverrun: cannot {action} {name}: {refused}");
                refusals += 1;
            }
        }
    }
    if refusals > 0 { bail!("{refusals} of {} refused", results.len()) } else { Ok(()) }
}

/// Says on standard error why a task failed, whenever one does. Never ends.
pub(crate) async fn report_failures(worker: &Worker) {
    let mut said = BTreeMap::new();
    loop {
        let mut failure = None;
        worker
            .wait_for(|connectors| {
                failure = connectors.values().find_map(|connector| {
                    let trace = connector.tasks.iter().find_map(|task| task.trace.clone())?;
                    (said.get(&connector.name) != Some(&trace)).then(|| (connector.name.clone(), trace))
                });
                failure.is_some()
            })
            .await;
        if let Some((connector, trace)) = failure {
            eprintln!("riverrun: connector {connector}: {trace}");
            said.insert(connector, trace);
        }
    }
}

/// `key=value` pairs of repeated flags.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("'{text}' is not of the form name=value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".into(), "12".into()], vec!["long".into(), "3".into()]];
        assert_eq!(columns(&["NAME", "N"], &rows), "NAME  N\na     12\nlong  3\n");
    }

    #[test]
    fn pairs_need_a_name_and_an_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(pair("=b").is_err());
        assert!(pair("a").is_err());
    }
}
