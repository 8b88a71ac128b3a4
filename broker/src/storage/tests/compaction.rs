//! Compaction as the storage runs it: what goes, what the checkpoint says, what happens when the disk fails or the topic is
//! deleted meanwhile.

use std::collections::BTreeMap;

use riverrun_core::{
    log::{CleanupPolicy, read_offsets},
    record::{DecompressLimits, batches},
};

use super::*;
use crate::{config::BrokerConfig, storage::CleanerSettings};

const CHECKPOINT: &str = "/data/cleaner-offset-checkpoint";

fn compacted(id: Uuid, count: i32) -> TopicLogs {
    let mut logs = logs(id, count);
    logs.config.cleanup_policy = CleanupPolicy { compact: true, delete: false };
    logs.config.segment_bytes = 500;
    logs
}

fn compacted_storage(vfs: &SimulatedVfs, count: i32) -> Arc<Storage> {
    let storage = without_topics(vfs);
    storage.make_partitions(&[compacted(TOPIC, count)]).unwrap();
    storage
}

async fn write(partition: &Arc<Partition>, key: &str, value: Option<&str>) {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(partition.wall_ms(), Some(key.as_bytes()), value.map(str::as_bytes), []).unwrap();
    let appended = partition.produce(builder.build().unwrap(), Acks::All).unwrap();
    partition.committed(appended.last_offset + 1).await.unwrap();
}

/// Writes every key `rounds` times.
async fn write_rounds(partition: &Arc<Partition>, rounds: usize) {
    for round in 0..rounds {
        for key in ["a", "b", "c"] {
            write(partition, key, Some(&format!("{key}{round}"))).await;
        }
    }
}

type Records = Vec<(i64, String, Option<String>)>;

fn records(partition: &Partition) -> Records {
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let read = partition.read(next, 1 << 20, true, ReadIsolation::HighWatermark).unwrap();
        if read.records.is_empty() {
            return found;
        }
        for batch in batches(read.records) {
            let batch = batch.unwrap();
            next = batch.header().next_offset();
            for record in &batch.decode(&DecompressLimits::default()).unwrap() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                found.push((record.offset, text(record.key.unwrap()), record.value.map(text)));
            }
        }
    }
}

/// What remains if the records are read in order.
fn fold(records: &Records) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (_, key, value) in records {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
    map
}

fn checkpoint(vfs: &SimulatedVfs) -> BTreeMap<TopicPartition, i64> {
    read_offsets(vfs, CHECKPOINT.as_ref()).unwrap()
}

#[tokio::test]
async fn a_compacted_topic_keeps_the_last_value_of_every_key() {
    let vfs = SimulatedVfs::new();
    let storage = compacted_storage(&vfs, 2);
    let (first, second) = (partition(&storage, 0), partition(&storage, 1));
    write_rounds(&first, 20).await;
    write_rounds(&second, 1).await;
    let (before, bytes) = (records(&first), first.size_in_bytes());
    storage.clean_now();
    let after = records(&first);
    assert_eq!(fold(&after), fold(&before));
    assert!(after.len() < 20 && first.size_in_bytes() < bytes / 2, "{} records", after.len());
    assert_eq!(records(&second).len(), 3, "one segment, which grows");
    let cleaned_to = checkpoint(&vfs)[first.topic_partition()];
    assert!(0 < cleaned_to && cleaned_to < 60);
    assert!(!checkpoint(&vfs).contains_key(second.topic_partition()));
    storage.clean_now();
    assert_eq!(records(&first), after, "nothing is dirty");

    // The next run goes on from there.
    storage.close().unwrap();
    drop((storage, first, second));
    let storage = without_topics(&vfs);
    let folders = storage.set_strays_aside(|folder| folder.starts_with("t-")).unwrap();
    storage.open_topics(&[compacted(TOPIC, 2)], &folders, &OpenProgress::default()).unwrap();
    let first = partition(&storage, 0);
    storage.clean_now();
    assert!(first.in_swap(|log| log.is_resting()), "not woken for nothing");
    assert_eq!(records(&first), after);
    write_rounds(&first, 20).await;
    storage.clean_now();
    assert_eq!(fold(&records(&first)), fold(&before), "the values are those of the last round");
    assert!(checkpoint(&vfs)[first.topic_partition()] > cleaned_to);
}

#[tokio::test]
async fn a_tombstone_goes_after_its_time() {
    let vfs = SimulatedVfs::new();
    let storage = without_topics(&vfs);
    let mut topic = compacted(TOPIC, 1);
    topic.config.delete_retention_ms = 0;
    let mut patient = compacted(Uuid([8; 16]), 0);
    patient.partitions = vec![(TopicPartition::new("patient", 0), LeaderEpoch(0))];
    storage.make_partitions(&[topic, patient]).unwrap();
    let [quick, patient] = [partition(&storage, 0), storage.partition(Uuid([8; 16]), 0).unwrap()];
    for _ in 0..2 {
        // The first compaction gives the tombstone its time, the second finds that it has passed.
        for partition in [&quick, &patient] {
            write(partition, "gone", Some("value")).await;
            write(partition, "gone", None).await;
            write_rounds(partition, 20).await;
        }
        storage.clean_now();
    }
    write_rounds(&quick, 40).await;
    storage.clean_now();
    assert!(records(&quick).iter().all(|(_, key, _)| key != "gone"));
    let tombstones = records(&patient).iter().filter(|(_, key, value)| key == "gone" && value.is_none()).count();
    assert_eq!(tombstones, 1, "a day has not passed");
}

