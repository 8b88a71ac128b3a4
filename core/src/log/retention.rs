//! Which segments are too old or too many: a pure decision, carried out by [`super::Log::delete_segments`].
//! Source: Kafka's `UnifiedLog.deleteOldSegments`.

use super::LogConfig;

/// What the decision looks at in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    /// The offset after its last record.
    pub(super) next_offset: i64,
    /// Its bytes.
    pub(super) size: u64,
    /// Its largest timestamp, -1 for none.
    pub(super) max_timestamp: i64,
}

/// How many of the segments, which are in order, may go. Never the last, never one that holds a record at or above the high
/// watermark, never one behind a segment that stays (L11).
pub(super) fn deletable(segments: &[SegmentFacts], config: &LogConfig, high_watermark: i64, now_ms: i64) -> usize {
    if !config.cleanup_policy.delete {
        return 0;
    }
    let total: u64 = segments.iter().map(|segment| segment.size).sum();
    let mut excess = match u64::try_from(config.retention_bytes) {
        Ok(limit) => total.saturating_sub(limit),
        Err(_) => 0,
    };
    let mut count = 0;
    let Some((_active, closed)) = segments.split_last() else { return 0 };
    for segment in closed {
        let too_old = config.retention_ms >= 0
            && segment.max_timestamp >= 0
            && now_ms.saturating_sub(segment.max_timestamp) > config.retention_ms;
        let too_many = excess >= segment.size && excess > 0;
        if segment.next_offset > high_watermark || !(too_old || too_many) {
            break;
        }
        excess = excess.saturating_sub(segment.size);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(next_offset: i64, size: u64, max_timestamp: i64) -> SegmentFacts {
        SegmentFacts { next_offset, size, max_timestamp }
    }

    #[test]
    fn old_and_surplus_segments_go_in_order() {
        let segments = [segment(10, 100, 1_000), segment(20, 100, 2_000), segment(30, 100, 3_000)];
        let by_time = LogConfig { retention_ms: 500, ..LogConfig::default() };
        assert_eq!(deletable(&segments, &by_time, 30, 1_500), 0, "exactly at the limit stays");
        assert_eq!(deletable(&segments, &by_time, 30, 1_501), 1);
        assert_eq!(deletable(&segments, &by_time, 30, 9_999), 2, "the last one stays");
        assert_eq!(deletable(&segments, &by_time, 15, 9_999), 1, "nothing above the high watermark");
        let by_size = LogConfig { retention_bytes: 199, retention_ms: -1, ..LogConfig::default() };
        assert_eq!(deletable(&segments, &by_size, 30, 0), 1, "only what leaves the limit filled");
        let compacted = LogConfig {
            cleanup_policy: crate::log::CleanupPolicy { compact: true, delete: false },
            retention_ms: 0,
            ..LogConfig::default()
        };
        assert_eq!(deletable(&segments, &compacted, 30, 9_999), 0);
    }
}
