//! Many idle partitions cost little: how long a broker takes to make them, to start with them after a clean stop and after
//! kill -9, and what memory it holds. `RIVERRUN_TEST_PARTITIONS` sets how many, 1,000 if it is not set; the figures are
//! printed (`--nocapture`).
//!
//! The broker is this test's own executable, started again with an environment variable.
#![cfg(target_os = "linux")]

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use riverrun::{
    broker::Broker,
    client::{Acks, AutoOffsetReset, Client, ProducerRecord, admin::NewTopic},
    core::TopicPartition,
};

const ROLE: &str = "RIVERRUN_MANY_PARTITIONS_BROKER";
const COUNT: &str = "RIVERRUN_TEST_PARTITIONS";
const PER_TOPIC: usize = 100;
/// Topics of one request: Kafka's limit is 10,000 partitions.
const TOPICS_PER_REQUEST: usize = 50;
/// Memory of a broker without partitions, with room for a build that is not optimized, and of each partition.
const BASE_BYTES: usize = 100 << 20;
const PARTITION_BYTES: usize = 8 << 10;

/// Does nothing unless started as the broker: runs until it is told to stop, or killed.
#[test]
fn broker() {
    let Ok(folder) = std::env::var(ROLE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let broker = runtime.block_on(async {
        let builder = Broker::builder().data_dir(&folder).listen("127.0.0.1:0");
        builder.start().await.expect("the broker starts")
    });
    println!("\nlistens on {}", broker.addresses()[0]);
    let _ = std::io::stdin().read_line(&mut String::new());
    runtime.block_on(broker.shutdown()).expect("stops");
    println!("\nstopped");
}

struct Running {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    address: String,
    ready_ms: u128,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let began = Instant::now();
        let mut process = Command::new(std::env::current_exe().expect("this executable"))
            .args(["broker", "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let input = process.stdin.take().expect("piped");
        let mut output = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut lines = output.by_ref().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listens on ").map(str::to_owned)).expect("it listens");
        Self { process, input, output, address, ready_ms: began.elapsed().as_millis() }
    }

    fn memory_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells");
        resident.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("it runs").count()
    }

    fn stop(mut self) {
        self.input.write_all(b"stop\n").expect("it reads");
        let said: Vec<_> = self.output.map_while(Result::ok).collect();
        assert!(said.iter().any(|line| line == "stopped"), "it stops cleanly");
        self.process.wait().expect("it ended");
    }

    fn kill(mut self) {
        self.process.kill().expect("kill -9");
        self.process.wait().expect("it ended");
    }
}

fn tell(what: &str, running: &Running, partitions: usize) {
    let (memory, files) = (running.memory_bytes(), running.open_files());
    println!("{what}: ready after {} ms, {} MiB, {files} open files", running.ready_ms, memory >> 20);
    let limit = BASE_BYTES + partitions * PARTITION_BYTES;
    assert!(memory < limit, "{what}: {memory} bytes are more than {limit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_idle_partitions_cost_little() {
    let count: usize = std::env::var(COUNT).ok().and_then(|count| count.parse().ok()).unwrap_or(1_000);
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    tell("no partitions", &running, 0);

    let began = Instant::now();
    let client = Client::connect(&running.address).await.expect("it answers");
    let topics: Vec<_> = (0..count.div_ceil(PER_TOPIC)).map(|topic| format!("topic-{topic:04}")).collect();
    for names in topics.chunks(TOPICS_PER_REQUEST) {
        let new: Vec<_> = names.iter().map(|name| NewTopic::new(name, PER_TOPIC as i32)).collect();
        for (_, made) in client.admin().create_topics(&new).await.expect("an answer") {
            made.expect("the topic is made");
        }
    }
    println!("{} partitions made in {} ms", topics.len() * PER_TOPIC, began.elapsed().as_millis());
    let producer = client.producer().acks(Acks::All).build().expect("a producer");
    for topic in &topics {
        producer
            .send(ProducerRecord::to(topic.as_str()).partition(7).value("one"))
            .await
            .expect("there is room")
            .await
            .expect("delivered");
    }
    drop((producer, client));
    tell("just made", &running, count);
    let began = Instant::now();
    running.stop();
    println!("stopped in {} ms", began.elapsed().as_millis());

    let running = Running::start(folder.path());
    tell("after a clean stop", &running, count);
    check(&running, &topics).await;
    running.kill();
    let running = Running::start(folder.path());
    tell("after kill -9", &running, count);
    check(&running, &topics).await;
    running.kill();
}

/// Every record is where it was written.
async fn check(running: &Running, topics: &[String]) {
    let client = Client::connect(&running.address).await.expect("it answers");
    for topic in [topics.first(), topics.last()].into_iter().flatten() {
        let mut consumer = client.consumer().auto_offset_reset(AutoOffsetReset::Earliest).build().expect("a consumer");
        consumer.assign(&[TopicPartition::new(topic.as_str(), 7)]);
        let records = consumer.poll(Duration::from_secs(30)).await.expect("a poll works");
        let values: Vec<_> = records.into_iter().map(|record| record.value).collect();
        assert_eq!(values, [Some("one".into())], "{topic}");
        consumer.close().await.expect("closes");
    }
}
