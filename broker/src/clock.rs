//! The broker's two clocks. Everything below takes times as arguments; this is where they come from.
//!
//! The monotonic one is tokio's, so that tests with paused time drive timeouts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use riverrun_core::group::Now;
use tokio::time::Instant;

/// Reads the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time is 0 now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn wall_ms(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    /// Milliseconds since the broker's start.
    pub(crate) fn monotonic_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Both times, as the coordinators take them.
    pub(crate) fn now(&self) -> Now {
        Now { monotonic_ms: self.monotonic_ms(), wall_ms: self.wall_ms() }
    }

    /// The monotonic time of an instant.
    pub(crate) fn ms_of(&self, instant: Instant) -> i64 {
        i64::try_from(instant.saturating_duration_since(self.started).as_millis()).unwrap_or(i64::MAX)
    }

    /// When a monotonic time is.
    pub(crate) fn instant_of(&self, monotonic_ms: i64) -> Instant {
        self.started + Duration::from_millis(u64::try_from(monotonic_ms).unwrap_or(0))
    }
}
