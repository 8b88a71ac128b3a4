//! Reading in two steps, so that no lock is held while a file is read: the log says where to look ([`Log::find`]), and
//! [`SpanSearch::locate`] finds the first batch and the last one that fits by their headers alone, without the log. The
//! [`FileSpan`] that comes of it can be read, or sent by the kernel from the page cache to a socket.
//!
//! Checksums are verified when a batch is appended, when a log is recovered, and whenever bytes of a file pass through
//! this process ([`FileSpan::read`]). What the kernel sends is not looked at, as in Apache Kafka: the consumer verifies it.
//! Whatever looks wrong on this path is not judged here: `None` sends the caller to [`Log::read`], which knows.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{Log, ReadError, vfs::VfsFile};
use crate::record::{BatchHeader, HEADER_LEN, batches};

/// How much is read at once when headers are looked at: somewhat more than an index entry covers.
const WALK_CHUNK: usize = 5 * 1024;

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) offset: i64,
    pub(super) max_bytes: usize,
    /// The offset before which the last batch must end.
    pub(super) up_to: i64,
    /// Whether the first batch comes though it is larger than `max_bytes`.
    pub(super) at_least_one: bool,
    /// Whether offsets may be missing between batches, as compaction leaves them.
    pub(super) gaps_allowed: bool,
}

/// Where batches are.
#[derive(Debug)]
pub enum Found {
    /// There is nothing to be seen yet.
    Nothing,
    /// In memory, one after the other.
    Memory(Vec<Bytes>),
    /// In a file.
    File(SpanSearch),
    /// That takes [`Log::read`].
    Unknown,
}

/// What of a segment's file has to be looked at, beyond its index.
#[derive(Debug)]
pub struct SpanSearch {
    pub(super) wanted: Wanted,
    /// Where a batch begins that is not after the first one wanted.
    pub(super) from: u64,
    /// The last offset of that batch, as the index has it.
    pub(super) named: Option<i64>,
    /// Where a batch begins up to which all fit, if the first one wanted is not after it.
    pub(super) boundary: u64,
    /// The end of what may be seen, if that is known.
    pub(super) visible_end: Option<u64>,
    /// Bytes of the segment.
    pub(super) size: u64,
    pub(super) file: Arc<dyn VfsFile>,
}

/// Whole batches in a file. The file stays readable for as long as this lives, whatever the log does meanwhile.
#[derive(Debug, Clone)]
pub struct FileSpan {
    file: Arc<dyn VfsFile>,
    position: u64,
    length: usize,
}

impl Log {
    /// Says where the batches are that [`Log::read`] would return. Up to `worth_bytes` they are taken from memory if they
    /// are there; more comes from the file, if there is one.
    ///
    /// # Errors
    /// [`ReadError`], also if a segment's file cannot be opened.
    pub fn find(
        &mut self,
        offset: i64,
        max_bytes: usize,
        up_to: i64,
        at_least_one: bool,
        worth_bytes: usize,
    ) -> Result<Found, ReadError> {
        self.check_readable()?;
        let (log_start_offset, log_end_offset) = (self.log_start_offset, self.log_end_offset());
        if offset < log_start_offset || offset > log_end_offset {
            return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset });
        }
        if offset >= up_to.min(log_end_offset) {
            return Ok(Found::Nothing);
        }
        if let Some(batches) = self.tail.read(offset, max_bytes, up_to, at_least_one, worth_bytes) {
            return Ok(Found::Memory(batches));
        }
        self.wake_to_read()?;
        let gaps_allowed = self.gaps_allowed;
        let wanted = Wanted { offset, max_bytes, up_to, at_least_one, gaps_allowed };
        let Some((_, segment)) = self.segments.range_mut(..=offset).next_back() else { return Ok(Found::Unknown) };
        match segment.search(&*self.vfs, wanted) {
            Ok(search) => Ok(search.map_or(Found::Unknown, Found::File)),
            Err(source) => Err(ReadError::Io { file: segment.path("log").display().to_string(), source }),
        }
    }
}

