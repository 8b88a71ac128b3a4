//! The thread that compacts: of a topic with `cleanup.policy=compact` it keeps the last record of every key. What is to be
//! compacted and how is core's to say (`riverrun_core::log::Compaction`); here are the thread, its pace, and what happens
//! when the disk fails.
//!
//! Invariants: a partition's state is held for the short steps of a swap only, never while segments are read or written.
//! A deleted partition's folder is touched no more once [`Cleaner::let_go`] has returned. A log stands in
//! `cleaner-offset-checkpoint` before its first segment is replaced: the next start takes the gaps between its batches
//! for what they are.
//!
//! A failed sync takes the directory offline, as the flusher has it. A full disk is tried again at the next look. Whatever
//! else fails marks one partition as not to be compacted until the broker starts anew; the others go on.
//!
//! Lock order: a partition's state, the cleaner's state and its checkpoint are never held together.
//!
//! Source: Kafka's `LogCleaner`, `LogCleanerManager`; KIP-58.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use riverrun_core::{
    TopicPartition,
    log::{
        CheckpointError, Cleanable, CompactionError, CompactionLimits, CompactionReport, Replacement, Stopped, Vfs,
        write_offsets,
    },
};

use super::{Partition, Storage, flusher::Flusher};
use crate::{clock::Clock, config::BrokerConfig};

/// The shortest wait between two looks, if the settings want none.
const BACKOFF_MIN: Duration = Duration::from_millis(1);

/// What the settings `log.cleaner.*` say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CleanerSettings {
    /// Between two looks when there is nothing to do.
    backoff: Duration,
    /// Memory for the map of keys.
    map_bytes: usize,
    /// The share of it that may be filled.
    map_load_percent: usize,
    /// Bytes read, and bytes written, at once.
    buffer_bytes: usize,
    bytes_per_second: f64,
}

impl CleanerSettings {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the factor lies between 0 and 1")]
    pub(crate) fn of(config: &BrokerConfig) -> Self {
        let size = |bytes: i64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            backoff: Duration::from_millis(u64::try_from(config.log_cleaner_backoff_ms).unwrap_or(0)).max(BACKOFF_MIN),
            map_bytes: size(config.log_cleaner_dedupe_buffer_size),
            map_load_percent: (config.log_cleaner_io_buffer_load_factor * 100.0) as usize,
            // One buffer for reading and one for writing.
            buffer_bytes: size(config.log_cleaner_io_buffer_size.into()) / 2,
            bytes_per_second: config.log_cleaner_io_max_bytes_per_second,
        }
    }
}

/// The cleaner of one data directory.
#[derive(Debug)]
pub(super) struct Cleaner {
    vfs: Arc<dyn Vfs>,
    checkpoint_path: PathBuf,
    flusher: Arc<Flusher>,
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
    /// How far each log is compacted, as the checkpoint has it or will have it. Also serializes the writes.
    checkpoint: Mutex<BTreeMap<TopicPartition, i64>>,
}

#[derive(Debug)]
struct State {
    settings: CleanerSettings,
    stopped: bool,
    /// The one that is being compacted.
    at_work: Option<TopicPartition>,
    troubles: HashMap<TopicPartition, Trouble>,
}

/// What went wrong with a partition, and was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    DiskFull,
    Uncleanable,
}

impl Cleaner {
    pub(super) fn new(
        (vfs, checkpoint_path): (Arc<dyn Vfs>, PathBuf),
        cleaned_to: BTreeMap<TopicPartition, i64>,
        flusher: Arc<Flusher>,
        clock: Clock,
    ) -> Self {
        let settings = CleanerSettings::of(&BrokerConfig::default());
        let state = State { settings, stopped: false, at_work: None, troubles: HashMap::new() };
        Self {
            vfs,
            checkpoint_path,
            flusher,
            clock,
            state: Mutex::new(state),
            changed: Condvar::new(),
            checkpoint: Mutex::new(cleaned_to),
        }
    }

    /// Starts the thread. It ends after [`Self::stop`], or when the storage is gone.
    pub(super) fn start(self: &Arc<Self>, storage: Weak<Storage>) -> std::io::Result<JoinHandle<()>> {
        let own = Arc::clone(self);
        std::thread::Builder::new().name("riverrun-clean".to_owned()).spawn(move || own.run(&storage))
    }

    /// Lets the thread end, in the middle of a compaction if there is one.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Puts other settings in force; also has a compaction look whether it is still wanted.
    pub(super) fn set(&self, settings: CleanerSettings) {
        self.lock().settings = settings;
        self.changed.notify_all();
    }

    /// Keeps only entries of partitions that there are.
    pub(super) fn keep(&self, partitions: &[Arc<Partition>]) {
        let known: HashSet<_> = partitions.iter().map(|partition| partition.topic_partition()).collect();
        self.entries().retain(|name, _| known.contains(name));
    }

