//! Which segments are too old or too many: a pure decision, and how it is carried out.
//! Source: Kafka's `UnifiedLog.deleteOldSegments`.

use std::io;

use super::{Log, LogConfig, ReadError, StorageError, read::searched, segment::Segment};

/// What the decision looks at in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    /// The offset after its last record.
    pub(super) next_offset: i64,
    /// Its bytes.
    pub(super) size: u64,
    /// Its largest timestamp, -1 for none.
    pub(super) max_timestamp: i64,
    /// Whether it is the one that grows.
    pub(super) active: bool,
}

/// What the decision goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy<'c> {
    pub(super) config: &'c LogConfig,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
    pub(super) now_ms: i64,
}

/// Whether the oldest segment of a log of `total` bytes may go. Never one that holds a record at or above the high
/// watermark, never one behind a segment that stays, and unless it lies before the log's start, none with records of an
/// open transaction (L11; Kafka would delete those). The one that grows goes by age only, as in Kafka: else
/// the records of a quiet topic would stay until `segment.ms`.
pub(super) fn deletable(segment: &SegmentFacts, total: u64, policy: &Policy<'_>) -> bool {
    let Policy { config, high_watermark, last_stable_offset, log_start_offset, now_ms } = *policy;
    if segment.next_offset > high_watermark || segment.size == 0 {
        return false;
    }
    if segment.next_offset <= log_start_offset && !segment.active {
        return true;
    }
    if !config.cleanup_policy.delete || segment.next_offset > last_stable_offset {
        return false;
    }
    let too_old = config.retention_ms >= 0
        && segment.max_timestamp >= 0
        && now_ms.saturating_sub(segment.max_timestamp) > config.retention_ms;
    let too_many = match u64::try_from(config.retention_bytes) {
        Ok(limit) => total.saturating_sub(segment.size) >= limit,
        Err(_) => false,
    };
    too_old || (too_many && !segment.active)
}

