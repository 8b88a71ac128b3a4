//! `riverrun demo`: the whole of Riverrun in one command. A source measures the host, another follows log files, both
//! write to the broker; a stream job folds them to windows of five seconds; a sink writes those to a file, and a table
//! shows them. The broker is the embedded one, or with `--bootstrap` any cluster: everything else is the same.
//!
//! What is stopped first feeds what is stopped later: sources, job, sink, table, broker.

mod job;
mod results;
mod table;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use riverrun::{
    broker::{Broker, StartError},
    client::{AutoOffsetReset, Client, Consumer, admin::NewTopic},
    connect::{Properties, Worker, worker::ConnectorStatus},
    streams::Streams,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Termination, report_failures};
use table::Table;

/// Where log files are looked for if none is named.
const USUAL_PLACES: &[&str] = &["/var/log/*.log", "/var/log/syslog", "/var/log/messages", "/var/log/*/*.log"];
/// As many of them as are followed.
const USUAL_FILES_MAX: usize = 20;
/// Of each of the demo's topics: enough to see that keys are spread.
const PARTITIONS: i32 = 2;
/// How long after a crash the cluster waits before it hands the job's work to the next run.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
const WINDOW_MS: i64 = 5000;
const FIRST_PORT: u16 = 9092;
const PORTS_TRIED: u16 = 100;

/// Flags of `riverrun demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Log files to follow, patterns allowed [default: readable ones below /var/log]
    files: Vec<String>,
    /// Folder for the broker's data, the results and nothing else
    #[arg(long, default_value = "riverrun-data")]
    data_dir: PathBuf,
    /// Run against this cluster, as host:port[,host:port], instead of the embedded broker
    #[arg(long, short = 'b')]
    bootstrap: Option<String>,
    /// Stop by itself after this long, for example 20s or 5m [default: on Ctrl-C]
    #[arg(long = "for", value_parser = duration)]
    duration: Option<Duration>,
    /// Milliseconds between two measurements of the host
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    interval_ms: u64,
}

/// Runs the demo.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut termination = Termination::watch()?;
    let files = log_files(&args.files)?;
    let Some(cluster) = Cluster::start(&args, &mut termination).await? else { return Ok(()) };
    let client = cluster.client.clone();
    create_topics(&client).await?;
    announce(&args, &cluster, &files);

    let shown = CancellationToken::new();
    let table = show_results(&client, shown.clone())?;
    let job_stop = CancellationToken::new();
    let streams = Streams::on(client.clone()).commit_interval(Duration::from_secs(1)).session_timeout(SESSION_TIMEOUT);
    let metrics = streams.metrics();
    let mut job = tokio::spawn(streams.run(job::topology()?, job_stop.clone().cancelled_owned()));
    let sources = sources(&client, &files, args.interval_ms)?;
    let sink = sink(&client, &args.data_dir)?;

    let ended_early = tokio::select! {
        () = until(args.duration, &mut termination) => None,
        ended = &mut job => Some(ended),
        () = report_failures(&sources) => None,
        () = report_failures(&sink) => None,
    };
    let from_sources = sources.stop().await;
    job_stop.cancel();
    let job_result = match ended_early {
        Some(ended) => ended,
        None => job.await,
    };
    let to_sink = sink.stop().await;
    shown.cancel();
    let windows = table.await.context("the table failed")??;
    cluster.stop().await?;
    job_result.context("the stream job failed")?.context("the stream job failed")?;

    println!("\nstopped. {} records came in from the sources,", records(&from_sources));
    println!("{} went through the stream job, {windows} windows came out,", metrics.records_in());
    if metrics.dropped_total() > 0 {
        println!("{} came too late for their window,", metrics.dropped_total());
    }
    println!("{} results were written to {}.", records(&to_sink), results_file(&args.data_dir).display());
    match &args.bootstrap {
        None => println!(
            "The broker's data lies in {}; started again, the demo goes on there.",
            broker_dir(&args.data_dir).display()
        ),
        Some(bootstrap) => println!("The topics lie on {bootstrap}; started again, the demo goes on there."),
    }
    Ok(())
}

