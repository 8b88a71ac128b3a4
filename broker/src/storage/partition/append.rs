//! Appends: of producers, of coordinators, of markers; and who is told when they are committed.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use riverrun_core::{
    LeaderEpoch,
    log::{AppendError, AppendInfo, AppendOrigin, Log, TransactionMarker},
};

use super::{Acks, MARKER_BYTES, Partition, ProduceError, State};
use crate::storage::waiters::{self, CommitWait, Committed, LogOffline, OnCommitted, Waiter, tell_all};

impl Partition {
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

    pub(super) fn append(
        self: &Arc<Self>,
        batch: Bytes,
        origin: AppendOrigin,
        acks: Acks,
    ) -> Result<AppendInfo, ProduceError> {
        self.append_with(batch.len(), acks, |log, leader_epoch, now_ms| log.append(batch, origin, leader_epoch, now_ms))
    }

    pub(super) fn append_with(
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
    pub(super) fn log_disk(&self, state: &mut State, appended: &Result<AppendInfo, AppendError>) {
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

    pub(super) fn queue_flush(self: &Arc<Self>) {
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
        let mut state = self.lock();
        if let Some(outcome) = self.outcome_of(&state, end) {
            return outcome.map(|()| None);
        }
        let (then, committed) = waiters::future();
        state.commits.add(end, then);
        Ok(Some(committed))
    }

    /// Has `then` told when all before `end` is committed; gives it back, and what it is to be told, if that is known.
    pub(super) fn add_waiter(&self, end: i64, then: Waiter) -> Result<(), (Waiter, Result<(), LogOffline>)> {
        let mut state = self.lock();
        match self.outcome_of(&state, end) {
            Some(outcome) => Err((then, outcome)),
            None => {
                state.commits.add(end, then);
                Ok(())
            }
        }
    }

    /// What whoever waits for all before `end` to be committed is to be told, if that is known.
    fn outcome_of(&self, state: &State, end: i64) -> Option<Result<(), LogOffline>> {
        if state.log.high_watermark() >= end {
            return Some(Ok(()));
        }
        let never = state.gone || state.log.offline_reason().is_some() || self.flusher.offline_reason().is_some();
        never.then_some(Err(LogOffline))
    }
}
