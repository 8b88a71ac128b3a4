//! The data directory on a disk that fails: what was acknowledged, and what is said afterwards.

mod compaction;
mod group_commit;
mod watched;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use riverrun_core::{
    LeaderEpoch, TopicPartition, Uuid,
    log::{AppendError, Durability, Fault, LogConfig, OpenProgress, PRODUCERS_MAX, ReadError, SimulatedVfs, Vfs},
    record::{BatchBuilder, BatchOptions},
};

use super::{
    Acks, CheckIntervals, LogOffline, Partition, PartitionReadError, Place, ProduceError, ReadIsolation, Storage,
    StorageOpenError, TopicLogs, Upkeep,
};
use crate::clock::Clock;

const TOPIC: Uuid = Uuid([7; 16]);

fn storage(vfs: &SimulatedVfs) -> Arc<Storage> {
    let storage = without_topics(vfs);
    storage.make_partitions(&[logs(TOPIC, 2)]).unwrap();
    storage
}

fn logs(id: Uuid, count: i32) -> TopicLogs {
    let partitions = (0..count).map(|index| (TopicPartition::new("t", index), LeaderEpoch(0))).collect();
    TopicLogs { id, config: LogConfig::default(), partitions }
}

/// Opens what is there, as a start after a crash does.
fn reopened(vfs: &SimulatedVfs, id: Uuid, count: i32) -> Arc<Storage> {
    let storage = without_topics(vfs);
    let folders = storage.set_strays_aside(|folder| folder.starts_with("t-")).unwrap();
    storage.open_topics(&[logs(id, count)], &folders, &OpenProgress::default()).unwrap();
    storage
}

fn without_topics(vfs: &SimulatedVfs) -> Arc<Storage> {
    on(Arc::new(vfs.clone()))
}

fn on(vfs: Arc<dyn Vfs>) -> Arc<Storage> {
    vfs.create_dir_all("/data".as_ref()).unwrap();
    let place = Place {
        vfs,
        memory: Arc::new(SimulatedVfs::in_memory()),
        root: "/data".into(),
        directory_id: Uuid([1; 16]),
        was_clean: false,
        producers_max: PRODUCERS_MAX,
        state: riverrun_core::budget::StateBudget::unlimited(),
    };
    let hour = Duration::from_secs(3600);
    let intervals = CheckIntervals { retention: hour, producers: hour };
    let upkeep = Upkeep { intervals, tail_bytes_max: 8 << 20 };
    Storage::open(place, None, LogConfig::default(), upkeep, Clock::start()).unwrap()
}

fn partition(storage: &Storage, index: i32) -> Arc<Partition> {
    storage.partition(TOPIC, index).unwrap()
}

fn batch() -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(-1, None, Some(b"value"), []).unwrap();
    builder.build().unwrap()
}

#[tokio::test]
async fn acknowledged_records_are_durable_and_visible() {
    let vfs = SimulatedVfs::new();
    let storage = storage(&vfs);
    let partition = partition(&storage, 0);
    for end in 1..=3 {
        let appended = partition.produce(batch(), Acks::All).unwrap();
        partition.committed(appended.last_offset + 1).await.unwrap();
        let offsets = partition.offsets();
        assert_eq!((offsets.high_watermark, offsets.log_end), (end, end));
    }
    storage.close().unwrap();
    assert!(matches!(partition.produce(batch(), Acks::All), Err(ProduceError::Gone)));
}

#[tokio::test]
async fn a_failed_sync_takes_the_whole_directory_offline() {
    let vfs = SimulatedVfs::new();
    let storage = storage(&vfs);
    let (first, second) = (partition(&storage, 0), partition(&storage, 1));
    let appended = first.produce(batch(), Acks::All).unwrap();
    first.committed(appended.last_offset + 1).await.unwrap();

    vfs.inject(Fault::Sync(0));
    let appended = first.produce(batch(), Acks::All).unwrap();
    assert_eq!(first.committed(appended.last_offset + 1).await, Err(LogOffline), "never acknowledged");
    for partition in [&first, &second] {
        let refused = partition.produce(batch(), Acks::Leader).unwrap_err();
        assert!(matches!(refused, ProduceError::Append(AppendError::Offline { .. })), "{refused}");
    }
    // What was committed is still served, and nothing more.
    let read = first.read(0, 1 << 20, true, ReadIsolation::HighWatermark).unwrap();
    assert_eq!((read.high_watermark, read.records.is_empty()), (1, false));
    assert!(storage.close().is_err(), "not marked as closed cleanly");
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let vfs = SimulatedVfs::new();
    let storage = storage(&vfs);
    let partition = partition(&storage, 0);
    vfs.inject(Fault::Capacity(0));
    let refused = partition.produce(batch(), Acks::All).unwrap_err();
    assert!(matches!(refused, ProduceError::Append(AppendError::Io { .. })), "{refused}");
    vfs.inject(Fault::Capacity(u64::MAX));
    let appended = partition.produce(batch(), Acks::All).unwrap();
    assert_eq!(appended.base_offset, 0, "nothing of the refused batch is in the log");
    partition.committed(1).await.unwrap();
    storage.close().unwrap();
}