/// The cluster the demo runs on, and the broker if it is our own.
struct Cluster {
    client: Client,
    broker: Option<Broker>,
}

impl Cluster {
    /// `None` if the process was told to end meanwhile.
    async fn start(args: &Args, termination: &mut Termination) -> Result<Option<Self>> {
        std::fs::create_dir_all(&args.data_dir).with_context(|| {
            format!("cannot create {}; name another folder with --data-dir", args.data_dir.display())
        })?;
        if let Some(bootstrap) = &args.bootstrap {
            let client = tokio::select! {
                client = Client::connect(bootstrap) => client,
                () = termination.received() => return Ok(None),
            };
            let client = client.with_context(|| format!("cannot reach a broker at {bootstrap} (--bootstrap)"))?;
            return Ok(Some(Self { client, broker: None }));
        }
        let address = format!("127.0.0.1:{}", free_port()?);
        let builder = Broker::builder().data_dir(broker_dir(&args.data_dir)).listen(&address);
        // Every member is in this process: nobody has to be waited for.
        let builder = builder.set("group.initial.rebalance.delay.ms", "0")?;
        match builder.start_unless(termination.received()).await {
            Ok(broker) => Ok(Some(Self { client: broker.client(), broker: Some(broker) })),
            Err(StartError::Stopped) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn stop(self) -> Result<()> {
        match self.broker {
            Some(broker) => Ok(broker.shutdown().await?),
            None => Ok(()),
        }
    }
}

/// The first free port from Kafka's own on.
fn free_port() -> Result<u16> {
    for port in FIRST_PORT..FIRST_PORT + PORTS_TRIED {
        match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{port}")),
        }
    }
    bail!("no port from {FIRST_PORT} to {} is free", FIRST_PORT + PORTS_TRIED - 1)
}

fn broker_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("broker")
}

fn results_file(data_dir: &Path) -> PathBuf {
    data_dir.join("results.jsonl")
}

async fn create_topics(client: &Client) -> Result<()> {
    let topics = [job::METRICS, job::LOG_LINES, job::METRIC_WINDOWS, job::LOG_WINDOWS];
    let existing = client.admin().list_topics().await.context("cannot list the cluster's topics")?;
    let missing: Vec<NewTopic> = topics
        .into_iter()
        .filter(|topic| !existing.iter().any(|found| *found.name == **topic))
        .map(|topic| NewTopic::new(topic, PARTITIONS))
        .collect();
    for (name, created) in client.admin().create_topics(&missing).await.context("cannot create the demo's topics")? {
        created.with_context(|| format!("cannot create topic {name}"))?;
    }
    Ok(())
}

/// The files to follow: those named, or what is readable in the usual places.
fn log_files(named: &[String]) -> Result<Vec<String>> {
    if !named.is_empty() {
        for file in named.iter().filter(|file| !file.contains(['*', '?', '['])) {
            std::fs::File::open(file).with_context(|| format!("cannot read the log file {file}"))?;
        }
        return Ok(named.to_vec());
    }
    let mut found = Vec::new();
    for pattern in USUAL_PLACES {
        let paths = glob::glob(pattern).into_iter().flatten().flatten();
        found.extend(paths.filter(|path| readable_file(path)).map(|path| path.display().to_string()));
    }
    found.dedup();
    found.truncate(USUAL_FILES_MAX);
    Ok(found)
}

fn readable_file(path: &Path) -> bool {
    path.is_file() && std::fs::File::open(path).is_ok()
}

fn announce(args: &Args, cluster: &Cluster, files: &[String]) {
    match (&cluster.broker, &args.bootstrap) {
        (Some(broker), _) => {
            for address in broker.addresses() {
                println!("broker: embedded, listening on {address} (try: kcat -b {address} -L)");
            }
        }
        (None, bootstrap) => println!("broker: {}", bootstrap.as_deref().unwrap_or_default()),
    }
    println!("metrics: this host, every {} ms, into topic {}", args.interval_ms, job::METRICS);
    match files {
        [] => println!("logs: no readable log file in the usual places; name some as arguments"),
        files => println!("logs: {} into topic {}", files.join(", "), job::LOG_LINES),
    }
    println!(
        "results: topics {} and {}, and {}",
        job::METRIC_WINDOWS,
        job::LOG_WINDOWS,
        results_file(&args.data_dir).display()
    );
    println!("the first windows close in some ten seconds; Ctrl-C stops\n");
}

