//! Connectors against clusters: the embedded broker in process and over TCP, and any other cluster whose address is in
//! `RIVERRUN_TEST_BOOTSTRAP` (such as an Apache Kafka that the interoperability suite has started).

#![expect(clippy::unwrap_used, reason = "a test ends with whatever it cannot unwrap")]

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use riverrun_broker::Broker;
use riverrun_client::Client;
use riverrun_connect::{
    Connectors, Properties, Sink, SinkContext, SinkRecord, Source, SourceContext, SourceRecord, TaskError, Worker,
    worker::State,
};
use tokio::time::timeout;

/// A cluster, and names that no other run has used on it.
struct Bench {
    client: Client,
    folder: tempfile::TempDir,
    run: String,
}

impl Bench {
    fn new(client: Client) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        Self { client, folder: tempfile::tempdir().unwrap(), run: now.to_string() }
    }

    fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start(&self, connectors: &[Properties]) -> Worker {
        let builder = Worker::builder(self.client.clone()).set("offset.flush.interval.ms", 100).seed(1);
        let builder = builder.set("offset.storage.topic", self.name("connect-offsets"));
        let builder = builder.connectors(Connectors::builtin().with_sink::<Counting>("counting"));
        connectors.iter().cloned().fold(builder, |builder, connector| builder.connector(connector)).start().unwrap()
    }
}

fn lines(path: &str) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Waits until the tasks of a connector have dealt with so many records since they were started.
async fn dealt_with(worker: &Worker, connector: &str, records: u64) {
    let reached = worker.wait_for(|statuses| {
        statuses
            .get(connector)
            .is_some_and(|status| status.tasks.iter().map(|task| task.records).sum::<u64>() >= records)
    });
    if timeout(Duration::from_secs(30), reached).await.is_err() {
        panic!("{connector} did not get to {records} records: {:?}", worker.status());
    }
}

/// What is generated is in the file once and in order, over clean restarts.
async fn generated_numbers(bench: Bench) {
    let (topic, file, sink_name) = (bench.name("numbers"), bench.path("numbers.jsonl"), bench.name("file"));
    let source = Properties::connector(&bench.name("gen"), "datagen")
        .set("topic", &topic)
        .set("topic.creation.default.partitions", 1)
        .set("template", "sequence")
        .set("records.per.second", 5000);
    let sink = Properties::connector(&sink_name, "FileStreamSink")
        .set("topics", &topic)
        .set("format", "value")
        .set("file", &file);
    let mut before = 0;
    for count in [300u64, 500, 500, 800] {
        let worker = bench.start(&[source.clone().set("count", count), sink.clone()]);
        dealt_with(&worker, &sink_name, count - before).await;
        for connector in worker.stop().await {
            assert_eq!((connector.state, connector.tasks[0].restarts), (State::Stopped, 0), "{connector:?}");
        }
        let expected: Vec<_> = (0..count).map(|number| format!("{{\"sequence\":{number}}}")).collect();
        assert_eq!(lines(&file), expected, "up to {count}");
        before = count;
    }
}

/// A log file comes out line by line, over a rotation while nobody looked.
async fn tailed_file(bench: Bench) {
    let (topic, log, out, copy) = (bench.name("log"), bench.path("app.log"), bench.path("copy"), bench.name("copy"));
    let append = |text: &str| {
        let old = fs::read_to_string(&log).unwrap_or_default();
        // Written in place: the same inode, only longer.
        fs::write(&log, old + text).unwrap();
    };
    let source = Properties::connector(&bench.name("tail"), "file-tail")
        .set("file", &log)
        .set("topic", &topic)
        .set("format", "raw")
        .set("value.converter", "string")
        .set("poll.interval.ms", 10);
    let sink = Properties::connector(&copy, "json-lines")
        .set("topics", &topic)
        .set("format", "value")
        .set("value.converter", "org.apache.kafka.connect.storage.StringConverter")
        .set("file", &out);
    append("one\ntwo\nunfin");
    let worker = bench.start(&[source.clone(), sink.clone()]);
    dealt_with(&worker, &copy, 2).await;
    worker.stop().await;
    append("ished\n");
    fs::rename(&log, Path::new(&log).with_extension("log.1")).unwrap();
    append("after\n");
    let worker = bench.start(&[source, sink]);
    dealt_with(&worker, &copy, 2).await;
    worker.stop().await;
    let mut copied = lines(&out);
    assert_eq!(copied[..2], ["\"one\"", "\"two\""]);
    copied[2..].sort();
    assert_eq!(copied[2..], ["\"after\"", "\"unfinished\""]);
}

