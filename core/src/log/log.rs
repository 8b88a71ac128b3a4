//! [`Log`]: one partition. Holds segments, producers and epochs together, and says what each offset means.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    AppendError, AppendOrigin, FlushTicket, LeaderEpochs, LogConfig, OpenError, ReadError, Recovery, StorageError,
    append::{self, Accepted},
    checkpoint,
    producers::Producers,
    recovery::{self, Learned, io_error},
    retention::{self, Policy, SegmentFacts},
    segment::{Segment, SegmentError, Span, file_name},
    vfs::{Vfs, VfsFile},
};
use crate::{
    LeaderEpoch, TopicPartition, Uuid,
    record::{BatchHeader, DecompressLimits, RecordBatch, patched_prefix},
};

/// Snapshots of producers that are kept.
const SNAPSHOTS_KEPT: usize = 2;

/// What a log is opened with.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Whose log it is.
    pub topic_partition: TopicPartition,
    /// Written into `partition.metadata`, and compared with what stands there.
    pub topic_id: Uuid,
    /// The topic's settings.
    pub config: LogConfig,
    /// The offset before which everything is known to be synced, from the checkpoint; 0 if nothing is known.
    pub recovery_point: i64,
    /// Whether the data directory was closed cleanly: nothing has to be checked then.
    pub clean_shutdown: bool,
    /// Where DeleteRecords had moved the start, from the checkpoint.
    pub log_start_offset: i64,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the batch's first record.
    pub base_offset: i64,
    /// Offset of its last.
    pub last_offset: i64,
    /// The broker's time, where the topic has `message.timestamp.type=LogAppendTime`.
    pub log_append_time: Option<i64>,
    /// The first offset there is.
    pub log_start_offset: i64,
    /// Whether the batch was in the log already, and nothing was appended.
    pub duplicate: bool,
}

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

/// The log of one partition.
#[derive(Debug)]
pub struct Log {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    topic_partition: TopicPartition,
    config: LogConfig,
    /// By base offset; never empty, the last one grows.
    segments: BTreeMap<i64, Segment>,
    log_start_offset: i64,
    high_watermark: i64,
    /// The offset before which everything is synced.
    recovery_point: i64,
    epochs: LeaderEpochs,
    epochs_dirty: bool,
    producers: Producers,
    /// Index and snapshot files of closed segments that the next flush has to sync.
    closed_files: Vec<Arc<dyn VfsFile>>,
    recovery: Recovery,
    /// Whether offsets may be missing, because the topic is or was compacted.
    gaps_allowed: bool,
    offline: Option<String>,
}

impl Log {
    /// Opens the log in `folder`, or makes it there.
    ///
    /// # Errors
    /// [`OpenError`]: the disk failed, or a batch is damaged that is no torn tail. Nothing was cut off then.
    pub fn open(vfs: Arc<dyn Vfs>, folder: &Path, options: LogOptions) -> Result<Self, OpenError> {
        let io = |action| io_error(action, folder);
        let is_new = !vfs.exists(folder);
        if is_new {
            vfs.create_dir_all(folder).map_err(io("create"))?;
            folder.parent().map_or(Ok(()), |parent| vfs.sync_dir(parent)).map_err(io("sync"))?;
        }
        let metadata = folder.join("partition.metadata");
        match checkpoint::read_topic_id(&*vfs, &metadata)? {
            None => checkpoint::write_topic_id(&*vfs, &metadata, options.topic_id)?,
            Some(found) if found == options.topic_id => {}
            Some(found) => {
                let (folder, expected) = (folder.display().to_string(), options.topic_id);
                return Err(OpenError::OtherTopic { folder, found, expected });
            }
        }
        let epochs = checkpoint::read_epochs(&*vfs, &folder.join("leader-epoch-checkpoint"))?.unwrap_or_default();
        let gaps_allowed = options.config.cleanup_policy.compact;
        let mut log = Self {
            folder: folder.to_owned(),
            topic_partition: options.topic_partition,
            config: options.config,
            segments: BTreeMap::new(),
            log_start_offset: options.log_start_offset.max(0),
            high_watermark: 0,
            recovery_point: options.recovery_point,
            epochs: LeaderEpochs::new(epochs),
            epochs_dirty: false,
            producers: Producers::default(),
            closed_files: Vec::new(),
            recovery: Recovery::default(),
            gaps_allowed,
            offline: None,
            vfs,
        };
        log.load(options.clean_shutdown)?;
        Ok(log)
    }

