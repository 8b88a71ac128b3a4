//! Everything that can come due in a shard, and the table of what is set.
//!
//! Invariant: one deadline per [`Timer`]; setting it again moves it. Timers due at the same time fire in the order of
//! their declaration, then of their ids, so that a run is repeatable.

use std::collections::{BTreeMap, BTreeSet};

use super::{GroupId, MemberId};

/// Something that will happen unless it is set anew or cancelled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A member was not heard from for its session timeout; or a new member's join has been parked for too long; or
    /// a member that was given an id did not come back with it.
    Session(GroupId, MemberId),
    /// The members still missing get no more time; or an empty group has waited long enough for its first members.
    Join(GroupId),
    /// Members that joined the generation never asked for their assignment.
    Sync(GroupId),
    /// A member of a consumer group was not heard from for its session timeout.
    ConsumerSession(GroupId, MemberId),
    /// A member of a consumer group did not give its partitions back in time.
    ConsumerRebalance(GroupId, MemberId),
    /// A classic member of a consumer group was told to join again, and did not in time.
    ConsumerJoin(GroupId, MemberId),
    /// A classic member of a consumer group joined, and did not ask for its assignment in time.
    ConsumerSync(GroupId, MemberId),
    /// A consumer group has become a classic one, whose members are to join.
    Downgraded(GroupId),
    /// A member of a streams group was not heard from for its session timeout.
    StreamsSession(GroupId, MemberId),
    /// A member of a streams group did not give its tasks back in time.
    StreamsRebalance(GroupId, MemberId),
    /// A new streams group has waited long enough for more members.
    StreamsInitialDelay(GroupId),
    /// Time to look for offsets that have expired.
    OffsetExpiry,
}

/// The deadlines of one shard, in monotonic milliseconds.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeMap<Timer, i64>,
    queue: BTreeSet<(i64, Timer)>,
}

impl Timers {
    /// Sets or moves `timer`.
    pub(super) fn set(&mut self, timer: Timer, deadline_ms: i64) {
        if let Some(old) = self.deadlines.insert(timer.clone(), deadline_ms) {
            self.queue.remove(&(old, timer.clone()));
        }
        self.queue.insert((deadline_ms, timer));
    }

    /// Forgets `timer`, if it is set.
    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some(old) = self.deadlines.remove(timer) {
            self.queue.remove(&(old, timer.clone()));
        }
    }

    /// Takes the earliest timer due at `now_ms`.
    pub(super) fn pop_due(&mut self, now_ms: i64) -> Option<Timer> {
        let (deadline, _) = self.queue.first()?;
        if *deadline > now_ms {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.deadlines.remove(&timer);
        Some(timer)
    }

    /// When the next timer comes due.
    pub(super) fn next(&self) -> Option<i64> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Whether `timer` is set.
    pub(super) fn is_set(&self, timer: &Timer) -> bool {
        self.deadlines.contains_key(timer)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.deadlines.clear();
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_moves_and_fires_once() {
        let mut timers = Timers::default();
        let join = Timer::Join("g".into());
        timers.set(join.clone(), 10);
        timers.set(Timer::OffsetExpiry, 15);
        timers.set(join.clone(), 20);
        assert_eq!((timers.next(), timers.pop_due(14)), (Some(15), None));
        assert_eq!(timers.pop_due(30), Some(Timer::OffsetExpiry));
        assert_eq!(timers.pop_due(30), Some(join));
        assert_eq!((timers.next(), timers.pop_due(30)), (None, None));
    }

    #[test]
    fn a_cancelled_timer_does_not_fire() {
        let mut timers = Timers::default();
        timers.set(Timer::Sync("g".into()), 1);
        timers.cancel(&Timer::Sync("g".into()));
        assert_eq!(timers.pop_due(2), None);
    }
}
