//! One partition as one share group sees it: which records are taken, by whom, until when, and which are done.
//!
//! # Window
//! ```text
//!   log start          start offset (SPSO)                     end            high watermark
//!  ─────┴───────────────────┴────────── in flight ──────────────┴───────────────────┴──────►
//!        never delivered again                                     not yet delivered
//! ```
//! The window is covered without holes by *runs* of neighbouring offsets in the same state, split and joined as records
//! are taken and acknowledged; a record that does not exist (compaction, a control batch) is an offset like any other,
//! which its consumer reports as a gap.
//!
//! | state | event | next state |
//! |---|---|---|
//! | (beyond the end) | acquired | Acquired, count 1 |
//! | Available | acquired | Acquired, count + 1 |
//! | Acquired | accepted | Acknowledged |
//! | Acquired | rejected, or reported as a gap | Archived |
//! | Acquired | released, or its lock times out | Available; Archived if it was delivered as often as it may |
//! | Acquired | its member goes | Available with count - 1: it was never given a chance |
//! | Acquired | renewed | Acquired, with a new deadline |
//! | any | the log's start moves past it | forgotten |
//!
//! # Calling contract
//! The caller holds one lock around each machine. After every call that may change states it takes
//! [`take_write`](SharePartition::take_write) and appends what it gives to the share coordinator's log before it
//! answers; if that fails the machine is dropped and [restored](SharePartition::restore) from what is durable, for what it
//! says is no longer so. Acquisitions are not durable, as in Kafka: after a restart such records are delivered anew.
//!
//! # Bounds
//! [`Limits::records_max`] bounds the window, from the first offset that is not done to the end, [`RUNS_MAX`] the runs.
//!
//! Source: Kafka `SharePartition`, `InFlightBatch`, `InFlightState`; KIP-932, KIP-1206 (acquire mode), KIP-1222 (renew).

mod acknowledge;
mod acquire;
mod runs;
#[cfg(test)]
mod tests;

use crate::{budget::heap_bytes, group::MemberId};
pub use acknowledge::{AcknowledgeError, AcknowledgeType, Acknowledgement};
pub use acquire::{AcquireMode, AcquireRequest, Acquired};
use runs::{Run, RunState, Runs};

use super::state::{DeliveryState, StateBatch};

/// Runs a window is cut into at most; with as many, nothing new is taken until some are done.
pub const RUNS_MAX: usize = 20_000;

/// What bounds deliveries; from the group's and the broker's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How often a record is delivered before it is given up.
    pub delivery_count_max: i16,
    /// Records between start and end, done or not.
    pub records_max: i64,
    /// How long a member holds a record.
    pub lock_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { delivery_count_max: 5, records_max: 2000, lock_ms: 30_000 }
    }
}

/// What is to be made durable after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// Where the window begins. As in Kafka that is where it began before the change.
    pub start_offset: i64,
    /// Records past the start that are done.
    pub delivery_complete_count: i32,
    /// States that changed, by rising offset.
    pub batches: Vec<StateBatch>,
}

/// The state of one partition for one share group.
#[derive(Debug)]
pub struct SharePartition {
    limits: Limits,
    start: i64,
    runs: Runs,
    /// Changes that [`Self::take_write`] has not given out.
    changed: Vec<StateBatch>,
    /// No lock ends before this.
    earliest_deadline_ms: Option<i64>,
}

impl SharePartition {
    /// What it weighs, see [`budget`](crate::budget).
    pub fn weight(&self) -> usize {
        self.runs.weight() + heap_bytes(self.changed.len() * size_of::<StateBatch>())
    }

    /// A partition of which nothing is done or taken; delivery begins at `start`.
    pub fn new(start: i64, limits: Limits) -> Self {
        Self { limits, start, runs: Runs::default(), changed: Vec::new(), earliest_deadline_ms: None }
    }

    /// The partition as the share coordinator knows it. Records between its batches were taken and not acknowledged when
    /// the states were last written: they are to be delivered.
    pub fn restore(start: i64, batches: &[StateBatch], limits: Limits) -> Self {
        let mut partition = Self::new(start, limits);
        let mut end = start;
        for batch in batches {
            let first = batch.first_offset.max(end);
            if batch.last_offset < first {
                continue;
            }
            if first > end {
                partition.runs.push(end, first - 1, Run::available(0));
            }
            let state = match batch.state {
                DeliveryState::Available => RunState::Available,
                DeliveryState::Acknowledged => RunState::Acknowledged,
                DeliveryState::Archived => RunState::Archived,
            };
            partition.runs.push(first, batch.last_offset, Run { state, delivery_count: batch.delivery_count });
            end = batch.last_offset + 1;
        }
        partition.advance();
        partition
    }

