//! Counters of a running topology, shared by all its tasks. Each is a monotonic sum since the start.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Why a record went no further without being an error. Kafka counts them all in `dropped-records-total`; here each
/// reason has a name and a count of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// `late-record`: a window it belongs to was closed; counted per window.
    LateRecord,
    /// `null-key`: the key is null where one is needed.
    NullKey,
    /// `null-value`: the value is null where one is needed.
    NullValue,
    /// `deserialization`: it did not decode, and the source skips such records.
    Deserialization,
    /// `invalid-timestamp`: the extractor gave none.
    InvalidTimestamp,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::LateRecord, Self::NullKey, Self::NullValue, Self::Deserialization, Self::InvalidTimestamp];

    /// The reason's name, as tests and metrics spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LateRecord => "late-record",
            Self::NullKey => "null-key",
            Self::NullValue => "null-value",
            Self::Deserialization => "deserialization",
            Self::InvalidTimestamp => "invalid-timestamp",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, Default)]
struct Counters {
    records_in: AtomicU64,
    records_out: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

/// A cheap handle to the counters; clones see the same ones.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counters>);

impl Metrics {
    /// Records taken from source topics (repartition topics included) and processed.
    pub fn records_in(&self) -> u64 {
        self.0.records_in.load(Relaxed)
    }

    /// Records written to sink topics (repartition topics included; changelogs are not counted).
    pub fn records_out(&self) -> u64 {
        self.0.records_out.load(Relaxed)
    }

    /// Records dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.0.dropped[reason as usize].load(Relaxed)
    }

    /// Records dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.0.dropped.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(crate) fn count_in(&self, n: usize) {
        self.0.records_in.fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn count_out(&self, n: usize) {
        self.0.records_out.fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn count_dropped(&self, reason: DropReason, n: u64) {
        if n > 0 {
            self.0.dropped[reason as usize].fetch_add(n, Relaxed);
        }
    }
}