/// Takes records and does nothing with them.
struct Counting;

riverrun_connect::config! {
    /// Nothing to tell it.
    struct CountingConfig {}
}

impl Sink for Counting {
    type Config = CountingConfig;

    async fn start(_: CountingConfig, _: SinkContext) -> Result<Self, TaskError> {
        Ok(Self)
    }

    async fn put(&mut self, _: &[SinkRecord]) -> Result<(), TaskError> {
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Measurements get into a file; two tasks share the partitions of a topic.
async fn metrics_and_shared_partitions(bench: Bench) {
    let (topic, file, archive, counting) =
        (bench.name("host-metrics"), bench.path("metrics.jsonl"), bench.name("archive"), bench.name("counting"));
    let worker = bench.start(&[
        Properties::connector(&bench.name("metrics"), "host-metrics")
            .set("topic", &topic)
            .set("topic.creation.default.partitions", 4)
            .set("interval.ms", 20),
        Properties::connector(&archive, "file-sink").set("topics", &topic).set("file", &file),
        Properties::connector(&counting, "counting").set("topics", &topic).set("tasks.max", 2),
    ]);
    dealt_with(&worker, &archive, 50).await;
    dealt_with(&worker, &counting, 50).await;
    worker.stop().await;
    let first: serde_json::Value = serde_json::from_str(&lines(&file)[0]).unwrap();
    assert_eq!(first["key"], first["value"]["metric"]);
    assert!(first["value"]["value"].is_number() && first["offset"] == 0, "{first}");
}

/// Fails until it was started three times.
struct Stumbling {
    topic: String,
    fine: bool,
}

static STARTS: AtomicU32 = AtomicU32::new(0);

riverrun_connect::config! {
    /// What it can be told.
    struct StumblingConfig {
        /// The topic.
        topic: String = "topic", High;
    }
}

impl Source for Stumbling {
    type Config = StumblingConfig;

    async fn start(config: StumblingConfig, _: SourceContext) -> Result<Self, TaskError> {
        Ok(Self { topic: config.topic, fine: STARTS.fetch_add(1, Ordering::Relaxed) % 3 == 2 })
    }

    async fn poll(&mut self) -> Result<Vec<SourceRecord>, TaskError> {
        if !self.fine {
            return Err(TaskError::fatal("stumbled"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(vec![SourceRecord::new(self.topic.as_str(), "walking")])
    }
}

/// A connector of one's own is started again until it works.
async fn stumbling_connector(bench: Bench) {
    let worker = Worker::builder(bench.client.clone())
        .set("offset.storage.topic", bench.name("connect-offsets"))
        .connectors(Connectors::builtin().with_source::<Stumbling>("stumbling"))
        .connector(
            Properties::connector("walker", "Stumbling").set("topic", bench.name("steps")).set("restart.delay.ms", 10),
        )
        .start()
        .unwrap();
    dealt_with(&worker, "walker", 1).await;
    assert_eq!(worker.status()[0].tasks[0].state, State::Running);
    worker.stop().await;
}

/// The remote cluster, if there is one.
async fn remote() -> Option<Bench> {
    let bootstrap = std::env::var("RIVERRUN_TEST_BOOTSTRAP").ok()?;
    Some(Bench::new(Client::connect(&bootstrap).await.unwrap()))
}

/// The embedded broker, with a port.
async fn embedded() -> Broker {
    let broker = Broker::builder().in_memory().listen("127.0.0.1:0");
    broker.set("group.initial.rebalance.delay.ms", "0").unwrap().start().await.unwrap()
}

macro_rules! stories {
    ($($story:ident),*) => {$(
        mod $story {
            use super::*;

            #[tokio::test]
            async fn in_process() {
                let broker = embedded().await;
                super::$story(Bench::new(broker.client())).await;
                broker.shutdown().await.unwrap();
            }

            #[tokio::test]
            async fn over_tcp() {
                let broker = embedded().await;
                let address = broker.addresses()[0].to_string();
                super::$story(Bench::new(Client::connect(&address).await.unwrap())).await;
                broker.shutdown().await.unwrap();
            }

            #[tokio::test]
            async fn on_a_remote_cluster() {
                if let Some(bench) = remote().await {
                    super::$story(bench).await;
                }
            }
        }
    )*};
}

stories!(generated_numbers, tailed_file, metrics_and_shared_partitions, stumbling_connector);
