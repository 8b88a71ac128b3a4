//! One compaction of a log, from the first look at its keys to the new segments, without the log: it reads segments that
//! do not change any more, and writes files beside them. The log goes on meanwhile; [`super::swap`] brings both together.
//!
//! Two passes. The first reads the part that is not compacted yet and notes the last offset of every key, until the map is
//! full; the second rewrites all segments up to there, in groups, each group into one new segment. Every batch that is
//! read is verified: damage is never copied, and never taken for something that may go.
//!
//! Memory: the map, and one buffer each for reading and writing, which grow only for a batch that is larger. Whoever runs
//! it is told of all bytes that are read and written, and may make it wait or stop there.
//!
//! Source: Kafka's `Cleaner` (`buildOffsetMap`, `cleanSegments`).

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};

use super::{
    decide::SegmentFacts,
    filter::{Filter, FilterError, Kept, LastOfProducer},
    key_map::{KeyMap, KeyMapOptions},
    transactions::WalkedTransactions,
};
use crate::{
    log::{
        AbortedTransaction, LogConfig, ReadError,
        segment::{Segment, file_name},
        txn_index::{AbortedEntry, FileState, TransactionIndex},
        vfs::{Vfs, VfsFile},
    },
    record::{BatchError, BatchHeader, BuildError, DecompressLimits, HEADER_LEN, RecordBatch},
};

/// What the names of files end with that are being written.
pub(super) const CLEANED: &str = ".cleaned";
/// What the names of files end with that are complete and take the place of others.
pub(super) const SWAP: &str = ".swap";

/// How much a compaction may use.
#[derive(Debug, Clone, Copy)]
pub struct CompactionLimits {
    /// Memory for the map of keys.
    pub map_bytes: usize,
    /// The share of the map's slots that may be filled, in percent.
    pub map_load_percent: usize,
    /// Bytes read, and bytes written, at once.
    pub buffer_bytes: usize,
    /// A secret for the hash of keys, new for every run.
    pub secret: [u64; 2],
}

/// The one who runs a compaction wants it to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Called with the bytes that were read or written last; may wait before it returns.
pub type Pace<'p> = &'p mut dyn FnMut(usize) -> Result<(), Stopped>;

/// Why a compaction has ended early. What it replaced before stays replaced, everything else is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// It was told to stop, or the segments it works on are not the log's any more.
    #[error("compaction was stopped")]
    Stopped,
    /// The file system failed.
    #[error("cannot {action} {file}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To which file.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A batch is damaged.
    #[error("{file} is corrupt at byte {position}")]
    Corrupt {
        /// The segment.
        file: String,
        /// Where the batch begins.
        position: u64,
        /// What is wrong.
        #[source]
        source: BatchError,
    },
    /// A batch cannot be written anew.
    #[error("{file}: the batch at byte {position} cannot be written anew")]
    Unwritable {
        /// The segment.
        file: String,
        /// Where the batch begins.
        position: u64,
        /// Why not.
        #[source]
        source: BuildError,
    },
    /// Not one more key fits the map.
    #[error("{bytes} bytes are too few for the keys of one batch")]
    MapTooSmall {
        /// Memory for the map.
        bytes: usize,
    },
    /// The log cannot tell what it holds.
    #[error(transparent)]
    Log(#[from] ReadError),
}

impl From<Stopped> for CompactionError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl CompactionError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = path.display().to_string();
        move |source| Self::Io { action, file, source }
    }

    /// Whether the disk has no room: it may have again later.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether a sync failed: what the disk holds is then unknown.
    pub fn is_failed_sync(&self) -> bool {
        matches!(self, Self::Io { action: "sync", .. })
    }
}

/// What a compaction has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Keys in the part that was not compacted before.
    pub keys: usize,
    /// Bytes of the segments that were rewritten.
    pub bytes_before: u64,
    /// Bytes of those in their place.
    pub bytes_after: u64,
    /// Segments that were rewritten.
    pub segments_before: usize,
    /// Those in their place.
    pub segments_after: usize,
}