#[tokio::test]
async fn records_and_aborted_transactions_of_different_segments_are_told_apart() {
    let vfs = SimulatedVfs::new();
    let storage = compacted_storage(&vfs, 1);
    let first = partition(&storage, 0);
    write_rounds(&first, 20).await;
    let found = first.fetch(0, 1 << 20, true, ReadIsolation::Committed, usize::MAX).unwrap();
    assert!(first.aborted_transactions(0, 60, found.swaps).unwrap().is_some());
    storage.clean_now();
    assert!(first.aborted_transactions(0, 60, found.swaps).unwrap().is_none());
    let again = first.fetch(0, 1 << 20, true, ReadIsolation::Committed, usize::MAX).unwrap();
    assert!(first.aborted_transactions(0, 60, again.swaps).unwrap().is_some());
}

/// Has the thread compact, so slowly that it does not come to an end.
fn clean_slowly(storage: &Arc<Storage>) {
    let mut config = BrokerConfig::default();
    config.set("log.cleaner.backoff.ms", "0").unwrap();
    config.set("log.cleaner.io.max.bytes.per.second", "1").unwrap();
    storage.set_cleaner(CleanerSettings::of(&config));
    storage.start_cleaner().unwrap();
    while !storage.cleaner.is_at_work() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_topic_is_deleted_while_it_is_compacted() {
    let vfs = SimulatedVfs::new();
    let storage = compacted_storage(&vfs, 1);
    write_rounds(&partition(&storage, 0), 20).await;
    clean_slowly(&storage);
    storage.remove_topics(&[TOPIC]);
    assert!(!storage.cleaner.is_at_work());
    assert!(checkpoint(&vfs).is_empty());

    // One of the same name has nothing of the old one.
    let id = Uuid([8; 16]);
    storage.make_partitions(&[compacted(id, 1)]).unwrap();
    let new = storage.partition(id, 0).unwrap();
    write_rounds(&new, 1).await;
    assert_eq!(records(&new).len(), 3);
    let names = vfs.list("/data/t-0".as_ref()).unwrap();
    assert!(names.iter().all(|name| !name.contains("cleaned") && !name.contains("swap")), "{names:?}");
    storage.close().unwrap();
}

#[tokio::test]
async fn a_broker_stops_while_it_compacts() {
    let vfs = SimulatedVfs::new();
    let storage = compacted_storage(&vfs, 1);
    let first = partition(&storage, 0);
    write_rounds(&first, 20).await;
    let before = records(&first);
    clean_slowly(&storage);
    storage.close().unwrap();
    drop((storage, first));
    let storage = reopened(&vfs, TOPIC, 1);
    assert_eq!(records(&partition(&storage, 0)), before);
}

#[tokio::test]
async fn a_topic_that_is_compacted_no_more_is_let_go_of() {
    let vfs = SimulatedVfs::new();
    let storage = compacted_storage(&vfs, 1);
    let first = partition(&storage, 0);
    write_rounds(&first, 20).await;
    let before = records(&first);
    clean_slowly(&storage);
    first.set_config(LogConfig {
        cleanup_policy: CleanupPolicy { compact: false, delete: true },
        ..LogConfig::default()
    });
    storage.set_cleaner(CleanerSettings::of(&BrokerConfig::default()));
    storage.cleaner.let_go(&[first.topic_partition()]);
    assert_eq!(records(&first), before);
    storage.close().unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_compacted_holds_up_no_other() {
    let vfs = SimulatedVfs::new();
    let storage = compacted_storage(&vfs, 2);
    let (first, second) = (partition(&storage, 0), partition(&storage, 1));
    write_rounds(&first, 20).await;
    write_rounds(&second, 20).await;
    vfs.flip_bit("/data/t-0/00000000000000000000.log".as_ref(), 70, 1);
    let bytes = first.size_in_bytes();
    storage.clean_now();
    assert_eq!(first.size_in_bytes(), bytes, "what is damaged stays as it is");
    assert!(records(&second).len() < 20);
    storage.clean_now();
    write(&first, "a", Some("still taken")).await;
    storage.close().unwrap();
}

#[tokio::test]
async fn a_full_disk_is_tried_again_and_a_failed_sync_is_not() {
    let vfs = SimulatedVfs::new();
    let storage = compacted_storage(&vfs, 1);
    let first = partition(&storage, 0);
    write_rounds(&first, 20).await;
    let before = records(&first);
    vfs.inject(Fault::Capacity(0));
    storage.clean_now();
    assert_eq!(records(&first), before);
    vfs.inject(Fault::Capacity(u64::MAX));
    storage.clean_now();
    let after = records(&first);
    assert!(after.len() < 20);

    write_rounds(&first, 20).await;
    let before = records(&first);
    vfs.inject(Fault::Sync(0));
    storage.clean_now();
    assert_eq!(fold(&records(&first)), fold(&before));
    let refused = first.produce(batch(), Acks::All).unwrap_err();
    assert!(matches!(refused, ProduceError::Append(AppendError::Offline { .. })), "{refused}");
}

#[tokio::test]
async fn a_topic_in_memory_is_compacted() {
    let vfs = SimulatedVfs::new();
    let storage = without_topics(&vfs);
    let mut topic = compacted(TOPIC, 1);
    topic.config.durability = Durability::Memory;
    storage.make_partitions(&[topic]).unwrap();
    let first = partition(&storage, 0);
    write_rounds(&first, 20).await;
    storage.clean_now();
    assert!(records(&first).len() < 20);
}
