//! Learn to move data without writing code: a log file is followed into a topic, and the topic is written to a file of
//! JSON lines, by connectors that come along and a configuration.
//!
//! Run it with `cargo run --example file_pipeline`.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use riverrun::{
    broker::Broker,
    connect::{ConfigFile, Worker},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (log, archive, config) =
        (folder.path().join("app.log"), folder.path().join("archive.jsonl"), folder.path().join("worker.toml"));
    fs::write(&log, "INFO started\nERROR no disk\n")?;
    fs::write(
        &config,
        format!(
            r#"
            [connector.logs]
            connector.class = "file-tail"
            file = {log:?}
            topic = "logs"

            [connector.archive]
            connector.class = "file-sink"
            topics = "logs"
            format = "value"
            file = {archive:?}
            "#
        ),
    )?;

    let broker = Broker::builder().in_memory().start().await?;
    let worker = Worker::builder(&broker).file(ConfigFile::load(&config)?).start()?;
    let archived = async |count: u64| {
        worker.wait_for(|connectors| connectors["archive"].tasks[0].records >= count).await;
    };
    archived(2).await;

    // What is appended while it runs follows.
    OpenOptions::new().append(true).open(&log)?.write_all(b"INFO disk found\n")?;
    archived(3).await;

    // Stopping stores how far the log was read and flushes the archive: a new worker would go on from there.
    for connector in worker.stop().await {
        println!("{} ({}): {} records", connector.name, connector.class, connector.tasks[0].records);
    }
    let lines = fs::read_to_string(&archive)?;
    print!("{lines}");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].contains(r#""level":"ERROR""#) && lines[1].contains(r#""line":"ERROR no disk""#), "{}", lines[1]);
    broker.shutdown().await?;
    Ok(())
}