impl Log {
    /// Moves the log's start to `offset` (DeleteRecords) and lets go of the segments before it. Returns the new start.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] beyond the high watermark.
    pub fn delete_records(&mut self, offset: i64) -> Result<i64, ReadError> {
        if offset > self.high_watermark || offset < 0 {
            let (log_start_offset, log_end_offset) = (self.log_start_offset, self.high_watermark);
            return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset });
        }
        self.wake_to_read()?;
        self.log_start_offset = self.log_start_offset.max(offset);
        self.epochs.start_at(self.log_start_offset);
        self.epochs_dirty = true;
        Ok(self.log_start_offset)
    }

    /// Removes the segments that retention, or the start of the log, leaves without use. Returns how many.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn delete_segments(&mut self, now_ms: i64) -> Result<usize, StorageError> {
        if !self.retention_may_act(now_ms) {
            return Ok(0);
        }
        self.wake_for_upkeep()?;
        let mut count = self.deletable_segments(now_ms)?;
        if let Some(swapping) = self.swapping {
            // A moment later there is one segment in the place of these.
            count = count.min(self.segments.range(..swapping).count());
        }
        if count == self.segments.len() {
            // Even the segment that grows is too old: what comes next goes into a new one.
            self.roll()?;
        }
        if count > 0 {
            self.sync_new_names()?;
        }
        for _ in 0..count {
            let Some((_, segment)) = self.segments.pop_first() else { break };
            self.log_start_offset = self.log_start_offset.max(segment.next_offset);
            self.remove_files(&segment)?;
        }
        if count > 0 {
            self.epochs.start_at(self.log_start_offset);
            self.epochs_dirty = true;
        }
        Ok(count)
    }

    /// Whether a log at rest has to be woken for retention; one that is awake is looked at in any case.
    fn retention_may_act(&self, now_ms: i64) -> bool {
        if self.unreadable.is_some() {
            return false;
        }
        let Some(resting) = &self.resting else { return true };
        let size = resting.size_in_bytes();
        if size == 0 {
            return false;
        }
        let config = &self.config;
        let below_start = resting.segment_count > 1 && self.log_start_offset > resting.log_start_offset;
        let too_old = config.retention_ms >= 0
            && resting
                .oldest_timestamp
                .is_none_or(|oldest| oldest >= 0 && now_ms.saturating_sub(oldest) > config.retention_ms);
        let too_many =
            resting.segment_count > 1 && u64::try_from(config.retention_bytes).is_ok_and(|limit| size > limit);
        below_start || (config.cleanup_policy.delete && (too_old || too_many))
    }

    /// How many of the oldest segments may go. Looks no further than the first that stays.
    fn deletable_segments(&mut self, now_ms: i64) -> Result<usize, StorageError> {
        let (total, active) = (self.size_in_bytes(), self.segments.len().saturating_sub(1));
        let policy = Policy {
            config: &self.config,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
            log_start_offset: self.log_start_offset,
            now_ms,
        };
        let mut size = total;
        for (position, segment) in self.segments.values_mut().enumerate() {
            let times = searched(&*self.vfs, segment, &self.config, |segment| Ok(segment.max_timestamp.0));
            let max_timestamp = times.map_err(ReadError::into_storage)?;
            let facts = SegmentFacts {
                next_offset: segment.next_offset,
                size: segment.size,
                max_timestamp,
                active: position == active,
            };
            if !deletable(&facts, size, &policy) {
                return Ok(position);
            }
            size -= segment.size;
        }
        Ok(active + 1)
    }

    /// Makes the names of the segments that stay durable. Else a crash in the middle of a removal could leave none at all,
    /// and offsets would be given out a second time.
    fn sync_new_names(&mut self) -> Result<(), StorageError> {
        let newest = self.segments.keys().next_back().copied();
        if !self.names_unsynced && newest.is_none_or(|newest| newest < self.recovery_point) {
            return Ok(());
        }
        self.sync_folder()
    }

    fn sync_folder(&mut self) -> Result<(), StorageError> {
        self.vfs.sync_dir(&self.folder).map_err(|source| {
            let file = self.folder.display().to_string();
            self.offline = Some(format!("a sync of {file} failed: {source}"));
            StorageError { action: "sync", file, source }
        })
    }

    /// Removes a segment's files, the batches durably before those of a later segment: a crash leaves no hole.
    fn remove_files(&mut self, segment: &Segment) -> Result<(), StorageError> {
        for suffix in ["log", "index", "timeindex", "txnindex"] {
            let path = segment.path(suffix);
            let failed = |action| {
                let file = path.display().to_string();
                move |source| StorageError { action, file, source }
            };
            match self.vfs.remove(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed("remove")(source)),
                _ => {}
            }
        }
        // A snapshot stays until there are two newer ones: it stands for batches that are gone.
        self.sync_folder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of three segments of 100 bytes go.
    fn count(config: &LogConfig, high_watermark: i64, log_start_offset: i64, now_ms: i64) -> usize {
        let policy = Policy { config, high_watermark, last_stable_offset: high_watermark, log_start_offset, now_ms };
        let segment = |index: i64| SegmentFacts {
            next_offset: index * 10,
            size: 100,
            max_timestamp: index * 1_000,
            active: index == 3,
        };
        (1..=3).take_while(|index| deletable(&segment(*index), 400 - *index as u64 * 100, &policy)).count()
    }

    #[test]
    fn old_and_surplus_segments_go_in_order() {
        let by_time = LogConfig { retention_ms: 500, ..LogConfig::default() };
        assert_eq!(count(&by_time, 30, 0, 1_500), 0, "exactly at the limit stays");
        assert_eq!(count(&by_time, 30, 0, 1_501), 1);
        assert_eq!(count(&by_time, 30, 0, 9_999), 3, "even the one that grows");
        assert_eq!(count(&by_time, 15, 0, 9_999), 1, "nothing above the high watermark");
        let by_size = LogConfig { retention_bytes: 199, retention_ms: -1, ..LogConfig::default() };
        assert_eq!(count(&by_size, 30, 0, 0), 1, "only what leaves the limit filled");
        let to_nothing = LogConfig { retention_bytes: 0, retention_ms: -1, ..LogConfig::default() };
        assert_eq!(count(&to_nothing, 30, 0, 0), 2, "the one that grows stays");
        let compacted = LogConfig {
            cleanup_policy: crate::log::CleanupPolicy { compact: true, delete: false },
            retention_ms: 0,
            ..LogConfig::default()
        };
        assert_eq!(count(&compacted, 30, 0, 9_999), 0);
        assert_eq!(count(&compacted, 30, 25, 9_999), 2, "what lies below the log's start goes in any case");
    }
}