    /// Waits until nothing of retired partitions is being compacted, and forgets them. A compaction of them stops by
    /// itself, as they are retired.
    pub(super) fn let_go(&self, partitions: &[&TopicPartition]) {
        let mut state = self.lock();
        self.changed.notify_all();
        while state.at_work.as_ref().is_some_and(|at_work| partitions.contains(&at_work)) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        for partition in partitions {
            state.troubles.remove(*partition);
        }
        drop(state);
        let mut entries = self.entries();
        let count = entries.len();
        entries.retain(|name, _| !partitions.contains(&name));
        if entries.len() < count
            && let Err(error) = self.write(&entries)
        {
            tracing::error!(%error, "cannot take a deleted topic out of the checkpoint of the cleaner");
        }
    }

    /// Whether a partition is being compacted.
    #[cfg(test)]
    pub(super) fn is_at_work(&self) -> bool {
        self.lock().at_work.is_some()
    }

    fn run(&self, storage: &Weak<Storage>) {
        while self.wait_for_the_next_look() {
            self.clean_all(&|| storage.upgrade().map(|storage| storage.of_topics()).unwrap_or_default());
        }
    }

    /// False if there is no more.
    fn wait_for_the_next_look(&self) -> bool {
        let began = Instant::now();
        let mut state = self.lock();
        while !state.stopped {
            let left = state.settings.backoff.saturating_sub(began.elapsed());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Compacts all that is worth it, the dirtiest first, until nothing is left.
    pub(super) fn clean_all(&self, partitions: &dyn Fn() -> Vec<Arc<Partition>>) {
        let mut given_up = HashSet::new();
        loop {
            let mut due = Vec::new();
            for partition in partitions() {
                let name = partition.topic_partition();
                if self.is_over() || given_up.contains(name) || self.is_uncleanable(name) {
                    continue;
                }
                match self.cleanable(&partition) {
                    Ok(Some(cleanable)) => due.push((cleanable, partition)),
                    Ok(None) => {}
                    Err(error) => self.fail(&partition, &error),
                }
            }
            if due.is_empty() {
                return;
            }
            due.sort_by(|(one, _), (other, _)| other.ratio().total_cmp(&one.ratio()));
            for (_, partition) in due {
                if self.is_over() {
                    return;
                }
                if !self.clean(&partition) {
                    given_up.insert(partition.topic_partition().clone());
                }
            }
        }
    }

    /// What is worth it of a partition now.
    fn cleanable(&self, partition: &Partition) -> Result<Option<Cleanable>, CompactionError> {
        let name = partition.topic_partition();
        let cleaned_to = self.entries().get(name).copied();
        let Some((cleanable, is_due)) = partition.cleanable(cleaned_to, self.clock.wall_ms())? else { return Ok(None) };
        if cleanable.checkpoint_is_wrong {
            tracing::warn!(
                partition = %name,
                cleaned_to,
                "the checkpoint of the cleaner does not fit the log; all of it is looked at again",
            );
            self.entries().insert(name.clone(), cleanable.first_dirty_offset);
        }
        Ok(is_due.then_some(cleanable))
    }

    /// Compacts a partition, if it still has to be. False if it did not come to its end.
    fn clean(&self, partition: &Partition) -> bool {
        let name = partition.topic_partition();
        // Whoever deletes the partition waits from here on; one that is gone already is not touched below.
        let turn = Turn::begin(self, name);
        let cleaned = self.compact(partition);
        drop(turn);
        match cleaned {
            Ok(report) => {
                self.lock().troubles.remove(name);
                if let Some(report) = report {
                    let CompactionReport { keys, bytes_before, bytes_after, .. } = report;
                    tracing::info!(partition = %name, keys, bytes_before, bytes_after, "compacted");
                }
                true
            }
            Err(CompactionError::Stopped) => false,
            Err(error) => {
                self.fail(partition, &error);
                false
            }
        }
    }

    fn compact(&self, partition: &Partition) -> Result<Option<CompactionReport>, CompactionError> {
        let Some(cleanable) = self.cleanable(partition)? else { return Ok(None) };
        let settings = self.lock().settings;
        let limits = CompactionLimits {
            map_bytes: settings.map_bytes,
            map_load_percent: settings.map_load_percent,
            buffer_bytes: settings.buffer_bytes,
            secret: rand::random(),
        };
        let now_ms = self.clock.wall_ms();
        let Some(begun) = partition.while_compacted(|log| log.begin_compaction(&cleanable, limits, now_ms)) else {
            return Err(CompactionError::Stopped);
        };
        let mut compaction = begun?;
        self.note(partition, cleanable.first_dirty_offset).map_err(into_io)?;
        let mut since = Instant::now();
        while let Some(replacement) =
            compaction.next_replacement(&mut |bytes| self.pace(partition, bytes, &mut since))?
        {
            replace(partition, replacement)?;
        }
        self.note(partition, compaction.end_offset()).map_err(into_io)?;
        if compaction.end_offset() <= cleanable.first_dirty_offset {
            // It would be due again at once.
            return Err(CompactionError::Stopped);
        }
        Ok(Some(compaction.report()))
    }

    /// Waits so that reading and writing keep below the limit; ends a compaction that is not wanted any more.
    fn pace(&self, partition: &Partition, bytes: usize, since: &mut Instant) -> Result<(), Stopped> {
        loop {
            if self.flusher.offline_reason().is_some() || partition.while_compacted(|_| ()).is_none() {
                return Err(Stopped);
            }
            let state = self.lock();
            if state.stopped {
                return Err(Stopped);
            }
            #[expect(clippy::cast_precision_loss, reason = "a wait need not be exact")]
            let wait = Duration::try_from_secs_f64(bytes as f64 / state.settings.bytes_per_second);
            let left = wait.unwrap_or(Duration::MAX).saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            // Woken when any of that changes.
            drop(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner));
        }
        *since = Instant::now();
        Ok(())
    }

    /// Writes down how far a partition is compacted.
    fn note(&self, partition: &Partition, cleaned_to: i64) -> Result<(), CheckpointError> {
        let mut entries = self.entries();
        if entries.insert(partition.topic_partition().clone(), cleaned_to) == Some(cleaned_to) {
            return Ok(());
        }
        self.write(&entries)
    }

    fn write(&self, entries: &BTreeMap<TopicPartition, i64>) -> Result<(), CheckpointError> {
        write_offsets(&*self.vfs, &self.checkpoint_path, entries)
    }

    fn fail(&self, partition: &Partition, error: &CompactionError) {
        let name = partition.topic_partition();
        if partition.is_gone() {
            return;
        }
        if let CompactionError::Io { action, file, source } = error
            && error.is_failed_sync()
        {
            self.flusher.fail_for(partition, &format!("cannot {action} {file}: {source}"));
            return;
        }
        let trouble = if error.is_disk_full() { Trouble::DiskFull } else { Trouble::Uncleanable };
        if self.lock().troubles.insert(name.clone(), trouble) == Some(trouble) {
            return;
        }
        let source = std::error::Error::source(error).map(ToString::to_string);
        match trouble {
            Trouble::DiskFull => {
                tracing::warn!(partition = %name, %error, source, "no room to compact; it is tried again");
            }
            Trouble::Uncleanable => {
                let consequence = "it grows until the broker is started anew; the others are compacted";
                tracing::error!(partition = %name, %error, source, consequence, "cannot compact");
            }
        }
    }

    fn is_uncleanable(&self, name: &TopicPartition) -> bool {
        self.lock().troubles.get(name) == Some(&Trouble::Uncleanable)
    }

    fn is_over(&self) -> bool {
        self.lock().stopped || self.flusher.offline_reason().is_some()
    }

    /// How far each log is compacted.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, i64>> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A partition is at work, until this is dropped; be it by a panic.
struct Turn<'c>(&'c Cleaner);

impl<'c> Turn<'c> {
    fn begin(cleaner: &'c Cleaner, name: &TopicPartition) -> Self {
        cleaner.lock().at_work = Some(name.clone());
        Self(cleaner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().at_work = None;
        self.0.changed.notify_all();
    }
}

/// Puts a new segment in the place of the old ones.
fn replace(partition: &Partition, mut replacement: Replacement) -> Result<(), CompactionError> {
    if partition.while_compacted(|log| log.prepare_swap(&replacement)) != Some(true) {
        replacement.discard();
        return Err(CompactionError::Stopped);
    }
    if let Err(error) = replacement.stage() {
        partition.in_swap(|log| if error.is_failed_sync() { log.fail_swap(&error) } else { log.give_up_swap() });
        return Err(error);
    }
    let files = partition.in_swap(|log| log.swap_in(replacement));
    let removed = files.remove().inspect_err(|error| partition.in_swap(|log| log.fail_swap(error)));
    removed
        .and_then(|()| partition.in_swap(|log| log.finish_swap(&files)))
        .and_then(|()| files.sync().inspect_err(|error| partition.in_swap(|log| log.fail_swap(error))))
}

fn into_io(error: CheckpointError) -> CompactionError {
    match error {
        CheckpointError::Io { file, source } => CompactionError::Io { action: "write", file, source },
        CheckpointError::Malformed { file, problem } => {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, problem);
            CompactionError::Io { action: "write", file, source }
        }
    }
}