/// What a compaction is given by its log.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) folder: PathBuf,
    pub(super) config: LogConfig,
    /// All segments before the first uncleanable offset.
    pub(super) segments: Vec<SegmentFacts>,
    pub(super) first_dirty_offset: i64,
    pub(super) first_uncleanable_offset: i64,
    /// All that end in these segments.
    pub(super) aborted: Vec<AbortedTransaction>,
    pub(super) producers: HashMap<i64, LastOfProducer>,
    /// Base offsets of the segments that are not known to be synced.
    pub(super) unsynced: Vec<i64>,
    pub(super) now_ms: i64,
}

/// A compaction that is under way.
#[derive(Debug)]
pub struct Compaction {
    work: Work,
    limits: CompactionLimits,
    keys: KeyMap,
    transactions: WalkedTransactions,
    /// The groups that are still to be rewritten; known after the first pass.
    groups: Option<VecDeque<Vec<SegmentFacts>>>,
    report: CompactionReport,
}

/// A new segment, written and synced, and what it stands for.
#[derive(Debug)]
pub struct Replacement {
    pub(super) segment: Segment,
    pub(super) replaced: Vec<SegmentFacts>,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) folder: PathBuf,
}

impl Compaction {
    pub(super) fn new(work: Work, limits: CompactionLimits) -> Self {
        let CompactionLimits { map_bytes: bytes_max, map_load_percent: load_percent, secret, .. } = limits;
        let limits = CompactionLimits { buffer_bytes: limits.buffer_bytes.max(HEADER_LEN), ..limits };
        Self {
            keys: KeyMap::new(KeyMapOptions { bytes_max, load_percent, secret }),
            transactions: WalkedTransactions::new(&work.aborted, i64::MIN),
            groups: None,
            report: CompactionReport::default(),
            work,
            limits,
        }
    }

    /// The offset before which the log is compacted, once all replacements are in it.
    pub fn end_offset(&self) -> i64 {
        self.keys.latest_offset().saturating_add(1).max(self.work.first_dirty_offset)
    }

    /// What was done so far.
    pub fn report(&self) -> CompactionReport {
        self.report
    }

    /// Writes the next new segment; `None` when there is no more. Blocks on the disk.
    ///
    /// # Errors
    /// [`CompactionError`]; the files it was writing are removed.
    pub fn next_replacement(&mut self, pace: Pace<'_>) -> Result<Option<Replacement>, CompactionError> {
        if self.groups.is_none() {
            self.read_keys(pace)?;
            self.sync_reasons()?;
            let end = self.end_offset();
            let segments: Vec<_> = self.work.segments.iter().filter(|each| each.base_offset < end).copied().collect();
            let groups = super::decide::groups(&segments, &self.work.config);
            let members = |group: std::ops::Range<usize>| segments.get(group).unwrap_or_default().to_vec();
            self.groups = Some(groups.into_iter().map(members).collect());
        }
        while let Some(group) = self.groups.as_mut().and_then(VecDeque::pop_front) {
            if let Some(replacement) = self.rewrite(group, pace)? {
                return Ok(Some(replacement));
            }
        }
        Ok(None)
    }

    /// A record goes because of a later one, of a marker, or of a later batch of its producer. Were those not durable, a power
    /// cut could take both.
    fn sync_reasons(&mut self) -> Result<(), CompactionError> {
        for base in std::mem::take(&mut self.work.unsynced) {
            let path = self.work.folder.join(file_name(base, "log"));
            match self.work.vfs.open(&path) {
                Ok(file) => file.sync_data().map_err(CompactionError::io("sync", &path))?,
                // Retention was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(CompactionError::Stopped),
                Err(error) => return Err(CompactionError::io("open", &path)(error)),
            }
        }
        self.work.vfs.sync_dir(&self.work.folder).map_err(CompactionError::io("sync", &self.work.folder))
    }

