//! A disk that is full, fails a sync, or holds changed bits, as clients of the broker meet it: in process and over TCP. What
//! the operator is told is asked for as well.

mod common;

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Once, PoisonError},
};

use common::{BOTH, Peer, Way, batch, builder, values};
use riverrun_broker::{Broker, BrokerBuilder};
use riverrun_core::{
    log::{Fault, SimulatedVfs, Vfs},
    protocol::ErrorCode,
};

const STORAGE_ERROR: i16 = ErrorCode::KafkaStorageError.code();

/// A data directory whose lock is real and whose logs lie on a simulated disk.
struct Disk {
    folder: tempfile::TempDir,
    vfs: SimulatedVfs,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { folder: tempfile::tempdir().expect("a folder"), vfs: SimulatedVfs::new() };
        disk.vfs.create_dir_all(disk.folder.path()).expect("makes it");
        disk
    }

    fn builder(&self) -> BrokerBuilder {
        builder().data_dir(self.folder.path()).vfs(Arc::new(self.vfs.clone()))
    }

    async fn start(&self) -> Broker {
        self.builder().start().await.expect("starts")
    }

    fn log_of(&self, topic: &str) -> PathBuf {
        self.folder.path().join(format!("{topic}-0/00000000000000000000.log"))
    }

    fn length(&self, path: &Path) -> u64 {
        self.vfs.open(path).and_then(|file| file.len()).expect("has a length")
    }
}

/// What all brokers of this process have logged.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    /// From the first call on.
    fn begin() -> Self {
        static TOLD: Mutex<Option<Told>> = Mutex::new(None);
        static ONCE: Once = Once::new();
        let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().clone();
        ONCE.call_once(|| {
            let writer = told.clone();
            let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
            lines.with_max_level(tracing::Level::INFO).init();
        });
        told
    }

    /// The lines that name this.
    fn lines_of(&self, name: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(name)).map(str::to_owned).collect()
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A name that no other test, nor the other way of this one, logs about.
fn named(topic: &str, way: Way) -> String {
    format!("{topic}-{}", if way == Way::Tcp { "tcp" } else { "inproc" })
}

