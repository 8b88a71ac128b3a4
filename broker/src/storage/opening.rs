//! Opening logs: at the start those of all topics, several at a time; later those of new topics.
//!
//! A log that cannot be opened takes no other with it. Its partition is offline: it answers every request with
//! KAFKA_STORAGE_ERROR, metadata names no leader for it, and its files stay as they are for whoever repairs them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use riverrun_core::{
    LeaderEpoch, TopicPartition, Uuid,
    log::{
        Bookmark, CheckpointError, Durability, Log, LogConfig, LogOptions, OpenError, OpenHints, OpenProgress,
        read_bookmarks, read_offsets,
    },
};

use super::{BOOKMARKS, CLEANED_TO, LOG_STARTS, Place, RECOVERY_POINTS, StorageOpenError};

/// Logs that are opened, or closed, at a time.
pub(super) const OPENING_THREADS: usize = 8;
/// How long an opening may take before it is told, and between two words of how far it is.
const QUIET: Duration = Duration::from_secs(1);

/// The logs of one topic.
#[derive(Debug, Clone)]
pub(crate) struct TopicLogs {
    pub(crate) id: Uuid,
    pub(crate) config: LogConfig,
    /// The topic's next partitions, in their order.
    pub(crate) partitions: Vec<(TopicPartition, LeaderEpoch)>,
}

/// What the last run wrote down of the logs.
#[derive(Debug, Default)]
pub(super) struct StartPoints {
    recovery_points: BTreeMap<TopicPartition, i64>,
    log_starts: BTreeMap<TopicPartition, i64>,
    bookmarks: BTreeMap<TopicPartition, Bookmark>,
    /// How far each log was compacted.
    pub(super) cleaned: BTreeMap<TopicPartition, i64>,
    was_clean: bool,
}

/// A log to open.
#[derive(Debug)]
struct Job<'t> {
    topic: &'t TopicLogs,
    topic_partition: &'t TopicPartition,
    /// Whether there is a folder of its name.
    folder_exists: bool,
}

impl StartPoints {
    pub(super) fn read(place: &Place) -> Result<Self, CheckpointError> {
        let path = |name: &str| place.root.join(name);
        Ok(Self {
            recovery_points: read_offsets(&*place.vfs, &path(RECOVERY_POINTS))?,
            log_starts: read_offsets(&*place.vfs, &path(LOG_STARTS))?,
            bookmarks: read_bookmarks(&*place.vfs, &path(BOOKMARKS))?,
            cleaned: read_offsets(&*place.vfs, &path(CLEANED_TO))?,
            was_clean: place.was_clean,
        })
    }

    /// What to open a log with that may have been there in the last run.
    pub(super) fn options(
        &self,
        place: &Place,
        topic_partition: &TopicPartition,
        topic_id: Uuid,
        config: &LogConfig,
    ) -> LogOptions {
        let offset_in = |points: &BTreeMap<TopicPartition, i64>| points.get(topic_partition).copied().unwrap_or(0);
        // A log that was offline when the rest was closed has no bookmark at its end: it has to be looked at.
        let closed =
            self.bookmarks.is_empty() || self.bookmarks.get(topic_partition).is_some_and(|bookmark| bookmark.at_end);
        LogOptions {
            recovery_point: offset_in(&self.recovery_points),
            log_start_offset: offset_in(&self.log_starts),
            clean_shutdown: self.was_clean && closed,
            was_compacted: self.cleaned.contains_key(topic_partition),
            topic_id,
            config: config.clone(),
            topic_partition: topic_partition.clone(),
            producers_max: place.producers_max,
            state: Arc::clone(&place.state),
        }
    }

    pub(super) fn bookmark(&self, topic_partition: &TopicPartition) -> Option<&Bookmark> {
        self.bookmarks.get(topic_partition)
    }
}

/// What to open a log with that is new.
pub(super) fn new_options(
    place: &Place,
    topic_partition: &TopicPartition,
    topic_id: Uuid,
    config: &LogConfig,
) -> LogOptions {
    LogOptions {
        recovery_point: 0,
        log_start_offset: 0,
        clean_shutdown: false,
        was_compacted: false,
        topic_id,
        config: config.clone(),
        topic_partition: topic_partition.clone(),
        producers_max: place.producers_max,
        state: Arc::clone(&place.state),
    }
}

/// Opens one log, or fails.
pub(super) fn open_log(place: &Place, options: LogOptions, hints: OpenHints<'_>) -> Result<Log, StorageOpenError> {
    let topic_partition = options.topic_partition.clone();
    try_open(place, options, hints).map_err(|source| StorageOpenError::Log { topic_partition, source })
}

fn try_open(place: &Place, options: LogOptions, hints: OpenHints<'_>) -> Result<Log, OpenError> {
    let folder = place.root.join(options.topic_partition.to_string());
    let vfs = if options.config.durability == Durability::Memory { &place.memory } else { &place.vfs };
    let mut log = Log::open_with(Arc::clone(vfs), &folder, options, hints)?;
    if log.recovery().bytes_cut > 0 {
        tracing::warn!(
            partition = %log.topic_partition(),
            bytes = log.recovery().bytes_cut,
            "cut a torn end off the log, none of it was ever durable",
        );
    }
    // What is visible must be durable: after a crash the page cache may show bytes that the disk lacks.
    if log.recovery_point() < log.log_end_offset() && log.config().durability == Durability::Fsync {
        log.flush().map_err(|error| OpenError::Io { action: error.action, file: error.file, source: error.source })?;
    }
    Ok(log)
}

