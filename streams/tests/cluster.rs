//! Applications on a real cluster: started, restarted, shared between instances, failing. Every scenario runs in
//! process with the broker, over TCP with it, and against another cluster, such as Apache Kafka, named by
//! `RIVERRUN_TEST_BOOTSTRAP`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    future::Future,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use riverrun_broker::Broker;
use riverrun_client::{AutoOffsetReset, Client, NewTopic, ProducerRecord, TopicPartition};
use riverrun_streams::{Metrics, Streams, StreamsError, prelude::*};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster, and names in it that nobody else uses.
struct Cluster {
    client: Client,
    suffix: String,
}

impl Cluster {
    fn new(client: Client) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        Self { client, suffix: format!("{now}-{}", NEXT.fetch_add(1, Relaxed)) }
    }

    fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.suffix)
    }

    async fn create(&self, topic: &str, partitions: i32) -> String {
        let name = self.name(topic);
        let topic = NewTopic::new(&name, partitions);
        for (_, result) in self.client.admin().create_topics(&[topic]).await.unwrap() {
            result.unwrap();
        }
        name
    }

    async fn produce(&self, topic: &str, records: impl IntoIterator<Item = ProducerRecord>) {
        let producer = self.client.producer().build().unwrap();
        for mut record in records {
            record.topic = topic.into();
            producer.send(record).await.unwrap().await.unwrap();
        }
        producer.close().await;
    }

    /// Nothing is left in the topic (R6): every commit with new offsets deleted what was processed.
    async fn assert_purged(&self, topic: &str, partitions: i32) {
        let mut consumer = self.client.consumer().auto_commit(false).build().unwrap();
        let partitions: Vec<_> = (0..partitions).map(|partition| TopicPartition::new(topic, partition)).collect();
        let starts = consumer.beginning_offsets(&partitions).await.unwrap();
        assert_eq!(starts, consumer.end_offsets(&partitions).await.unwrap());
        assert!(starts.values().sum::<i64>() > 0);
        consumer.close().await.unwrap();
    }

    /// Reads a topic from its beginning until `enough` says so of the latest value per key.
    async fn read_until<V>(
        &self,
        topic: &str,
        value: impl Fn(&[u8]) -> V,
        enough: impl Fn(&BTreeMap<String, V>) -> bool,
    ) -> BTreeMap<String, V> {
        let group = self.name("reader");
        let builder = self.client.consumer().group(group).auto_offset_reset(AutoOffsetReset::Earliest);
        let mut consumer = builder.auto_commit(false).build().unwrap();
        consumer.subscribe(&[topic]);
        let mut latest = BTreeMap::new();
        let read = async {
            while !enough(&latest) {
                for record in consumer.poll(Duration::from_secs(1)).await.unwrap() {
                    let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                    latest.insert(key, value(&record.value.unwrap()));
                }
            }
        };
        let done = timeout(DEADLINE, read).await;
        consumer.close().await.unwrap();
        assert!(done.is_ok(), "{topic} holds only {} keys", latest.len());
        latest
    }
}

/// A running application.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), StreamsError>>,
    metrics: Metrics,
}

impl Running {
    fn start(cluster: &Cluster, topology: &Topology, threads: usize) -> Self {
        let stop = CancellationToken::new();
        let streams = Streams::on(cluster.client.clone())
            .threads(threads)
            .commit_interval(Duration::from_millis(200))
            .purge_interval(Duration::ZERO)
            .session_timeout(Duration::from_secs(6));
        let metrics = streams.metrics();
        let task = tokio::spawn(streams.run(topology.clone(), stop.clone().cancelled_owned()));
        Self { stop, task, metrics }
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
    }

    async fn failure(self) -> StreamsError {
        timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap_err()
    }
}

fn long(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes.try_into().unwrap())
}

