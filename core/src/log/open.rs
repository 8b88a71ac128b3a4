//! Opening a log: from the files in a folder to a [`Log`]. What is trusted and what is walked stands in
//! [`super::recovery`], which does the walking.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    Bookmark, CheckpointError, LeaderEpochs, Log, LogConfig, OpenError, Recovery, StorageError, checkpoint, compaction,
    producers::Producers,
    recovery::{self, Learned, Sound, Unchecked, io_error},
    roll::write_whole,
    segment::{Segment, SegmentError, file_name},
    tail::Tail,
    verification::Verifications,
    vfs::Vfs,
};
use crate::{
    TopicPartition, Uuid,
    budget::{Charge, StateBudget},
};

/// The file that names the topic a folder belongs to.
pub(super) const METADATA: &str = "partition.metadata";
/// The file that says which leader epoch began where.
pub(super) const EPOCHS: &str = "leader-epoch-checkpoint";

/// How many producers a log remembers where nobody says otherwise: some 30 MB if each has written once.
pub const PRODUCERS_MAX: usize = 100_000;

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
    /// Whether the log was compacted, so that offsets may be missing even if its topic is not compacted any more.
    pub was_compacted: bool,
    /// Where DeleteRecords had moved the start, from the checkpoint.
    pub log_start_offset: i64,
    /// How many producers it remembers; see [`PRODUCERS_MAX`].
    pub producers_max: usize,
    /// What bounds the memory of the producers of all logs together.
    pub state: Arc<StateBudget>,
}

/// What of a log's files is believed without a look.
#[derive(Debug, Clone, Copy)]
struct Trust<'t> {
    /// The offset before which all was synced; beyond every offset after a clean stop.
    to: i64,
    /// Up to where the producers are known from a snapshot.
    snapshot_at: i64,
    bookmark: Option<&'t Bookmark>,
    progress: Option<&'t OpenProgress>,
}

/// What makes opening a log quicker, and tells how far it has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenHints<'h> {
    /// What was noted of the log last.
    pub bookmark: Option<&'h Bookmark>,
    /// Is told how far the opening has come, and may stop it.
    pub progress: Option<&'h OpenProgress>,
}

/// How far the opening of logs has come, seen from outside, and a way to end it early.
#[derive(Debug, Default)]
pub struct OpenProgress {
    checked_bytes: AtomicU64,
    stopped: AtomicBool,
}

impl OpenProgress {
    /// The bytes that were read and checked so far.
    pub fn checked_bytes(&self) -> u64 {
        self.checked_bytes.load(Ordering::Relaxed)
    }

    /// Ends what is being opened with [`OpenError::Stopped`], at the next batch.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn checked(&self, bytes: u64) {
        self.checked_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Log {
    /// Opens the log in `folder`, or makes it there.
    ///
    /// # Errors
    /// [`OpenError`]: the disk failed, or a batch is damaged that is no torn tail. Nothing was cut off then.
    pub fn open(vfs: Arc<dyn Vfs>, folder: &Path, options: LogOptions) -> Result<Self, OpenError> {
        Self::open_with(vfs, folder, options, OpenHints::default())
    }

    /// The same with hints. A log whose bookmark says that nothing has to be looked at rests afterwards, and no file of it
    /// was touched.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        vfs: Arc<dyn Vfs>,
        folder: &Path,
        options: LogOptions,
        hints: OpenHints<'_>,
    ) -> Result<Self, OpenError> {
        let clean = options.clean_shutdown;
        let mut log = Self::blank(vfs, folder, options);
        let bookmark = hints.bookmark.filter(|mark| mark.topic_id == log.topic_id && mark.offset == log.recovery_point);
        // A start that was moved beyond what is left has to stay where it is.
        let rests = |mark: &&Bookmark| mark.at_end && !mark.open_transactions && log.log_start_offset <= mark.offset;
        if let Some(bookmark) = bookmark.filter(rests)
            && (clean || bookmark.is_end(&*log.vfs, folder)?)
        {
            log.rest_at(bookmark);
            return Ok(log);
        }
        log.open_files(clean, bookmark, hints.progress)?;
        Ok(log)
    }

    /// A log whose files cannot be used: it answers every append and read with `reason`, and touches nothing.
    pub fn unusable(vfs: Arc<dyn Vfs>, folder: &Path, options: LogOptions, reason: &OpenError) -> Self {
        let mut log = Self::blank(vfs, folder, options);
        log.high_watermark = log.log_start_offset;
        log.unreadable = Some(super::error::with_causes(reason));
        log.offline = log.unreadable.clone();
        log
    }