    fn load(&mut self, clean_shutdown: bool) -> Result<(), OpenError> {
        let folder = self.folder.clone();
        let io = |action| io_error(action, &folder);
        let bases = recovery::segments_in(&*self.vfs, &self.folder)?;
        let trusted_to = if clean_shutdown { i64::MAX } else { self.recovery_point };
        if !clean_shutdown {
            recovery::drop_snapshots_after(&*self.vfs, &self.folder, self.recovery_point)?;
        }
        let (snapshot_at, producers) = recovery::newest_snapshot(&*self.vfs, &self.folder, trusted_to)?;
        self.producers = producers;
        let index_interval = u64::from(self.config.index_interval_bytes.unsigned_abs());
        for (position, base) in bases.iter().enumerate() {
            let next_base = bases.get(position + 1).copied();
            let segment = self.load_segment(*base, next_base, trusted_to, snapshot_at, index_interval)?;
            let ends = segment.next_offset;
            let path = segment.path("log");
            self.segments.insert(*base, segment);
            let Some(next_base) = next_base.filter(|next_base| *next_base != ends) else { continue };
            if ends > next_base || next_base <= trusted_to {
                let file = path.display().to_string();
                return Err(OpenError::Discontinuous { file, ends, next_base });
            }
            // This segment lost its end before it was synced, so nothing behind it was synced either.
            self.drop_segments(bases.get(position + 1..).unwrap_or_default())?;
            break;
        }
        if self.segments.is_empty() {
            let base = self.log_start_offset;
            let path = self.folder.join(file_name(base, "log"));
            let segment = Segment::create(&*self.vfs, &self.folder, base).map_err(io_error("create", &path))?;
            self.segments.insert(base, segment);
            // Were the first name lost, a later segment that survived would be taken for the first.
            self.vfs.sync_dir(&self.folder).map_err(io("sync"))?;
        }
        if self.log_start_offset > self.log_end_offset() {
            // What was deleted got lost as well; its offsets must not be given out a second time.
            let bases: Vec<i64> = std::mem::take(&mut self.segments).into_keys().collect();
            let base = self.log_start_offset;
            let path = self.folder.join(file_name(base, "log"));
            let segment = Segment::create(&*self.vfs, &self.folder, base).map_err(io_error("create", &path))?;
            self.segments.insert(base, segment);
            self.vfs.sync_dir(&self.folder).map_err(io("sync"))?;
            self.drop_segments(&bases)?;
        }
        let first = self.segments.keys().next().copied().unwrap_or_default();
        self.log_start_offset = self.log_start_offset.clamp(first, self.log_end_offset().max(first));
        self.high_watermark = self.log_end_offset();
        self.recovery_point = if clean_shutdown {
            self.log_end_offset()
        } else {
            first.max(self.recovery_point.min(self.log_end_offset()))
        };
        self.epochs.truncate_to(self.log_end_offset().max(1));
        Ok(())
    }

