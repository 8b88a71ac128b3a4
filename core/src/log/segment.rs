//! One segment: a file of batches that begins at a base offset, with its indexes. It appends, finds positions and reads
//! whole batches; it knows nothing of offsets' meaning beyond its own range.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};

use super::{
    index::SegmentIndex,
    marker::{EndMarker, ends_transaction},
    span::{SpanSearch, Wanted},
    txn_index::TransactionIndex,
    vfs::{self, Handle, Vfs, VfsFile},
};
use crate::record::{BatchError, BatchHeader, HEADER_LEN, RecordBatch};

/// How much is read at once when headers are walked.
const WALK_CHUNK: usize = 64 * 1024;

/// The name of a segment's file: its base offset with 20 digits, and what it holds.
pub(super) fn file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}.{suffix}")
}

/// A segment. Its log file is opened when first needed, its indexes are loaded when first searched.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base_offset: i64,
    /// The offset after its last record.
    pub(super) next_offset: i64,
    /// Bytes of whole batches in the file.
    pub(super) size: u64,
    /// Up to where the file has room: zeros behind the batches, for those to come. Nothing if it is not beyond `size`.
    room_end: u64,
    /// Largest timestamp, -1 if there is none, and an offset that has it.
    pub(super) max_timestamp: (i64, i64),
    /// Timestamp of the first batch, -1 while empty.
    pub(super) first_timestamp: i64,
    /// Whether the log file has bytes, or the folder a name, that were not synced.
    pub(super) dirty: bool,
    /// The aborted transactions whose markers lie in it.
    pub(super) aborted: TransactionIndex,
    folder: PathBuf,
    /// What its files' names end with while it is being compacted; empty else.
    stage: &'static str,
    handle: Handle,
    index: Option<SegmentIndex>,
    bytes_since_index: u64,
    /// Bytes of the two indexes that stand in their files, as long as the segment grows.
    index_written: [usize; 2],
    /// Whether the index was built here, or held against the batches.
    index_checked: bool,
    /// Whether the index was searched since memory was last looked for.
    index_used: bool,
}

/// A batch's place in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) header: BatchHeader,
    pub(super) position: u64,
}

/// What to read of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Where the first batch begins.
    pub(super) position: u64,
    pub(super) max_bytes: usize,
    /// The offset before which the last batch must end.
    pub(super) up_to: i64,
    /// Whether the first batch comes though it is larger than `max_bytes`.
    pub(super) at_least_one: bool,
    /// Whether offsets may be missing between batches, as compaction leaves them.
    pub(super) gaps_allowed: bool,
}

/// Why a segment's bytes cannot be used.
#[derive(Debug)]
pub(super) enum SegmentError {
    /// The disk failed.
    Io(io::Error),
    /// At `position` there is not the batch that must be there.
    Damaged { position: u64, source: BatchError },
    /// The index points at something else than the batch it names.
    IndexIsWrong,
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Segment {
    /// A new, empty segment that grows.
    pub(super) fn create(vfs: &dyn Vfs, folder: &Path, base_offset: i64) -> io::Result<Self> {
        Self::create_in_stage(vfs, folder, base_offset, "")
    }

    /// The same with files whose names end with `stage`.
    pub(super) fn create_in_stage(
        vfs: &dyn Vfs,
        folder: &Path,
        base_offset: i64,
        stage: &'static str,
    ) -> io::Result<Self> {
        let file = vfs.create(&folder.join(file_name(base_offset, "log") + stage))?;
        file.truncate(0)?;
        let mut handle = Handle::default();
        handle.put(file, vfs);
        Ok(Self {
            handle,
            index: Some(SegmentIndex::default()),
            index_checked: true,
            dirty: true,
            aborted: TransactionIndex::none(),
            stage,
            ..Self::closed(folder, base_offset, base_offset, 0)
        })
    }

    /// A segment as found on disk, neither opened nor indexed yet.
    pub(super) fn closed(folder: &Path, base_offset: i64, next_offset: i64, size: u64) -> Self {
        Self {
            base_offset,
            next_offset,
            size,
            room_end: 0,
            max_timestamp: (-1, base_offset),
            first_timestamp: -1,
            dirty: false,
            aborted: TransactionIndex::on_disk_before(i64::MAX),
            folder: folder.to_owned(),
            stage: "",
            handle: Handle::default(),
            index: None,
            bytes_since_index: 0,
            index_written: [0; 2],
            index_checked: false,
            index_used: false,
        }
    }

    pub(super) fn path(&self, suffix: &str) -> PathBuf {
        self.folder.join(file_name(self.base_offset, suffix) + self.stage)
    }

    /// Has its files' names end with `stage` from now on. Renaming them is the caller's part.
    pub(super) fn enter_stage(&mut self, stage: &'static str) {
        self.stage = stage;
    }

    /// What its files' names end with, beside what they hold.
    pub(super) fn stage(&self) -> &'static str {
        self.stage
    }

