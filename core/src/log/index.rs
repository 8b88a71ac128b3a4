//! A segment's sparse indexes, in memory as sorted vectors, on disk in Kafka's layout. They are derived from the batches
//! and can be rebuilt from them at any time; they are written when their segment is closed, never while it grows.
//!
//! ```text
//! .index      0  u32  offset, relative to the segment's base
//!             4  u32  position of that offset's batch in the .log
//! .timeindex  0  i64  timestamp: no record before the entry's offset is later
//!             8  u32  offset of the first record with it, relative to the base
//! ```
//! Source: Kafka's `OffsetIndex`, `TimeIndex`.

/// Bytes of an entry of the offset index.
pub(super) const OFFSET_ENTRY_LEN: usize = 8;
/// Bytes of an entry of the time index.
pub(super) const TIME_ENTRY_LEN: usize = 12;

/// Both indexes of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SegmentIndex {
    offsets: Vec<(u32, u32)>,
    times: Vec<(i64, u32)>,
}

impl SegmentIndex {
    /// Notes that the batch with `relative_offset` as its last offset lies at `position`.
    pub(super) fn push_offset(&mut self, relative_offset: u32, position: u32) {
        if self.offsets.last().is_none_or(|(last, _)| *last < relative_offset) {
            self.offsets.push((relative_offset, position));
        }
    }

    /// Notes the largest timestamp so far.
    pub(super) fn push_time(&mut self, timestamp: i64, relative_offset: u32) {
        if timestamp >= 0 && self.times.last().is_none_or(|(last, at)| *last < timestamp && *at <= relative_offset) {
            self.times.push((timestamp, relative_offset));
        }
    }

    /// The last entry at or before `relative_offset`: the last offset of a batch, and the batch's position.
    pub(super) fn entry_for(&self, relative_offset: u32) -> Option<(u32, u32)> {
        let after = self.offsets.partition_point(|(offset, _)| *offset <= relative_offset);
        self.offsets.get(after.checked_sub(1)?).copied()
    }

    /// The last entry whose batch begins at or before `position`.
    pub(super) fn entry_at(&self, position: u32) -> Option<(u32, u32)> {
        let after = self.offsets.partition_point(|(_, at)| *at <= position);
        self.offsets.get(after.checked_sub(1)?).copied()
    }

    /// The last entry earlier than `timestamp`: no record up to its offset is as late.
    pub(super) fn time_before(&self, timestamp: i64) -> Option<(i64, u32)> {
        let reached = self.times.partition_point(|(time, _)| *time < timestamp);
        self.times.get(reached.checked_sub(1)?).copied()
    }

    /// The last entry of the offset index.
    pub(super) fn last_offset(&self) -> Option<(u32, u32)> {
        self.offsets.last().copied()
    }

    /// The last entry of the time index: the segment's largest timestamp and its offset, once it is closed.
    pub(super) fn last_time(&self) -> Option<(i64, u32)> {
        self.times.last().copied()
    }

    /// Forgets what lies at or behind `position`.
    pub(super) fn cut(&mut self, position: u64) {
        let kept = self.offsets.partition_point(|(_, at)| u64::from(*at) < position);
        self.offsets.truncate(kept);
        let last = self.offsets.last().map(|(offset, _)| *offset);
        let kept = self.times.partition_point(|(_, offset)| last.is_some_and(|last| *offset <= last));
        self.times.truncate(kept);
    }

    /// Forgets the entries behind the last one of the time index: of two files that were not synced, that one may have lost
    /// more of its end.
    pub(super) fn cut_to_times(&mut self) {
        let last = self.times.last().map(|(_, offset)| *offset);
        let kept = self.offsets.partition_point(|(offset, _)| last.is_some_and(|last| *offset <= last));
        self.offsets.truncate(kept);
    }

    /// The larger of the two files' sizes in bytes.
    pub(super) fn size_in_bytes(&self) -> usize {
        self.offset_bytes().max(self.time_bytes())
    }

    /// Bytes of memory both take.
    pub(super) fn memory_bytes(&self) -> usize {
        self.offsets.capacity() * size_of::<(u32, u32)>() + self.times.capacity() * size_of::<(i64, u32)>()
    }