    fn blank(vfs: Arc<dyn Vfs>, folder: &Path, options: LogOptions) -> Self {
        Self {
            folder: folder.to_owned(),
            topic_partition: options.topic_partition,
            topic_id: options.topic_id,
            gaps_allowed: options.was_compacted || options.config.cleanup_policy.compact,
            config: options.config,
            segments: BTreeMap::new(),
            log_start_offset: options.log_start_offset.max(0),
            high_watermark: 0,
            recovery_point: options.recovery_point,
            synced: None,
            resting: None,
            settled: -1,
            names_unsynced: options.recovery_point == 0,
            epochs: LeaderEpochs::default(),
            epochs_dirty: false,
            producers: Producers::bounded(options.producers_max),
            producers_max: options.producers_max,
            producers_charge: Charge::new(options.state),
            producers_expired_to: i64::MIN,
            verifications: Verifications::default(),
            closed_files: Vec::new(),
            recovery: Recovery::default(),
            swapping: None,
            swaps: 0,
            offline: None,
            unreadable: None,
            tail: Tail::default(),
            room_bytes: 0,
            vfs,
        }
    }

    /// Finds out what stands in the folder. `clean`: all of it can be trusted. `bookmark`: what stands before it can.
    pub(super) fn open_files(
        &mut self,
        clean: bool,
        bookmark: Option<&Bookmark>,
        progress: Option<&OpenProgress>,
    ) -> Result<(), OpenError> {
        let folder = self.folder.clone();
        let mut names = match self.vfs.list(&folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.make_files(),
            Err(error) => return Err(io_error("list", &folder)(error)),
        };
        self.check_topic_id()?;
        if compaction::complete_swaps(&*self.vfs, &folder, &names)? {
            names = self.vfs.list(&folder).map_err(io_error("list", &folder))?;
        }
        let epochs = match checkpoint::read_epochs(&*self.vfs, &folder.join(EPOCHS)) {
            Ok(epochs) => epochs,
            // It is derived: the headers of the batches say the same.
            Err(CheckpointError::Malformed { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        self.epochs = LeaderEpochs::new(epochs.clone().unwrap_or_default());
        self.load(&names, clean, bookmark, progress)?;
        if epochs.is_none() {
            self.rebuild_epochs()?;
        }
        if clean {
            self.settled = self.log_end_offset();
        }
        Ok(())
    }

    /// Makes the folder and an empty segment. Nothing is synced: an empty log has nothing to lose, and is made again if a
    /// crash takes it. The first sync of its records makes the names durable with them.
    fn make_files(&mut self) -> Result<(), OpenError> {
        let folder = self.folder.clone();
        self.vfs.create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let metadata = folder.join(METADATA);
        let text = checkpoint::topic_id_text(self.topic_id);
        write_whole(&*self.vfs, &metadata, text.as_bytes()).map_err(io_error("write", &metadata))?;
        // Whoever takes a partition's folder away wants it to start empty.
        (self.recovery_point, self.names_unsynced) = (0, true);
        let mut segment = self.make_segment(self.log_start_offset)?;
        // Most new partitions are not written to soon.
        segment.close_file();
        self.segments.insert(segment.base_offset, segment);
        self.high_watermark = self.log_end_offset();
        self.recovery_point = self.log_end_offset();
        Ok(())
    }

    fn make_segment(&self, base: i64) -> Result<Segment, OpenError> {
        self.remove_indexes(base)?;
        let path = self.folder.join(file_name(base, "log"));
        Segment::create(&*self.vfs, &self.folder, base).map_err(io_error("create", &path))
    }

    fn check_topic_id(&mut self) -> Result<(), OpenError> {
        let path = self.folder.join(METADATA);
        let found = match checkpoint::read_topic_id(&*self.vfs, &path) {
            // As a crash leaves it before the first sync of the folder.
            Err(CheckpointError::Malformed { .. }) if self.names_unsynced => None,
            found => found?,
        };
        match found {
            None => {
                self.names_unsynced = true;
                let text = checkpoint::topic_id_text(self.topic_id);
                write_whole(&*self.vfs, &path, text.as_bytes()).map_err(io_error("write", &path))?;
                Ok(())
            }
            Some(found) if found == self.topic_id => Ok(()),
            Some(found) => {
                let (folder, expected) = (self.folder.display().to_string(), self.topic_id);
                Err(OpenError::OtherTopic { folder, found, expected })
            }
        }
    }

    fn load(
        &mut self,
        names: &[String],
        clean: bool,
        bookmark: Option<&Bookmark>,
        progress: Option<&OpenProgress>,
    ) -> Result<(), OpenError> {
        recovery::remove_leftovers(&*self.vfs, &self.folder, names)?;
        let bases = recovery::segment_bases(names);
        if bases.is_empty() && self.recovery_point > self.log_start_offset {
            let file = self.folder.join(file_name(self.log_start_offset, "log")).display().to_string();
            let reason = format!("there is no segment, but the log was synced up to {}", self.recovery_point);
            return Err(OpenError::Corrupt { file, position: 0, reason });
        }
        let trusted_to = if clean { i64::MAX } else { self.recovery_point };
        let mut snapshots = recovery::snapshot_offsets(names);
        if !clean {
            recovery::drop_snapshots_after(&*self.vfs, &self.folder, &mut snapshots, self.recovery_point)?;
        }
        // One before the first batch there is lacks what its producers wrote in between; nothing known is better.
        let first = bases.first().copied().unwrap_or_default();
        snapshots.retain(|at| *at >= first);
        let (snapshot_at, mut producers) = recovery::newest_snapshot(&*self.vfs, &self.folder, &snapshots, trusted_to)?;
        producers.set_max(self.producers_room());
        self.producers = producers;
        let from = Trust { to: trusted_to, snapshot_at, bookmark, progress };
        for (position, base) in bases.iter().enumerate() {
            let next_base = bases.get(position + 1).copied();
            let segment = self.load_segment(*base, next_base, &from)?;
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
        let closed: Vec<i64> = self.segments.keys().rev().skip(1).copied().collect();
        for base in closed {
            let failed = |StorageError { action, file, source }| OpenError::Io { action, file, source };
            self.write_aborted(base).map_err(failed)?;
        }
        let io = |action| io_error(action, &self.folder);
        if self.segments.is_empty() {
            let segment = self.make_segment(self.log_start_offset)?;
            // Were the first name lost, a later segment that survived would be taken for the first.
            self.vfs.sync_dir(&self.folder).map_err(io("sync"))?;
            self.segments.insert(segment.base_offset, segment);
        }
        if self.log_start_offset > self.log_end_offset() {
            // What was deleted got lost as well; its offsets must not be given out a second time.
            let bases: Vec<i64> = self.segments.keys().copied().collect();
            let segment = self.make_segment(self.log_start_offset)?;
            self.vfs.sync_dir(&self.folder).map_err(io("sync"))?;
            self.segments = BTreeMap::from([(segment.base_offset, segment)]);
            // One by one and the oldest first: a power cut that brought back one from before a gap would look like
            // corruption.
            for base in bases {
                self.drop_segments(&[base])?;
            }
            // What is known of producers are records that are gone, and perhaps not the markers that ended them: an open
            // transaction would never end. Kafka forgets them as well.
            self.producers = Producers::bounded(self.producers_room());
        }
        let first = self.segments.keys().next().copied().unwrap_or_default();
        if !clean && first > self.log_start_offset {
            // A killed process may have removed segments without syncing that. The start that is told from now on must not
            // move back if a power cut brings them back.
            self.vfs.sync_dir(&self.folder).map_err(io_error("sync", &self.folder))?;
        }
        self.log_start_offset = self.log_start_offset.clamp(first, self.log_end_offset().max(first));
        self.high_watermark = self.log_end_offset();
        self.producers.settle_below(self.high_watermark);
        self.producers.expire(self.producers_expired_to);
        self.charge_producers();
        self.recovery_point =
            if clean { self.log_end_offset() } else { first.max(self.recovery_point.min(self.log_end_offset())) };
        self.epochs.truncate_to(self.log_end_offset().max(1));
        if self.names_unsynced && self.recovery_point > 0 {
            // The point is about to be told, and says to the next opening that this file is durable.
            let path = self.folder.join(METADATA);
            self.vfs.open(&path).and_then(|file| file.sync_data()).map_err(io_error("sync", &path))?;
            self.vfs.sync_dir(&self.folder).map_err(io_error("sync", &self.folder))?;
        }
        Ok(())
    }

    fn load_segment(&mut self, base: i64, next_base: Option<i64>, trust: &Trust<'_>) -> Result<Segment, OpenError> {
        let mut segment = Segment::closed(&self.folder, base, next_base.unwrap_or(base), 0);
        let path = segment.path("log");
        let io = |action| io_error(action, &path);
        let size = segment.file(&*self.vfs).and_then(|file| file.len()).map_err(io("measure"))?;
        segment.size = size;
        // The files beside a segment are synced by the first flush that reaches beyond it.
        let settled = next_base.is_some_and(|next| next < trust.to);
        if settled && self.trust_closed(&mut segment, trust.snapshot_at)? {
            return Ok(segment);
        }
        // Before this place, all is as it was written.
        let sound_to = match trust.bookmark {
            _ if next_base.is_none() && trust.to == i64::MAX => Some(size),
            Some(mark) if mark.segment == base && mark.position <= size => Some(mark.position),
            _ => None,
        };
        let interval = u64::from(self.config.index_interval_bytes.unsigned_abs());
        let mut checked_to = 0;
        if let Some(position) = sound_to {
            let ends = trust.bookmark.filter(|_| trust.to != i64::MAX).map(|mark| mark.offset);
            let mut producers = self.producers.clone();
            let trusted = Sound { position, ends, interval, snapshot_at: trust.snapshot_at };
            if recovery::trust_segment(&*self.vfs, &mut segment, &trusted, &mut producers)
                .map_err(|error| segment_open_error(&path, error))?
            {
                self.producers = producers;
                if position == size {
                    if trust.to != i64::MAX {
                        // A killed process may have cut room off behind this place, in the page cache only. What comes back
                        // with a power cut would be taken for damage once the place is no longer the last one synced.
                        segment.file(&*self.vfs).and_then(|file| file.sync_data()).map_err(io("sync"))?;
                    }
                    if next_base.is_some() {
                        // What stands in its index files may be what was written while it grew, and nothing has synced it.
                        self.closed_files.extend(segment.write_index(&*self.vfs).map_err(io("write the index of"))?);
                    }
                    return Ok(segment);
                }
                checked_to = position;
            } else {
                // Its indexes are missing or wrong: it is walked like one that was not closed.
                segment = Segment::closed(&self.folder, base, base, size);
            }
        }
        let synced = next_base.map_or(self.recovery_point, |next| next.min(trust.to));
        // That of the last batch before the place, which is not the latest of the log: the checkpoint of the epochs may be
        // newer than the bookmark.
        let known = trust.bookmark.filter(|_| checked_to > 0);
        let epoch = known.and_then(|mark| mark.epochs.latest()).map_or(-1, |epoch| epoch.0);
        let mut learned = Learned {
            producers: &mut self.producers,
            snapshot_at: trust.snapshot_at,
            epochs: &mut self.epochs,
            report: &mut self.recovery,
            progress: trust.progress,
            epoch,
            gaps_allowed: self.gaps_allowed,
        };
        let walk = Unchecked { from: checked_to, length: size, synced };
        recovery::recover_segment(&*self.vfs, &mut segment, &walk, interval, &mut learned)?;
        if next_base.is_some() {
            self.closed_files.extend(segment.write_index(&*self.vfs).map_err(io("write the index of"))?);
        } else if checked_to == 0 {
            self.remove_indexes(base)?;
        }
        Ok(segment)
    }

    /// Removes, durably, the index files of a segment that grows from what was just walked. They may speak of batches that
    /// a crash has taken, and a later bookmark would have the next opening believe them.
    fn remove_indexes(&self, base: i64) -> Result<(), OpenError> {
        let mut removed = false;
        for suffix in ["index", "timeindex"] {
            let path = self.folder.join(file_name(base, suffix));
            match self.vfs.remove(&path) {
                Ok(()) => removed = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("remove", &path)(error)),
            }
        }
        if removed { self.vfs.sync_dir(&self.folder).map_err(io_error("sync", &self.folder)) } else { Ok(()) }
    }

    /// Takes a closed segment as it is. Its index is loaded when it is first searched; that it is there, and the producers
    /// behind the snapshot, is looked at now.
    fn trust_closed(&mut self, segment: &mut Segment, snapshot_at: i64) -> Result<bool, OpenError> {
        let path = segment.path("log");
        let producers = &mut self.producers;
        if segment.next_offset > snapshot_at {
            recovery::each_batch(&*self.vfs, segment, |header, marker| {
                if header.base_offset >= snapshot_at {
                    producers.apply(header, marker);
                }
            })
            .map_err(|error| segment_open_error(&path, error))?;
        }
        segment.close_file();
        Ok(true)
    }

    /// Reads the epochs off the headers of all batches.
    fn rebuild_epochs(&mut self) -> Result<(), OpenError> {
        let mut epochs = LeaderEpochs::default();
        for segment in self.segments.values_mut().filter(|segment| segment.size > 0) {
            let path = segment.path("log");
            recovery::each_batch(&*self.vfs, segment, |header, _| {
                epochs.assign(header.partition_leader_epoch, header.base_offset);
            })
            .map_err(|error| segment_open_error(&path, error))?;
        }
        epochs.start_at(self.log_start_offset);
        self.epochs_dirty = epochs.latest().is_some();
        self.epochs = epochs;
        Ok(())
    }

    fn drop_segments(&mut self, bases: &[i64]) -> Result<(), OpenError> {
        for base in bases {
            for suffix in ["log", "index", "timeindex", "txnindex", "snapshot"] {
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
}

fn segment_open_error(path: &Path, error: SegmentError) -> OpenError {
    let file = path.display().to_string();
    match error {
        SegmentError::Io(source) => OpenError::Io { action: "read", file, source },
        SegmentError::Damaged { position, source } => OpenError::Corrupt { file, position, reason: source.to_string() },
        SegmentError::IndexIsWrong => OpenError::Io { action: "read", file, source: io::ErrorKind::InvalidData.into() },
    }
}
