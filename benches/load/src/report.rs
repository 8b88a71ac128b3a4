//! What one run found, as a generator prints it (one JSON line) and the bench reads it.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// One run of one workload.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Requests answered in the measured window; of a librdkafka run, 0: it does not tell.
    pub requests: u64,
    /// Records acknowledged or read.
    pub records: u64,
    /// Payload bytes (values) of these records; for raw fetches, bytes of record batches on the wire.
    pub bytes: u64,
    /// Length of the measured window.
    pub seconds: f64,
    /// CPU time of the broker in the window, user and system, all threads; absent without its process id.
    pub broker_cpu_s: Option<f64>,
    /// CPU time of this generator since it started, set-up included.
    pub generator_cpu_s: f64,
    /// Latencies, where the workload has them.
    pub latency: Option<Latency>,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Their average.
    pub mean_us: f64,
    /// The median.
    pub p50_us: f64,
    /// 99 of 100 are no longer.
    pub p99_us: f64,
    /// 999 of 1000 are no longer.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Latency {
    /// What a histogram holds; `None` if it holds nothing.
    pub fn of(histogram: &Histogram) -> Option<Self> {
        let at = |quantile| histogram.quantile_ns(quantile) as f64 / 1e3;
        (histogram.count() > 0).then(|| Self {
            count: histogram.count(),
            mean_us: histogram.mean_ns() / 1e3,
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max_ns() as f64 / 1e3,
        })
    }
}