    /// Bytes of the `.index` file.
    pub(super) fn offset_bytes(&self) -> usize {
        self.offsets.len() * OFFSET_ENTRY_LEN
    }

    /// Bytes of the `.timeindex` file.
    pub(super) fn time_bytes(&self) -> usize {
        self.times.len() * TIME_ENTRY_LEN
    }

    /// The content of the `.index` file.
    pub(super) fn encode_offsets(&self) -> Vec<u8> {
        self.offsets
            .iter()
            .flat_map(|(offset, position)| [offset.to_be_bytes(), position.to_be_bytes()])
            .flatten()
            .collect()
    }

    /// The content of the `.timeindex` file.
    pub(super) fn encode_times(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.times.len() * TIME_ENTRY_LEN);
        for (timestamp, offset) in &self.times {
            bytes.extend(timestamp.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
        }
        bytes
    }

    /// Reads both files; `None` if they cannot be the indexes of a segment of `segment_bytes` bytes.
    pub(super) fn decode(offsets: &[u8], times: &[u8], segment_bytes: u64) -> Option<Self> {
        let mut index = Self::default();
        let (entries, rest) = offsets.as_chunks::<OFFSET_ENTRY_LEN>();
        for entry in entries {
            let entry = offset_entry(entry);
            let rises = index.offsets.last().is_none_or(|last| last.0 < entry.0 && last.1 < entry.1);
            if !rises || u64::from(entry.1) >= segment_bytes {
                return None;
            }
            index.offsets.push(entry);
        }
        let (entries, rest_of_times) = times.as_chunks::<TIME_ENTRY_LEN>();
        for entry in entries {
            let (timestamp, offset) = time_entry(entry);
            if index.times.last().is_some_and(|last| last.0 >= timestamp || last.1 > offset) {
                return None;
            }
            index.times.push((timestamp, offset));
        }
        (rest.is_empty() && rest_of_times.is_empty()).then_some(index)
    }
}

/// An entry of the offset index: relative offset, position.
pub(super) fn offset_entry(entry: &[u8; OFFSET_ENTRY_LEN]) -> (u32, u32) {
    let [o0, o1, o2, o3, p0, p1, p2, p3] = *entry;
    (u32::from_be_bytes([o0, o1, o2, o3]), u32::from_be_bytes([p0, p1, p2, p3]))
}

/// An entry of the time index: timestamp, relative offset.
pub(super) fn time_entry(entry: &[u8; TIME_ENTRY_LEN]) -> (i64, u32) {
    let [t0, t1, t2, t3, t4, t5, t6, t7, o0, o1, o2, o3] = *entry;
    (i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]), u32::from_be_bytes([o0, o1, o2, o3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_finds_the_entry_before_and_reads_back() {
        let mut index = SegmentIndex::default();
        for (offset, position, time) in [(9, 0, 100), (19, 4096, 90), (29, 9000, 300)] {
            index.push_offset(offset, position);
            index.push_time(time, offset);
        }
        let positions = [0, 9, 18, 19, 400].map(|offset| index.entry_for(offset).map(|entry| entry.1));
        assert_eq!(positions, [None, Some(0), Some(0), Some(4096), Some(9000)]);
        let offsets = [50, 100, 101, 301].map(|time| index.time_before(time).map(|entry| entry.1));
        assert_eq!(offsets, [None, None, Some(9), Some(29)]);
        let again = SegmentIndex::decode(&index.encode_offsets(), &index.encode_times(), 10_000);
        assert_eq!(again, Some(index));
    }

    #[test]
    fn an_index_that_cannot_be_is_refused() {
        assert_eq!(SegmentIndex::decode(&[0; 16], &[], 10), None, "offsets do not rise");
        assert_eq!(SegmentIndex::decode(&[0; 7], &[], 10), None, "half an entry");
        assert_eq!(SegmentIndex::decode(&[0, 0, 0, 1, 0, 0, 0, 10], &[], 10), None, "a position beyond the segment");
    }
}