    pub(super) fn file(&mut self, vfs: &dyn Vfs) -> io::Result<Arc<dyn VfsFile>> {
        if let Some(file) = self.handle.get() {
            return Ok(file);
        }
        let file = vfs.open(&self.path("log"))?;
        self.handle.put(Arc::clone(&file), vfs);
        Ok(file)
    }

    /// Closes the log file until it is next needed.
    pub(super) fn close_file(&mut self) {
        self.handle.close();
    }

    /// Takes a batch in that stands at `position`, in memory only: counters and index.
    pub(super) fn note(&mut self, header: &BatchHeader, position: u64, index_interval: u64) {
        let size = header.size_in_bytes() as u64;
        if self.first_timestamp < 0 {
            self.first_timestamp = header.max_timestamp;
        }
        if header.max_timestamp > self.max_timestamp.0 {
            self.max_timestamp = (header.max_timestamp, header.last_offset());
        }
        self.next_offset = header.next_offset();
        self.size = position + size;
        if self.bytes_since_index > index_interval {
            let (time, offset) = (self.max_timestamp.0, self.relative(self.max_timestamp.1));
            let entry = (self.relative(header.last_offset()), u32::try_from(position));
            if let (Some(index), (last, Ok(position))) = (&mut self.index, entry) {
                index.push_offset(last, position);
                index.push_time(time, offset);
            }
            self.bytes_since_index = 0;
        }
        self.bytes_since_index += size;
    }

    /// Starts noting from nothing, for a segment that is walked to find out what it holds.
    pub(super) fn reset(&mut self) {
        self.index = Some(SegmentIndex::default());
        self.index_checked = true;
        (self.size, self.next_offset, self.bytes_since_index) = (0, self.base_offset, 0);
        (self.max_timestamp, self.first_timestamp) = ((-1, self.base_offset), -1);
    }

    /// Offsets count from the base in the indexes; a segment never spans more than 2³¹ of them.
    fn relative(&self, offset: i64) -> u32 {
        u32::try_from(offset - self.base_offset).unwrap_or(u32::MAX)
    }

    /// Whether a batch that ends at `last_offset` still fits the indexes.
    pub(super) fn can_hold(&self, last_offset: i64) -> bool {
        last_offset - self.base_offset <= i64::from(i32::MAX)
    }

    /// Bytes of the larger index.
    pub(super) fn index_bytes(&self) -> usize {
        self.index.as_ref().map_or(0, SegmentIndex::size_in_bytes)
    }

    /// Writes the indexes of a segment that will not grow any more. Returns their files, for them to be synced.
    pub(super) fn write_index(&mut self, vfs: &dyn Vfs) -> io::Result<Vec<Arc<dyn VfsFile>>> {
        let (time, offset) = (self.max_timestamp.0, self.relative(self.max_timestamp.1));
        let Some(index) = &mut self.index else { return Ok(Vec::new()) };
        index.push_time(time, offset);
        let contents = [("index", index.encode_offsets()), ("timeindex", index.encode_times())];
        let mut files = Vec::new();
        for (suffix, bytes) in contents {
            let file = vfs.create(&self.path(suffix))?;
            file.truncate(0)?;
            file.write_at(0, &bytes)?;
            files.push(file);
        }
        Ok(files)
    }

