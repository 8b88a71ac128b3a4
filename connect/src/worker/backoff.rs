//! How long to wait before another try: doubling, bounded, jittered, reproducible from a seed. Pure.

use std::time::Duration;

use crate::random::Random;

/// The first wait between two tries in place, as Kafka Connect's.
pub(crate) const RETRY_DELAY: Duration = Duration::from_millis(300);

/// Waits that double from `initial` to `max`, each between half and the whole of its nominal length.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    random: Random,
    failures: u32,
}

impl Backoff {
    /// Starts with no failure.
    pub(crate) fn new(initial: Duration, max: Duration, seed: u64) -> Self {
        Self { initial: initial.min(max), max, random: Random::new(seed), failures: 0 }
    }

    /// One more failure: how long to wait.
    pub(crate) fn fail(&mut self) -> Duration {
        let factor = 1u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let nominal = self.initial.saturating_mul(factor).min(self.max);
        nominal.mul_f64(0.5 + self.random.fraction() / 2.0)
    }

    /// How many failures in a row there were.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn doubling_bounded_and_reproducible(seed: u64, initial in 1u64..5000, max in 1u64..100_000) {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(max));
            let mut backoff = Backoff::new(initial, max, seed);
            let mut same = backoff.clone();
            for failure in 0..70u32 {
                let nominal = initial.saturating_mul(2u32.saturating_pow(failure)).min(max);
                let wait = backoff.fail();
                prop_assert!(wait <= nominal && wait >= nominal / 2);
                prop_assert_eq!(wait, same.fail());
            }
            backoff.succeed();
            prop_assert!(backoff.failures() == 0 && backoff.fail() <= initial);
        }
    }
}
