//! Every workload runs against a broker for a moment, so that the bench cannot rot. What is checked is that it counts
//! what it should; how fast it was means nothing here.
#![cfg(target_os = "linux")]

use clap::Parser;
use riverrun::broker::Broker;
use riverrun_load::{Report, cli};

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// Runs `workload` (a subcommand and its flags) against a fresh broker.
fn run(workload: &str) -> Result<Report, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let folder = tempfile::tempdir()?;
    let broker = runtime.block_on(Broker::builder().data_dir(folder.path()).listen("127.0.0.1:0").start())?;
    let (address, pid) = (broker.addresses()[0].to_string(), std::process::id().to_string());
    let mut words: Vec<&str> = std::iter::once("riverrun-load").chain(workload.split_whitespace()).collect();
    words.extend(["--broker", &address, "--broker-pid", &pid, "--warm-up-mb", "0"]);
    let report = cli::run(cli::Args::try_parse_from(words)?);
    runtime.block_on(broker.shutdown())?;
    Ok(report?)
}

#[test]
fn a_pipeline_counts_what_was_acknowledged() -> TestResult {
    let report = run("produce --mb 2 --seconds 60")?;
    assert_eq!((report.requests, report.records, report.bytes), (20, 20_000, 2_000_000));
    assert!(report.broker_cpu_s.is_some() && report.latency.is_some_and(|latency| latency.p50_us > 0.0));
    Ok(())
}

#[test]
fn a_crowd_writes_to_all_partitions() -> TestResult {
    let report = run("produce --mb 1 --seconds 60 --connections 8 --partitions 24 --acks all --compression lz4")?;
    assert!(report.requests >= 10 && report.records == report.requests * 1000);
    Ok(())
}

#[test]
fn an_open_loop_sends_what_is_due() -> TestResult {
    let report = run("produce --batch-records 1 --connections 4 --rate 200 --seconds 0.5")?;
    let answered = report.latency.ok_or("no latencies")?.count;
    assert!(answered >= 90, "{answered} requests instead of 100");
    Ok(())
}

#[test]
fn a_log_is_read_over_and_over() -> TestResult {
    let report = run("fetch --fill-mb 1 --mb 3 --seconds 60")?;
    assert!(report.bytes >= 3_000_000 && report.records >= 29_000, "{report:?}");
    Ok(())
}

#[test]
fn a_waiting_consumer_is_woken_by_each_record() -> TestResult {
    let report = run("tail --seconds 0.2")?;
    assert!(report.records > 0 && report.records == report.requests, "{report:?}");
    Ok(())
}

#[test]
fn a_refusal_ends_the_run() {
    let refused = run("produce --record-bytes 20000000 --batch-records 1").expect_err("larger than the topic takes");
    assert!(refused.to_string().contains("refuses to append"), "{refused}");
}
