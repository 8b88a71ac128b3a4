//! One partition as the broker holds it: its log behind a short lock, and those who wait for it.
//!
//! Appends write to the page cache on the caller's thread. With `riverrun.durability=fsync` the high watermark is the
//! durable end of the log and moves when the flusher has synced; with `os` and `memory` it moves with the append.
//!
//! Lock order: a partition's state, then the flusher's queue. Callbacks run without either.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use riverrun_core::{
    LeaderEpoch, TopicPartition,
    log::{
        AbortedTransaction, ActiveProducer, AppendError, AppendInfo, AppendOrigin, Bookmark, Cleanable, Durability,
        FileSpan, FlushError, FlushTicket, Flushed, Found, Log, LogConfig, OffsetTime, ReadError, ReadInfo,
        StorageError, TransactionMarker,
    },
};

use super::{
    flusher::Flusher,
    tails::Tails,
    waiters::{
        self, CommitWait, CommitWaiters, Committed, FetchWaiter, Interest, LogOffline, OnCommitted, Waiter, Watch,
        tell_all,
    },
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
            commits: CommitWaiters::default(),
            fetches: Vec::new(),
            invisible_bytes: 0,
            unstable_bytes: 0,
            append_fails: false,
            sync_is_due: false,
            read_failed: false,
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

    /// Appends a producer's batch.
    pub(crate) fn produce(self: &Arc<Self>, batch: Bytes, acks: Acks) -> Result<AppendInfo, ProduceError> {
        self.append(batch, AppendOrigin::Client, acks)
    }

    /// Appends a batch of a producer whose transaction is open here; otherwise the coordinator is to be asked first, and
    /// then the batch is given to [`produce`](Self::produce).
    pub(crate) fn produce_in_open_transaction(
        self: &Arc<Self>,
        batch: Bytes,
        acks: Acks,
    ) -> Result<AppendInfo, ProduceError> {
        self.append_with(batch.len(), acks, |log, leader_epoch, now_ms| {
            log.append_verified(batch, AppendOrigin::Client, None, leader_epoch, now_ms)
        })
    }

    /// Appends a batch of the broker's own.
    pub(crate) fn append_internal(self: &Arc<Self>, batch: Bytes) -> Result<AppendInfo, ProduceError> {
        self.append(batch, AppendOrigin::Coordinator, Acks::Leader)
    }

    /// Ends a transaction. Its coordinator is told once [`Self::committed`] says so.
    pub(crate) fn append_marker(self: &Arc<Self>, marker: &TransactionMarker) -> Result<AppendInfo, ProduceError> {
        self.append_with(MARKER_BYTES, Acks::All, |log, leader_epoch, now_ms| {
            log.append_marker(marker, leader_epoch, now_ms)
        })
    }

    fn append(self: &Arc<Self>, batch: Bytes, origin: AppendOrigin, acks: Acks) -> Result<AppendInfo, ProduceError> {
        self.append_with(batch.len(), acks, |log, leader_epoch, now_ms| log.append(batch, origin, leader_epoch, now_ms))
    }

    fn append_with(
        self: &Arc<Self>,
        bytes: usize,
        acks: Acks,
        append: impl FnOnce(&mut Log, LeaderEpoch, i64) -> Result<AppendInfo, AppendError>,
    ) -> Result<AppendInfo, ProduceError> {
        if let Some(reason) = self.flusher.offline_reason() {
            return Err(AppendError::Offline { reason }.into());
        }
        let mut state = self.lock();
        if state.gone {
            return Err(ProduceError::Gone);
        }
        let required = state.log.config().min_insync_replicas;
        if acks == Acks::All && required > 1 {
            return Err(ProduceError::NotEnoughReplicas { required });
        }
        let held = state.log.tail_bytes();
        let appended = append(&mut state.log, self.leader_epoch, self.clock.wall_ms());
        if appended.is_err() {
            self.note_offline(&state);
        }
        self.log_disk(&mut state, &appended);
        let info = appended?;
        if info.duplicate {
            return Ok(info);
        }
        state.invisible_bytes = state.invisible_bytes.saturating_add(bytes);
        let held = state.log.tail_bytes().saturating_sub(held);
        if state.must_sync() {
            drop(state);
            self.queue_flush();
        } else {
            let end = state.log.log_end_offset();
            let reached = state.advance(end);
            let sync_in_ms = state.sync_in_ms();
            drop(state);
            tell_all(reached, Ok(()));
            if let Some(wait) = sync_in_ms {
                self.flusher.push_later(Arc::clone(self), wait);
            }
        }
        if held > 0 {
            self.tails.grown(self, held);
        }
        Ok(info)
    }

    /// Tells the operator, who sees no client's error codes, that the disk takes no records; and that it does again.
    fn log_disk(&self, state: &mut State, appended: &Result<AppendInfo, AppendError>) {
        let partition = &self.topic_partition;
        match appended {
            Ok(_) if state.append_fails => {
                tracing::info!(%partition, "records can be written again");
                state.append_fails = false;
            }
            Err(error @ (AppendError::Io { .. } | AppendError::Offline { .. }))
                if !state.append_fails && !self.is_offline() =>
            {
                let source = std::error::Error::source(error).map(ToString::to_string);
                let remedy = "its producers are refused, readers are not; make room on the disk or replace it";
                tracing::error!(%partition, %error, source, remedy, "records cannot be written");
                state.append_fails = true;
            }
            _ => {}
        }
    }

    fn queue_flush(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.flusher.push(Arc::clone(self));
        }
    }

    /// Calls back when all before `end` is committed.
    pub(crate) fn on_committed(&self, end: i64, then: OnCommitted) {
        if let Err((then, outcome)) = self.add_waiter(end, Waiter::Call(then)) {
            then.tell(outcome);
        }
    }

    /// Resolves when all before `end` is committed.
    pub(crate) fn committed(&self, end: i64) -> Committed {
        let (then, committed) = waiters::future();
        match self.add_waiter(end, then) {
            Ok(()) => Box::pin(committed),
            Err((_, outcome)) => Box::pin(std::future::ready(outcome)),
        }
    }

    /// What to wait for until all before `end` is committed; nothing if it is already.
    pub(crate) fn commit_wait(&self, end: i64) -> Result<Option<CommitWait>, LogOffline> {
        if self.lock().log.high_watermark() >= end {
            return Ok(None);
        }
        let (then, committed) = waiters::future();
        match self.add_waiter(end, then) {
            Ok(()) => Ok(Some(committed)),
            Err((_, outcome)) => outcome.map(|()| None),
        }
    }

    /// Has `then` told when all before `end` is committed; gives it back, and what it is to be told, if that is known.
    fn add_waiter(&self, end: i64, then: Waiter) -> Result<(), (Waiter, Result<(), LogOffline>)> {
        let mut state = self.lock();
        if state.log.high_watermark() >= end {
            return Err((then, Ok(())));
        }
        if state.gone || state.log.offline_reason().is_some() || self.flusher.offline_reason().is_some() {
            return Err((then, Err(LogOffline)));
        }
        state.commits.add(end, then);
        Ok(())
    }

    /// The offsets that bound the log now.
    pub(crate) fn offsets(&self) -> Offsets {
        self.lock().offsets()
    }

    /// Reads whole batches from `offset` on; the first one even if it is larger than `max_bytes`, if `at_least_one`.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
    ) -> Result<ReadInfo, PartitionReadError> {
        let fetched = self.fetch(offset, max_bytes, at_least_one, isolation, usize::MAX)?;
        let Fetched { records, offsets, .. } = fetched;
        let records = match records {
            Fetch::Memory(batches) => concatenated(batches),
            Fetch::File(span) => self.load(&span, offset, max_bytes, at_least_one, isolation)?,
        };
        Ok(ReadInfo {
            records,
            log_start_offset: offsets.log_start,
            high_watermark: offsets.high_watermark,
            last_stable_offset: offsets.last_stable,
        })
    }

    /// Reads what [`Self::fetch`] has found with the same arguments.
    pub(crate) fn load(
        &self,
        span: &FileSpan,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
    ) -> Result<Bytes, PartitionReadError> {
        match span.read() {
            Ok(Some(records)) => Ok(records),
            // Whatever is wrong with it, the log says what.
            Ok(None) | Err(_) => self.read_slowly(offset, max_bytes, at_least_one, isolation).map(|read| read.records),
        }
    }

    /// Finds what [`Self::read`] would return, without reading it: more than `worth_bytes` of it stay in the file.
    pub(crate) fn fetch(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
        worth_bytes: usize,
    ) -> Result<Fetched, PartitionReadError> {
        let mut state = self.lock();
        if state.gone {
            return Err(PartitionReadError::Gone);
        }
        let (offsets, swaps) = (state.offsets(), state.log.swaps());
        let found = state.log.find(offset, max_bytes, offsets.bound(isolation), at_least_one, worth_bytes);
        if found.is_err() {
            self.note_offline(&state);
        }
        let found = found?;
        drop(state);
        let records = match found {
            Found::Nothing => Fetch::Memory(Vec::new()),
            Found::Memory(batches) => Fetch::Memory(batches),
            // Looking at headers may take the disk: nobody must wait for that.
            Found::File(search) => match search.locate() {
                Ok(Some(span)) => Fetch::File(span),
                Ok(None) | Err(_) => return self.fetch_slowly(offset, max_bytes, at_least_one, isolation, swaps),
            },
            Found::Unknown => return self.fetch_slowly(offset, max_bytes, at_least_one, isolation, swaps),
        };
        Ok(Fetched { records, offsets, swaps })
    }

    fn fetch_slowly(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
        swaps: u64,
    ) -> Result<Fetched, PartitionReadError> {
        let read = self.read_slowly(offset, max_bytes, at_least_one, isolation)?;
        let batches = if read.records.is_empty() { Vec::new() } else { vec![read.records] };
        Ok(Fetched { records: Fetch::Memory(batches), offsets: self.offsets(), swaps })
    }

    /// Reads while the log is held: for the few reads that have to load or rebuild an index first, or that find damage.
    fn read_slowly(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
    ) -> Result<ReadInfo, PartitionReadError> {
        let mut state = self.lock();
        if state.gone {
            return Err(PartitionReadError::Gone);
        }
        let up_to = state.offsets().bound(isolation);
        let read = state.log.read(offset, max_bytes, up_to, at_least_one);
        if read.is_err() {
            self.note_offline(&state);
        }
        if let Err(error @ (ReadError::Corrupt { .. } | ReadError::Io { .. })) = &read
            && !std::mem::replace(&mut state.read_failed, true)
        {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(partition = %self.topic_partition, offset, %error, source, "records cannot be read");
        }
        Ok(read?)
    }

    /// Lets go of the oldest batch in memory.
    pub(super) fn evict_from_tail(&self) {
        self.lock().log.evict_from_tail();
    }

    /// The first record of that time or later.
    pub(crate) fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<OffsetTime>, PartitionReadError> {
        Ok(self.lock().log.offset_for_time(timestamp)?)
    }

    /// The record with the largest timestamp.
    pub(crate) fn offset_of_max_timestamp(&self) -> Result<Option<OffsetTime>, PartitionReadError> {
        Ok(self.lock().log.offset_of_max_timestamp()?)
    }

    /// The epoch in which the record at `offset`, or the last one before it, was written.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<LeaderEpoch> {
        let state = self.lock();
        state.log.epochs().epoch_for_offset(offset).or_else(|| state.log.epochs().latest())
    }

    /// The largest epoch up to `epoch` that there is, and where it ends.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let state = self.lock();
        let end = state.log.log_end_offset();
        if epoch == self.leader_epoch.0 {
            return Some((epoch, end));
        }
        state.log.epochs().end_offset_for(LeaderEpoch(epoch), end).map(|(epoch, end)| (epoch.0, end))
    }

    /// Removes the records before `offset`, or before the high watermark if there is none. Returns the new start.
    pub(crate) fn delete_records(&self, offset: Option<i64>) -> Result<i64, PartitionReadError> {
        let mut state = self.lock();
        if state.gone {
            return Err(PartitionReadError::Gone);
        }
        let offset = offset.unwrap_or_else(|| state.log.high_watermark());
        let start = state.log.delete_records(offset)?;
        state.fetches.iter().for_each(|interest| interest.changed());
        Ok(start)
    }

    /// The idempotent and transactional producers it remembers; `None` if it is gone.
    pub(crate) fn active_producers(&self) -> Option<Vec<ActiveProducer>> {
        let mut state = self.lock();
        (!state.gone).then(|| state.log.active_producers())
    }

    /// The aborted transactions that overlap offsets below the last stable offset, for records that were found when there
    /// had been so many swaps. `None` if there have been more since: compaction takes out records of aborted transactions
    /// and then does not name them any more, but the records that were found may still have them.
    pub(crate) fn aborted_transactions(
        &self,
        from: i64,
        up_to: i64,
        swaps: u64,
    ) -> Result<Option<Vec<AbortedTransaction>>, PartitionReadError> {
        let mut state = self.lock();
        if state.log.swaps() != swaps {
            return Ok(None);
        }
        Ok(Some(state.log.aborted_transactions(from, up_to)?))
    }

    /// Bytes on disk.
    pub(crate) fn size_in_bytes(&self) -> u64 {
        self.lock().log.size_in_bytes()
    }

    /// Where the log is durable to, where it starts, and what else spares the next start a look at it.
    pub(super) fn checkpoint(&self) -> (i64, i64, Option<Bookmark>) {
        let state = self.lock();
        if state.log.config().durability == Durability::Memory {
            // Its records will be gone, its offsets must not be given out a second time.
            return (0, state.log.log_end_offset(), None);
        }
        (state.log.recovery_point(), state.log.log_start_offset(), state.log.bookmark())
    }

    /// Held for as long as a flush lasts, by whoever flushes or takes the files away. Taken before the state.
    pub(super) fn flush_turn(&self) -> MutexGuard<'_, ()> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what nobody waits for synced (`riverrun.durability=os`), so that a start after a crash need not read it.
    pub(super) fn sync_what_waits(&self) {
        let state = self.lock();
        let behind = state.log.recovery_point() < state.log.log_end_offset();
        let waits = behind && !state.gone && state.log.config().durability == Durability::Os;
        drop(state);
        if waits {
            self.flusher.sync_now(self);
        }
    }

    /// Whether it has no files.
    pub(super) fn is_in_memory(&self) -> bool {
        self.lock().log.config().durability == Durability::Memory
    }

    /// Writes down what the next start would have to read the log for.
    pub(super) fn settle(&self) -> Result<bool, StorageError> {
        let mut state = self.lock();
        if state.gone { Ok(false) } else { state.log.settle() }
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

    /// Lets retention work. Returns how many segments went.
    pub(super) fn keep_house(&self, now_ms: i64) -> Result<usize, StorageError> {
        let mut state = self.lock();
        if state.gone {
            return Ok(0);
        }
        let removed = state.log.delete_segments(now_ms)?;
        if removed > 0 {
            state.fetches.iter().for_each(|interest| interest.changed());
        }
        Ok(removed)
    }

    /// Forgets producers that have not written since `timestamp`, but for those with an open transaction.
    pub(super) fn expire_producers(&self, timestamp: i64) {
        self.lock().log.expire_producers(timestamp);
    }

    /// Whether it is deleted, or closed for good.
    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// What can be compacted, and whether it is worth it.
    pub(super) fn cleanable(
        &self,
        cleaned_to: Option<i64>,
        now_ms: i64,
    ) -> Result<Option<(Cleanable, bool)>, ReadError> {
        let mut state = self.lock();
        if state.gone {
            return Ok(None);
        }
        let found = state.log.cleanable(cleaned_to, now_ms);
        if found.is_err() {
            self.note_offline(&state);
        }
        Ok(found?.map(|cleanable| (cleanable, cleanable.is_due(state.log.config()))))
    }

    /// Does a step of a compaction; `None` if the partition is gone or is not to be compacted any more.
    pub(super) fn while_compacted<T>(&self, step: impl FnOnce(&mut Log) -> T) -> Option<T> {
        let mut state = self.lock();
        (!state.gone && state.log.config().cleanup_policy.compact).then(|| step(&mut state.log))
    }

    /// Does a step of a swap, which is to be completed whatever has become of the partition.
    pub(super) fn in_swap<T>(&self, step: impl FnOnce(&mut Log) -> T) -> T {
        step(&mut self.lock().log)
    }

    /// Takes part in nothing any more: whoever waits is told so.
    pub(crate) fn retire(&self) {
        let mut state = self.lock();
        state.gone = true;
        let waiting = state.commits.take_all();
        state.fetches.iter().for_each(|interest| interest.wake());
        drop(state);
        tell_all(waiting, Err(LogOffline));
    }

    /// Syncs and closes the log.
    pub(super) fn close(&self) -> Result<(), StorageError> {
        let closed = {
            let mut state = self.lock();
            let closed = state.log.close();
            if closed.is_ok() {
                let end = state.log.log_end_offset();
                let reached = state.advance(end);
                drop(state);
                tell_all(reached, Ok(()));
            }
            closed
        };
        self.retire();
        closed
    }

    /// Begins a flush; called by the flusher, one at a time.
    pub(super) fn begin_flush(&self) -> Result<Option<FlushTicket>, StorageError> {
        // From here on a new append queues the partition again.
        self.queued.store(false, Ordering::Release);
        let mut state = self.lock();
        state.sync_is_due = false;
        if state.gone {
            return Ok(None);
        }
        let ticket = state.log.begin_flush()?;
        if ticket.is_none() {
            let durable = state.log.recovery_point();
            let reached = state.advance(durable);
            drop(state);
            tell_all(reached, Ok(()));
        }
        Ok(ticket)
    }

    /// Takes note of a flush that has ended.
    pub(super) fn complete_flush(
        &self,
        ticket: &FlushTicket,
        result: Result<Flushed, FlushError>,
    ) -> Result<(), StorageError> {
        let mut state = self.lock();
        let durable = state.log.complete_flush(ticket, result)?;
        let reached = state.advance(durable);
        drop(state);
        tell_all(reached, Ok(()));
        Ok(())
    }

    /// The log can be trusted no more: whoever waits for a commit is told so.
    pub(super) fn fail_waiting(&self) {
        let mut state = self.lock();
        let waiting = state.commits.take_all();
        drop(state);
        tell_all(waiting, Err(LogOffline));
    }

    /// Has a fetcher told of what becomes readable. It knows the partition by `token`.
    pub(crate) fn watch(self: &Arc<Self>, waiter: &Arc<FetchWaiter>, token: u64) -> Watch {
        let interest = Arc::new(Interest::new(waiter, token));
        self.lock().fetches.push(Arc::clone(&interest));
        Watch { partition: Arc::clone(self), interest }
    }

    pub(super) fn unwatch(&self, interest: &Arc<Interest>) {
        let mut state = self.lock();
        if let Some(place) = state.fetches.iter().position(|other| Arc::ptr_eq(other, interest)) {
            state.fetches.swap_remove(place);
        }
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
