//! Latencies in buckets of less than one per cent of width: 64 to each power of two of nanoseconds, as in an HDR
//! histogram. Recording is an index and an addition; nothing is allocated after construction.

/// Buckets per power of two; half a bucket's width is the largest error, 0.8 %.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// The first powers of two share one linear run of buckets.
const BUCKETS: usize = (STEPS as usize) * (64 - STEP_BITS as usize + 1);

/// How often each latency occurred.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum_ns: u128,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, sum_ns: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Adds one latency.
    pub fn record(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest, exact.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The average, exact; 0 if there is none.
    pub fn mean_ns(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ns as f64 / self.count as f64 }
    }

    /// The latency that `quantile` (0 to 1) of all do not exceed; 0 if there is none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let wanted = (quantile * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(index).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

fn bucket(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let power = 63 - ns.leading_zeros();
    let shift = power - STEP_BITS;
    let step = (ns >> shift) - STEPS;
    (u64::from(shift + 1) * STEPS + step) as usize
}

/// The middle of a bucket.
fn middle(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((STEPS + index % STEPS) << shift) + ((1u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_falls_into_a_bucket_of_its_size() {
        for power in 0..63 {
            for ns in [1u64 << power, (1 << power) + (1 << power) / 3, (2 << power) - 1] {
                let got = middle(bucket(ns));
                assert!(got.abs_diff(ns) as f64 <= ns as f64 * 0.008, "{ns} became {got}");
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_are_of_what_was_recorded() {
        let mut histogram = Histogram::default();
        for us in 1..=1000 {
            histogram.record(us * 1000);
        }
        for (quantile, us) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            let got = histogram.quantile_ns(quantile) as f64 / 1000.0;
            assert!((got - us).abs() / us < 0.01, "{quantile}: {got}");
        }
        assert_eq!((histogram.count(), histogram.max_ns()), (1000, 1_000_000));
    }
}