    /// Changes what holds from the next delivery on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Where the window begins: everything before it is done.
    pub fn start_offset(&self) -> i64 {
        self.start
    }

    /// The first offset that was never taken.
    pub fn end_offset(&self) -> i64 {
        self.runs.end().unwrap_or(self.start)
    }

    /// Offsets in the window, done or not: what is done behind one that is not still takes room.
    pub(super) fn window(&self) -> i64 {
        self.end_offset() - self.start
    }

    /// Records in the window that are not done.
    pub fn in_flight(&self) -> i64 {
        self.window() - self.runs.complete()
    }

    /// Where to read for the next acquisition; `None` if nothing may be taken now.
    pub fn next_fetch_offset(&self) -> Option<i64> {
        if let Some(available) = self.runs.first_available() {
            return Some(available);
        }
        let is_full = self.window() >= self.limits.records_max || self.runs.len() >= RUNS_MAX;
        (!is_full).then(|| self.end_offset())
    }

    /// The log begins at `log_start` now: what is before it is gone, whoever holds it.
    pub fn advance_log_start(&mut self, log_start: i64) {
        if log_start > self.start {
            self.runs.remove_below(log_start);
            self.start = log_start;
            self.advance();
        }
    }

    /// A member goes: what it holds is for others.
    pub fn release_member(&mut self, member: &MemberId) {
        let max = self.limits.delivery_count_max;
        let held = self.runs.spans(|run| run.is_held_by(member));
        for (first, last) in held {
            self.change(first, last, |run| Run::released(run.delivery_count.saturating_sub(1), max));
        }
    }

    /// Ends the locks whose time has come. Gives the number of records that were locked.
    pub fn expire_locks(&mut self, now_ms: i64) -> i64 {
        if self.earliest_deadline_ms.is_none_or(|deadline| deadline > now_ms) {
            return 0;
        }
        let max = self.limits.delivery_count_max;
        let due = self.runs.spans(|run| run.deadline_ms().is_some_and(|deadline| deadline <= now_ms));
        let mut count = 0;
        for (first, last) in due {
            count += last - first + 1;
            self.change(first, last, |run| Run::released(run.delivery_count, max));
        }
        self.earliest_deadline_ms = self.runs.earliest_deadline();
        count
    }

    /// When [`expire_locks`](Self::expire_locks) is to be called; it may turn out that nothing was due.
    pub fn next_deadline(&self) -> Option<i64> {
        self.earliest_deadline_ms
    }

    /// Whether a member holds records.
    pub fn holds(&self, member: &MemberId) -> bool {
        self.runs.any(|run| run.is_held_by(member))
    }

    /// What is to be made durable after the changes since the last call, if there were any. Moves the start past what is
    /// done.
    pub fn take_write(&mut self) -> Option<StateWrite> {
        let batches = std::mem::take(&mut self.changed);
        let write = (!batches.is_empty()).then(|| StateWrite {
            start_offset: self.start,
            delivery_complete_count: i32::try_from(self.runs.complete()).unwrap_or(i32::MAX),
            batches,
        });
        self.advance();
        write
    }

    /// Changes runs to a durable state, and remembers that they did.
    fn change(&mut self, first: i64, last: i64, to: impl Fn(&Run) -> Run) {
        let changed = &mut self.changed;
        self.runs.change(first, last, |first, last, run| {
            let run = to(run);
            let state = match run.state {
                RunState::Available => DeliveryState::Available,
                RunState::Acknowledged => DeliveryState::Acknowledged,
                RunState::Archived => DeliveryState::Archived,
                RunState::Acquired { .. } => return run,
            };
            changed.push(StateBatch {
                first_offset: first,
                last_offset: last,
                state,
                delivery_count: run.delivery_count,
            });
            run
        });
    }

    /// Moves the start past what is done.
    fn advance(&mut self) {
        self.start = self.runs.remove_complete_front(self.start);
    }
}
