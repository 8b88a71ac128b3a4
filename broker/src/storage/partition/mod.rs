//! One partition as the broker holds it: its log behind a short lock, and those who wait for it.
//!
//! Appends write to the page cache on the caller's thread. With `riverrun.durability=fsync` the high watermark is the
//! durable end of the log and moves when the flusher has synced; with `os` and `memory` it moves with the append.
//!
//! Lock order: a partition's state, then the flusher's queue. Callbacks run without either.

mod append;
mod read;
mod room;
mod upkeep;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use riverrun_core::{
    LeaderEpoch, TopicPartition,
    log::{AppendError, Durability, FileSpan, Log, LogConfig, ReadError},
};

use self::room::RoomPolicy;
use super::{
    flusher::Flusher,
    tails::Tails,
    waiters::{CommitWaiters, Interest, Waiter},
};
use crate::clock::Clock;

/// About what a marker takes; readers count the bytes they wait for.
const MARKER_BYTES: usize = 78;

/// Who must have a batch before its producer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Nobody; the producer is not told at all.
    None,
    /// The leader, in its page cache.
    Leader,
    /// All in-sync replicas; on a single node, its disk.
    All,
}

impl Acks {
    /// Reads the wire form.
    pub(crate) fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// How far a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadIsolation {
    /// To the end of the log; for the broker itself.
    LogEnd,
    /// What is committed.
    HighWatermark,
    /// What is committed and belongs to no open transaction.
    Committed,
}

/// The offsets that bound a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) log_start: i64,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable: i64,
    pub(crate) log_end: i64,
}

impl Offsets {
    /// The offset before which a reader may see.
    fn bound(&self, isolation: ReadIsolation) -> i64 {
        match isolation {
            ReadIsolation::LogEnd => self.log_end,
            ReadIsolation::HighWatermark => self.high_watermark,
            ReadIsolation::Committed => self.last_stable,
        }
    }
}

/// Batches that were found, and the offsets at that time.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) records: Fetch,
    pub(crate) offsets: Offsets,
    /// How often compacted segments had been swapped in before: see [`Partition::aborted_transactions`].
    pub(crate) swaps: u64,
}

/// Where batches that were found are.
#[derive(Debug)]
pub(crate) enum Fetch {
    /// One after the other; none if there is nothing to be seen.
    Memory(Vec<Bytes>),
    File(FileSpan),
}

/// Why a producer's batch is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProduceError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("min.insync.replicas is {required}, and a single node has 1")]
    NotEnoughReplicas { required: i32 },
    #[error("the partition is gone")]
    Gone,
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionReadError {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error("the partition is gone")]
    Gone,
}

/// A partition this broker leads.
#[derive(Debug)]
pub(crate) struct Partition {
    topic_partition: TopicPartition,
    leader_epoch: LeaderEpoch,
    clock: Clock,
    flusher: Arc<Flusher>,
    tails: Arc<Tails>,
    /// Whether it stands in the flusher's queue.
    queued: AtomicBool,
    /// Whether its files cannot be used.
    offline: AtomicBool,
    flushing: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: Log,
    /// Deleted, or closed for good.
    gone: bool,
    commits: CommitWaiters,
    fetches: Vec<Arc<Interest>>,
    /// Bytes appended and not visible yet.
    invisible_bytes: usize,
    /// Bytes that are visible, but not to readers of committed records.
    unstable_bytes: usize,
    /// Whether the last append failed for the disk, and the log says so.
    append_fails: bool,
    /// Whether the flusher has been told to sync it later (`flush.ms`).
    sync_is_due: bool,
    /// Whether reading failed for the disk, and the log says so.
    read_failed: bool,
    /// Whether the log is to have room behind its batches.
    room: RoomPolicy,
}

impl Partition {
    pub(super) fn new(
        mut log: Log,
        leader_epoch: LeaderEpoch,
        clock: Clock,
        flusher: Arc<Flusher>,
        tails: Arc<Tails>,
    ) -> Self {
        log.set_tail_bytes_max(tails.bytes_max());
        let state = State {
            gone: false,
            commits: CommitWaiters::new(Arc::clone(flusher.crowd())),
            fetches: Vec::new(),
            invisible_bytes: 0,
            unstable_bytes: 0,
            append_fails: false,
            sync_is_due: false,
            read_failed: false,
            room: RoomPolicy::default(),
            log,
        };
        Self {
            topic_partition: state.log.topic_partition().clone(),
            leader_epoch,
            clock,
            flusher,
            tails,
            queued: AtomicBool::new(false),
            offline: AtomicBool::new(state.log.unreadable_reason().is_some()),
            flushing: Mutex::default(),
            state: Mutex::new(state),
        }
    }