fn sources(client: &Client, files: &[String], interval_ms: u64) -> Result<Worker> {
    let metrics = Properties::connector("demo-host-metrics", "host-metrics")
        .set("topic", job::METRICS)
        .set("interval.ms", interval_ms);
    let mut builder = Worker::builder(client.clone()).set("offset.flush.interval.ms", 1000).connector(metrics);
    if !files.is_empty() {
        let tail = Properties::connector("demo-file-tail", "file-tail")
            .set("topic", job::LOG_LINES)
            .set("file", files.join(","));
        builder = builder.connector(tail);
    }
    Ok(builder.start()?)
}

fn sink(client: &Client, data_dir: &Path) -> Result<Worker> {
    let sink = Properties::connector("demo-results", "file-sink")
        .set("topics", format!("{},{}", job::METRIC_WINDOWS, job::LOG_WINDOWS))
        .set("file", results_file(data_dir).display())
        .set("format", "value")
        .set("consumer.override.group.instance.id", "demo-results");
    Ok(Worker::builder(client.clone()).set("offset.flush.interval.ms", 1000).connector(sink).start()?)
}

fn records(connectors: &[ConnectorStatus]) -> u64 {
    connectors.iter().flat_map(|connector| &connector.tasks).map(|task| task.records).sum()
}

/// Follows the result topics and shows what comes, until told to stop. Yields how many windows there were.
fn show_results(client: &Client, stop: CancellationToken) -> Result<JoinHandle<Result<u64>>> {
    let mut consumer = client
        .consumer()
        .group(format!("{}-table", job::APP))
        .group_instance_id("table")
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .build()?;
    consumer.subscribe(&[job::METRIC_WINDOWS, job::LOG_WINDOWS]);
    Ok(tokio::spawn(async move {
        let mut table = Table::new();
        while !stop.is_cancelled() {
            tokio::select! {
                shown = show_some(&mut consumer, &mut table) => shown?,
                () = stop.cancelled() => {}
            }
        }
        // What the job put out while it stopped.
        show_some(&mut consumer, &mut table).await?;
        consumer.close().await?;
        Ok(table.windows())
    }))
}

async fn show_some(consumer: &mut Consumer, table: &mut Table) -> Result<()> {
    let records = consumer.poll(Duration::from_millis(500)).await?;
    // Partitions come one after the other; people want windows, and names within them, in order.
    let mut in_order: Vec<_> = records.iter().collect();
    in_order.sort_by(|a, b| (a.timestamp / WINDOW_MS, &a.key).cmp(&(b.timestamp / WINDOW_MS, &b.key)));
    for record in in_order {
        let value = record.value.as_deref().unwrap_or_default();
        if &*record.topic == job::METRIC_WINDOWS {
            table.metric(serde_json::from_slice(value).context("a result is malformed")?);
        } else {
            table.log(serde_json::from_slice(value).context("a result is malformed")?);
        }
    }
    if !records.is_empty() {
        table.draw()?;
    }
    Ok(())
}

/// Resolves after `duration`, or when the process is told to end.
async fn until(duration: Option<Duration>, termination: &mut Termination) {
    match duration {
        Some(duration) => tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = termination.received() => {}
        },
        None => termination.received().await,
    }
}

/// Reads `20s`, `5m`, `1h`, `500ms` or plain seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("'{text}' is no duration; write 20s, 5m or 1h"))?;
    match unit {
        "" | "s" => Ok(Duration::from_secs(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        _ => Err(format!("'{text}' has the unknown unit '{unit}'; write 20s, 5m or 1h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert!(duration("7 parsecs").is_err());
        assert!(duration("s").is_err());
    }
}