fn word_count(cluster: &Cluster, lines: &str, counts: &str) -> Topology {
    let b = StreamsBuilder::new(&cluster.name("word-count"));
    b.stream(lines, (Raw, Utf8))
        .flat_map_values(|_, line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by("by-word", (Utf8, Utf8), |_, word| word.clone())
        .count("counts")
        .to_stream()
        .to(counts, (Utf8, I64.nullable()));
    b.build().unwrap()
}

/// `count` lines of three words each, over seven words.
fn lines(count: usize) -> Vec<ProducerRecord> {
    let words = ["to", "be", "or", "not", "that", "is", "question"];
    let word = |n: usize| words[n % words.len()];
    let line = |n: usize| format!("{} {} {}", word(3 * n), word(3 * n + 1), word(3 * n + 2));
    (0..count).map(|n| ProducerRecord::to("").value(line(n))).collect()
}

fn total(counts: &BTreeMap<String, i64>) -> i64 {
    counts.values().sum()
}

/// Words are counted across a repartition topic, and a second run goes on from the first one's counts.
async fn counts_go_on_after_a_restart(cluster: Cluster) {
    let (input, output) = (cluster.create("lines", 3).await, cluster.create("counts", 2).await);
    let topology = word_count(&cluster, &input, &output);
    for run in 1..=2 {
        let app = Running::start(&cluster, &topology, 2);
        cluster.produce(&input, lines(70)).await;
        let counts = cluster.read_until(&output, long, |counts| total(counts) >= 210 * run).await;
        assert!(counts.values().all(|count| *count == 30 * run), "{counts:?}");
        assert_eq!(app.metrics.dropped_total(), 0);
        app.stop().await;
    }
    let topics = cluster.client.admin().list_topics().await.unwrap();
    for topic in ["by-word-repartition", "counts-changelog"] {
        let topic = format!("{}-{topic}", cluster.name("word-count"));
        assert!(topics.iter().any(|known| *known.name == *topic), "{topic} is missing");
    }
    cluster.assert_purged(&format!("{}-by-word-repartition", cluster.name("word-count")), 3).await;
}

/// An instance that joins takes tasks over with their state, and gives them back when it leaves: nothing is counted
/// twice or lost.
async fn instances_share_tasks(cluster: Cluster) {
    let (input, output) = (cluster.create("lines", 4).await, cluster.create("counts", 1).await);
    let topology = word_count(&cluster, &input, &output);
    let first = Running::start(&cluster, &topology, 1);
    cluster.produce(&input, lines(70)).await;
    cluster.read_until(&output, long, |counts| total(counts) >= 210).await;
    let second = Running::start(&cluster, &topology, 1);
    cluster.produce(&input, lines(70)).await;
    cluster.read_until(&output, long, |counts| total(counts) >= 420).await;
    first.stop().await;
    cluster.produce(&input, lines(70)).await;
    let counts = cluster.read_until(&output, long, |counts| total(counts) >= 630).await;
    assert!(counts.values().all(|count| *count == 90), "{counts:?}");
    second.stop().await;
}

/// An application that is dropped instead of stopped loses nothing: what it had not committed is processed again.
async fn a_crash_loses_nothing(cluster: Cluster) {
    let (input, output) = (cluster.create("lines", 2).await, cluster.create("counts", 1).await);
    let topology = word_count(&cluster, &input, &output);
    let first = Running::start(&cluster, &topology, 1);
    cluster.produce(&input, lines(70)).await;
    cluster.read_until(&output, long, |counts| total(counts) >= 210).await;
    first.task.abort();
    let second = Running::start(&cluster, &topology, 1);
    cluster.produce(&input, lines(70)).await;
    // Some words may be counted twice, so the sum says nothing.
    let all = |counts: &BTreeMap<String, i64>| counts.len() == 7 && counts.values().all(|count| *count >= 60);
    cluster.read_until(&output, long, all).await;
    second.stop().await;
}

/// Final results come once per window, and a window that is open over a restart keeps what it has.
async fn windows_stay_open_over_a_restart(cluster: Cluster) {
    #[derive(serde::Serialize, serde::Deserialize, Clone, Default)]
    struct Statistics {
        count: u32,
        sum: f64,
    }
    let (input, output) = (cluster.create("samples", 1).await, cluster.create("rows", 1).await);
    let b = StreamsBuilder::new(&cluster.name("windows"));
    b.stream(input.as_str(), (Utf8, Json))
        .group_by_key("by-metric", (Utf8, Json))
        .windowed_by(TimeWindows::tumbling(Duration::from_secs(5)))
        .emit(EmitStrategy::on_window_close())
        .aggregate("statistics", Json, Statistics::default, |_, sample: &f64, s: &mut Statistics| {
            s.count += 1;
            s.sum += sample;
        })
        .to_stream()
        .map(|key, s| (format!("{}@{}", key.key, key.window.start), s.unwrap_or_default()))
        .to(&output, (Utf8, Json));
    let topology = b.build().unwrap();
    // Changelogs of windows are kept by the records' time, so the samples are of today.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let start = i64::try_from(now).unwrap() / 5_000 * 5_000;
    let sample = |at: i64, value: &str| ProducerRecord::to("").key("cpu").value(value.to_owned()).timestamp(start + at);

    let first = Running::start(&cluster, &topology, 1);
    cluster.produce(&input, [sample(0, "1.0"), sample(5_000, "7.0")]).await;
    let value = |bytes: &[u8]| serde_json::from_slice::<Statistics>(bytes).unwrap();
    cluster.read_until(&output, value, |rows| rows.len() == 1).await;
    first.stop().await;
    let second = Running::start(&cluster, &topology, 1);
    cluster.produce(&input, [sample(4_999, "2.0"), sample(9_999, "8.0"), sample(10_000, "9.0")]).await;
    let rows = cluster.read_until(&output, value, |rows| rows.len() == 2).await;
    let row = |at: i64| &rows[&format!("cpu@{}", start + at)];
    assert_eq!((row(0).count, row(0).sum), (1, 1.0), "late after the restart as before it");
    assert_eq!((row(5_000).count, row(5_000).sum), (2, 15.0));
    assert_eq!(second.metrics.dropped_total(), 1);
    second.stop().await;
}

/// Windowed keys go to the partition of the key inside (R5).
async fn windowed_keys_are_partitioned_by_the_inner_key(cluster: Cluster) {
    let (input, output) = (cluster.create("in", 1).await, cluster.create("out", 8).await);
    let size = Duration::from_millis(10);
    let b = StreamsBuilder::new(&cluster.name("partitions"));
    let counts = b.stream(input.as_str(), (Utf8, Utf8)).group_by_key("by-key", (Utf8, Utf8));
    let counts = counts.windowed_by(TimeWindows::tumbling(size)).count("counts");
    counts.to_stream().to(&output, (Utf8.windowed(size), I64.nullable()));
    let app = Running::start(&cluster, &b.build().unwrap(), 1);
    let now = 1_700_000_000_000;
    let record = |n: i64| ProducerRecord::to("").key("same").value("").timestamp(now + 10 * n);
    cluster.produce(&input, (0..20).map(record)).await;

    let group = cluster.name("reader");
    let builder = cluster.client.consumer().group(group).auto_offset_reset(AutoOffsetReset::Earliest);
    let mut consumer = builder.auto_commit(false).build().unwrap();
    consumer.subscribe(&[&output]);
    let mut partitions = Vec::new();
    let read = async {
        while partitions.len() < 20 {
            partitions.extend(consumer.poll(Duration::from_secs(1)).await.unwrap().iter().map(|r| r.partition));
        }
    };
    timeout(DEADLINE, read).await.unwrap();
    consumer.close().await.unwrap();
    partitions.dedup();
    assert_eq!(partitions, [riverrun_client::producer::partition_for_key(b"same", 8)]);
    app.stop().await;
}

/// What cannot work ends with an error that names the place.
async fn failures_name_the_place(cluster: Cluster) {
    let b = StreamsBuilder::new(&cluster.name("missing"));
    let missing = cluster.name("nowhere");
    b.stream(missing.as_str(), (Raw, Raw)).for_each(|_, _| ());
    let error = Running::start(&cluster, &b.build().unwrap(), 1).failure().await;
    assert!(matches!(&error, StreamsError::MissingTopic { topic } if **topic == *missing), "{error}");

    let input = cluster.create("numbers", 1).await;
    let b = StreamsBuilder::new(&cluster.name("strict"));
    b.stream(input.as_str(), (Raw, I64)).for_each(|_, _| ());
    cluster.produce(&input, [ProducerRecord::to("").value("seven")]).await;
    let error = Running::start(&cluster, &b.build().unwrap(), 1).failure().await;
    let expected = format!(
        "task 0_0: KSTREAM-SOURCE-0000000000: the value of {input}-0 at offset 0 does not decode: \
         expected 8 bytes, got 5"
    );
    assert_eq!(error.to_string(), expected);

    let b = StreamsBuilder::new(&cluster.name("panic"));
    b.stream(input.as_str(), (Raw, Utf8)).for_each(|_, _| panic!("not like this"));
    let error = Running::start(&cluster, &b.build().unwrap(), 1).failure().await;
    assert!(matches!(&error, StreamsError::Panicked { message } if message == "not like this"), "{error}");
}

fn embedded() -> riverrun_broker::BrokerBuilder {
    Broker::builder().in_memory().set("group.initial.rebalance.delay.ms", "0").unwrap()
}

async fn in_process<F: Future<Output = ()>>(scenario: impl FnOnce(Cluster) -> F) {
    let broker = embedded().start().await.unwrap();
    scenario(Cluster::new(broker.client())).await;
    broker.shutdown().await.unwrap();
}

async fn over_tcp<F: Future<Output = ()>>(scenario: impl FnOnce(Cluster) -> F) {
    let broker = embedded().listen("127.0.0.1:0").start().await.unwrap();
    let address = broker.addresses()[0].to_string();
    scenario(Cluster::new(Client::connect(&address).await.unwrap())).await;
    broker.shutdown().await.unwrap();
}

async fn on_another_cluster<F: Future<Output = ()>>(scenario: impl FnOnce(Cluster) -> F) {
    match std::env::var("RIVERRUN_TEST_BOOTSTRAP") {
        Ok(bootstrap) => scenario(Cluster::new(Client::connect(&bootstrap).await.unwrap())).await,
        Err(_) => eprintln!("SKIPPED: set RIVERRUN_TEST_BOOTSTRAP=host:port to run this against another cluster"),
    }
}

macro_rules! everywhere {
    ($($place:ident: [$($scenario:ident),* $(,)?])*) => {$(
        mod $place {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    super::$place(super::$scenario).await;
                }
            )*
        }
    )*};
    ([$($place:ident),*] $scenarios:tt) => {
        everywhere! { $($place: $scenarios)* }
    };
}

everywhere! {
    [in_process, over_tcp, on_another_cluster]
    [
        counts_go_on_after_a_restart,
        instances_share_tasks,
        a_crash_loses_nothing,
        windows_stay_open_over_a_restart,
        windowed_keys_are_partitioned_by_the_inner_key,
        failures_name_the_place,
    ]
}