    /// Writes those entries of the indexes that are not in their files yet, of a segment that still grows.
    pub(super) fn extend_index(&mut self, vfs: &dyn Vfs) -> io::Result<()> {
        let Some(index) = &self.index else { return Ok(()) };
        let tails = [("index", index.encode_offsets()), ("timeindex", index.encode_times())];
        for ((suffix, bytes), written) in tails.into_iter().zip(self.index_written) {
            let path = self.folder.join(file_name(self.base_offset, suffix));
            let from = written.min(bytes.len());
            let (file, is_new) = match vfs.open(&path) {
                Ok(file) => (file, false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => (vfs.create(&path)?, true),
                Err(error) => return Err(error),
            };
            // What is there behind this may speak of batches that were lost, and must not come back after a power cut: then
            // nothing would tell it from what is written now. Of what an earlier life left the length says nothing:
            // whoever cut it may have come no further.
            if !is_new && (from == 0 || file.len()? > from as u64) {
                file.truncate(from as u64)?;
                file.sync_data()?;
            }
            file.write_at(from as u64, bytes.get(from..).unwrap_or_default())?;
        }
        self.index_written = [index.offset_bytes(), index.time_bytes()];
        Ok(())
    }

    /// Makes sure the segment can be searched: its indexes are loaded, or built from its batches if they are gone.
    pub(super) fn ensure_index(&mut self, vfs: &dyn Vfs, index_interval: u64) -> Result<(), SegmentError> {
        self.index_used = true;
        if self.load_index(vfs)? && self.largest_time_is_right(vfs)? {
            Ok(())
        } else {
            self.rebuild_index(vfs, index_interval)
        }
    }

    /// Builds the indexes from the batches. Leaves everything as it was if those are damaged.
    pub(super) fn rebuild_index(&mut self, vfs: &dyn Vfs, index_interval: u64) -> Result<(), SegmentError> {
        let mut rebuilt = Self::closed(&self.folder, self.base_offset, self.base_offset, 0);
        rebuilt.reset();
        let mut walk = self.walk(vfs, 0)?;
        while let Some(placed) = walk.next_batch()? {
            rebuilt.note(&placed.header, placed.position, index_interval);
        }
        (self.index, self.max_timestamp) = (rebuilt.index, rebuilt.max_timestamp);
        (self.first_timestamp, self.bytes_since_index) = (rebuilt.first_timestamp, rebuilt.bytes_since_index);
        self.index_checked = true;
        self.index_written = [0; 2];
        Ok(())
    }

    /// Whether the largest timestamp, by which retention and searches go, is that of the batch which the time index
    /// names. Looked at once.
    fn largest_time_is_right(&mut self, vfs: &dyn Vfs) -> Result<bool, SegmentError> {
        if self.index_checked || self.size == 0 {
            return Ok(true);
        }
        let (timestamp, offset) = self.max_timestamp;
        let right = timestamp >= 0
            && match self.find(vfs, offset, true) {
                Ok(Some(placed)) => placed.header.last_offset() == offset && placed.header.max_timestamp == timestamp,
                Ok(None) | Err(SegmentError::IndexIsWrong | SegmentError::Damaged { .. }) => false,
                Err(error @ SegmentError::Io(_)) => return Err(error),
            };
        self.index_checked = right;
        Ok(right)
    }

    /// The largest timestamp, -1 for none, unless the batches or an index would have to be read for it.
    pub(super) fn largest_timestamp_if_known(&self) -> Option<i64> {
        (self.size == 0 || (self.index_checked && self.index.is_some())).then_some(self.max_timestamp.0)
    }

    /// Bytes of memory the indexes take.
    pub(super) fn index_memory(&self) -> usize {
        self.index.as_ref().map_or(0, SegmentIndex::memory_bytes)
    }

    /// Lets go of the indexes of a segment that does not grow; they are loaded again when they are needed. `unused`: only
    /// if they have not been since the last time.
    pub(super) fn forget_index(&mut self, unused: bool) {
        if !(std::mem::take(&mut self.index_used) && unused) {
            (self.index, self.index_checked) = (None, false);
        }
    }

    /// Loads as much of the indexes as speaks of the first `position` bytes. What is behind is to be walked.
    pub(super) fn load_index_up_to(&mut self, vfs: &dyn Vfs, position: u64) -> io::Result<bool> {
        let size = std::mem::replace(&mut self.size, u64::MAX);
        let loaded = self.load_index(vfs);
        self.size = size;
        if let (Ok(true), Some(index)) = (&loaded, &mut self.index) {
            index.cut(position);
            index.cut_to_times();
            let (timestamp, offset) = index.last_time().unwrap_or((-1, 0));
            self.max_timestamp = (timestamp, self.base_offset + i64::from(offset));
        }
        loaded
    }

    /// The last offset of the batch with the last index entry.
    pub(super) fn last_indexed_offset(&self) -> Option<i64> {
        let (offset, _) = self.index.as_ref()?.last_offset()?;
        Some(self.base_offset + i64::from(offset))
    }

    /// Walks the headers from the last batch with an index entry at or before `offset`.
    pub(super) fn walk_from_offset(&mut self, vfs: &dyn Vfs, offset: i64) -> io::Result<Walk> {
        let relative = self.relative(offset.max(self.base_offset));
        self.walk_from_index(vfs, relative)
    }

    /// Loads the indexes from their files; false if they are missing or cannot be right, and the segment must be walked.
    pub(super) fn load_index(&mut self, vfs: &dyn Vfs) -> io::Result<bool> {
        if self.index.is_some() {
            return Ok(true);
        }
        let mut contents = Vec::new();
        for suffix in ["index", "timeindex"] {
            match vfs::read(vfs, &self.path(suffix)) {
                Ok(bytes) => contents.push(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let [offsets, times] = contents.as_slice() else { return Ok(false) };
        let Some(index) = SegmentIndex::decode(offsets, times, self.size) else { return Ok(false) };
        if let Some((timestamp, offset)) = index.last_time() {
            self.max_timestamp = (timestamp, self.base_offset + i64::from(offset));
        }
        self.index = Some(index);
        Ok(true)
    }

    /// The first batch whose last offset is `offset` or more, if the segment has it.
    pub(super) fn find(
        &mut self,
        vfs: &dyn Vfs,
        offset: i64,
        gaps_allowed: bool,
    ) -> Result<Option<Placed>, SegmentError> {
        let relative = self.relative(offset.max(self.base_offset));
        let mut walk = self.walk_from_index(vfs, relative)?;
        walk.gaps_allowed = gaps_allowed;
        while let Some(placed) = walk.next_batch()? {
            if placed.header.last_offset() >= offset {
                return Ok(Some(placed));
            }
        }
        Ok(None)
    }

    /// The first batch with a timestamp of `timestamp` or later.
    pub(super) fn find_time(&mut self, vfs: &dyn Vfs, timestamp: i64) -> Result<Option<Placed>, SegmentError> {
        if self.max_timestamp.0 < timestamp {
            return Ok(None);
        }
        let before = self.index.as_ref().and_then(|index| index.time_before(timestamp));
        let mut walk = self.walk_from_index(vfs, before.map_or(0, |(_, offset)| offset))?;
        // The entry names a batch; if that is not as late as it says, nothing in the index can be relied on.
        let mut named = before.map(|(time, offset)| (time, self.base_offset + i64::from(offset)));
        while let Some(placed) = walk.next_batch()? {
            if let Some((time, offset)) = named.take_if(|(_, offset)| placed.header.last_offset() >= *offset)
                && (placed.header.last_offset(), placed.header.max_timestamp) != (offset, time)
            {
                return Err(SegmentError::IndexIsWrong);
            }
            if placed.header.max_timestamp >= timestamp {
                return Ok(Some(placed));
            }
        }
        Ok(None)
    }

    /// Walks the headers of the batches from `position` on, which must be a batch's.
    pub(super) fn walk(&mut self, vfs: &dyn Vfs, position: u64) -> io::Result<Walk> {
        Ok(Walk {
            file: self.file(vfs)?,
            end: self.size,
            position,
            next_offset: self.base_offset,
            gaps_allowed: true,
            named: None,
            chunk: Vec::new(),
            chunk_at: 0,
        })
    }

    /// The same from the batch with the last index entry.
    pub(super) fn walk_from_last_entry(&mut self, vfs: &dyn Vfs) -> io::Result<Walk> {
        let last = self.index.as_ref().and_then(SegmentIndex::last_offset);
        self.walk_from_index(vfs, last.map_or(0, |(offset, _)| offset))
    }

    /// Counts on from a batch that has an index entry already.
    pub(super) fn resume_behind(&mut self, header: &BatchHeader) {
        self.bytes_since_index = header.size_in_bytes() as u64;
    }

    /// The same from the last batch with an index entry at or before `relative_offset`.
    fn walk_from_index(&mut self, vfs: &dyn Vfs, relative_offset: u32) -> io::Result<Walk> {
        let entry = self.index.as_ref().and_then(|index| index.entry_for(relative_offset));
        let mut walk = self.walk(vfs, entry.map_or(0, |(_, position)| u64::from(position)))?;
        walk.named = entry.map(|(offset, _)| self.base_offset + i64::from(offset));
        Ok(walk)
    }

    /// Reads whole batches, as many as fit. Each is checked; what stands before a damaged one is returned without it.
    pub(super) fn read(&mut self, vfs: &dyn Vfs, span: Span) -> Result<Bytes, SegmentError> {
        let Span { position, max_bytes, up_to, at_least_one, gaps_allowed } = span;
        let file = self.file(vfs)?;
        let available = self.size.saturating_sub(position);
        let mut wanted = usize::try_from(available).unwrap_or(usize::MAX).min(max_bytes.max(HEADER_LEN));
        loop {
            let asked = wanted;
            let mut bytes = BytesMut::zeroed(asked);
            let read = file.read_at(position, &mut bytes)?;
            bytes.truncate(read);
            let bytes = bytes.freeze();
            let (mut whole, mut next_offset) = (0, None);
            while let Some(Ok(header)) = bytes.get(whole..).map(BatchHeader::parse) {
                let end = whole + header.size_in_bytes();
                if end > max_bytes && (whole > 0 || !at_least_one) {
                    break;
                }
                if end > bytes.len() {
                    // Only the first batch is worth another, larger read.
                    if whole == 0 && (end as u64) <= available {
                        wanted = end;
                    }
                    break;
                }
                // Before anything in the header is believed, or damage could pass for the end of what may be read.
                match RecordBatch::parse(bytes.slice(whole..end)).and_then(|batch| batch.verify_crc()) {
                    Err(source) if whole == 0 => return Err(SegmentError::Damaged { position, source }),
                    Err(_) => break,
                    Ok(()) => {}
                }
                let follows = next_offset.is_none_or(|next_offset| {
                    header.base_offset == next_offset || (gaps_allowed && header.base_offset > next_offset)
                });
                if header.last_offset() >= up_to || !follows {
                    break;
                }
                (whole, next_offset) = (end, Some(header.next_offset()));
            }
            if wanted <= asked {
                return Ok(bytes.slice(..whole));
            }
        }
    }

    /// What of this segment's file has to be looked at for batches from `offset` on; `None` if its index is not there, or
    /// the offset is not.
    pub(super) fn search(&mut self, vfs: &dyn Vfs, wanted: Wanted) -> io::Result<Option<SpanSearch>> {
        let Wanted { offset, max_bytes, up_to, .. } = wanted;
        if offset >= self.next_offset || !self.index_checked {
            return Ok(None);
        }
        let up_to_last = self.relative(up_to.saturating_sub(1).max(self.base_offset));
        let Some(index) = &self.index else { return Ok(None) };
        self.index_used = true;
        let entry = index.entry_for(self.relative(offset));
        let from = entry.map_or(0, |(_, position)| position);
        let reach = u32::try_from(u64::from(from).saturating_add(max_bytes as u64)).unwrap_or(u32::MAX);
        // Both entries name batches that may be sent as a whole, so each begins where others end.
        let far = index.entry_at(reach).map_or(from, |(_, position)| position);
        let visible = index.entry_for(up_to_last).map_or(from, |(_, position)| position);
        Ok(Some(SpanSearch {
            wanted,
            from: u64::from(from),
            named: entry.map(|(offset, _)| self.base_offset + i64::from(offset)),
            boundary: u64::from(far.min(visible).max(from)),
            visible_end: (up_to >= self.next_offset).then_some(self.size),
            size: self.size,
            file: self.file(vfs)?,
        }))
    }

    /// Writes a batch at the end of the file, but notes nothing yet: the patched prefix, then what follows it. Where there
    /// is no room for it, `room` zeros come behind it.
    pub(super) fn write(&mut self, vfs: &dyn Vfs, prefix: &[u8], rest: &[u8], room: u64) -> io::Result<()> {
        let file = self.file(vfs)?;
        self.dirty = true;
        if prefix.is_empty() {
            file.write_at(self.size, rest)?;
        } else {
            file.write_two_at(self.size, prefix, rest)?;
        }
        let end = self.size + (prefix.len() + rest.len()) as u64;
        if room > 0 && end > self.room_end {
            self.room_end = end + room;
            let zeros = vec![0; usize::try_from(room).unwrap_or_default()];
            // It only saves work; a disk that is full has none.
            if file.write_at(end, &zeros).is_err() && file.truncate(end).is_ok() {
                self.room_end = end;
            }
        }
        Ok(())
    }

    /// Cuts the file off behind its last noted batch.
    pub(super) fn cut(&mut self, vfs: &dyn Vfs) -> io::Result<()> {
        self.dirty = true;
        let size = self.size;
        self.file(vfs)?.truncate(size)?;
        self.room_end = 0;
        Ok(())
    }

    /// Bytes of room behind the batches.
    pub(super) fn room_in_bytes(&self) -> u64 {
        self.room_end.saturating_sub(self.size)
    }

    /// Gives the room back, if there is any.
    pub(super) fn cut_room(&mut self, vfs: &dyn Vfs) -> io::Result<()> {
        if self.room_in_bytes() > 0 { self.cut(vfs) } else { Ok(()) }
    }
}

/// Batch headers of a file, one after the other.
#[derive(Debug)]
pub(super) struct Walk {
    file: Arc<dyn VfsFile>,
    end: u64,
    position: u64,
    /// Offset that follows the batches so far.
    next_offset: i64,
    /// Whether offsets may be missing, as compaction leaves them.
    gaps_allowed: bool,
    /// The offset with which the first batch must end, because an index says so.
    named: Option<i64>,
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl Walk {
    /// Whether the first batch is one with an index entry.
    pub(super) fn starts_at_entry(&self) -> bool {
        self.named.is_some()
    }

    /// The next batch; `None` at the end. What the checksum does not cover is held against the batch before.
    pub(super) fn next_batch(&mut self) -> Result<Option<Placed>, SegmentError> {
        let (position, end) = (self.position, self.end);
        if position >= end {
            return Ok(None);
        }
        let named = self.named.take();
        let damaged = |source| match named {
            Some(_) => SegmentError::IndexIsWrong,
            None => SegmentError::Damaged { position, source },
        };
        let header = BatchHeader::parse(self.peek(position)?).map_err(damaged)?;
        let available = usize::try_from(end - position).unwrap_or(usize::MAX);
        let needed = header.size_in_bytes();
        if needed > available {
            return Err(damaged(BatchError::TooShort { needed, available }));
        }
        let follows = match named {
            Some(last_offset) => header.last_offset() == last_offset,
            None if self.gaps_allowed => header.base_offset >= self.next_offset,
            None => header.base_offset == self.next_offset,
        };
        if !follows {
            let BatchHeader { base_offset, last_offset_delta, .. } = header;
            return Err(damaged(BatchError::InvalidOffsets { base_offset, last_offset_delta }));
        }
        self.next_offset = header.next_offset();
        self.position = position + needed as u64;
        Ok(Some(Placed { header, position }))
    }

    /// The marker in a batch, if it is one that ends a transaction.
    pub(super) fn marker(&self, placed: &Placed) -> Result<Option<EndMarker>, SegmentError> {
        let Placed { header, position } = *placed;
        if !ends_transaction(&header) {
            return Ok(None);
        }
        let mut bytes = vec![0; header.size_in_bytes()];
        let read = self.file.read_at(position, &mut bytes)?;
        bytes.truncate(read);
        let batch = RecordBatch::parse(Bytes::from(bytes)).and_then(|batch| batch.verify_crc().map(|()| batch));
        let marker = batch.and_then(|batch| EndMarker::of(&batch));
        marker.map_err(|source| SegmentError::Damaged { position, source })
    }

    fn peek(&mut self, position: u64) -> io::Result<&[u8]> {
        let held = position.checked_sub(self.chunk_at).and_then(|from| usize::try_from(from).ok());
        let enough = held.is_some_and(|from| from + HEADER_LEN <= self.chunk.len());
        if !enough {
            let length = usize::try_from(self.end - position).unwrap_or(WALK_CHUNK).min(WALK_CHUNK);
            self.chunk.resize(length, 0);
            let read = self.file.read_at(position, &mut self.chunk)?;
            self.chunk.truncate(read);
            self.chunk_at = position;
        }
        let from = usize::try_from(position - self.chunk_at).unwrap_or_default();
        Ok(self.chunk.get(from..).unwrap_or_default())
    }
}
