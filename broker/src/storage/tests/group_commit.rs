//! Group commit: what comes while the disk works shares the next sync, several logs are synced together, and nobody waits
//! for the disk who need not.

use std::path::Path;

use super::{watched::WatchedVfs, *};

fn watched_storage(vfs: &WatchedVfs, partitions: i32) -> Arc<Storage> {
    let storage = on(Arc::new(vfs.clone()));
    storage.make_partitions(&[logs(TOPIC, partitions)]).unwrap();
    storage
}

fn end_of_append(partition: &Arc<Partition>) -> i64 {
    partition.produce(batch(), Acks::All).unwrap().last_offset + 1
}

#[tokio::test]
async fn appends_that_come_while_the_disk_works_share_the_next_sync() {
    let vfs = WatchedVfs::new();
    let storage = watched_storage(&vfs, 1);
    let partition = partition(&storage, 0);
    for round in 1..=3 {
        vfs.hold(".log");
        let first = end_of_append(&partition);
        vfs.wait_until_held(1);
        let before = vfs.syncs("t-0/00000000000000000000.log");
        let waiting: Vec<_> = (0..64).map(|_| partition.committed(end_of_append(&partition))).collect();
        assert_eq!(partition.offsets().high_watermark, first - 1, "nothing is acknowledged before its sync");
        vfs.release();
        for committed in waiting {
            committed.await.unwrap();
        }
        assert_eq!(vfs.syncs("t-0/00000000000000000000.log") - before, 1, "64 appends, one sync");
        assert_eq!(partition.offsets().high_watermark, round * 65);
    }
    storage.close().unwrap();
}

#[tokio::test]
async fn logs_are_synced_together_by_few_threads_that_stay() {
    let vfs = WatchedVfs::new();
    let storage = watched_storage(&vfs, 16);
    let partitions = storage.partitions(TOPIC);
    for round in 1..=20 {
        vfs.hold("t-0/00000000000000000000.log");
        end_of_append(&partitions[0]);
        vfs.wait_until_held(1);
        let before = vfs.syncs(".log");
        let appends = (0..64).map(|number| &partitions[number % 16]);
        let waiting: Vec<_> = appends.map(|partition| partition.committed(end_of_append(partition))).collect();
        vfs.release();
        for committed in waiting {
            committed.await.unwrap();
        }
        assert_eq!(vfs.syncs(".log") - before, 16, "round {round}: 64 appends to 16 logs, a sync for each log");
    }
    assert!(vfs.thread_count() <= 8, "{} threads", vfs.thread_count());
    let flusher = Arc::downgrade(&storage.flusher);
    storage.close().unwrap();
    drop((partitions, storage));
    assert!(flusher.upgrade().is_none(), "no thread is left that holds it");
}

/// The second for which the room is kept is a real one.
#[tokio::test]
async fn a_log_that_is_synced_often_has_room_behind_its_batches_and_gives_it_back_when_that_is_over() {
    let vfs = WatchedVfs::new();
    let storage = watched_storage(&vfs, 1);
    let partition = partition(&storage, 0);
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let length = || vfs.open(path).and_then(|file| file.len()).unwrap();
    let mut size = 0;
    // Nine appends in quick succession; more where this process has to wait for a processor in between.
    for _ in 0..10_000 {
        partition.committed(end_of_append(&partition)).await.unwrap();
        size += u64::try_from(batch().len()).unwrap();
        if length() > size {
            break;
        }
    }
    assert!(length() > size, "room was made");
    vfs.wait_until_truncated(path, size);
    assert_eq!(length(), size);
    partition.committed(end_of_append(&partition)).await.unwrap();
    storage.close().unwrap();
}

#[tokio::test]
async fn nobody_waits_for_the_file_of_the_leader_epochs() {
    let vfs = WatchedVfs::new();
    let storage = watched_storage(&vfs, 1);
    let partition = partition(&storage, 0);
    vfs.hold("leader-epoch-checkpoint.tmp");
    end_of_append(&partition);
    vfs.wait_until_held(1);
    // Would block here if the log were held while the file is written.
    let end = end_of_append(&partition);
    assert_eq!(partition.offsets().log_end, 2);
    let read = partition.read(0, 1 << 20, true, ReadIsolation::LogEnd).unwrap();
    assert!(!read.records.is_empty());
    vfs.release();
    partition.committed(end).await.unwrap();
    storage.close().unwrap();
}

#[tokio::test]
async fn a_topic_that_is_deleted_while_it_is_synced_is_no_failing_disk() {
    let vfs = WatchedVfs::new();
    let storage = watched_storage(&vfs, 1);
    let other = Uuid([9; 16]);
    let partitions = vec![(TopicPartition::new("u", 0), LeaderEpoch(0))];
    storage.make_partitions(&[TopicLogs { id: other, config: LogConfig::default(), partitions }]).unwrap();
    let deleted = partition(&storage, 0);
    vfs.hold("t-0/00000000000000000000.log");
    let end = end_of_append(&deleted);
    let waiting = deleted.committed(end);
    vfs.wait_until_held(1);
    let deletion = std::thread::spawn({
        let storage = Arc::clone(&storage);
        move || storage.remove_topics(&[TOPIC])
    });
    assert_eq!(waiting.await, Err(LogOffline), "it is told that the topic is gone");
    vfs.release();
    deletion.join().unwrap();
    assert!(!vfs.exists("/data/t-0".as_ref()));
    let other = storage.partition(other, 0).unwrap();
    other.committed(end_of_append(&other)).await.unwrap();
    storage.close().unwrap();
}
