//! The data directory: its partitions, the thread that syncs them, the thread that keeps house.
//!
//! Invariant: what stands in the registry is open and belongs to a topic of the metadata; a deleted topic leaves the
//! registry before its folders go.

mod flusher;
mod housekeeping;
mod partition;
mod tails;
#[cfg(test)]
mod tests;
mod waiters;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use riverrun_core::{
    LeaderEpoch, TopicPartition, Uuid,
    log::{
        CheckpointError, DirectoryError, Log, LogConfig, LogDirectory, LogOptions, OpenError, StorageError, Vfs,
        read_offsets, write_offsets,
    },
};

use crate::clock::Clock;
use flusher::Flusher;
use housekeeping::Housekeeping;
pub(crate) use partition::{Acks, Partition, PartitionReadError, ProduceError, ReadIsolation};
use tails::Tails;
pub(crate) use waiters::{Committed, FetchWaiter, LogOffline, OnCommitted};

/// The topic of the metadata log; never served.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// What all partitions together may keep of their latest batches.
const TAIL_BYTES: usize = 8 << 20;

const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// Logs that are opened, or closed, at a time.
const OPENING_THREADS: usize = 8;
/// How long an opening may take before it is told.
const QUIET: Duration = Duration::from_secs(1);

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageOpenError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("cannot open partition {topic_partition}")]
    Log {
        topic_partition: TopicPartition,
        #[source]
        source: OpenError,
    },
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Where the data lies.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) root: PathBuf,
    /// The id of the directory.
    pub(crate) directory_id: Uuid,
    /// Whether it was closed cleanly the last time, or is new.
    pub(crate) was_clean: bool,
}

/// All logs of this broker.
#[derive(Debug)]
pub(crate) struct Storage {
    place: Place,
    /// The lock on the directory, until the storage is closed; none in memory.
    directory: Mutex<Option<LogDirectory>>,
    clock: Clock,
    flusher: Arc<Flusher>,
    housekeeping: Arc<Housekeeping>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// By topic id; a topic's partitions in their order.
    topics: DashMap<Uuid, Vec<Arc<Partition>>>,
    metadata: Arc<Partition>,
    tails: Arc<Tails>,
    recovery_points: BTreeMap<TopicPartition, i64>,
    log_starts: BTreeMap<TopicPartition, i64>,
    /// Serializes writes of the checkpoint files.
    checkpointing: Mutex<()>,
}

/// Tells of an opening that takes long.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    told: Instant,
    opened: usize,
    checked_bytes: u64,
}

impl Storage {
    /// Opens the metadata log and starts the threads. The topics follow, see [`Self::open_partitions`].
    pub(crate) fn open(
        place: Place,
        directory: Option<LogDirectory>,
        config: LogConfig,
        check_interval: Duration,
        clock: Clock,
    ) -> Result<Arc<Self>, StorageOpenError> {
        let recovery_points = read_offsets(&*place.vfs, &place.root.join(RECOVERY_POINTS))?;
        let log_starts = read_offsets(&*place.vfs, &place.root.join(LOG_STARTS))?;
        let flusher = Arc::new(Flusher::default());
        let topic_partition = TopicPartition::new(METADATA_TOPIC, 0);
        // Kafka's fixed id of the metadata topic. It keeps everything: the log is small, and there are no snapshots yet.
        let topic_id = Uuid(1u128.to_be_bytes());
        let config = LogConfig { retention_ms: -1, retention_bytes: -1, ..config };
        let options = LogOptions {
            recovery_point: recovery_points.get(&topic_partition).copied().unwrap_or(0),
            clean_shutdown: place.was_clean,
            log_start_offset: 0,
            topic_id,
            config,
            topic_partition: topic_partition.clone(),
        };
        let log = open_log(&place, options)?;
        let tails = Arc::new(Tails::new(TAIL_BYTES));
        let metadata = Partition::new(log, LeaderEpoch(0), clock, Arc::clone(&flusher), Arc::new(Tails::new(0)));
        let metadata = Arc::new(metadata);
        let storage = Arc::new(Self {
            place,
            directory: Mutex::new(directory),
            clock,
            flusher,
            housekeeping: Arc::new(Housekeeping::new(check_interval)),
            threads: Mutex::default(),
            topics: DashMap::new(),
            metadata,
            tails,
            recovery_points,
            log_starts,
            checkpointing: Mutex::default(),
        });
        let threads = [
            storage.flusher.start().map_err(StorageOpenError::Thread)?,
            storage.housekeeping.start(Arc::downgrade(&storage)).map_err(StorageOpenError::Thread)?,
        ];
        storage.threads.lock().unwrap_or_else(PoisonError::into_inner).extend(threads);
        Ok(storage)
    }

    /// The log of the metadata.
    pub(crate) fn metadata(&self) -> &Arc<Partition> {
        &self.metadata
    }

    /// The folder, for people.
    pub(crate) fn path(&self) -> &Path {
        &self.place.root
    }

    /// The id of the data directory.
    pub(crate) fn directory_id(&self) -> Uuid {
        self.place.directory_id
    }