#[tokio::test]
async fn a_topic_made_anew_inherits_no_checkpoint() {
    let vfs = SimulatedVfs::new();
    let storage = storage(&vfs);
    let old = partition(&storage, 0);
    for end in 1..=3 {
        old.produce(batch(), Acks::All).unwrap();
        old.committed(end).await.unwrap();
    }
    assert_eq!(old.delete_records(None).unwrap(), 3);
    storage.records_deleted();
    storage.remove_topics(&[TOPIC]);

    let id = Uuid([8; 16]);
    storage.make_partitions(&[logs(id, 1)]).unwrap();
    let new = storage.partition(id, 0).unwrap();
    new.produce(batch(), Acks::All).unwrap();
    new.committed(1).await.unwrap();
    drop((storage, old, new));
    vfs.crash(1);

    let offsets = reopened(&vfs, id, 1).partition(id, 0).unwrap().offsets();
    assert_eq!((offsets.log_start, offsets.log_end), (0, 1), "neither refused nor emptied");
}

#[tokio::test]
async fn a_damaged_partition_is_offline_and_no_other() {
    let vfs = SimulatedVfs::new();
    {
        let storage = storage(&vfs);
        for index in 0..2 {
            let partition = partition(&storage, index);
            for end in 1..=3 {
                partition.produce(batch(), Acks::All).unwrap();
                partition.committed(end).await.unwrap();
            }
        }
        storage.write_checkpoints().unwrap();
    }
    let path = std::path::Path::new("/data/t-0/00000000000000000000.log");
    let length = vfs.open(path).unwrap().len().unwrap();
    vfs.flip_bit(path, 70, 1);
    vfs.remove("/data/riverrun-bookmarks".as_ref()).unwrap();
    for _ in 0..2 {
        // The second time after a clean stop of the broker.
        let storage = reopened(&vfs, TOPIC, 2);
        assert_eq!(storage.offline_partitions(TOPIC), [0]);
        let (damaged, sound) = (partition(&storage, 0), partition(&storage, 1));
        let refused = damaged.produce(batch(), Acks::All).unwrap_err();
        assert!(matches!(refused, ProduceError::Append(AppendError::Offline { .. })), "{refused}");
        assert!(refused.to_string().contains("00000000000000000000.log is corrupt at byte 0"), "{refused}");
        let refused = damaged.read(0, 100, true, ReadIsolation::HighWatermark).unwrap_err();
        assert!(matches!(refused, PartitionReadError::Log(ReadError::Offline { .. })), "{refused}");
        let end = sound.offsets().log_end;
        sound.produce(batch(), Acks::All).unwrap();
        sound.committed(end + 1).await.unwrap();
        storage.close().unwrap();
        assert_eq!(vfs.open(path).unwrap().len().unwrap(), length, "nothing was cut off");
    }
    vfs.flip_bit(path, 70, 1);
    let storage = reopened(&vfs, TOPIC, 2);
    assert!(storage.offline_partitions(TOPIC).is_empty());
    assert_eq!(partition(&storage, 0).offsets().log_end, 3);
}

