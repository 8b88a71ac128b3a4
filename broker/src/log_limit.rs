//! What a client can make the broker log: one line of each kind per interval, with the number of those left out since the
//! last (`riverrun.log.client.interval.ms`).
//!
//! A hostile client must not fill the disk with log lines, nor hide others behind its own.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    MidFrame,
    Stuck,
    Slow,
    FrameTooLarge,
    Malformed,
    Unauthenticated,
    AuthenticationTimeout,
    NotServed,
    FailedUnanswered,
    Encode,
    Panic,
    TooManyConnections,
    ConnectionRate,
    TlsFailed,
    TlsTimeout,
    CertificateName,
    AutoCreate,
}

const KIND_COUNT: usize = LineKind::AutoCreate as usize + 1;

#[derive(Debug, Default)]
struct Line {
    /// From when on the next may be written.
    next_ms: AtomicI64,
    left_out: AtomicU64,
}

/// What was written lately.
#[derive(Debug, Default)]
pub(crate) struct LogLimits {
    interval_ms: i64,
    lines: [Line; KIND_COUNT],
}

impl LogLimits {
    /// Nothing yet. Every line is written if the interval is 0.
    pub(crate) fn new(interval_ms: i64) -> Self {
        Self { interval_ms, ..Self::default() }
    }

    /// Whether a line of this kind is to be written now; then how many were left out before it.
    pub(crate) fn take(&self, kind: LineKind, now_ms: i64) -> Option<u64> {
        let line = self.lines.get(kind as usize)?;
        let next_ms = line.next_ms.load(Ordering::Relaxed);
        let until_ms = now_ms.saturating_add(self.interval_ms);
        let is_ours = now_ms >= next_ms
            && line.next_ms.compare_exchange(next_ms, until_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_ours {
            return Some(line.left_out.swap(0, Ordering::Relaxed));
        }
        line.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_kind_is_written_and_the_others_are_counted() {
        let limits = LogLimits::new(1_000);
        assert_eq!(limits.take(LineKind::Malformed, 5), Some(0));
        assert_eq!(limits.take(LineKind::Malformed, 5), None);
        assert_eq!(limits.take(LineKind::Malformed, 1_004), None);
        assert_eq!(limits.take(LineKind::AutoCreate, 5), Some(0), "another kind");
        assert_eq!(limits.take(LineKind::Malformed, 1_005), Some(2));
        assert_eq!(limits.take(LineKind::Malformed, 1_006), None);
        let all = LogLimits::new(0);
        assert!((0..9).all(|_| all.take(LineKind::Stuck, 7) == Some(0)));
    }
}
