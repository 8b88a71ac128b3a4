//! How long to wait before the next attempt: doubling from a base to a cap, with a random fifth more or less so that
//! many clients do not return at one instant (KIP-144, KIP-580). A pure function; waiting is the caller's.

use std::time::Duration;

/// The waiting times between attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// Before the second attempt (`retry.backoff.ms`).
    pub(crate) base: Duration,
    /// At most (`retry.backoff.max.ms`).
    pub(crate) max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(100), max: Duration::from_secs(1) }
    }
}

impl Backoff {
    /// For connections (`reconnect.backoff.ms`, `reconnect.backoff.max.ms`).
    pub(crate) const RECONNECT: Self = Self { base: Duration::from_millis(50), max: Duration::from_secs(1) };

    /// The wait after `failures` failures in a row; `random` is any number.
    pub(crate) fn after(self, failures: u32, random: u32) -> Duration {
        let factor = 1u32 << failures.saturating_sub(1).min(16);
        let wait = self.base.saturating_mul(factor).min(self.max);
        let jitter = 0.8 + 0.4 * f64::from(random) / f64::from(u32::MAX);
        wait.mul_f64(jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let backoff = Backoff::default();
        let middle = u32::MAX / 2;
        let waits = [1, 2, 3, 40].map(|failures| backoff.after(failures, middle).as_millis());
        assert!(waits[0].abs_diff(100) <= 1 && waits[1].abs_diff(200) <= 1 && waits[2].abs_diff(400) <= 1);
        assert!(waits[3].abs_diff(1000) <= 1);
        assert!(backoff.after(1, 0) < backoff.after(1, u32::MAX));
    }
}
