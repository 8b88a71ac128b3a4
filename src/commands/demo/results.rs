//! What the demo's job puts out, and what it keeps while a window is open. JSON on the wire, so that any consumer of the
//! result topics can read it.

use serde::{Deserialize, Serialize};

/// A window's statistics while it is open: the job's state. All values are kept, since a 95th percentile of a five
/// second window (some 20 values at the default interval) is then exact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Statistics {
    /// The unit of the values, empty for counts.
    pub(super) unit: String,
    /// Every value of the window, in the order of arrival.
    pub(super) values: Vec<f64>,
}

impl Statistics {
    /// Takes one more value in.
    pub(super) fn add(&mut self, unit: &str, value: f64) {
        if self.unit != unit {
            unit.clone_into(&mut self.unit);
        }
        self.values.push(value);
    }

    /// How many values there were.
    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// Their mean, 0 of none.
    pub(super) fn average(&self) -> f64 {
        if self.values.is_empty() { 0.0 } else { self.values.iter().sum::<f64>() / self.values.len() as f64 }
    }

    /// The largest, 0 of none.
    pub(super) fn maximum(&self) -> f64 {
        self.values.iter().copied().reduce(f64::max).unwrap_or(0.0)
    }

    /// The value that 95 % of the values do not exceed (nearest rank).
    pub(super) fn p95(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * 95).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    }
}

/// One closed window of one metric, as written to `host-metrics-5s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MetricWindow {
    pub(super) window_start: i64,
    pub(super) window_end: i64,
    pub(super) metric: String,
    pub(super) count: usize,
    pub(super) average: f64,
    pub(super) maximum: f64,
    pub(super) p95: f64,
    pub(super) unit: String,
}

/// One closed window of one log level of one file, as written to `log-lines-5s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LogWindow {
    pub(super) window_start: i64,
    pub(super) window_end: i64,
    pub(super) file: String,
    pub(super) level: String,
    pub(super) lines: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Statistics {
        let mut statistics = Statistics::default();
        values.iter().for_each(|value| statistics.add("%", *value));
        statistics
    }

    #[test]
    fn statistics_of_a_window() {
        let window = of(&(1..=20).map(f64::from).collect::<Vec<_>>());
        assert_eq!((window.count(), window.average(), window.maximum(), window.p95()), (20, 10.5, 20.0, 19.0));
    }

    #[test]
    fn statistics_of_negative_and_of_no_values() {
        assert_eq!(of(&[-3.0, -2.0]).maximum(), -2.0);
        let none = Statistics::default();
        assert_eq!((none.count(), none.average(), none.maximum(), none.p95()), (0, 0.0, 0.0, 0.0));
    }
}
