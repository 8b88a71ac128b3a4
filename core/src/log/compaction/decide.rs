//! What of a log is to be compacted, and whether it is worth it: pure decisions over what is known of its segments.
//!
//! ```text
//!  log start         first dirty          first uncleanable          log end
//!     |-- clean ----------|---- to be cleaned ----|---- not yet -----------|
//!     compacted before,    its keys are looked at    the segment that grows, open transactions,
//!     rewritten again      first                     records younger than min.compaction.lag.ms
//! ```
//! Source: Kafka's `LogCleanerManager` (`cleanableOffsets`, `maxCompactionDelay`, `calculateCleanableBytes`),
//! `LogToClean`, `Cleaner.groupSegmentsBySize`.

use std::ops::Range;

use crate::{log::LogConfig, record::HEADER_LEN};

/// What the decisions look at in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    pub(super) base_offset: i64,
    /// The base offset of the next one.
    pub(super) next_offset: i64,
    pub(super) size: u64,
    /// Its largest timestamp, -1 for none; looked at with `min.compaction.lag.ms` only.
    pub(super) max_timestamp: i64,
    /// The timestamp of its first batch, -1 for none; looked at with `max.compaction.lag.ms` only.
    pub(super) first_timestamp: i64,
}

/// What the decisions look at in a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogFacts<'l> {
    pub(super) config: &'l LogConfig,
    /// All segments; the last one grows.
    pub(super) segments: &'l [SegmentFacts],
    pub(super) log_start_offset: i64,
    pub(super) log_end_offset: i64,
    pub(super) last_stable_offset: i64,
    /// Up to where the log was compacted, from the checkpoint.
    pub(super) cleaned_to: Option<i64>,
    pub(super) now_ms: i64,
}

/// What of a log can be compacted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cleanable {
    /// The offset before which the log is compacted already.
    pub first_dirty_offset: i64,
    /// Where compaction has to stop: the base offset of a segment.
    pub first_uncleanable_offset: i64,
    /// Whether the checkpoint does not fit the log, and is to be replaced by `first_dirty_offset`.
    pub checkpoint_is_wrong: bool,
    /// Bytes of the part compacted already.
    pub clean_bytes: u64,
    /// Bytes of the part that can be compacted.
    pub cleanable_bytes: u64,
    /// Milliseconds by which `max.compaction.lag.ms` is exceeded; 0 if it is not.
    pub overdue_ms: i64,
}

impl Cleanable {
    /// The share of what can be compacted in all that was or can be.
    #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes needs no more than 52 bits of them")]
    pub fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.cleanable_bytes;
        if total == 0 { 0.0 } else { self.cleanable_bytes as f64 / total as f64 }
    }

    /// Whether it is worth it, or demanded.
    pub fn is_due(&self, config: &LogConfig) -> bool {
        self.cleanable_bytes > 0 && (self.overdue_ms > 0 || self.ratio() > config.min_cleanable_dirty_ratio)
    }
}

/// What of a log can be compacted.
pub(super) fn cleanable(facts: &LogFacts<'_>) -> Cleanable {
    let LogFacts { config, log_start_offset, log_end_offset, now_ms, .. } = *facts;
    let checkpoint = facts.cleaned_to.unwrap_or(log_start_offset);
    // A checkpoint behind the end is of a log that has lost its end: all of it is looked at again.
    let checkpoint_is_wrong = checkpoint < log_start_offset || checkpoint > log_end_offset;
    let first_dirty_offset = if checkpoint_is_wrong { log_start_offset } else { checkpoint };

    let (active, closed) = match facts.segments.split_last() {
        Some((active, closed)) => (active.base_offset, closed),
        None => (log_end_offset, facts.segments),
    };
    let dirty = || closed.iter().filter(|segment| segment.next_offset > first_dirty_offset);
    let too_young = (config.min_compaction_lag_ms > 0)
        .then(|| {
            let youngest = now_ms.saturating_sub(config.min_compaction_lag_ms);
            dirty().find(|segment| segment.max_timestamp > youngest).map(|segment| segment.base_offset)
        })
        .flatten();
    let bound = active.min(facts.last_stable_offset).min(too_young.unwrap_or(i64::MAX));
    // Whole segments only.
    let first_uncleanable_offset =
        closed.iter().find(|segment| segment.next_offset > bound).map_or(active, |segment| segment.base_offset);

    let sizes = |from: i64, to: i64| {
        closed.iter().filter(|each| from < each.next_offset && each.base_offset < to).map(|each| each.size).sum()
    };
    let dirty_base = dirty().next().map_or(active, |segment| segment.base_offset);
    let earliest = dirty().map(|segment| segment.first_timestamp).filter(|timestamp| *timestamp > 0).min();
    let overdue = earliest
        .map_or(0, |earliest| now_ms.saturating_sub(config.max_compaction_lag_ms.max(0)).saturating_sub(earliest));
    Cleanable {
        first_dirty_offset,
        first_uncleanable_offset,
        checkpoint_is_wrong,
        clean_bytes: sizes(i64::MIN, first_dirty_offset.min(dirty_base)),
        cleanable_bytes: sizes(first_dirty_offset.min(first_uncleanable_offset), first_uncleanable_offset),
        overdue_ms: overdue.max(0),
    }
}

