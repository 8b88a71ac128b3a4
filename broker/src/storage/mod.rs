//! The data directory: its partitions, the threads that sync them, keep house, and compact.
//!
//! Invariant: what stands in the registry belongs to a topic of the metadata, and is open, at rest or offline; a deleted
//! topic leaves the registry before its folders go.

mod cleaner;
mod flusher;
mod gathering;
mod housekeeping;
mod opening;
mod partition;
mod replay;
mod sync_pool;
mod tails;
#[cfg(test)]
mod tests;
mod waiters;

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use dashmap::DashMap;
use riverrun_core::{
    LeaderEpoch, TopicPartition, Uuid,
    budget::StateBudget,
    log::{
        CheckpointError, DirectoryError, LogConfig, LogDirectory, OpenError, OpenHints, OpenProgress, StorageError,
        Vfs, encode_bookmarks, write_bookmarks, write_offsets,
    },
};

use crate::clock::Clock;
use cleaner::Cleaner;
pub(crate) use cleaner::CleanerSettings;
use flusher::Flusher;
pub(crate) use housekeeping::CheckIntervals;
use housekeeping::Housekeeping;
pub(crate) use opening::TopicLogs;
use opening::{OPENING_THREADS, StartPoints};
pub(crate) use partition::{
    Acks, Fetch, Offsets, Partition, PartitionReadError, ProduceError, ReadIsolation, concatenated,
};
pub(crate) use replay::each_record;
use tails::Tails;
pub(crate) use waiters::{CommitWait, Committed, FetchWaiter, LogOffline, OnCommitted, Watch};

/// The topic of the metadata log; never served.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
const CLEANED_TO: &str = "cleaner-offset-checkpoint";
const BOOKMARKS: &str = "riverrun-bookmarks";

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
    #[error("told to stop before all logs were open")]
    Stopped,
}

/// Where the data lies, and how its logs are opened.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// Where the topics lie that have no files (`riverrun.durability=memory`).
    pub(crate) memory: Arc<dyn Vfs>,
    pub(crate) root: PathBuf,
    /// The id of the directory.
    pub(crate) directory_id: Uuid,
    /// Whether it was closed cleanly the last time, or is new.
    pub(crate) was_clean: bool,
    /// How many producers each log remembers.
    pub(crate) producers_max: usize,
    /// What bounds the memory of their producers, among others.
    pub(crate) state: Arc<StateBudget>,
}

/// What holds for all logs together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upkeep {
    /// How often the logs are looked at.
    pub(crate) intervals: CheckIntervals,
    /// What all partitions together may keep of their latest batches in memory.
    pub(crate) tail_bytes_max: usize,
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
    cleaner: Arc<Cleaner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// By topic id; a topic's partitions in their order.
    topics: DashMap<Uuid, Vec<Arc<Partition>>>,
    metadata: Arc<Partition>,
    tails: Arc<Tails>,
    /// What the last run wrote down, until the topics are open.
    start: Mutex<StartPoints>,
    /// What stands in the checkpoint files. Also serializes their writes.
    checkpoints: Mutex<Checkpoints>,
}

/// The content of the checkpoint files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Checkpoints {
    recovery_points: BTreeMap<TopicPartition, i64>,
    log_starts: BTreeMap<TopicPartition, i64>,
    bookmarks: String,
}

impl Storage {
    /// Opens the metadata log and starts the threads. The topics follow, see [`Self::open_partitions`].
    pub(crate) fn open(
        place: Place,
        directory: Option<LogDirectory>,
        config: LogConfig,
        upkeep: Upkeep,
        clock: Clock,
    ) -> Result<Arc<Self>, StorageOpenError> {
        let points = StartPoints::read(&place)?;
        let flusher = Arc::new(Flusher::default());
        let topic_partition = TopicPartition::new(METADATA_TOPIC, 0);
        // Kafka's fixed id of the metadata topic. It keeps everything: the log is small, and there are no snapshots yet.
        let topic_id = Uuid(1u128.to_be_bytes());
        let config = LogConfig { retention_ms: -1, retention_bytes: -1, ..config };
        let options = points.options(&place, &topic_partition, topic_id, &config);
        let hints = OpenHints { bookmark: points.bookmark(&topic_partition), progress: None };
        let log = opening::open_log(&place, options, hints)?;
        let tails = Arc::new(Tails::new(upkeep.tail_bytes_max));
        let metadata = Partition::new(log, LeaderEpoch(0), clock, Arc::clone(&flusher), Arc::new(Tails::new(0)));
        let metadata = Arc::new(metadata);
        let checkpoint = (Arc::clone(&place.vfs), place.root.join(CLEANED_TO));
        let cleaner = Cleaner::new(checkpoint, points.cleaned.clone(), Arc::clone(&flusher), clock);
        let storage = Arc::new(Self {
            place,
            directory: Mutex::new(directory),
            clock,
            flusher,
            housekeeping: Arc::new(Housekeeping::new(upkeep.intervals)),
            cleaner: Arc::new(cleaner),
            threads: Mutex::default(),
            topics: DashMap::new(),
            metadata,
            tails,
            start: Mutex::new(points),
            checkpoints: Mutex::default(),
        });
        let threads = [
            storage.flusher.start().map_err(StorageOpenError::Thread)?,
            storage.housekeeping.start(Arc::downgrade(&storage)).map_err(StorageOpenError::Thread)?,
        ];
        storage.threads.lock().unwrap_or_else(PoisonError::into_inner).extend(threads);
        Ok(storage)
    }

