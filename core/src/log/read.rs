//! Reading: by offset, by time. Batches are whole, and verified before any of them is handed out.

use std::{io, path::Path};

use bytes::Bytes;

use super::{
    Log, LogConfig, ReadError, error,
    segment::{Segment, SegmentError, Span},
    vfs::Vfs,
};
use crate::{
    LeaderEpoch,
    record::{DecompressLimits, RecordBatch},
};

/// Memory the indexes of a log may take, that of the segment that grows and of one more apart.
const INDEX_MEMORY: usize = if cfg!(test) { 1 << 10 } else { 16 << 20 };

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadInfo {
    /// Whole batches, the first of which holds the offset asked for; empty if there is nothing to be seen yet.
    pub records: Bytes,
    /// The first offset there is.
    pub log_start_offset: i64,
    /// The offset before which records may be seen.
    pub high_watermark: i64,
    /// The offset before which no transaction is open.
    pub last_stable_offset: i64,
}

/// An offset found by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetTime {
    /// The offset.
    pub offset: i64,
    /// Its record's timestamp.
    pub timestamp: i64,
    /// The epoch its batch was written in.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Log {
    /// Reads whole batches from `offset` on, up to `max_bytes` and ending before `up_to` (the high watermark for a consumer,
    /// the log end for a replica). The first batch comes even if it is larger, if `at_least_one`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(
        &mut self,
        offset: i64,
        max_bytes: usize,
        up_to: i64,
        at_least_one: bool,
    ) -> Result<ReadInfo, ReadError> {
        self.check_readable()?;
        let (log_start_offset, log_end_offset) = (self.log_start_offset, self.log_end_offset());
        if offset < log_start_offset || offset > log_end_offset {
            return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset });
        }
        let mut info = ReadInfo {
            records: Bytes::new(),
            log_start_offset,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
        };
        if offset >= up_to.min(log_end_offset) {
            return Ok(info);
        }
        self.wake_to_read()?;
        let first = self.segments.range(..=offset).next_back().map_or(0, |(base, _)| *base);
        let gaps_allowed = self.gaps_allowed;
        for segment in self.segments.range_mut(first..).map(|(_, segment)| segment) {
            let found = searched(&*self.vfs, segment, &self.config, |segment| {
                let Some(placed) = segment.find(&*self.vfs, offset, gaps_allowed)? else { return Ok(None) };
                let position = placed.position;
                segment.read(&*self.vfs, Span { position, max_bytes, up_to, at_least_one, gaps_allowed }).map(Some)
            });
            if let Some(records) = found? {
                info.records = records;
                break;
            }
        }
        self.bound_indexes(offset);
        Ok(info)
    }

    /// Lets go of indexes of closed segments if all of this log's take too much memory: first those that were not used
    /// lately, never those of the segment with `offset`, nor of the one that grows.
    pub(super) fn bound_indexes(&mut self, offset: i64) {
        let in_use = self.segments.range(..=offset).next_back().map(|(base, _)| *base);
        let active = self.segments.keys().next_back().copied();
        for unused in [true, false] {
            let memory: usize = self.segments.values().map(Segment::index_memory).sum();
            if memory <= INDEX_MEMORY {
                return;
            }
            let closed = self.segments.iter_mut().filter(|(base, _)| Some(**base) != active && Some(**base) != in_use);
            closed.for_each(|(_, segment)| segment.forget_index(unused));
        }
    }

    /// The first record with a timestamp of `timestamp` or later, below the high watermark.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_for_time(&mut self, timestamp: i64) -> Result<Option<OffsetTime>, ReadError> {
        self.wake_to_read()?;
        let start = self.log_start_offset;
        let segments = self.segments.iter().filter(|(_, segment)| segment.next_offset > start);
        let bases: Vec<i64> = segments.map(|(base, _)| *base).collect();
        for base in bases {
            let found = self.time_in_segment(base, timestamp)?;
            self.bound_indexes(base);
            if found.is_some() {
                return Ok(found.filter(|found| found.offset < self.high_watermark));
            }
        }
        Ok(None)
    }

    fn time_in_segment(&mut self, base: i64, timestamp: i64) -> Result<Option<OffsetTime>, ReadError> {
        let start = self.log_start_offset;
        let Some(segment) = self.segments.get_mut(&base) else { return Ok(None) };
        let path = segment.path("log");
        let placed = searched(&*self.vfs, segment, &self.config, |segment| segment.find_time(&*self.vfs, timestamp))?;
        let Some(placed) = placed else { return Ok(None) };
        let mut position = placed.position;
        // The batch that reaches the time may do so only in records before the start of the log.
        while position < segment.size {
            let one = Span { position, max_bytes: 0, up_to: i64::MAX, at_least_one: true, gaps_allowed: true };
            let bytes = segment.read(&*self.vfs, one);
            let bytes = bytes.map_err(|error| segment_read_error(&path, error))?;
            if bytes.is_empty() {
                break;
            }
            let length = bytes.len() as u64;
            let corrupt = |source| ReadError::Corrupt { file: path.display().to_string(), position, source };
            let batch = RecordBatch::parse(bytes).map_err(corrupt)?;
            if batch.header().max_timestamp >= timestamp
                && let Some((offset, found)) = first_at(&batch, timestamp, start).map_err(corrupt)?
            {
                let leader_epoch = LeaderEpoch::from_wire(batch.header().partition_leader_epoch);
                return Ok(Some(OffsetTime { offset, timestamp: found, leader_epoch }));
            }
            position += length;
        }
        Ok(None)
    }

    /// The record with the largest timestamp (ListOffsets -3).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_of_max_timestamp(&mut self) -> Result<Option<OffsetTime>, ReadError> {
        self.wake_to_read()?;
        let bases: Vec<i64> = self.segments.keys().copied().collect();
        for base in bases {
            if let Some(segment) = self.segments.get_mut(&base) {
                searched(&*self.vfs, segment, &self.config, |_| Ok(()))?;
            }
            self.bound_indexes(base);
        }
        let largest = self.segments.values().map(|segment| segment.max_timestamp.0).max().unwrap_or(-1);
        if largest < 0 { Ok(None) } else { self.offset_for_time(largest) }
    }

    pub(super) fn check_readable(&self) -> Result<(), ReadError> {
        match &self.unreadable {
            Some(reason) => Err(ReadError::Offline { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Sees to it that the segments are there.
    pub(super) fn wake_to_read(&mut self) -> Result<(), ReadError> {
        self.check_readable()?;
        self.wake().map_err(|error| ReadError::Offline { reason: error::with_causes(&error) })
    }
}

/// Searches a segment by its index. If that turns out not to be the segment's, it is built anew from the batches and the
/// search done again.
pub(super) fn searched<T>(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    config: &LogConfig,
    search: impl Fn(&mut Segment) -> Result<T, SegmentError>,
) -> Result<T, ReadError> {
    let interval = u64::from(config.index_interval_bytes.unsigned_abs());
    let found = segment.ensure_index(vfs, interval).and_then(|()| match search(segment) {
        Err(SegmentError::IndexIsWrong) => segment.rebuild_index(vfs, interval).and_then(|()| search(segment)),
        found => found,
    });
    found.map_err(|error| segment_read_error(&segment.path("log"), error))
}

pub(super) fn segment_read_error(path: &Path, error: SegmentError) -> ReadError {
    let file = path.display().to_string();
    match error {
        SegmentError::Io(source) => ReadError::Io { file, source },
        SegmentError::Damaged { position, source } => ReadError::Corrupt { file, position, source },
        // An index that has just been built from the batches names them as they are, unless the disk changed its mind.
        SegmentError::IndexIsWrong => ReadError::Io { file, source: io::ErrorKind::InvalidData.into() },
    }
}

/// The first record of a batch at or after `timestamp` and `start`.
fn first_at(batch: &RecordBatch, timestamp: i64, start: i64) -> Result<Option<(i64, i64)>, crate::record::BatchError> {
    let records = batch.decode(&DecompressLimits::default())?;
    for record in &records {
        let record = record?;
        if record.timestamp >= timestamp && record.offset >= start {
            return Ok(Some((record.offset, record.timestamp)));
        }
    }
    Ok(None)
}
