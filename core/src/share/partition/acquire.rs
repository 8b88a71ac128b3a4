//! Taking records for a member: of those that were read from the log, which it gets.
//!
//! Mode *batch optimized* takes whole record batches and may go beyond the number asked for up to the end of one;
//! *record limit* (KIP-1206) takes exactly as many. New records are answered in pieces of about the batch size, cut where
//! record batches end.

use super::{Run, RunState, SharePartition};
use crate::group::MemberId;

/// How closely the number of records asked for is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcquireMode {
    /// Whole record batches.
    #[default]
    BatchOptimized,
    /// Never more records.
    RecordLimit,
}

impl AcquireMode {
    /// Reads the wire form.
    pub fn from_wire(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::BatchOptimized),
            1 => Some(Self::RecordLimit),
            _ => None,
        }
    }
}

/// What a member wants of what was read.
#[derive(Clone, Copy, Debug)]
pub struct AcquireRequest<'a> {
    /// Who takes them.
    pub member: &'a MemberId,
    /// Where the read began: what [`SharePartition::next_fetch_offset`] said.
    pub from: i64,
    /// First and last offset of each record batch that was read, rising.
    pub batches: &'a [(i64, i64)],
    /// Offsets among them that no member may see, as their transaction was aborted: they are archived.
    pub aborted: &'a [(i64, i64)],
    /// How many records at most.
    pub records_max: i64,
    /// How many in one piece of the answer.
    pub batch_size: i64,
    /// How closely to keep `records_max`.
    pub mode: AcquireMode,
    /// The time.
    pub now_ms: i64,
}

/// Records a member has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// The first one.
    pub first_offset: i64,
    /// The last one.
    pub last_offset: i64,
    /// How often they have been delivered, with this time.
    pub delivery_count: i16,
}

impl SharePartition {
    /// Takes records for a member until the lock ends.
    pub fn acquire(&mut self, request: &AcquireRequest<'_>) -> Vec<Acquired> {
        let (Some((read_first, _)), Some((_, read_last))) = (request.batches.first(), request.batches.last()) else {
            return Vec::new();
        };
        let from = request.from.max(self.start);
        if *read_first > from {
            self.archive_missing(from, read_first - 1);
        }
        let mut acquired = Vec::new();
        let mut left = request.records_max;
        let mut at = from;
        let window_last = (*read_last).min(self.end_offset() - 1);
        while left > 0 && at <= window_last {
            let run = self.runs.within(at, window_last).find(|(_, _, run)| run.state == RunState::Available);
            let Some((first, last)) = run.map(|(first, last, _)| (first, last)) else { break };
            let last = last.min(request.last_wanted(first, left));
            self.take(request, first, last, &mut acquired);
            left -= last - first + 1;
            at = last + 1;
        }
        let room = self.limits.records_max - self.window();
        let wanted = left.min(room);
        let first = self.end_offset();
        if wanted > 0 && *read_last >= first && self.runs.len() < super::RUNS_MAX {
            let last = request.last_wanted(first, wanted).min(*read_last);
            for (first, last) in request.pieces(first, last) {
                self.runs.push(first, last, Run::available(0));
                self.take(request, first, last, &mut acquired);
            }
        }
        for (first, last) in request.aborted {
            self.archive_aborted(*first, *last, &mut acquired);
        }
        acquired
    }

    fn take(&mut self, request: &AcquireRequest<'_>, first: i64, last: i64, acquired: &mut Vec<Acquired>) {
        let deadline_ms = request.now_ms.saturating_add(self.limits.lock_ms);
        self.runs.change(first, last, |first_offset, last_offset, run| {
            let delivery_count = run.delivery_count.saturating_add(1);
            acquired.push(Acquired { first_offset, last_offset, delivery_count });
            Run { state: RunState::Acquired { member: request.member.clone(), deadline_ms }, delivery_count }
        });
        let earliest = self.earliest_deadline_ms.map_or(deadline_ms, |earliest| earliest.min(deadline_ms));
        self.earliest_deadline_ms = Some(earliest);
    }

    /// Offsets that the log has no records for any more.
    fn archive_missing(&mut self, first: i64, last: i64) {
        let end = self.end_offset();
        if last >= end {
            self.runs.push(end, last, Run::available(0));
        }
        self.archive(first, last, |run| run.state == RunState::Available);
    }

    fn archive_aborted(&mut self, first: i64, last: i64, acquired: &mut Vec<Acquired>) {
        let mut kept = Vec::with_capacity(acquired.len());
        for piece in acquired.drain(..) {
            let (hidden_first, hidden_last) = (first.max(piece.first_offset), last.min(piece.last_offset));
            if hidden_first > hidden_last {
                kept.push(piece);
                continue;
            }
            self.archive(hidden_first, hidden_last, |_| true);
            if piece.first_offset < hidden_first {
                kept.push(Acquired { last_offset: hidden_first - 1, ..piece });
            }
            if hidden_last < piece.last_offset {
                kept.push(Acquired { first_offset: hidden_last + 1, ..piece });
            }
        }
        *acquired = kept;
    }

    fn archive(&mut self, first: i64, last: i64, which: impl Fn(&Run) -> bool) {
        let spans = self.runs.within(first, last).filter(|(_, _, run)| which(run));
        let spans: Vec<_> = spans.map(|(first, last, _)| (first, last)).collect();
        for (first, last) in spans {
            self.change(first, last, |run| Run { state: RunState::Archived, delivery_count: run.delivery_count });
        }
    }
}

impl AcquireRequest<'_> {
    /// The last offset to take if `count` records from `first` on are wanted.
    fn last_wanted(&self, first: i64, count: i64) -> i64 {
        let last = first.saturating_add(count - 1);
        match self.mode {
            AcquireMode::RecordLimit => last,
            AcquireMode::BatchOptimized => {
                self.batches.iter().find(|(_, end)| *end >= last).map_or(last, |(_, end)| *end)
            }
        }
    }

    /// Cuts a range after every batch with which there are at least `batch_size` offsets.
    fn pieces(&self, first: i64, last: i64) -> Vec<(i64, i64)> {
        let mut pieces = Vec::new();
        let mut begin = first;
        for (_, end) in self.batches {
            let end = (*end).min(last);
            if end - begin + 1 >= self.batch_size.max(1) {
                pieces.push((begin, end));
                begin = end + 1;
            }
        }
        if begin <= last {
            pieces.push((begin, last));
        }
        pieces
    }
}