/// Opens all logs, in the order of the topics and their partitions. A log that cannot be opened is offline.
///
/// After a clean stop this is never long, and is not stopped: the directory can be closed cleanly again.
///
/// # Errors
/// [`StorageOpenError::Stopped`] if `progress` was told so before all logs were open.
pub(super) fn open_all(
    place: &Place,
    points: &StartPoints,
    topics: &[TopicLogs],
    folders: &HashSet<String>,
    progress: &OpenProgress,
) -> Result<Vec<Vec<Log>>, StorageOpenError> {
    let began = Instant::now();
    let unstoppable = OpenProgress::default();
    let progress = if points.was_clean { &unstoppable } else { progress };
    let mut opened: Vec<Vec<Option<Log>>> =
        topics.iter().map(|topic| topic.partitions.iter().map(|_| None).collect()).collect();
    let mut pending = Vec::new();
    for (topic, logs) in topics.iter().zip(&mut opened) {
        for ((topic_partition, _), log) in topic.partitions.iter().zip(logs) {
            let folder_exists = folders.contains(&topic_partition.to_string());
            let job = Job { topic, topic_partition, folder_exists };
            if points.was_clean && folder_exists && points.bookmark(topic_partition).is_some() {
                // Nearly always this touches no file, and a thread would cost more.
                *log = job.open(place, points, progress);
            } else {
                pending.push((log, job));
            }
        }
    }
    let total = pending.len();
    let (jobs, mut places): (Vec<Job<'_>>, Vec<&mut Option<Log>>) =
        pending.into_iter().map(|(log, job)| (job, log)).unzip();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..OPENING_THREADS.min(total) {
            let (sender, jobs, next) = (sender.clone(), &jobs, &next);
            scope.spawn(move || {
                while let Some((index, job)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(index).filter(|_| !progress.is_stopped()).map(|job| (index, job))
                } {
                    // The receiver lives until all senders are gone.
                    let _ = sender.send((index, job.open(place, points, progress)));
                }
            });
        }
        drop(sender);
        let (mut done, mut told) = (0, began);
        loop {
            match receiver.recv_timeout(QUIET) {
                Ok((index, log)) => {
                    if let Some(place) = places.get_mut(index) {
                        **place = log;
                    }
                    done += 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if told.elapsed() >= QUIET {
                told = Instant::now();
                let bytes = progress.checked_bytes();
                tracing::info!(
                    partitions = done,
                    remaining = total - done,
                    checked_bytes = bytes,
                    mb_per_second = per_second(bytes, began) / 1_000_000,
                    "opening logs",
                );
            }
        }
    });
    if progress.is_stopped() {
        return Err(StorageOpenError::Stopped);
    }
    if began.elapsed() >= QUIET {
        let bytes = progress.checked_bytes();
        tracing::info!(
            partitions = topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(),
            checked_bytes = bytes,
            mb_per_second = per_second(bytes, began) / 1_000_000,
            elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "all logs are open",
        );
    }
    // Each place was filled, or a thread has panicked and so has the scope.
    Ok(opened.into_iter().map(|logs| logs.into_iter().flatten().collect()).collect())
}

fn per_second(bytes: u64, since: Instant) -> u64 {
    let elapsed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / elapsed
}

impl Job<'_> {
    /// `None` if it was stopped.
    fn open(&self, place: &Place, points: &StartPoints, progress: &OpenProgress) -> Option<Log> {
        let bookmark = points.bookmark(self.topic_partition).filter(|_| self.folder_exists);
        let hints = OpenHints { bookmark, progress: Some(progress) };
        let options = || points.options(place, self.topic_partition, self.topic.id, &self.topic.config);
        let error = match try_open(place, options(), hints) {
            Ok(log) => return Some(log),
            Err(OpenError::Stopped) => return None,
            Err(OpenError::OtherTopic { folder, found, .. }) => {
                // Nothing of this topic was durable yet, or the folder would be its own: renames come before.
                match set_aside(place, self.topic_partition, found) {
                    Ok(stray) => {
                        tracing::warn!(folder, stray, topic_id = %found, "a deleted topic's partition; set aside");
                        let new = new_options(place, self.topic_partition, self.topic.id, &self.topic.config);
                        match try_open(place, new, OpenHints::default()) {
                            Ok(log) => return Some(log),
                            Err(error) => error,
                        }
                    }
                    Err(source) => OpenError::Io { action: "rename", file: folder, source },
                }
            }
            Err(error) => error,
        };
        let folder = place.root.join(self.topic_partition.to_string());
        let log = Log::unusable(Arc::clone(&place.vfs), &folder, options(), &error);
        tracing::error!(
            partition = %self.topic_partition,
            problem = log.unreadable_reason(),
            "the partition is offline, the others are not",
        );
        Some(log)
    }
}

fn set_aside(place: &Place, topic_partition: &TopicPartition, topic_id: Uuid) -> std::io::Result<String> {
    let stray = place.root.join(format!("{topic_partition}.{topic_id}-stray"));
    place.vfs.rename(&place.root.join(topic_partition.to_string()), &stray)?;
    Ok(stray.display().to_string())
}

/// Makes the logs of new partitions. On an error none is kept, though folders may stay.
pub(super) fn make_all(place: &Place, topic: &TopicLogs) -> Result<Vec<Log>, StorageOpenError> {
    let make = |(topic_partition, _): &(TopicPartition, LeaderEpoch)| {
        open_log(place, new_options(place, topic_partition, topic.id, &topic.config), OpenHints::default())
    };
    topic.partitions.iter().map(make).collect()
}
