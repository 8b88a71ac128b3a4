//! A rate over the last windows: sums per window, divided by the time they cover.
//!
//! A rate that has only begun is divided by the time of all windows but one, so that a burst at the start is not taken for
//! a rate. One window more is kept than is asked for: the oldest counts as long as its last event does.
//!
//! Source: Kafka `Rate`, `SampledStat`, `WindowedSum`, `QuotaUtils.throttleTime`.

use super::round_ms;

/// How a rate is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Windows that are remembered (`quota.window.num`); at least 1.
    pub count: u32,
    /// Milliseconds of each (`quota.window.size.seconds`); at least 1.
    pub window_ms: i64,
}

impl Default for Windows {
    fn default() -> Self {
        Self { count: 11, window_ms: 1_000 }
    }
}

impl Windows {
    /// After how many milliseconds without events a rate is what it was before the first.
    pub(super) fn span_ms(&self) -> i64 {
        i64::from(self.count.max(1)).saturating_mul(self.window_ms.max(1))
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    start_ms: i64,
    last_event_ms: i64,
    sum: f64,
}

impl Sample {
    fn new(now_ms: i64) -> Self {
        Self { start_ms: now_ms, last_event_ms: now_ms, sum: 0.0 }
    }
}

/// A rate per second. Invariant: it has at most one sample more than there are windows.
#[derive(Debug, Clone, Default)]
pub struct SampledRate {
    samples: Vec<Sample>,
    current: usize,
}

impl SampledRate {
    /// Counts `value` at this time; a negative one takes back what was counted.
    pub fn record(&mut self, windows: &Windows, value: f64, now_ms: i64) {
        let is_over = |sample: &Sample| now_ms - sample.start_ms >= windows.window_ms.max(1);
        match self.samples.get(self.current) {
            None => self.samples.push(Sample::new(now_ms)),
            Some(sample) if is_over(sample) => self.advance(windows, now_ms),
            Some(_) => {}
        }
        if let Some(sample) = self.samples.get_mut(self.current) {
            sample.sum += value;
            sample.last_event_ms = now_ms;
        }
    }

    fn advance(&mut self, windows: &Windows, now_ms: i64) {
        let count_max = usize::try_from(windows.count.max(1)).unwrap_or(1) + 1;
        self.current = (self.current + 1) % count_max;
        match self.samples.get_mut(self.current) {
            Some(sample) => *sample = Sample::new(now_ms),
            None => {
                self.current = self.samples.len();
                self.samples.push(Sample::new(now_ms));
            }
        }
    }

    /// What was counted per second, as of this time.
    pub fn measure(&mut self, windows: &Windows, now_ms: i64) -> f64 {
        self.forget(windows, now_ms);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        sum / (self.covered_ms(windows, now_ms) / 1_000.0)
    }

    /// How long whoever counts here is to wait until the rate is no more than `bound`; 0 if it is not more.
    pub fn throttle_ms(&mut self, windows: &Windows, bound: f64, now_ms: i64) -> i64 {
        let rate = self.measure(windows, now_ms);
        if rate <= bound {
            return 0;
        }
        round_ms((rate - bound) / bound * self.covered_ms(windows, now_ms))
    }

    /// Whether it is what it was before anything was counted.
    pub(super) fn is_idle(&self, windows: &Windows, now_ms: i64) -> bool {
        self.samples.iter().all(|sample| now_ms - sample.last_event_ms >= windows.span_ms())
    }

    fn forget(&mut self, windows: &Windows, now_ms: i64) {
        for sample in self.samples.iter_mut().filter(|sample| now_ms - sample.last_event_ms >= windows.span_ms()) {
            *sample = Sample::new(now_ms);
        }
    }

    /// The milliseconds that the samples are divided by.
    fn covered_ms(&self, windows: &Windows, now_ms: i64) -> f64 {
        let oldest = self.samples.iter().map(|sample| sample.start_ms).min().unwrap_or(now_ms);
        let elapsed = now_ms - oldest;
        let window_ms = windows.window_ms.max(1);
        let missing = (i64::from(windows.count.max(1)) - 1 - elapsed / window_ms).max(0);
        let covered = elapsed.saturating_add(missing.saturating_mul(window_ms));
        #[expect(clippy::cast_precision_loss, reason = "no time is that long")]
        let covered = if covered == 0 { window_ms } else { covered } as f64;
        covered
    }
}