    fn load_segment(
        &mut self,
        base: i64,
        next_base: Option<i64>,
        trusted_to: i64,
        snapshot_at: i64,
        index_interval: u64,
    ) -> Result<Segment, OpenError> {
        let mut segment = Segment::closed(&self.folder, base, next_base.unwrap_or(base), 0);
        let path = segment.path("log");
        let io = |action| io_error(action, &path);
        let file = segment.file(&*self.vfs).map_err(io("open"))?;
        let size = file.len().map_err(io("measure"))?;
        segment.size = size;
        let damaged = |error| segment_open_error(&path, error);
        if next_base.is_none() && trusted_to == i64::MAX {
            let trusted =
                recovery::trust_segment(&*self.vfs, &mut segment, index_interval, snapshot_at, &mut self.producers);
            match trusted {
                Ok(true) => return Ok(segment),
                // Its indexes are missing or wrong: it is walked like one that was not closed.
                Ok(false) | Err(SegmentError::IndexIsWrong) => {}
                Err(error) => return Err(damaged(error)),
            }
            segment = Segment::closed(&self.folder, base, base, size);
        }
        let trusted = next_base.is_some_and(|next| next <= trusted_to)
            && segment.load_index(&*self.vfs).map_err(io("read the index of"))?;
        if trusted {
            if segment.next_offset > snapshot_at {
                recovery::learn_from(&*self.vfs, &mut segment, snapshot_at, &mut self.producers).map_err(damaged)?;
            }
            return Ok(segment);
        }
        let synced = next_base.map_or(self.recovery_point, |next| next.min(trusted_to));
        let mut learned = Learned {
            producers: &mut self.producers,
            epochs: &mut self.epochs,
            report: &mut self.recovery,
            epoch: -1,
            gaps_allowed: self.gaps_allowed,
        };
        recovery::recover_segment(&*self.vfs, &mut segment, index_interval, synced, &mut learned)?;
        if next_base.is_some() {
            self.closed_files.extend(segment.write_index(&*self.vfs).map_err(io("write the index of"))?);
        }
        Ok(segment)
    }

    fn drop_segments(&mut self, bases: &[i64]) -> Result<(), OpenError> {
        for base in bases {
            for suffix in ["log", "index", "timeindex", "snapshot"] {
                let path = self.folder.join(file_name(*base, suffix));
                match self.vfs.open(&path) {
                    Ok(file) => {
                        if suffix == "log" {
                            self.recovery.bytes_cut += file.len().map_err(io_error("measure", &path))?;
                        }
                        self.vfs.remove(&path).map_err(io_error("remove", &path))?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io_error("open", &path)(error)),
                }
            }
        }
        self.vfs.sync_dir(&self.folder).map_err(io_error("sync", &self.folder))
    }

