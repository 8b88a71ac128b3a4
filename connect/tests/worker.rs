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

/// A way to a cluster.
#[derive(Clone)]
enum Way {
    InProcess(Broker),
    Tcp(String),
}

impl Way {
    async fn client(&self) -> Client {
        match self {
            Self::InProcess(broker) => broker.client(),
            Self::Tcp(address) => Client::connect(address).await.unwrap(),
        }
    }
}

/// A cluster, and names that no other run has used on it.
struct Bench {
    way: Way,
    client: Client,
    folder: tempfile::TempDir,
    run: String,
}

impl Bench {
    async fn new(way: Way) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        Self { client: way.client().await, way, folder: tempfile::tempdir().unwrap(), run: now.to_string() }
    }

    fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start(&self, connectors: &[Properties]) -> Worker {
        self.start_over(self.client.clone(), connectors)
    }

    fn start_over(&self, client: Client, connectors: &[Properties]) -> Worker {
        let builder = Worker::builder(client).set("offset.flush.interval.ms", 100).seed(1);
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

/// A worker crashes again and again, each time with its whole tokio runtime. No number is missing in the end, and with
/// `deduplicate` each record of the topic is in the file exactly once.
async fn crashes(bench: Bench) {
    let (topic, file, sink_name) = (bench.name("crash"), bench.path("crash.jsonl"), bench.name("crash-file"));
    let connectors = [
        Properties::connector(&bench.name("crash-gen"), "datagen")
            .set("topic", &topic)
            .set("topic.creation.default.partitions", 1)
            .set("template", "sequence")
            .set("records.per.second", 20_000)
            .set("count", 4000),
        Properties::connector(&sink_name, "file-sink")
            .set("topics", &topic)
            .set("file", &file)
            .set("deduplicate", true)
            .set("consumer.override.group.instance.id", &sink_name),
    ];
    let bench = &bench;
    for crash in 1..=4u64 {
        std::thread::scope(|scope| {
            let crashing = scope.spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                runtime.block_on(async {
                    let worker = bench.start_over(bench.way.client().await, &connectors);
                    dealt_with(&worker, &sink_name, 150 * crash).await;
                    // Not even told to stop.
                    std::mem::forget(worker);
                });
                runtime.shutdown_background();
            });
            tokio::task::block_in_place(|| crashing.join()).unwrap();
        });
    }
    let worker = bench.start(&connectors);
    let done = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().last().is_some_and(|line| line.contains("{\"sequence\":3999}"))
    };
    timeout(Duration::from_secs(30), worker.wait_for(|_| done())).await.unwrap();
    worker.stop().await;
    let mut numbers = std::collections::BTreeSet::new();
    for (index, line) in lines(&file).iter().enumerate() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["offset"], index, "each record once, in order");
        numbers.insert(record["value"]["sequence"].as_u64().unwrap());
    }
    assert_eq!(numbers, (0..4000).collect());
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
    Some(Bench::new(Way::Tcp(bootstrap)).await)
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

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_process() {
                let broker = embedded().await;
                super::$story(Bench::new(Way::InProcess(broker.clone())).await).await;
                broker.shutdown().await.unwrap();
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_tcp() {
                let broker = embedded().await;
                let address = broker.addresses()[0].to_string();
                super::$story(Bench::new(Way::Tcp(address)).await).await;
                broker.shutdown().await.unwrap();
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_a_remote_cluster() {
                if let Some(bench) = remote().await {
                    super::$story(bench).await;
                }
            }
        }
    )*};
}

stories!(crashes, generated_numbers, tailed_file, metrics_and_shared_partitions, stumbling_connector);