fn has(lines: &[String], level: &str, words: &str) -> bool {
    lines.iter().any(|line| line.contains(level) && line.contains(words))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_records_serves_readers_and_resumes() {
    let told = Told::begin();
    for way in BOTH {
        let disk = Disk::new();
        let broker = disk.start().await;
        let (peer, topic) = (Peer::connect(&broker, way).await, named("full", way));
        peer.create_topic(&topic, 1).await;
        assert_eq!(peer.produce(&topic, batch(&["before"])).await.error_code, 0);

        disk.vfs.inject(Fault::Capacity(0));
        for _ in 0..2 {
            let refused = peer.produce(&topic, batch(&["refused"])).await;
            assert_eq!((refused.error_code, refused.base_offset), (STORAGE_ERROR, -1), "{way:?}");
            assert!(ErrorCode::KafkaStorageError.is_retriable());
            let fetched = peer.fetch(&topic, 0, 0).await;
            assert_eq!((fetched.error_code, fetched.high_watermark), (0, 1), "{way:?}");
            assert_eq!(values(fetched.records), ["before"]);
            let described = peer.describe_topic(&topic).await;
            assert_eq!((described.partitions[0].error_code, described.partitions[0].leader_id), (0, 1), "{way:?}");
        }
        let lines = told.lines_of(&topic);
        assert!(has(&lines, "ERROR", "records cannot be written"), "{lines:?}");
        assert!(has(&lines, "ERROR", "make room on the disk"), "{lines:?}");

        disk.vfs.inject(Fault::Capacity(u64::MAX));
        let taken = peer.produce(&topic, batch(&["after"])).await;
        assert_eq!((taken.error_code, taken.base_offset), (0, 1), "{way:?}: nothing of what was refused is there");
        assert_eq!(values(peer.fetch(&topic, 0, 0).await.records), ["before", "after"]);
        assert!(has(&told.lines_of(&topic), "INFO", "records can be written again"));
        drop(peer);
        broker.shutdown().await.unwrap();

        let broker = disk.start().await;
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(values(peer.fetch(&topic, 0, 0).await.records), ["before", "after"]);
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_takes_the_directory_offline_until_a_restart() {
    let told = Told::begin();
    for way in BOTH {
        let disk = Disk::new();
        let broker = disk.start().await;
        let peer = Peer::connect(&broker, way).await;
        let (topic, other) = (named("unsynced", way), named("bystander", way));
        for topic in [&topic, &other] {
            peer.create_topic(topic, 1).await;
            assert_eq!(peer.produce(topic, batch(&["before"])).await.error_code, 0);
        }

        disk.vfs.inject(Fault::Sync(0));
        let failed = peer.produce(&topic, batch(&["lost"])).await;
        assert_eq!(failed.error_code, STORAGE_ERROR, "{way:?}: not acknowledged");
        for topic in [&topic, &other] {
            assert_eq!(peer.produce(topic, batch(&["refused"])).await.error_code, STORAGE_ERROR, "{way:?} {topic}");
            let fetched = peer.fetch(topic, 0, 0).await;
            assert_eq!((fetched.error_code, fetched.high_watermark), (0, 1), "{way:?} {topic}");
            assert_eq!(values(fetched.records), ["before"], "{way:?} {topic}");
        }
        let lines = told.lines_of(&topic);
        assert!(has(&lines, "ERROR", "the data directory is offline"), "{lines:?}");
        assert!(has(&lines, "ERROR", "restart the broker once the disk is sound"), "{lines:?}");
        drop(peer);
        broker.shutdown().await.expect_err("not everything is known to be on disk");
        drop(broker);

        disk.vfs.crash(7);
        let broker = disk.start().await;
        let peer = Peer::connect(&broker, way).await;
        for topic in [&topic, &other] {
            assert_eq!(values(peer.fetch(topic, 0, 0).await.records)[0], "before", "{way:?} {topic}");
            assert_eq!(peer.produce(topic, batch(&["after"])).await.error_code, 0, "{way:?} {topic}");
        }
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_batch_in_the_middle_takes_its_partition_offline() {
    let told = Told::begin();
    for way in BOTH {
        let disk = Disk::new();
        let broker = disk.start().await;
        let peer = Peer::connect(&broker, way).await;
        let (topic, other) = (named("corrupt", way), named("sound", way));
        for topic in [&topic, &other] {
            peer.create_topic(topic, 1).await;
            for value in ["first", "middle", "last"] {
                assert_eq!(peer.produce(topic, batch(&[value])).await.error_code, 0);
            }
        }
        drop(peer);
        broker.shutdown().await.unwrap();
        drop(broker);

        // As after a crash: the mark of a clean stop is gone, and what rests is not known.
        std::fs::remove_file(disk.folder.path().join(".kafka_cleanshutdown")).unwrap();
        disk.vfs.remove(&disk.folder.path().join("riverrun-bookmarks")).unwrap();
        let path = disk.log_of(&topic);
        let length = disk.length(&path);
        disk.vfs.flip_bit(&path, length / 2, 3);
        let broker = disk.start().await;
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(peer.produce(&topic, batch(&["refused"])).await.error_code, STORAGE_ERROR, "{way:?}");
        assert_eq!(peer.fetch(&topic, 0, 0).await.error_code, STORAGE_ERROR, "{way:?}");
        let described = peer.describe_topic(&topic).await;
        assert_eq!(described.partitions[0].leader_id, -1, "{way:?}: it has no leader");
        assert_eq!(described.partitions[0].error_code, ErrorCode::LeaderNotAvailable.code(), "{way:?}");
        assert_eq!(peer.produce(&other, batch(&["more"])).await.error_code, 0, "{way:?}");
        assert_eq!(values(peer.fetch(&other, 0, 0).await.records), ["first", "middle", "last", "more"]);
        let lines = told.lines_of(&topic);
        assert!(has(&lines, "ERROR", "00000000000000000000.log is corrupt at byte"), "{lines:?}");
        assert_eq!(disk.length(&path), length, "{way:?}: nothing was cut off");
        drop(peer);
        broker.shutdown().await.unwrap();
        drop(broker);

        // The bits as they were: all is there again.
        disk.vfs.flip_bit(&path, length / 2, 3);
        let broker = disk.start().await;
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(values(peer.fetch(&topic, 0, 0).await.records), ["first", "middle", "last"], "{way:?}");
        broker.shutdown().await.unwrap();
    }
}