    /// Whose log it is.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// Its settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Puts other settings in force, for what happens from now on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.gaps_allowed |= config.cleanup_policy.compact;
        self.config = config;
    }

    /// The first offset there is.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// The offset the next record will have.
    pub fn log_end_offset(&self) -> i64 {
        self.segments.values().next_back().map_or(self.log_start_offset, |segment| segment.next_offset)
    }

    /// The offset before which records may be seen by consumers.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The offset before which no transaction is open. There are no transactions yet, so it is the high watermark.
    pub fn last_stable_offset(&self) -> i64 {
        self.high_watermark
    }

    /// The offset before which everything is synced.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// Bytes of all its segments.
    pub fn size_in_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.size).sum()
    }

    /// How many segments it has.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Which leader epoch began where.
    pub fn epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    /// What opening it found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Why it takes no appends any more, if so.
    pub fn offline_reason(&self) -> Option<&str> {
        self.offline.as_deref()
    }

    /// Raises the high watermark to `offset`, at most to the log's end; it never goes back. True if it moved.
    pub fn advance_high_watermark(&mut self, offset: i64) -> bool {
        let offset = offset.min(self.log_end_offset());
        let moved = offset > self.high_watermark;
        if moved {
            self.high_watermark = offset;
        }
        moved
    }

    /// Appends one batch to the page cache. It is not durable yet: see [`Self::begin_flush`].
    ///
    /// # Errors
    /// [`AppendError`]; the log is then as before.
    pub fn append(
        &mut self,
        batch: Bytes,
        origin: AppendOrigin,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        if let Some(reason) = &self.offline {
            return Err(AppendError::Offline { reason: reason.clone() });
        }
        let Accepted { batch, log_append_time } = append::accept(batch, origin, &self.config, now_ms)?;
        let log_start_offset = self.log_start_offset;
        if batch.header().has_producer_id()
            && let Some(known) = self.producers.check(batch.header())?
        {
            return Ok(AppendInfo {
                base_offset: known.base_offset,
                last_offset: known.last_offset,
                log_append_time: log_append_time.map(|_| known.timestamp),
                log_start_offset,
                duplicate: true,
            });
        }
        let base_offset = self.log_end_offset();
        let header = BatchHeader { base_offset, partition_leader_epoch: leader_epoch.0, ..*batch.header() };
        self.roll_if_needed(&header, now_ms)?;
        self.write(&batch, &header)?;
        if self.epochs.assign(leader_epoch.0, base_offset) {
            self.epochs_dirty = true;
        }
        self.producers.update(&header);
        let last_offset = header.last_offset();
        Ok(AppendInfo { base_offset, last_offset, log_append_time, log_start_offset, duplicate: false })
    }

    fn write(&mut self, batch: &RecordBatch, header: &BatchHeader) -> Result<(), AppendError> {
        let index_interval = u64::from(self.config.index_interval_bytes.unsigned_abs());
        let prefix = patched_prefix(header, header.base_offset, header.partition_leader_epoch);
        let rest = batch.bytes().get(prefix.len()..).unwrap_or_default();
        let Some(segment) = self.segments.values_mut().next_back() else { return Ok(()) };
        let position = segment.size;
        if let Err(source) = segment.write(&*self.vfs, &prefix, rest) {
            let file = segment.path("log").display().to_string();
            // Half a batch at the end would be taken for damage later on.
            if let Err(error) = segment.cut(&*self.vfs) {
                self.offline = Some(format!("a failed write to {file} could not be undone: {error}"));
            }
            return Err(AppendError::Io { file, source });
        }
        segment.note(header, position, index_interval);
        Ok(())
    }

    /// Begins a new segment if the batch does not fit the last one any more, or that one is too old.
    fn roll_if_needed(&mut self, header: &BatchHeader, now_ms: i64) -> Result<(), AppendError> {
        let Some(active) = self.segments.values().next_back() else { return Ok(()) };
        let full = active.size + header.size_in_bytes() as u64 > u64::from(self.config.segment_bytes.unsigned_abs());
        let index_full = active.index_bytes() + super::index::TIME_ENTRY_LEN
            > usize::try_from(self.config.segment_index_bytes).unwrap_or_default();
        let reference = if header.max_timestamp >= 0 { header.max_timestamp } else { now_ms };
        let old =
            active.first_timestamp >= 0 && reference.saturating_sub(active.first_timestamp) > self.config.segment_ms;
        let fits = active.can_hold(header.last_offset());
        if active.size > 0 && (full || index_full || old || !fits) {
            self.roll().map_err(|error| AppendError::Io { file: error.file, source: error.source })?;
        }
        Ok(())
    }

    /// Closes the last segment and begins a new one.
    ///
    /// # Errors
    /// [`StorageError`]; the last segment then goes on.
    pub fn roll(&mut self) -> Result<(), StorageError> {
        let base = self.log_end_offset();
        let storage = |action: &'static str, path: PathBuf| {
            move |source| StorageError { action, file: path.display().to_string(), source }
        };
        let path = self.folder.join(file_name(base, "snapshot"));
        let snapshot = write_whole(&*self.vfs, &path, &self.producers.encode()).map_err(storage("write", path))?;
        let Some(active) = self.segments.values_mut().next_back() else { return Ok(()) };
        if active.base_offset == base {
            return Ok(());
        }
        let files = active.write_index(&*self.vfs).map_err(storage("write", active.path("index")))?;
        let path = self.folder.join(file_name(base, "log"));
        let segment = Segment::create(&*self.vfs, &self.folder, base).map_err(storage("create", path))?;
        self.closed_files.extend(files);
        self.closed_files.push(snapshot);
        self.segments.insert(base, segment);
        self.prune_snapshots()
    }

    /// Removes all snapshots but the newest, and one more for the case that a crash spoils that.
    fn prune_snapshots(&mut self) -> Result<(), StorageError> {
        let failed = |action, path: &Path| {
            let file = path.display().to_string();
            move |source| StorageError { action, file, source }
        };
        let offsets = recovery::snapshots_in(&*self.vfs, &self.folder).map_err(failed("list", &self.folder))?;
        for offset in offsets.iter().rev().skip(SNAPSHOTS_KEPT) {
            let path = self.folder.join(file_name(*offset, "snapshot"));
            self.vfs.remove(&path).map_err(failed("remove", &path))?;
        }
        Ok(())
    }

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
        Ok(info)
    }

    /// The first record with a timestamp of `timestamp` or later, below the high watermark.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_for_time(&mut self, timestamp: i64) -> Result<Option<OffsetTime>, ReadError> {
        let (start, end) = (self.log_start_offset, self.high_watermark);
        for segment in self.segments.values_mut().filter(|segment| segment.next_offset > start) {
            let path = segment.path("log");
            let placed =
                searched(&*self.vfs, segment, &self.config, |segment| segment.find_time(&*self.vfs, timestamp))?;
            let Some(placed) = placed else { continue };
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
                    return Ok((offset < end).then_some(OffsetTime { offset, timestamp: found, leader_epoch }));
                }
                position += length;
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp (ListOffsets -3).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_of_max_timestamp(&mut self) -> Result<Option<OffsetTime>, ReadError> {
        for segment in self.segments.values_mut() {
            searched(&*self.vfs, segment, &self.config, |_| Ok(()))?;
        }
        let largest = self.segments.values().map(|segment| segment.max_timestamp.0).max().unwrap_or(-1);
        if largest < 0 { Ok(None) } else { self.offset_for_time(largest) }
    }

    /// Moves the log's start to `offset` (DeleteRecords) and lets go of the segments before it. Returns the new start.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] beyond the high watermark.
    pub fn delete_records(&mut self, offset: i64) -> Result<i64, ReadError> {
        if offset > self.high_watermark || offset < 0 {
            let (log_start_offset, log_end_offset) = (self.log_start_offset, self.high_watermark);
            return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset });
        }
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
        let count = self.deletable_segments(now_ms)?;
        if count == self.segments.len() {
            // Even the segment that grows is too old: what comes next goes into a new one.
            self.roll()?;
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

    /// How many of the oldest segments may go. Looks no further than the first that stays.
    fn deletable_segments(&mut self, now_ms: i64) -> Result<usize, StorageError> {
        let (total, active) = (self.size_in_bytes(), self.segments.len().saturating_sub(1));
        let policy = Policy {
            config: &self.config,
            high_watermark: self.high_watermark,
            log_start_offset: self.log_start_offset,
            now_ms,
        };
        let mut size = total;
        for (position, segment) in self.segments.values_mut().enumerate() {
            let path = segment.path("log");
            let times = searched(&*self.vfs, segment, &self.config, |segment| Ok(segment.max_timestamp.0));
            let max_timestamp = times.map_err(|error| {
                let source = match error {
                    ReadError::Io { source, .. } => source,
                    other => io::Error::new(io::ErrorKind::InvalidData, other),
                };
                StorageError { action: "read the times of", file: path.display().to_string(), source }
            })?;
            let facts = SegmentFacts {
                next_offset: segment.next_offset,
                size: segment.size,
                max_timestamp,
                active: position == active,
            };
            if !retention::deletable(&facts, size, &policy) {
                return Ok(position);
            }
            size -= segment.size;
        }
        Ok(active + 1)
    }

    /// Removes a segment's files, the batches durably before those of a later segment: a crash leaves no hole.
    fn remove_files(&mut self, segment: &Segment) -> Result<(), StorageError> {
        for suffix in ["log", "index", "timeindex"] {
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
        self.vfs.sync_dir(&self.folder).map_err(|source| {
            let file = self.folder.display().to_string();
            self.offline = Some(format!("a sync of {file} failed: {source}"));
            StorageError { action: "sync", file, source }
        })
    }

    /// Forgets idempotent producers that have not written since `timestamp`.
    pub fn expire_producers(&mut self, timestamp: i64) {
        self.producers.expire(timestamp);
    }

    /// What has to be synced for all that was appended to be durable; `None` if it is already.
    ///
    /// # Errors
    /// [`StorageError`] if a segment's file cannot be opened.
    pub fn begin_flush(&mut self) -> Result<Option<FlushTicket>, StorageError> {
        let mut files = std::mem::take(&mut self.closed_files);
        let mut names_changed = !files.is_empty();
        for segment in self.segments.values_mut().filter(|segment| segment.dirty) {
            let file = segment.path("log").display().to_string();
            let handle = segment.file(&*self.vfs).map_err(|source| StorageError { action: "open", file, source })?;
            files.push(handle);
            segment.dirty = false;
            names_changed |= segment.base_offset >= self.recovery_point;
        }
        if self.epochs_dirty {
            let path = self.folder.join("leader-epoch-checkpoint");
            if let Err(error) = checkpoint::write_epochs(&*self.vfs, &path, self.epochs.entries()) {
                self.offline = Some(error.to_string());
                let (action, file) = ("write", path.display().to_string());
                return Err(StorageError { action, file, source: io::Error::other(error) });
            }
            self.epochs_dirty = false;
        }
        if files.is_empty() {
            return Ok(None);
        }
        let folder = names_changed.then(|| (Arc::clone(&self.vfs), self.folder.clone()));
        Ok(Some(FlushTicket { files, folder, up_to: self.log_end_offset() }))
    }

    /// Takes note of a ticket that has run. An error takes the log offline: what the disk holds is unknown then, and a
    /// second sync would report success without telling.
    ///
    /// # Errors
    /// [`StorageError`] with the ticket's error.
    pub fn complete_flush(&mut self, ticket: &FlushTicket, result: io::Result<()>) -> Result<i64, StorageError> {
        match result {
            Ok(()) => {
                self.recovery_point = self.recovery_point.max(ticket.up_to);
                Ok(self.recovery_point)
            }
            Err(source) => {
                self.offline = Some(format!("a sync of {} failed: {source}", self.folder.display()));
                Err(StorageError { action: "sync", file: self.folder.display().to_string(), source })
            }
        }
    }

    /// Syncs on the calling thread. Returns the offset before which everything is durable.
    ///
    /// # Errors
    /// [`StorageError`]; the log is offline then.
    pub fn flush(&mut self) -> Result<i64, StorageError> {
        let Some(ticket) = self.begin_flush()? else { return Ok(self.recovery_point) };
        let result = ticket.run();
        self.complete_flush(&ticket, result)
    }

    /// Syncs, and writes what makes the next opening quick. The log takes no appends afterwards.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn close(&mut self) -> Result<(), StorageError> {
        if self.offline.is_some() {
            return Ok(());
        }
        let path = self.folder.join(file_name(self.log_end_offset(), "snapshot"));
        let snapshot = write_whole(&*self.vfs, &path, &self.producers.encode()).map_err(|source| StorageError {
            action: "write",
            file: path.display().to_string(),
            source,
        })?;
        self.closed_files.push(snapshot);
        if let Some(active) = self.segments.values_mut().next_back() {
            let file = active.path("index").display().to_string();
            let indexes = active.write_index(&*self.vfs);
            let indexes = indexes.map_err(|source| StorageError { action: "write", file, source })?;
            self.closed_files.extend(indexes);
        }
        self.prune_snapshots()?;
        self.flush()?;
        self.offline = Some("it is closed".to_owned());
        Ok(())
    }
}