    /// A partition of a topic.
    pub(crate) fn partition(&self, topic_id: Uuid, index: i32) -> Option<Arc<Partition>> {
        self.topics.get(&topic_id)?.get(usize::try_from(index).ok()?).cloned()
    }

    /// All partitions of a topic, in their order.
    pub(crate) fn partitions(&self, topic_id: Uuid) -> Vec<Arc<Partition>> {
        self.topics.get(&topic_id).map(|partitions| partitions.clone()).unwrap_or_default()
    }

    /// Opens or makes the logs of a topic's next partitions, several at a time: a disk that syncs for many costs little
    /// more than one that syncs for one. `progress` is that of the start; without it the partitions are new.
    /// Blocks on the disk. On an error none is taken in.
    pub(crate) fn open_partitions(
        &self,
        topic_id: Uuid,
        partitions: &[(TopicPartition, LeaderEpoch)],
        config: &LogConfig,
        progress: Option<&mut Progress>,
    ) -> Result<(), StorageOpenError> {
        // The checkpoints are of the logs that were there at the start.
        let at_start = progress.is_some();
        let chunk_len = partitions.len().div_ceil(OPENING_THREADS).max(1);
        let open_chunk =
            |chunk: &[(TopicPartition, LeaderEpoch)]| -> Result<Vec<(Log, LeaderEpoch)>, StorageOpenError> {
                let open = |(topic_partition, epoch): &(TopicPartition, LeaderEpoch)| {
                    let options = self.log_options(topic_id, topic_partition, config, at_start);
                    Ok((open_log(&self.place, options)?, *epoch))
                };
                chunk.iter().map(open).collect()
            };
        let opened: Vec<Result<_, _>> = if partitions.len() == 1 {
            vec![open_chunk(partitions)]
        } else {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    partitions.chunks(chunk_len).map(|chunk| scope.spawn(move || open_chunk(chunk))).collect();
                let joined = threads.into_iter().map(|thread| thread.join());
                joined.map(|opened| opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
            })
        };
        let mut logs = Vec::with_capacity(partitions.len());
        for chunk in opened {
            logs.extend(chunk?);
        }
        if let Some(progress) = progress {
            logs.iter().for_each(|(log, _)| progress.opened(log));
        }
        let partition = |(log, epoch)| {
            let (flusher, tails) = (Arc::clone(&self.flusher), Arc::clone(&self.tails));
            Arc::new(Partition::new(log, epoch, self.clock, flusher, tails))
        };
        self.topics.entry(topic_id).or_default().extend(logs.into_iter().map(partition));
        Ok(())
    }

    fn log_options(
        &self,
        topic_id: Uuid,
        topic_partition: &TopicPartition,
        config: &LogConfig,
        at_start: bool,
    ) -> LogOptions {
        let offset_in = |points: &BTreeMap<TopicPartition, i64>| points.get(topic_partition).copied().unwrap_or(0);
        LogOptions {
            recovery_point: if at_start { offset_in(&self.recovery_points) } else { 0 },
            log_start_offset: if at_start { offset_in(&self.log_starts) } else { 0 },
            clean_shutdown: at_start && self.place.was_clean,
            topic_id,
            config: config.clone(),
            topic_partition: topic_partition.clone(),
        }
    }

    /// Lets go of a topic: nobody is served from it any more, and its folders are removed in the background.
    pub(crate) fn remove_topic(&self, topic_id: Uuid) {
        let Some((_, partitions)) = self.topics.remove(&topic_id) else { return };
        partitions.iter().for_each(|partition| partition.retire());
        // Checkpoints go by name: left behind, they would be held against a topic that is made anew.
        if let Err(error) = self.write_checkpoints() {
            tracing::error!(%error, "cannot take a deleted topic out of the checkpoints");
        }
        for partition in partitions {
            let folder = self.place.root.join(partition.topic_partition().to_string());
            // Kafka's form. Renamed at once, so that a topic of the same name can be made anew.
            let doomed = self.place.root.join(format!("{}.{topic_id}-delete", partition.topic_partition()));
            match self.place.vfs.rename(&folder, &doomed) {
                Ok(()) => self.housekeeping.remove_folder(doomed),
                Err(error) => tracing::error!(folder = %folder.display(), %error, "cannot remove a deleted partition"),
            }
        }
    }

    /// Puts the folders of partitions that no topic has out of the way: what a creation left that was not finished. Those of
    /// deletions that were not finished are removed.
    pub(crate) fn set_strays_aside(&self, is_known: impl Fn(&str) -> bool) -> io::Result<()> {
        for name in self.place.vfs.list(&self.place.root)? {
            let folder = self.place.root.join(&name);
            if name.ends_with("-delete") {
                self.housekeeping.remove_folder(folder);
                continue;
            }
            let is_partition = name.rsplit_once('-').is_some_and(|(_, index)| index.parse::<u32>().is_ok());
            if !is_partition || is_known(&name) || !self.place.vfs.exists(&folder.join("partition.metadata")) {
                continue;
            }
            let stray = self.place.root.join(format!("{name}.{:x}-stray", self.clock.wall_ms()));
            tracing::warn!(folder = %folder.display(), stray = %stray.display(), "no topic has this partition; set aside");
            self.place.vfs.rename(&folder, &stray)?;
        }
        Ok(())
    }

    /// Moves the start of a partition, durably.
    pub(crate) fn delete_records(&self, partition: &Partition, offset: Option<i64>) -> Result<i64, PartitionReadError> {
        let start = partition.delete_records(offset)?;
        if let Err(error) = self.write_checkpoints() {
            tracing::warn!(%error, "cannot write the checkpoints");
        }
        self.housekeeping.hurry();
        Ok(start)
    }

    fn all(&self) -> Vec<Arc<Partition>> {
        let mut all = vec![Arc::clone(&self.metadata)];
        all.extend(self.topics.iter().flat_map(|topic| topic.value().clone()));
        all
    }

    /// Writes how far each log is durable, and where it starts.
    pub(crate) fn write_checkpoints(&self) -> Result<(), CheckpointError> {
        let _one_at_a_time = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recovery_points = BTreeMap::new();
        let mut log_starts = BTreeMap::new();
        for partition in self.all() {
            let (recovery_point, log_start) = partition.checkpoint();
            recovery_points.insert(partition.topic_partition().clone(), recovery_point);
            if log_start > 0 {
                log_starts.insert(partition.topic_partition().clone(), log_start);
            }
        }
        write_offsets(&*self.place.vfs, &self.place.root.join(RECOVERY_POINTS), &recovery_points)?;
        write_offsets(&*self.place.vfs, &self.place.root.join(LOG_STARTS), &log_starts)
    }

    /// Syncs and closes every log, and marks the directory as closed cleanly if all went well. Blocks on the disk.
    pub(crate) fn close(&self) -> Result<(), StorageCloseError> {
        self.stop_threads();
        // Whatever comes of it, the directory is let go at the end, though handles of the broker may live on.
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut failed = self.flusher.offline_reason().map(|reason| StorageCloseError { reason });
        for error in close_all(&self.all()) {
            failed.get_or_insert(StorageCloseError { reason: format!("{error}: {}", error.source) });
        }
        if let Err(error) = self.write_checkpoints() {
            failed.get_or_insert(StorageCloseError { reason: error.to_string() });
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        if let Some(directory) = directory {
            directory.close().map_err(|error| StorageCloseError { reason: error.to_string() })?;
        }
        Ok(())
    }

    fn stop_threads(&self) {
        self.flusher.stop();
        self.housekeeping.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The housekeeping thread itself may drop the last reference.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the data directory panicked");
            }
        }
    }
}