#[tokio::test]
async fn a_topic_in_memory_has_no_files_and_goes_on_where_it_ended() {
    let vfs = SimulatedVfs::new();
    let in_memory = || {
        let mut logs = logs(TOPIC, 1);
        logs.config.durability = Durability::Memory;
        logs
    };
    let storage = without_topics(&vfs);
    storage.make_partitions(&[in_memory()]).unwrap();
    let first = partition(&storage, 0);
    for end in 1..=3 {
        first.produce(batch(), Acks::All).unwrap();
        assert_eq!(first.offsets().high_watermark, end, "visible at once");
    }
    assert!(!vfs.exists("/data/t-0".as_ref()));
    storage.close().unwrap();

    let storage = without_topics(&vfs);
    let folders = storage.set_strays_aside(|_| false).unwrap();
    storage.open_topics(&[in_memory()], &folders, &OpenProgress::default()).unwrap();
    let again = partition(&storage, 0);
    let offsets = again.offsets();
    assert_eq!(
        (offsets.log_start, offsets.log_end),
        (3, 3),
        "its records are gone, its offsets are not given out twice"
    );
    assert_eq!(again.produce(batch(), Acks::All).unwrap().base_offset, 3);
    storage.remove_topics(&[TOPIC]);
    assert!(storage.place.memory.list("/data".as_ref()).unwrap().is_empty(), "its memory is free");
}

#[tokio::test]
async fn a_topic_that_trusts_the_system_is_synced_after_so_many_records() {
    let vfs = SimulatedVfs::new();
    let storage = without_topics(&vfs);
    let mut logs = logs(TOPIC, 2);
    logs.config.durability = Durability::Os;
    logs.config.flush_messages = 3;
    storage.make_partitions(std::slice::from_ref(&logs)).unwrap();
    let first = partition(&storage, 0);
    for end in 1..=2 {
        first.produce(batch(), Acks::All).unwrap();
        assert_eq!(first.offsets().high_watermark, end, "visible at once");
    }
    first.produce(batch(), Acks::All).unwrap();
    first.committed(3).await.unwrap();
    assert_eq!(first.checkpoint().0, 3, "the third is visible once all are synced");
    logs.id = Uuid([9; 16]);
    logs.config.flush_messages = i64::MAX;
    logs.config.flush_ms = 0;
    logs.partitions = vec![(TopicPartition::new("u", 0), LeaderEpoch(0))];
    storage.make_partitions(std::slice::from_ref(&logs)).unwrap();
    let by_time = storage.partition(logs.id, 0).unwrap();
    by_time.produce(batch(), Acks::All).unwrap();
    // What is asked of the flusher later is done later; of one round, one log may be done before another.
    for end in [6, 9] {
        for _ in 0..3 {
            first.produce(batch(), Acks::All).unwrap();
        }
        first.committed(end).await.unwrap();
    }
    assert_eq!(by_time.checkpoint().0, 1, "synced without anybody waiting for it");
}

#[tokio::test]
async fn a_minute_after_a_write_there_is_little_to_read_after_a_crash() {
    let vfs = SimulatedVfs::new();
    let storage = without_topics(&vfs);
    let mut logs = logs(TOPIC, 1);
    logs.config.durability = Durability::Os;
    storage.make_partitions(std::slice::from_ref(&logs)).unwrap();
    let first = partition(&storage, 0);
    for _ in 0..5 {
        first.produce(batch(), Acks::All).unwrap();
    }
    super::housekeeping::settle(&storage);
    storage.write_checkpoints().unwrap();
    let (durable, _, bookmark) = first.checkpoint();
    assert_eq!(durable, 5);
    assert!(bookmark.is_some_and(|bookmark| bookmark.at_end));
    drop((storage, first));
    vfs.crash(3);
    let storage = reopened(&vfs, TOPIC, 1);
    assert_eq!(partition(&storage, 0).offsets().log_end, 5);
}

#[tokio::test]
async fn a_start_after_a_crash_can_be_stopped_and_begins_anew_the_next_time() {
    let vfs = SimulatedVfs::new();
    let storage = storage(&vfs);
    let first = partition(&storage, 0);
    first.produce(batch(), Acks::All).unwrap();
    first.committed(1).await.unwrap();
    drop((storage, first));
    vfs.crash(3);
    let storage = without_topics(&vfs);
    let folders = storage.set_strays_aside(|folder| folder.starts_with("t-")).unwrap();
    let progress = OpenProgress::default();
    progress.stop();
    let stopped = storage.open_topics(&[logs(TOPIC, 2)], &folders, &progress);
    assert!(matches!(stopped, Err(StorageOpenError::Stopped)), "{stopped:?}");
    assert!(storage.partition(TOPIC, 0).is_none(), "neither served nor offline");
    drop(storage);
    let storage = reopened(&vfs, TOPIC, 2);
    assert_eq!(partition(&storage, 0).offsets().log_end, 1);
}
