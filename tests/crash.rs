//! kill -9 in mid-produce: nothing that was acknowledged is lost, nothing is doubled, the order is kept.
//!
//! The victim is this test's own executable, started again with an environment variable: it runs a broker, produces with
//! idempotence, and prints the number of every record once it is acknowledged. The parent kills it in full flight, opens
//! the data directory itself and compares. This is done in process and over TCP, several times on one directory.
#![cfg(unix)]

mod common;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use common::{BOTH, Reach, client, create_topic, read, start};
use riverrun::{
    client::{Acks, ProducerRecord, admin::OffsetSpec},
    core::TopicPartition,
};

const ROLE: &str = "RIVERRUN_CRASH_VICTIM";
const TOPIC: &str = "numbers";

/// Does nothing unless started as the victim.
#[test]
fn victim() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (reach, data_dir, first) = parse_role(&role);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(produce_for_ever(reach, Path::new(&data_dir), first));
}

fn parse_role(role: &str) -> (Reach, String, u64) {
    let mut parts = role.splitn(3, ' ');
    let reach = if parts.next() == Some("tcp") { Reach::Tcp } else { Reach::InProcess };
    let first = parts.next().and_then(|number| number.parse().ok()).expect("a number");
    (reach, parts.next().expect("a folder").to_owned(), first)
}

async fn produce_for_ever(reach: Reach, data_dir: &Path, first: u64) {
    let broker = start(data_dir).await;
    let client = client(&broker, reach).await;
    let producer = client.producer().acks(Acks::All).build().expect("a producer");
    let (acknowledged, mut deliveries) = tokio::sync::mpsc::channel(1000);
    tokio::spawn(async move {
        for number in first.. {
            let record = ProducerRecord::to(TOPIC).value(number.to_string().into_bytes());
            let delivery = producer.send(record).await.expect("there is room");
            acknowledged.send((number, delivery)).await.expect("the reader lives");
        }
    });
    while let Some((number, delivery)) = deliveries.recv().await {
        let metadata = delivery.await.expect("delivered");
        println!("acknowledged {number} {}", metadata.offset);
    }
}

/// Starts the victim and kills it after it has printed `count` acknowledgements. Returns all it printed.
fn run_and_kill(reach: Reach, data_dir: &Path, first: u64, count: usize) -> Vec<(u64, i64)> {
    let role = format!("{} {first} {}", if reach == Reach::Tcp { "tcp" } else { "inproc" }, data_dir.display());
    let mut victim = Command::new(std::env::current_exe().expect("this executable"))
        .args(["victim", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the victim starts");
    let mut acknowledged = Vec::new();
    let lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
    for line in lines.map_while(Result::ok) {
        let Some((_, numbers)) = line.split_once("acknowledged ") else { continue };
        let Some((number, offset)) = numbers.split_once(' ') else { continue };
        // The pipe may end in the middle of the last line.
        let (Ok(number), Ok(offset)) = (number.parse(), offset.parse()) else { continue };
        acknowledged.push((number, offset));
        if acknowledged.len() == count {
            victim.kill().expect("kill -9");
        }
    }
    victim.wait().expect("it ended");
    assert!(acknowledged.len() >= count, "the victim ended by itself after {} records", acknowledged.len());
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    for reach in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = start(folder.path()).await;
        create_topic(&client(&broker, reach).await, TOPIC, 1).await;
        broker.shutdown().await.expect("stops");

        let mut acknowledged = Vec::new();
        let mut next = 0;
        for round in 0..3 {
            let (path, count) = (folder.path().to_owned(), 500 + 700 * round);
            let more = tokio::task::spawn_blocking(move || run_and_kill(reach, &path, next, count)).await.expect("ran");
            acknowledged.extend(more);

            let broker = start(folder.path()).await;
            let client = client(&broker, reach).await;
            let end = end_offset(&client).await;
            let records = read(&client, TOPIC, usize::try_from(end).expect("a count")).await;
            let numbers: Vec<u64> = records
                .iter()
                .map(|record| {
                    let text = record.value.as_deref().expect("a value");
                    std::str::from_utf8(text).expect("digits").parse().expect("a number")
                })
                .collect();
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{reach:?}: out of order or doubled");
            for (number, offset) in &acknowledged {
                let found = usize::try_from(*offset).ok().and_then(|offset| numbers.get(offset));
                assert_eq!(found, Some(number), "{reach:?}, round {round}: acknowledged at offset {offset}");
            }
            next = numbers.last().map_or(0, |last| last + 1);
            broker.shutdown().await.expect("stops");
        }
    }
}

async fn end_offset(client: &riverrun::client::Client) -> i64 {
    let specs = [(TopicPartition::new(TOPIC, 0), OffsetSpec::Latest)].into();
    let ends = client.admin().list_offsets(&specs).await.expect("ends");
    ends.into_values().next().flatten().expect("an end").offset
}