impl SpanSearch {
    /// Finds the span; `None` if something is not as it must be. Its length is 0 if nothing fits.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn locate(&self) -> io::Result<Option<FileSpan>> {
        let Wanted { offset, max_bytes, up_to, at_least_one, gaps_allowed } = self.wanted;
        let mut headers = Headers { file: &*self.file, end: self.size, chunk: [0; WALK_CHUNK], at: 0, length: 0 };
        let (mut start, mut named, mut next_offset) = (self.from, self.named, None);
        let first = loop {
            let Some(header) = headers.at(start)? else { return Ok(None) };
            let follows = next_offset
                .is_none_or(|next| header.base_offset == next || (gaps_allowed && header.base_offset > next));
            if !follows || named.take().is_some_and(|last| last != header.last_offset()) {
                return Ok(None);
            }
            if header.last_offset() >= offset {
                break header;
            }
            next_offset = Some(header.next_offset());
            start += header.size_in_bytes() as u64;
        };
        if first.base_offset > offset && !gaps_allowed {
            return Ok(None);
        }
        let limit = start.saturating_add(max_bytes as u64);
        let mut end = self.visible_end.filter(|end| *end <= limit).unwrap_or(0);
        if end == 0 {
            end = if self.boundary <= limit { self.boundary.max(start) } else { start };
            while end < self.size {
                let Some(header) = headers.at(end)? else { return Ok(None) };
                let after = end + header.size_in_bytes() as u64;
                let fits = after <= limit || (end == start && at_least_one);
                if !fits || header.last_offset() >= up_to {
                    break;
                }
                end = after;
            }
        }
        let Ok(length) = usize::try_from(end.saturating_sub(start)) else { return Ok(None) };
        Ok(Some(FileSpan { file: Arc::clone(&self.file), position: start, length }))
    }
}

/// Batch headers of a file, at positions that rise.
struct Headers<'a> {
    file: &'a dyn VfsFile,
    end: u64,
    chunk: [u8; WALK_CHUNK],
    at: u64,
    length: usize,
}

impl Headers<'_> {
    /// The header of the batch that begins at `position` and ends within the file; `None` if there is none.
    fn at(&mut self, position: u64) -> io::Result<Option<BatchHeader>> {
        let held = position.checked_sub(self.at).and_then(|from| usize::try_from(from).ok());
        let from = match held {
            Some(from) if from + HEADER_LEN <= self.length => from,
            _ => {
                let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(WALK_CHUNK);
                let Some(chunk) = self.chunk.get_mut(..left.min(WALK_CHUNK)) else { return Ok(None) };
                self.length = self.file.read_at(position, chunk)?;
                self.at = position;
                0
            }
        };
        let bytes = self.chunk.get(from..self.length).unwrap_or_default();
        let Ok(header) = BatchHeader::parse(bytes) else { return Ok(None) };
        Ok((position + header.size_in_bytes() as u64 <= self.end).then_some(header))
    }
}

impl FileSpan {
    /// The file, where the batches begin in it, and how many bytes they have.
    pub fn place(&self) -> (&Arc<dyn VfsFile>, u64, usize) {
        (&self.file, self.position, self.length)
    }

    /// How many bytes the batches have.
    pub fn size_in_bytes(&self) -> usize {
        self.length
    }

    /// Reads the batches and verifies each of them; `None` if one is damaged, or bytes are missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(&self) -> io::Result<Option<Bytes>> {
        let mut bytes = BytesMut::zeroed(self.length);
        if self.file.read_at(self.position, &mut bytes)? < self.length {
            return Ok(None);
        }
        let bytes = bytes.freeze();
        let mut all = batches(bytes.clone());
        let sound = all.by_ref().all(|batch| batch.is_ok_and(|batch| batch.verify_crc().is_ok()));
        Ok((sound && all.rest().is_empty()).then_some(bytes))
    }
}