    /// The first pass.
    fn read_keys(&mut self, pace: Pace<'_>) -> Result<(), CompactionError> {
        let (start, end) = (self.work.first_dirty_offset, self.work.first_uncleanable_offset);
        let mut transactions = WalkedTransactions::new(&self.work.aborted, start);
        let dirty = self.work.segments.iter().filter(|each| start < each.next_offset && each.base_offset < end);
        let dirty: Vec<SegmentFacts> = dirty.copied().collect();
        for segment in dirty {
            let mut source = Source::open(&self.work, &segment, self.limits.buffer_bytes)?;
            while let Some((batch, position)) = source.next(pace)? {
                let header = *batch.header();
                if header.last_offset() < start {
                    continue;
                }
                if header.attributes.is_control() {
                    let marker = crate::log::marker::EndMarker::of(&batch);
                    let marker = marker.map_err(|error| source.corrupt(position)(error))?;
                    transactions.pass_control(&header, marker);
                } else if !transactions.pass_records(&header) {
                    let all_fit = note_keys(&mut self.keys, &batch, start).map_err(source.corrupt(position))?;
                    if !all_fit {
                        self.report.keys = self.keys.len();
                        let bytes = self.limits.map_bytes;
                        return if self.keys.len() == 0 { Err(CompactionError::MapTooSmall { bytes }) } else { Ok(()) };
                    }
                }
                self.keys.looked_up_to(header.last_offset());
            }
            self.keys.looked_up_to(segment.next_offset.min(end) - 1);
        }
        self.report.keys = self.keys.len();
        Ok(())
    }

    /// The second pass over one group; `None` if it is as it should be already.
    fn rewrite(&mut self, group: Vec<SegmentFacts>, pace: Pace<'_>) -> Result<Option<Replacement>, CompactionError> {
        let Some(first) = group.first().copied() else { return Ok(None) };
        let before: u64 = group.iter().map(|segment| segment.size).sum();
        let mut target = Target::create(&self.work, first.base_offset, self.limits.buffer_bytes)?;
        let mut filter = Filter {
            keys: &self.keys,
            transactions: std::mem::take(&mut self.transactions),
            producers: &self.work.producers,
            now_ms: self.work.now_ms,
            delete_retention_ms: self.work.config.delete_retention_ms,
        };
        let written = self.pass_group(&group, &mut filter, &mut target, pace);
        self.transactions = std::mem::take(&mut filter.transactions);
        let finished = written.and_then(|changed| if changed { target.finish(pace).map(Some) } else { Ok(None) });
        let segment = match finished {
            Ok(Some(segment)) => segment,
            unfinished => {
                remove_staged(&*self.work.vfs, &self.work.folder, first.base_offset, CLEANED);
                return unfinished.map(|_| None);
            }
        };
        self.report.bytes_before += before;
        self.report.bytes_after += segment.size;
        self.report.segments_before += group.len();
        self.report.segments_after += 1;
        let (vfs, folder) = (Arc::clone(&self.work.vfs), self.work.folder.clone());
        Ok(Some(Replacement { segment, replaced: group, vfs, folder }))
    }

    /// Passes all batches of a group on to the new segment. True if any of them does not stay as it is.
    fn pass_group(
        &self,
        group: &[SegmentFacts],
        filter: &mut Filter<'_>,
        target: &mut Target<'_>,
        pace: Pace<'_>,
    ) -> Result<bool, CompactionError> {
        let end = group.last().map_or(0, |last| last.next_offset);
        let mut changed = group.len() > 1;
        for segment in group {
            let mut source = Source::open(&self.work, segment, self.limits.buffer_bytes)?;
            while let Some((batch, position)) = source.next(pace)? {
                let ends_segment = batch.header().next_offset() == end;
                let (kept, aborts) = filter.pass(&batch, ends_segment).map_err(|error| match error {
                    FilterError::Batch(error) => source.corrupt(position)(error),
                    FilterError::Build(error) => source.unwritable(position, error),
                })?;
                changed |= kept != Kept::AsIs;
                match kept {
                    Kept::Nothing => {}
                    Kept::AsIs => target.push(batch.header(), batch.bytes(), pace)?,
                    Kept::Changed(bytes) => {
                        let header = BatchHeader::parse(&bytes).map_err(source.corrupt(position))?;
                        target.push(&header, &bytes, pace)?;
                    }
                }
                target.note_aborted(aborts);
            }
        }
        Ok(changed)
    }
}

