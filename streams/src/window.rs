//! Time windows: which windows a timestamp falls into, and when they close.
//!
//! Windows are `[start, start + size)`, aligned to the epoch, and never start below 0. A window stays open for
//! updates while its end is above `stream time - grace`, where stream time is the largest timestamp the windowing
//! operator has seen. There is no implicit grace (KIP-633). Source: Kafka's `TimeWindows`, `TimeWindow`, `Windowed`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds of a duration, saturating.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The stretch of time `[start, end)`, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// First millisecond inside.
    pub start: i64,
    /// First millisecond behind.
    pub end: i64,
}

/// A key within a window: the key of every windowed table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Windowed<K> {
    /// The record's key.
    pub key: K,
    /// The window it is counted in.
    pub window: Window,
}

/// A record that came after its window had closed: what a windowed aggregation's late output carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late<V> {
    /// The record's value.
    pub value: V,
    /// The windows that no longer took it, in time order.
    pub windows: Vec<Window>,
    /// Every window ending at or before this time was closed.
    pub close_time: i64,
}

/// Fixed-size windows, tumbling or hopping.
///
/// ```
/// # use riverrun_streams::TimeWindows;
/// # use std::time::Duration;
/// let five_seconds = TimeWindows::tumbling(Duration::from_secs(5)).grace(Duration::from_secs(1));
/// let sliding_minute = TimeWindows::hopping(Duration::from_secs(60), Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
}

impl TimeWindows {
    /// Windows of `size`, each starting where the last one ends. Grace is zero.
    pub fn tumbling(size: Duration) -> Self {
        Self::hopping(size, size)
    }

    /// Windows of `size`, one starting every `advance`, so that they overlap. Grace is zero. `build()` refuses an
    /// advance of zero or above the size.
    pub fn hopping(size: Duration, advance: Duration) -> Self {
        Self { size_ms: millis(size), advance_ms: millis(advance), grace_ms: 0 }
    }

    /// How long after its end, in stream time, a window still takes late records. Default: zero.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = millis(grace);
        self
    }

    /// Whether size and advance make sense.
    pub(crate) fn is_valid(&self) -> bool {
        self.size_ms > 0 && (1..=self.size_ms).contains(&self.advance_ms)
    }

    /// The window that starts at `start`.
    pub(crate) fn window(&self, start: i64) -> Window {
        Window { start, end: start.saturating_add(self.size_ms) }
    }

    /// The windows `timestamp` falls into, in time order.
    pub(crate) fn windows_for(&self, timestamp: i64) -> impl Iterator<Item = Window> + use<> {
        let windows = *self;
        let earliest = timestamp.saturating_sub(self.size_ms).saturating_add(self.advance_ms).max(0);
        let mut start = earliest / self.advance_ms * self.advance_ms;
        std::iter::from_fn(move || {
            let window = windows.window(start);
            let inside = window.start <= timestamp;
            start = start.saturating_add(windows.advance_ms);
            (inside && timestamp < window.end).then_some(window)
        })
    }

    /// Windows that end at or before this time are closed.
    pub(crate) fn close_time(&self, stream_time: i64) -> i64 {
        stream_time.saturating_sub(self.grace_ms)
    }

    /// Time a window must be kept after its start: size and grace.
    pub(crate) fn retention_ms(&self) -> i64 {
        self.size_ms.saturating_add(self.grace_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn starts(windows: TimeWindows, timestamp: i64) -> Vec<i64> {
        windows.windows_for(timestamp).map(|w| w.start).collect()
    }

    /// W1 at the bounds, one millisecond to each side.
    #[test]
    fn tumbling_bounds() {
        let w = TimeWindows::tumbling(ms(10));
        assert_eq!(starts(w, 0), [0]);
        assert_eq!(starts(w, 9), [0]);
        assert_eq!(starts(w, 10), [10]);
        assert_eq!(starts(w, 11), [10]);
    }

    /// W1: hopping windows overlap, and none starts below zero.
    #[test]
    fn hopping_bounds() {
        let w = TimeWindows::hopping(ms(10), ms(4));
        assert_eq!(starts(w, 3), [0]);
        assert_eq!(starts(w, 4), [0, 4]);
        assert_eq!(starts(w, 9), [0, 4, 8]);
        assert_eq!(starts(w, 10), [4, 8]);
        assert_eq!(starts(w, 14), [8, 12]);
    }

    /// W7.
    #[test]
    fn grace_is_never_implicit() {
        assert_eq!(TimeWindows::tumbling(ms(10)).retention_ms(), 10);
        assert_eq!(TimeWindows::tumbling(ms(10)).close_time(42), 42);
        assert_eq!(TimeWindows::tumbling(ms(10)).grace(ms(5)).retention_ms(), 15);
    }

    proptest! {
        /// Against the definition: every aligned window that contains the timestamp, and no other.
        #[test]
        fn windows_are_those_that_contain(size in 1i64..50, advance in 1i64..50, timestamp in 0i64..500) {
            let advance = advance.min(size);
            let windows = TimeWindows { size_ms: size, advance_ms: advance, grace_ms: 0 };
            let expected: Vec<i64> =
                (0..=timestamp).filter(|s| s % advance == 0 && timestamp < s + size).collect();
            prop_assert_eq!(starts(windows, timestamp), expected);
        }
    }
}