/// Closes logs, several at a time as they are opened, and gives the errors.
fn close_all(partitions: &[Arc<Partition>]) -> Vec<StorageError> {
    let chunk_len = partitions.len().div_ceil(OPENING_THREADS).max(1);
    let close_chunk =
        |chunk: &[Arc<Partition>]| -> Vec<_> { chunk.iter().filter_map(|partition| partition.close().err()).collect() };
    std::thread::scope(|scope| {
        let chunks = partitions.chunks(chunk_len);
        let threads: Vec<_> = chunks.map(|chunk| scope.spawn(move || close_chunk(chunk))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.flat_map(|errors| errors.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

/// Not everything is known to be on disk; the next start recovers.
#[derive(Debug, thiserror::Error)]
#[error("the data directory was not closed cleanly: {reason}; the next start checks what was written last")]
pub(crate) struct StorageCloseError {
    reason: String,
}

fn open_log(place: &Place, options: LogOptions) -> Result<Log, StorageOpenError> {
    let topic_partition = options.topic_partition.clone();
    let folder = place.root.join(topic_partition.to_string());
    let opened = Log::open(Arc::clone(&place.vfs), &folder, options);
    let mut log =
        opened.map_err(|source| StorageOpenError::Log { topic_partition: topic_partition.clone(), source })?;
    // What is visible must be durable: after a crash the page cache may show bytes that the disk lacks.
    if log.recovery_point() < log.log_end_offset()
        && let Err(error) = log.flush()
    {
        let source = OpenError::Io { action: error.action, file: error.file, source: error.source };
        return Err(StorageOpenError::Log { topic_partition, source });
    }
    Ok(log)
}

impl Progress {
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, told: now, opened: 0, checked_bytes: 0 }
    }

    fn opened(&mut self, log: &Log) {
        self.opened += 1;
        self.checked_bytes += log.recovery().bytes_checked;
        if log.recovery().bytes_cut > 0 {
            tracing::warn!(
                partition = %log.topic_partition(),
                bytes = log.recovery().bytes_cut,
                "cut a torn end off the log, none of it was ever durable",
            );
        }
        if self.told.elapsed() >= QUIET {
            self.told = Instant::now();
            tracing::info!(partitions = self.opened, checked_bytes = self.checked_bytes, "opening logs");
        }
    }

    pub(crate) fn end(&self) {
        if self.began.elapsed() >= QUIET {
            tracing::info!(
                partitions = self.opened,
                checked_bytes = self.checked_bytes,
                elapsed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
                "all logs are open",
            );
        }
    }
}
