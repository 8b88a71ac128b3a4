//! The window of a share partition as runs: neighbouring offsets in one state, without holes and without overlaps.
//!
//! Invariant: each run ends where the next one begins; `complete` is the number of offsets in runs that are done.

use std::collections::BTreeMap;

use crate::{budget::map_bytes, group::MemberId};

/// What holds for the offsets of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) state: RunState,
    /// How often they were delivered.
    pub(super) delivery_count: i16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    Available,
    Acquired { member: MemberId, deadline_ms: i64 },
    Acknowledged,
    Archived,
}

impl Run {
    pub(super) fn available(delivery_count: i16) -> Self {
        Self { state: RunState::Available, delivery_count }
    }

    /// What becomes of records that nobody holds any more.
    pub(super) fn released(delivery_count: i16, delivery_count_max: i16) -> Self {
        let state = if delivery_count >= delivery_count_max { RunState::Archived } else { RunState::Available };
        Self { state, delivery_count }
    }

    pub(super) fn is_held_by(&self, member: &MemberId) -> bool {
        matches!(&self.state, RunState::Acquired { member: holder, .. } if holder == member)
    }

    pub(super) fn deadline_ms(&self) -> Option<i64> {
        match self.state {
            RunState::Acquired { deadline_ms, .. } => Some(deadline_ms),
            _ => None,
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, RunState::Acknowledged | RunState::Archived)
    }

    /// Whether neighbours may be one run. How often a record was delivered that is done matters to nobody.
    fn joins(&self, other: &Self) -> bool {
        self.state == other.state && (self.is_complete() || self.delivery_count == other.delivery_count)
    }
}

#[derive(Debug, Default)]
pub(super) struct Runs {
    /// By first offset, with the last one.
    runs: BTreeMap<i64, (i64, Run)>,
    complete: i64,
}

impl Runs {
    /// What they weigh: each may have the id of its holder for itself.
    pub(super) fn weight(&self) -> usize {
        map_bytes::<i64, (i64, Run)>(self.runs.len())
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Offsets that are done.
    pub(super) fn complete(&self) -> i64 {
        self.complete
    }

    /// The offset after the last run.
    pub(super) fn end(&self) -> Option<i64> {
        self.runs.last_key_value().map(|(_, (last, _))| last + 1)
    }

    pub(super) fn first_available(&self) -> Option<i64> {
        self.runs.iter().find(|(_, (_, run))| run.state == RunState::Available).map(|(first, _)| *first)
    }

    /// Adds a run at the end.
    pub(super) fn push(&mut self, first: i64, last: i64, run: Run) {
        debug_assert!(self.end().is_none_or(|end| end == first) && first <= last);
        if run.is_complete() {
            self.complete += last - first + 1;
        }
        self.runs.insert(first, (last, run));
        self.join(first, last);
    }

    /// The runs that cover `first..=last`, cut to it.
    pub(super) fn within(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, i64, &Run)> {
        let begin = self.runs.range(..=first).next_back().map_or(first, |(begin, _)| *begin);
        let covering = self.runs.range(begin..=last.max(begin));
        covering
            .filter(move |(_, (end, _))| *end >= first)
            .map(move |(begin, (end, run))| ((*begin).max(first), (*end).min(last), run))
    }

    /// First and last offsets of the runs for which something holds.
    pub(super) fn spans(&self, holds: impl Fn(&Run) -> bool) -> Vec<(i64, i64)> {
        self.runs.iter().filter(|(_, (_, run))| holds(run)).map(|(first, (last, _))| (*first, *last)).collect()
    }

    pub(super) fn any(&self, holds: impl Fn(&Run) -> bool) -> bool {
        self.runs.values().any(|(_, run)| holds(run))
    }

    pub(super) fn earliest_deadline(&self) -> Option<i64> {
        self.runs.values().filter_map(|(_, run)| run.deadline_ms()).min()
    }

    /// Replaces what holds for `first..=last`, run by run. All of it must be covered.
    pub(super) fn change(&mut self, first: i64, last: i64, mut to: impl FnMut(i64, i64, &Run) -> Run) {
        self.split(first);
        self.split(last + 1);
        for (begin, (end, run)) in self.runs.range_mut(first..=last) {
            let size = *end - *begin + 1;
            let new = to(*begin, *end, run);
            self.complete += match (run.is_complete(), new.is_complete()) {
                (false, true) => size,
                (true, false) => -size,
                _ => 0,
            };
            *run = new;
        }
        self.join(first, last);
    }

    /// Forgets everything before an offset.
    pub(super) fn remove_below(&mut self, offset: i64) {
        self.split(offset);
        let kept = self.runs.split_off(&offset);
        let removed = std::mem::replace(&mut self.runs, kept);
        let complete = removed.iter().filter(|(_, (_, run))| run.is_complete());
        self.complete -= complete.map(|(first, (last, _))| last - first + 1).sum::<i64>();
    }

    /// Forgets what is done at the beginning, and tells where the rest begins.
    pub(super) fn remove_complete_front(&mut self, start: i64) -> i64 {
        let mut start = start;
        while let Some(entry) = self.runs.first_entry() {
            let (last, run) = entry.get();
            if !run.is_complete() {
                break;
            }
            let (first, last) = (*entry.key(), *last);
            self.complete -= last - first + 1;
            start = last + 1;
            entry.remove();
        }
        start
    }

    /// Has a run begin at `offset`, if one covers it.
    fn split(&mut self, offset: i64) {
        if let Some((begin, (end, run))) = self.runs.range_mut(..offset).next_back()
            && *end >= offset
        {
            debug_assert!(*begin < offset);
            let (old_end, run) = (std::mem::replace(end, offset - 1), run.clone());
            self.runs.insert(offset, (old_end, run));
        }
    }

    /// Joins the neighbours in and around `first..=last` that are alike.
    fn join(&mut self, first: i64, last: i64) {
        let mut at = self.runs.range(..first).next_back().map_or(first, |(begin, _)| *begin);
        while at <= last {
            let Some((end, run)) = self.runs.get(&at) else { return };
            let next = *end + 1;
            match self.runs.get(&next) {
                Some((next_end, other)) if run.joins(other) => {
                    let next_end = *next_end;
                    self.runs.remove(&next);
                    if let Some((end, _)) = self.runs.get_mut(&at) {
                        *end = next_end;
                    }
                }
                _ => at = next,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn assert_invariants(&self) {
        let mut next = None;
        let mut complete = 0;
        for (first, (last, run)) in &self.runs {
            assert!(next.is_none_or(|next| next == *first) && first <= last, "a hole or an overlap at {first}");
            complete += if run.is_complete() { last - first + 1 } else { 0 };
            next = Some(last + 1);
        }
        assert_eq!(complete, self.complete);
    }
}