/// Which neighbours become one segment: so that the result, even if nothing can be removed, keeps within
/// `segment.bytes`, `segment.index.bytes` and the range of offsets a segment can have.
pub(super) fn groups(segments: &[SegmentFacts], config: &LogConfig) -> Vec<Range<usize>> {
    let bytes_max = u64::from(config.segment_bytes.unsigned_abs());
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut group_bytes = 0;
    let mut group_base = 0;
    for (position, segment) in segments.iter().enumerate() {
        let bytes = group_bytes + segment.size;
        let fits = bytes <= bytes_max
            && index_bytes(bytes, config) <= u64::from(config.segment_index_bytes.unsigned_abs())
            && segment.next_offset - 1 - group_base <= i64::from(i32::MAX);
        match groups.last_mut() {
            Some(group) if fits => {
                group.end = position + 1;
                group_bytes = bytes;
            }
            _ => {
                groups.push(position..position + 1);
                (group_bytes, group_base) = (segment.size, segment.base_offset);
            }
        }
    }
    groups
}

/// Bytes that the larger index of a segment can have at most.
fn index_bytes(segment_bytes: u64, config: &LogConfig) -> u64 {
    let interval = u64::from(config.index_interval_bytes.unsigned_abs()).max(HEADER_LEN as u64);
    (segment_bytes / interval + 1).saturating_mul(super::super::index::TIME_ENTRY_LEN as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten offsets and 100 bytes, written at 1000 times their number; the last grows.
    fn segments(count: i64) -> Vec<SegmentFacts> {
        let segment = |number: i64| SegmentFacts {
            base_offset: number * 10,
            next_offset: number * 10 + 10,
            size: 100,
            max_timestamp: number * 1000 + 999,
            first_timestamp: number * 1000,
        };
        (0..count).map(segment).collect()
    }

    fn facts<'l>(config: &'l LogConfig, segments: &'l [SegmentFacts]) -> LogFacts<'l> {
        let log_end_offset = segments.len() as i64 * 10;
        LogFacts {
            config,
            segments,
            log_start_offset: 0,
            log_end_offset,
            last_stable_offset: log_end_offset,
            cleaned_to: None,
            now_ms: 100_000,
        }
    }

    fn bounds(facts: &LogFacts<'_>) -> (i64, i64) {
        let found = cleanable(facts);
        (found.first_dirty_offset, found.first_uncleanable_offset)
    }

    #[test]
    fn the_bounds_of_what_is_cleaned() {
        let (config, segments) = (LogConfig::default(), segments(5));
        let all = facts(&config, &segments);
        assert_eq!(bounds(&all), (0, 40), "not the one that grows");
        assert_eq!(bounds(&LogFacts { last_stable_offset: 35, ..all }), (0, 30), "nothing of an open transaction's");
        assert_eq!(bounds(&LogFacts { cleaned_to: Some(20), ..all }), (20, 40));
        assert_eq!(bounds(&LogFacts { cleaned_to: Some(90), ..all }), (0, 40), "beyond the end");
        assert_eq!(
            bounds(&LogFacts { cleaned_to: Some(5), log_start_offset: 12, ..all }),
            (12, 40),
            "before the start"
        );
        assert_eq!(bounds(&LogFacts { segments: &segments[..1], ..all }), (0, 0));
        let lagging = LogConfig { min_compaction_lag_ms: 97_500, ..config.clone() };
        assert_eq!(bounds(&LogFacts { config: &lagging, ..all }), (0, 20), "2999 is younger than 2500");
        let lagging = LogConfig { min_compaction_lag_ms: 97_001, ..config };
        assert_eq!(bounds(&LogFacts { config: &lagging, ..all }), (0, 30), "exactly at the limit is old enough");
    }

    #[test]
    fn what_is_worth_it() {
        let (config, segments) = (LogConfig::default(), segments(5));
        let all = facts(&config, &segments);
        let fresh = cleanable(&all);
        assert_eq!((fresh.clean_bytes, fresh.cleanable_bytes, fresh.ratio()), (0, 400, 1.0));
        assert!(fresh.is_due(&config));
        let half = cleanable(&LogFacts { cleaned_to: Some(20), ..all });
        assert_eq!((half.clean_bytes, half.cleanable_bytes), (200, 200));
        assert!(!half.is_due(&config), "more than the ratio is wanted, not as much");
        let overdue = LogConfig { max_compaction_lag_ms: 97_999, ..config.clone() };
        let half = cleanable(&LogFacts { cleaned_to: Some(20), config: &overdue, ..all });
        assert_eq!(half.overdue_ms, 1);
        assert!(half.is_due(&overdue));
        let in_time = LogConfig { max_compaction_lag_ms: 98_000, ..config.clone() };
        assert!(!cleanable(&LogFacts { cleaned_to: Some(20), config: &in_time, ..all }).is_due(&in_time));
        let done = cleanable(&LogFacts { cleaned_to: Some(40), config: &overdue, ..all });
        assert!(!done.is_due(&overdue), "nothing is left");
        let within = cleanable(&LogFacts { cleaned_to: Some(25), ..all });
        assert_eq!((within.clean_bytes, within.cleanable_bytes), (200, 200), "a segment begun counts as dirty");
    }

    #[test]
    fn neighbours_are_joined_within_the_limits() {
        let segments = segments(7);
        let config = LogConfig { segment_bytes: 300, ..LogConfig::default() };
        assert_eq!(groups(&segments, &config), [0..3, 3..6, 6..7]);
        let small_index = LogConfig { segment_bytes: 9999, segment_index_bytes: 24, ..LogConfig::default() };
        assert_eq!(
            groups(&segments, &LogConfig { index_interval_bytes: 150, ..small_index }),
            [0..2, 2..4, 4..6, 6..7]
        );
        let mut far = segments.clone();
        far[1].next_offset = i64::from(i32::MAX) + 1;
        far[2].base_offset = far[1].next_offset;
        far[2].next_offset = far[2].base_offset + 5;
        assert_eq!(groups(&far[..3], &LogConfig::default()), [0..2, 2..3]);
        assert_eq!(groups(&[], &LogConfig::default()), Vec::<Range<usize>>::new());
    }
}