/// Searches a segment by its index. If that turns out not to be the segment's, it is built anew from the batches and the
/// search done again.
fn searched<T>(
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

fn segment_read_error(path: &Path, error: SegmentError) -> ReadError {
    let file = path.display().to_string();
    match error {
        SegmentError::Io(source) => ReadError::Io { file, source },
        SegmentError::Damaged { position, source } => ReadError::Corrupt { file, position, source },
        // An index that has just been built from the batches names them as they are, unless the disk changed its mind.
        SegmentError::IndexIsWrong => ReadError::Io { file, source: io::ErrorKind::InvalidData.into() },
    }
}

fn segment_open_error(path: &Path, error: SegmentError) -> OpenError {
    let file = path.display().to_string();
    match error {
        SegmentError::Io(source) => OpenError::Io { action: "read", file, source },
        SegmentError::Damaged { position, source } => OpenError::Corrupt { file, position, reason: source.to_string() },
        SegmentError::IndexIsWrong => OpenError::Io { action: "read", file, source: io::ErrorKind::InvalidData.into() },
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

/// Writes a file as a whole without syncing it; what is in it can be told from damage by its checksum or structure.
fn write_whole(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<Arc<dyn VfsFile>> {
    let file = vfs.create(path)?;
    file.truncate(0)?;
    file.write_at(0, bytes)?;
    Ok(file)
}