    /// Starts the thread that compacts; after the topics are open.
    pub(crate) fn start_cleaner(self: &Arc<Self>) -> Result<(), StorageOpenError> {
        let thread = self.cleaner.start(Arc::downgrade(self)).map_err(StorageOpenError::Thread)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Puts other settings of the cleaner in force.
    pub(crate) fn set_cleaner(&self, settings: CleanerSettings) {
        self.cleaner.set(settings);
    }

    /// Puts another time in force for which silent producers are remembered (`producer.id.expiration.ms`).
    pub(crate) fn set_producer_expiration_ms(&self, expiration_ms: i64) {
        self.housekeeping.set_producer_expiration_ms(expiration_ms);
    }

    /// Has every partition forget the producers that were silent for too long.
    fn expire_producers(&self) {
        let timestamp = self.housekeeping.producers_expire_at(self.clock.wall_ms());
        self.all().iter().for_each(|partition| partition.expire_producers(timestamp));
    }

    /// Compacts what is due, on the calling thread.
    #[cfg(test)]
    fn clean_now(&self) {
        self.cleaner.clean_all(&|| self.of_topics());
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

    /// The indexes of a topic's partitions whose files cannot be used.
    pub(crate) fn offline_partitions(&self, topic_id: Uuid) -> Vec<i32> {
        let Some(partitions) = self.topics.get(&topic_id) else { return Vec::new() };
        let offline = partitions.iter().filter(|partition| partition.is_offline());
        offline.map(|partition| partition.topic_partition().partition).collect()
    }

    /// All partitions of a topic, in their order.
    pub(crate) fn partitions(&self, topic_id: Uuid) -> Vec<Arc<Partition>> {
        self.topics.get(&topic_id).map(|partitions| partitions.clone()).unwrap_or_default()
    }

    /// Opens the logs of all topics, at the start. Blocks on the disk. A log that cannot be opened is offline, and takes no
    /// other with it.
    ///
    /// # Errors
    /// [`StorageOpenError::Stopped`]; no topic is open then.
    pub(crate) fn open_topics(
        &self,
        topics: &[TopicLogs],
        folders: &HashSet<String>,
        progress: &OpenProgress,
    ) -> Result<(), StorageOpenError> {
        let points = std::mem::take(&mut *self.start.lock().unwrap_or_else(PoisonError::into_inner));
        let opened = opening::open_all(&self.place, &points, topics, folders, progress)?;
        for (topic, logs) in topics.iter().zip(opened) {
            self.take_in(topic, logs);
        }
        self.cleaner.keep(&self.of_topics());
        // What was silent for too long while the broker was down is not known any more.
        self.expire_producers();
        Ok(())
    }

    /// Makes the logs of new topics, or of new partitions. Blocks on the disk. On an error none is taken in.
    pub(crate) fn make_partitions(&self, topics: &[TopicLogs]) -> Result<(), StorageOpenError> {
        let made: Vec<_> =
            topics.iter().map(|topic| opening::make_all(&self.place, topic)).collect::<Result<_, _>>()?;
        for (topic, logs) in topics.iter().zip(made) {
            self.take_in(topic, logs);
        }
        Ok(())
    }

    fn take_in(&self, topic: &TopicLogs, logs: Vec<riverrun_core::log::Log>) {
        let partition = |(log, (_, epoch)): (_, &(TopicPartition, LeaderEpoch))| {
            let (flusher, tails) = (Arc::clone(&self.flusher), Arc::clone(&self.tails));
            Arc::new(Partition::new(log, *epoch, self.clock, flusher, tails))
        };
        self.topics.entry(topic.id).or_default().extend(logs.into_iter().zip(&topic.partitions).map(partition));
    }

    /// Lets go of topics: nobody is served from them any more, and their folders are removed in the background.
    pub(crate) fn remove_topics(&self, topic_ids: &[Uuid]) {
        let removed: Vec<_> = topic_ids.iter().filter_map(|id| self.topics.remove(id)).collect();
        if removed.is_empty() {
            return;
        }
        removed.iter().flat_map(|(_, partitions)| partitions).for_each(|partition| partition.retire());
        // The names of a folder that is renamed, and made anew, must not be written to by a compaction of the old one.
        let all = removed.iter().flat_map(|(_, partitions)| partitions);
        let names: Vec<_> = all.map(|partition| partition.topic_partition()).collect();
        self.cleaner.let_go(&names);
        // Checkpoints go by name: left behind, they would be held against a topic that is made anew.
        if let Err(error) = self.write_checkpoints() {
            tracing::error!(%error, "cannot take a deleted topic out of the checkpoints");
        }
        for (topic_id, partitions) in removed {
            for partition in partitions {
                if partition.is_in_memory() {
                    let folder = self.place.root.join(partition.topic_partition().to_string());
                    if let Err(error) = self.place.memory.remove_dir_all(&folder) {
                        tracing::error!(folder = %folder.display(), %error, "cannot let go of a deleted partition");
                    }
                    continue;
                }
                let folder = self.place.root.join(partition.topic_partition().to_string());
                // A flush under way names this folder, and a failed one is taken for a failing disk. None follows.
                let _no_flush = partition.flush_turn();
                // Kafka's form. Renamed at once, so that a topic of the same name can be made anew.
                let doomed = self.place.root.join(format!("{}.{topic_id}-delete", partition.topic_partition()));
                match self.place.vfs.rename(&folder, &doomed) {
                    Ok(()) => self.housekeeping.remove_folder(doomed),
                    Err(error) => {
                        tracing::error!(folder = %folder.display(), %error, "cannot remove a deleted partition");
                    }
                }
            }
        }
    }

    /// Puts the folders of partitions that no topic has out of the way: what a creation left that was not finished. Those of
    /// deletions that were not finished are removed. Returns the names of those that stay.
    pub(crate) fn set_strays_aside(&self, is_known: impl Fn(&str) -> bool) -> io::Result<HashSet<String>> {
        let mut known = HashSet::new();
        for name in self.place.vfs.list(&self.place.root)? {
            if is_known(&name) {
                known.insert(name);
                continue;
            }
            let folder = self.place.root.join(&name);
            if name.ends_with("-delete") {
                self.housekeeping.remove_folder(folder);
                continue;
            }
            let is_partition = name.rsplit_once('-').is_some_and(|(_, index)| index.parse::<u32>().is_ok());
            if !is_partition || !self.holds_partition(&folder) {
                continue;
            }
            let stray = self.place.root.join(format!("{name}.{:x}-stray", self.clock.wall_ms()));
            tracing::warn!(folder = %folder.display(), stray = %stray.display(), "no topic has this partition; set aside");
            self.place.vfs.rename(&folder, &stray)?;
        }
        Ok(known)
    }

    /// Whether a folder is a partition's: by its `partition.metadata`, or where a crash has taken that, by a segment.
    fn holds_partition(&self, folder: &Path) -> bool {
        self.place.vfs.exists(&folder.join("partition.metadata"))
            || self.place.vfs.list(folder).is_ok_and(|names| {
                names.iter().any(|name| name.strip_suffix(".log").is_some_and(|base| base.len() == 20))
            })
    }

    /// Makes durable that partitions have new starts, and lets retention remove what is before them.
    pub(crate) fn records_deleted(&self) {
        if let Err(error) = self.write_log_starts() {
            tracing::warn!(%error, "cannot write the checkpoints");
        }
        self.housekeeping.hurry();
    }

    fn write_log_starts(&self) -> Result<(), CheckpointError> {
        let mut written = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let mut starts = BTreeMap::new();
        for partition in self.all() {
            let (_, start, _) = partition.checkpoint();
            if start > 0 {
                starts.insert(partition.topic_partition().clone(), start);
            }
        }
        if starts != written.log_starts {
            write_offsets(&*self.place.vfs, &self.place.root.join(LOG_STARTS), &starts)?;
            written.log_starts = starts;
        }
        Ok(())
    }

    fn all(&self) -> Vec<Arc<Partition>> {
        let mut all = vec![Arc::clone(&self.metadata)];
        all.extend(self.of_topics());
        all
    }

    /// All but the metadata, which is no topic that may be compacted.
    fn of_topics(&self) -> Vec<Arc<Partition>> {
        self.topics.iter().flat_map(|topic| topic.value().clone()).collect()
    }

    /// Writes how far each log is durable, where it starts, and what else spares the next start a look at it. Nothing is
    /// written if nothing has changed. The partitions are held one at a time, and none while a file is written.
    pub(crate) fn write_checkpoints(&self) -> Result<(), CheckpointError> {
        let mut written = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = Checkpoints::default();
        let mut bookmarks = BTreeMap::new();
        for partition in self.all() {
            let name = partition.topic_partition();
            let (recovery_point, log_start, bookmark) = partition.checkpoint();
            now.recovery_points.insert(name.clone(), recovery_point);
            if log_start > 0 {
                now.log_starts.insert(name.clone(), log_start);
            }
            bookmarks.extend(bookmark.map(|bookmark| (name.clone(), bookmark)));
        }
        now.bookmarks = encode_bookmarks(bookmarks.iter());
        let path = |name: &str| self.place.root.join(name);
        if now.recovery_points != written.recovery_points {
            write_offsets(&*self.place.vfs, &path(RECOVERY_POINTS), &now.recovery_points)?;
        }
        if now.log_starts != written.log_starts {
            write_offsets(&*self.place.vfs, &path(LOG_STARTS), &now.log_starts)?;
        }
        if now.bookmarks != written.bookmarks {
            write_bookmarks(&*self.place.vfs, &path(BOOKMARKS), &now.bookmarks)?;
        }
        *written = now;
        Ok(())
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
        self.cleaner.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One of these threads may itself drop the last reference.
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