    /// Which partition it is.
    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The epoch in which this broker leads it.
    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The time for records the broker writes itself.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// The offsets that bound the log now.
    pub(crate) fn offsets(&self) -> Offsets {
        self.lock().offsets()
    }

    /// Bytes on disk.
    pub(crate) fn size_in_bytes(&self) -> u64 {
        self.lock().log.size_in_bytes()
    }

    /// Whether it has no files.
    pub(super) fn is_in_memory(&self) -> bool {
        self.lock().log.config().durability == Durability::Memory
    }

    /// Whether its files cannot be used: no request for it can be served.
    pub(crate) fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Relaxed)
    }

    /// Takes note of what a log that was at rest turns out to be when it is woken.
    fn note_offline(&self, state: &State) {
        if let Some(problem) = state.log.unreadable_reason()
            && !self.offline.swap(true, Ordering::Relaxed)
        {
            let partition = &self.topic_partition;
            tracing::error!(%partition, problem, "the partition is offline, the others are not");
        }
    }

    /// Puts other settings in force.
    pub(crate) fn set_config(self: &Arc<Self>, config: LogConfig) {
        let mut state = self.lock();
        state.log.set_config(config);
        let behind = state.log.high_watermark() < state.log.log_end_offset();
        drop(state);
        if behind {
            self.queue_flush();
        }
    }

    /// Whether it is deleted, or closed for good.
    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // A panic left the log in an unknown state: it takes no part any more, the other partitions go on.
            let mut state = poisoned.into_inner();
            state.gone = true;
            state
        })
    }
}

impl State {
    /// Whether what was appended is visible only once it is synced: always with `fsync`, with `os` as often as
    /// `flush.messages` says.
    fn must_sync(&self) -> bool {
        let config = self.log.config();
        match config.durability {
            Durability::Fsync => true,
            Durability::Os => {
                self.log.log_end_offset().saturating_sub(self.log.recovery_point()) >= config.flush_messages
            }
            Durability::Memory => false,
        }
    }

    /// How long what was appended may stay without a sync that nobody waits for, if one has to be ordered for it.
    fn sync_in_ms(&mut self) -> Option<Duration> {
        let config = self.log.config();
        if config.durability != Durability::Os || config.flush_ms == i64::MAX || self.sync_is_due {
            return None;
        }
        let wait = Duration::from_millis(u64::try_from(config.flush_ms).unwrap_or(0));
        self.sync_is_due = true;
        Some(wait)
    }

    fn offsets(&self) -> Offsets {
        Offsets {
            log_start: self.log.log_start_offset(),
            high_watermark: self.log.high_watermark(),
            last_stable: self.log.last_stable_offset(),
            log_end: self.log.log_end_offset(),
        }
    }

    /// Moves the high watermark; returns the appends that it has reached.
    fn advance(&mut self, to: i64) -> Vec<Waiter> {
        let stable_before = self.log.last_stable_offset();
        if !self.log.advance_high_watermark(to) {
            return Vec::new();
        }
        let (high_watermark, stable) = (self.log.high_watermark(), self.log.last_stable_offset());
        let mut visible = self.invisible_bytes.max(1);
        if high_watermark == self.log.log_end_offset() {
            self.invisible_bytes = 0;
        }
        if stable == high_watermark {
            // A marker is short, and what it makes readable may be long.
            visible = visible.saturating_add(std::mem::take(&mut self.unstable_bytes));
        } else if stable > stable_before {
            visible = visible.saturating_add(self.unstable_bytes);
        } else {
            self.unstable_bytes = self.unstable_bytes.saturating_add(visible);
        }
        self.wake_fetches(visible);
        self.commits.take_reached(high_watermark)
    }

    fn wake_fetches(&self, bytes: usize) {
        self.fetches.iter().for_each(|interest| interest.grown(bytes));
    }
}

/// Batches in one piece; a single one is not copied.
pub(crate) fn concatenated(batches: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(batches) {
        Ok([only]) => only,
        Err(batches) => {
            let mut whole = BytesMut::with_capacity(batches.iter().map(Bytes::len).sum());
            batches.iter().for_each(|batch| whole.extend_from_slice(batch));
            whole.freeze()
        }
    }
}
