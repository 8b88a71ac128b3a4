//! Whether a log has room behind its batches ([`Log::set_room_bytes`](riverrun_core::log::Log::set_room_bytes)): while its
//! syncs are small and follow each other quickly, as those of a few producers with acks=all do. Who syncs seldom would pay
//! for zeros that nobody fills; who syncs much at once would write everything twice.

use std::time::Duration;

/// How much room is made at once: enough for many small syncs, little beside what a disk writes in that time.
const ROOM_BYTES: u64 = 64 << 10;
/// A sync is small up to here.
const SMALL_BYTES: u64 = 16 << 10;
/// Two syncs follow each other quickly if they end so far apart, in milliseconds.
const QUICK_MS: i64 = 20;
/// Small and quick syncs in a row before there is room.
const PROOF: u32 = 8;
/// For how long nothing was synced when room is given back, in milliseconds.
const IDLE_MS: i64 = 1000;

/// What the syncs of one log were like. Times are monotonic milliseconds.
#[derive(Debug, Default)]
pub(super) struct RoomPolicy {
    synced_at: i64,
    quick: u32,
    /// When room that nobody uses is looked for.
    watched_until: Option<i64>,
}

impl RoomPolicy {
    /// Takes note of a sync of `bytes` that has ended; returns how much room is to be made from now on.
    pub(super) fn synced(&mut self, bytes: u64, now_ms: i64) -> u64 {
        let since = now_ms - std::mem::replace(&mut self.synced_at, now_ms);
        self.quick = if bytes <= SMALL_BYTES && since <= QUICK_MS { self.quick.saturating_add(1) } else { 0 };
        if self.quick >= PROOF { ROOM_BYTES } else { 0 }
    }

    /// Whether the log is not synced any more, and its room is of no use.
    pub(super) fn is_idle(&self, now_ms: i64) -> bool {
        now_ms - self.synced_at >= IDLE_MS
    }

    /// How long to wait before looking at a log with `room` again, if nobody does already.
    pub(super) fn watch(&mut self, room: u64, now_ms: i64) -> Option<Duration> {
        if self.watched_until.is_some_and(|until| now_ms < until) {
            return None;
        }
        self.watched_until = (room > 0).then_some(now_ms + IDLE_MS);
        // A millisecond more than it says, which may have begun before.
        self.watched_until.map(|_| Duration::from_millis(IDLE_MS.unsigned_abs() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_small_syncs_that_follow_each_other() {
        let mut policy = RoomPolicy::default();
        let rooms: Vec<u64> = (0..10).map(|at| policy.synced(200, 5000 + at)).collect();
        // The first follows nothing.
        assert_eq!(rooms, [0, 0, 0, 0, 0, 0, 0, 0, ROOM_BYTES, ROOM_BYTES]);
        assert_eq!(policy.synced(SMALL_BYTES + 1, 5020), 0, "that was much");
        assert_eq!(policy.synced(200, 5030), 0);
        for at in 0..8 {
            policy.synced(200, 5040 + at);
        }
        assert_eq!(policy.synced(200, 5050), ROOM_BYTES);
        assert_eq!(policy.synced(200, 5050 + QUICK_MS + 1), 0, "that was late");
    }

    #[test]
    fn room_that_nobody_uses_is_looked_for_once_a_second() {
        let mut policy = RoomPolicy::default();
        policy.synced(200, 5000);
        assert_eq!(policy.watch(0, 5000), None, "there is none");
        assert_eq!(policy.watch(10, 5000), Some(Duration::from_millis(1001)));
        assert_eq!(policy.watch(10, 5999), None, "somebody does");
        policy.synced(200, 5990);
        assert!(!policy.is_idle(6001));
        assert_eq!(policy.watch(10, 6001), Some(Duration::from_millis(1001)));
        assert!(policy.is_idle(7002));
        assert_eq!(policy.watch(0, 7002), None, "it was given back");
        assert_eq!(policy.watch(10, 7003), Some(Duration::from_millis(1001)), "there is some again");
    }
}
