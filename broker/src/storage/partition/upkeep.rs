//! What is done to a partition beside its clients: flushes, checkpoints, retention, compaction, the end.

use std::{
    ops::ControlFlow,
    sync::{MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use riverrun_core::log::{
    Bookmark, Cleanable, Durability, FlushError, FlushTicket, Flushed, Log, ReadError, StorageError,
};

use super::{Partition, PartitionReadError, State};
use crate::storage::waiters::{LogOffline, tell_all};

impl Partition {
    /// Lets go of the oldest batch in memory.
    pub(in crate::storage) fn evict_from_tail(&self) {
        self.lock().log.evict_from_tail();
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

    /// Where the log is durable to, where it starts, and what else spares the next start a look at it.
    pub(in crate::storage) fn checkpoint(&self) -> (i64, i64, Option<Bookmark>) {
        let state = self.lock();
        if state.log.config().durability == Durability::Memory {
            // Its records will be gone, its offsets must not be given out a second time.
            return (0, state.log.log_end_offset(), None);
        }
        (state.log.recovery_point(), state.log.log_start_offset(), state.log.bookmark())
    }

    /// Held for as long as a flush lasts, by whoever flushes or takes the files away. Taken before the state.
    pub(in crate::storage) fn flush_turn(&self) -> MutexGuard<'_, ()> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what nobody waits for synced (`riverrun.durability=os`), so that a start after a crash need not read it.
    pub(in crate::storage) fn sync_what_waits(&self) {
        let state = self.lock();
        let behind = state.log.recovery_point() < state.log.log_end_offset();
        let waits = behind && !state.gone && state.log.config().durability == Durability::Os;
        drop(state);
        if waits {
            self.flusher.sync_now(self);
        }
    }

    /// Writes down what the next start would have to read the log for.
    pub(in crate::storage) fn settle(&self) -> Result<bool, StorageError> {
        let mut state = self.lock();
        if state.gone { Ok(false) } else { state.log.settle() }
    }

    /// Lets retention work. Returns how many segments went.
    pub(in crate::storage) fn keep_house(&self, now_ms: i64) -> Result<usize, StorageError> {
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
    pub(in crate::storage) fn expire_producers(&self, timestamp: i64) {
        self.lock().log.expire_producers(timestamp);
    }

    /// What can be compacted, and whether it is worth it.
    pub(in crate::storage) fn cleanable(
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
    pub(in crate::storage) fn while_compacted<T>(&self, step: impl FnOnce(&mut Log) -> T) -> Option<T> {
        let mut state = self.lock();
        (!state.gone && state.log.config().cleanup_policy.compact).then(|| step(&mut state.log))
    }

    /// Does a step of a swap, which is to be completed whatever has become of the partition.
    pub(in crate::storage) fn in_swap<T>(&self, step: impl FnOnce(&mut Log) -> T) -> T {
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
    pub(in crate::storage) fn close(&self) -> Result<(), StorageError> {
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

    /// Begins a flush; called by the flusher, one at a time. Breaks off with what [`Self::complete_flush`] returns where
    /// nothing has to be synced.
    pub(in crate::storage) fn begin_flush(&self) -> Result<ControlFlow<Option<Duration>, FlushTicket>, StorageError> {
        // From here on a new append queues the partition again.
        self.queued.store(false, Ordering::Release);
        let mut state = self.lock();
        state.sync_is_due = false;
        if state.gone {
            return Ok(ControlFlow::Break(None));
        }
        if state.log.room_in_bytes() > 0
            && state.room.is_idle(self.clock.monotonic_ms())
            && let Err(error) = state.log.cut_room()
        {
            // It is in nobody's way.
            tracing::debug!(partition = %self.topic_partition, %error, "room is not given back");
        }
        if let Some(ticket) = state.log.begin_flush()? {
            return Ok(ControlFlow::Continue(ticket));
        }
        let watch = self.watch_room(&mut state);
        let durable = state.log.recovery_point();
        let reached = state.advance(durable);
        drop(state);
        tell_all(reached, Ok(()));
        Ok(ControlFlow::Break(watch))
    }

    /// Takes note of a flush that has ended. Returns how long to wait before another, which gives back the room that
    /// nobody uses, if one is to be ordered.
    pub(in crate::storage) fn complete_flush(
        &self,
        ticket: &FlushTicket,
        result: Result<Flushed, FlushError>,
    ) -> Result<Option<Duration>, StorageError> {
        let mut state = self.lock();
        let durable = state.log.complete_flush(ticket, result)?;
        let room = state.room.synced(ticket.size_in_bytes(), self.clock.monotonic_ms());
        state.log.set_room_bytes(room);
        let watch = self.watch_room(&mut state);
        let reached = state.advance(durable);
        drop(state);
        tell_all(reached, Ok(()));
        Ok(watch)
    }

    /// How long to wait before looking at room that nobody may use then, if nobody does already.
    fn watch_room(&self, state: &mut State) -> Option<Duration> {
        let room = state.log.room_in_bytes();
        state.room.watch(room, self.clock.monotonic_ms())
    }

    /// The log can be trusted no more: whoever waits for a commit is told so.
    pub(in crate::storage) fn fail_waiting(&self) {
        let mut state = self.lock();
        let waiting = state.commits.take_all();
        drop(state);
        tell_all(waiting, Err(LogOffline));
    }
}