/// Notes the keys of a batch; false if not all of them fit.
fn note_keys(keys: &mut KeyMap, batch: &RecordBatch, start: i64) -> Result<bool, BatchError> {
    let records = batch.decode(&DecompressLimits::default())?;
    for record in &records {
        let record = record?;
        if let Some(key) = record.key.filter(|_| record.offset >= start)
            && !keys.put(key, record.offset)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the files of a segment in a stage, as far as they are there; the names are left to the next sync. What cannot
/// be removed is when the log is opened next.
pub(super) fn remove_staged(vfs: &dyn Vfs, folder: &Path, base_offset: i64, stage: &str) {
    for suffix in SUFFIXES {
        let _ = vfs.remove(&folder.join(file_name(base_offset, suffix) + stage));
    }
}

/// The files of a segment; that with the batches comes last.
pub(super) const SUFFIXES: [&str; 4] = ["index", "timeindex", "txnindex", "log"];

/// The batches of a segment, read one after the other and verified.
struct Source {
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    size: u64,
    buffer_bytes: usize,
    /// What was read and not handed out yet, and where it begins in the file.
    held: Bytes,
    position: u64,
    next_offset: i64,
}

impl Source {
    fn open(work: &Work, segment: &SegmentFacts, buffer_bytes: usize) -> Result<Self, CompactionError> {
        let path = work.folder.join(file_name(segment.base_offset, "log"));
        let file = match work.vfs.open(&path) {
            Ok(file) => file,
            // Retention was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(CompactionError::Stopped),
            Err(error) => return Err(CompactionError::io("open", &path)(error)),
        };
        let (held, next_offset) = (Bytes::new(), segment.base_offset);
        Ok(Self { path, file, size: segment.size, buffer_bytes, held, position: 0, next_offset })
    }

    fn next(&mut self, pace: Pace<'_>) -> Result<Option<(RecordBatch, u64)>, CompactionError> {
        let position = self.position;
        if position >= self.size {
            return Ok(None);
        }
        if self.held.len() < HEADER_LEN {
            self.fill(self.buffer_bytes, pace)?;
        }
        let header = BatchHeader::parse(&self.held).map_err(self.corrupt(position))?;
        if header.base_offset < self.next_offset {
            let BatchHeader { base_offset, last_offset_delta, .. } = header;
            return Err(self.corrupt(position)(BatchError::InvalidOffsets { base_offset, last_offset_delta }));
        }
        let needed = header.size_in_bytes();
        if needed > self.held.len() {
            let available = usize::try_from(self.size - position).unwrap_or(usize::MAX);
            if needed > available {
                return Err(self.corrupt(position)(BatchError::TooShort { needed, available }));
            }
            self.fill(self.buffer_bytes.max(needed), pace)?;
        }
        let available = self.held.len();
        if needed > available {
            return Err(self.corrupt(position)(BatchError::TooShort { needed, available }));
        }
        let batch = RecordBatch::parse(self.held.split_to(needed)).map_err(self.corrupt(position))?;
        batch.verify_crc().map_err(self.corrupt(position))?;
        self.position += needed as u64;
        self.next_offset = header.next_offset();
        Ok(Some((batch, position)))
    }

    /// Reads from the position on.
    fn fill(&mut self, bytes: usize, pace: Pace<'_>) -> Result<(), CompactionError> {
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let mut buffer = BytesMut::zeroed(bytes.min(left));
        let read = self.file.read_at(self.position, &mut buffer);
        let read = read.map_err(CompactionError::io("read", &self.path))?;
        buffer.truncate(read);
        self.held = buffer.freeze();
        pace(read).map_err(CompactionError::from)
    }

    fn corrupt(&self, position: u64) -> impl Fn(BatchError) -> CompactionError + use<> {
        let file = self.path.display().to_string();
        move |source| CompactionError::Corrupt { file: file.clone(), position, source }
    }

    fn unwritable(&self, position: u64, source: BuildError) -> CompactionError {
        CompactionError::Unwritable { file: self.path.display().to_string(), position, source }
    }
}

/// The new segment while it is written.
struct Target<'w> {
    work: &'w Work,
    segment: Segment,
    file: Arc<dyn VfsFile>,
    buffer: Vec<u8>,
    buffer_bytes: usize,
    /// Bytes that stand in the file.
    written: u64,
    aborted: Vec<AbortedTransaction>,
}

impl<'w> Target<'w> {
    fn create(work: &'w Work, base_offset: i64, buffer_bytes: usize) -> Result<Self, CompactionError> {
        let path = work.folder.join(file_name(base_offset, "log") + CLEANED);
        let vfs = &*work.vfs;
        let mut segment = Segment::create_in_stage(vfs, &work.folder, base_offset, CLEANED)
            .map_err(CompactionError::io("create", &path))?;
        let file = segment.file(vfs).map_err(CompactionError::io("open", &path))?;
        Ok(Self { work, segment, file, buffer: Vec::new(), buffer_bytes, written: 0, aborted: Vec::new() })
    }

    fn push(&mut self, header: &BatchHeader, bytes: &[u8], pace: Pace<'_>) -> Result<(), CompactionError> {
        if self.buffer.len() + bytes.len() > self.buffer_bytes {
            self.flush(pace)?;
        }
        let interval = u64::from(self.work.config.index_interval_bytes.unsigned_abs());
        self.segment.note(header, self.written + self.buffer.len() as u64, interval);
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn note_aborted(&mut self, aborted: Option<AbortedTransaction>) {
        self.aborted.extend(aborted);
    }

    fn flush(&mut self, pace: Pace<'_>) -> Result<(), CompactionError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let path = self.segment.path("log");
        self.file.write_at(self.written, &self.buffer).map_err(CompactionError::io("write", &path))?;
        let bytes = self.buffer.len();
        self.written += bytes as u64;
        self.buffer.clear();
        pace(bytes).map_err(CompactionError::from)
    }

    /// Writes the rest and the indexes, and syncs all of it.
    fn finish(mut self, pace: Pace<'_>) -> Result<Segment, CompactionError> {
        self.flush(pace)?;
        let vfs = &*self.work.vfs;
        let entries = entries(std::mem::take(&mut self.aborted));
        self.segment.aborted = TransactionIndex::Known { entries, file: FileState::Other };
        let path = self.segment.path("txnindex");
        self.segment.aborted.write(vfs, &path).map_err(CompactionError::io("write", &path))?;
        let path = self.segment.path("index");
        let mut files = self.segment.write_index(vfs).map_err(CompactionError::io("write", &path))?;
        files.push(Arc::clone(&self.file));
        for file in files {
            file.sync_data().map_err(CompactionError::io("sync", &self.segment.path("log")))?;
        }
        vfs.sync_dir(&self.work.folder).map_err(CompactionError::io("sync", &self.work.folder))?;
        self.segment.dirty = false;
        self.segment.close_file();
        Ok(self.segment)
    }
}

/// The index of these aborted transactions, which come in the order of their markers. The last stable offset is known only
/// as far as they tell it, which is all that searching them needs.
fn entries(aborted: Vec<AbortedTransaction>) -> Vec<AbortedEntry> {
    let mut earliest = i64::MAX;
    let mut entries: Vec<_> = aborted
        .into_iter()
        .rev()
        .map(|transaction| {
            let last_stable_offset = earliest.min(transaction.last_offset + 1);
            earliest = earliest.min(transaction.first_offset);
            AbortedEntry { transaction, last_stable_offset }
        })
        .collect();
    entries.reverse();
    entries
}
