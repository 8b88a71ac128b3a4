//! Verifies one partition: every batch of its segments in order, and every derived file beside them against the batches.
//!
//! What is torn and what is damage is judged by the rules of the log's own recovery (`recovery.rs`), so that the next start
//! of the broker does what is said here.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    BatchScan, DataFile, Leftover, Scanned,
    finding::{Finding, Problem, Severity},
    indexes::IndexCheck,
    scan::DamagedBytes,
};
use crate::{
    log::{
        Bookmark, CheckpointError, checkpoint,
        epochs::LeaderEpochs,
        marker::EndMarker,
        producers::Producers,
        segment::file_name,
        tear::{self, Suspect},
        vfs::{self, Vfs},
    },
    record::{BatchHeader, DecompressLimits, RecordBatch, validate_records},
};

/// After so much damage in one segment, the rest of it is not looked at.
const DAMAGE_MAX: usize = 64;
/// After so many batches of producers, those without an open transaction are forgotten.
const PRODUCERS_FORGOTTEN_EVERY: u64 = 4096;
/// A snapshot or small file larger than this is none.
const SMALL_FILE_BYTES_MAX: u64 = 256 << 20;

/// What the data directory knows of a partition, and how to look at it.
#[derive(Debug, Clone, Default)]
pub struct PartitionFacts {
    /// Whether the directory was closed cleanly: then all there is was synced.
    pub clean: bool,
    /// The offset before which all was synced.
    pub recovery_point: Option<i64>,
    /// The high watermark at the last checkpoint.
    pub high_watermark: Option<i64>,
    /// The offset to which DeleteRecords moved the start.
    pub log_start_offset: Option<i64>,
    /// What was noted of the log when it was last at rest.
    pub bookmark: Option<Bookmark>,
    /// Whether offsets may be missing, because the log was compacted.
    pub gaps_allowed: bool,
    /// Whether a broker is writing: the segment that grows, and what may come and go, is left out.
    pub in_use: bool,
    /// Whether records are decompressed and read as well.
    pub deep: bool,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionSummary {
    /// Segments that were read.
    pub segments: usize,
    /// Sound batches.
    pub batches: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The first offset there is, and the one after the last; `None` without segments.
    pub offsets: Option<(i64, i64)>,
    /// Runs of offsets without damage: first, last.
    pub sound: Vec<(i64, i64)>,
    /// Findings.
    pub findings: usize,
}

/// Who wants to know of findings, and of how far it has come.
pub trait Observer {
    /// Something is not as it must be.
    fn found(&mut self, finding: Finding);
    /// So many more bytes of batches were read.
    fn read(&mut self, bytes: u64);
}

/// Verifies the partition in `folder`.
///
/// # Errors
/// If the folder cannot be listed. Files that cannot be read are findings.
pub fn verify_partition(
    vfs: &dyn Vfs,
    folder: &Path,
    facts: &PartitionFacts,
    observer: &mut dyn Observer,
) -> io::Result<PartitionSummary> {
    let names = vfs.list(folder)?;
    let mut walk = Walk::new(vfs, folder, facts, observer);
    walk.small_files(&names);
    let bases: Vec<i64> = names
        .iter()
        .filter_map(|name| match DataFile::of_name(name) {
            Some(DataFile::Segment(base)) => Some(base),
            _ => None,
        })
        .collect();
    walk.seed_producers(bases.first().copied());
    for (at, base) in bases.iter().enumerate() {
        let next_base = bases.get(at + 1).copied();
        if facts.in_use && next_base.is_none() {
            break;
        }
        match walk.segment(*base, next_base) {
            Ok(true) => {}
            // What follows a torn tail goes with it.
            Ok(false) => break,
            Err(error) => walk.unreadable(&walk.path(*base, "log"), &error),
        }
    }
    if !facts.in_use {
        walk.judge_end(&bases);
    }
    walk.snapshots(&names);
    Ok(walk.summary)
}

struct Walk<'a> {
    vfs: &'a dyn Vfs,
    folder: &'a Path,
    facts: &'a PartitionFacts,
    observer: &'a mut dyn Observer,
    summary: PartitionSummary,
    /// The offset that must come next; `None` before the first batch.
    next_offset: Option<i64>,
    /// The offset after the batch before, wherever that stood.
    run_next: Option<i64>,
    /// Whether something was torn or damaged: ends are not judged then.
    broken: bool,
    epoch: i32,
    epochs: Option<LeaderEpochs>,
    producers: Producers,
    /// Whether it is known which transactions were open where the log begins.
    producers_known: bool,
    applied: u64,
}

/// A segment that is being walked.
struct Current {
    path: PathBuf,
    base: i64,
    next_base: Option<i64>,
    indexes: IndexCheck,
    damage: usize,
    /// Whether offsets do not follow each other.
    disordered: bool,
}

impl<'a> Walk<'a> {
    fn new(vfs: &'a dyn Vfs, folder: &'a Path, facts: &'a PartitionFacts, observer: &'a mut dyn Observer) -> Self {
        Self {
            vfs,
            folder,
            facts,
            observer,
            summary: PartitionSummary::default(),
            next_offset: None,
            run_next: None,
            broken: false,
            epoch: -1,
            epochs: None,
            producers: Producers::bounded(usize::MAX),
            producers_known: false,
            applied: 0,
        }
    }

    fn path(&self, base: i64, suffix: &str) -> PathBuf {
        self.folder.join(file_name(base, suffix))
    }

    fn report(&mut self, finding: Finding) {
        self.summary.findings += 1;
        self.observer.found(finding);
    }

    fn at_file(&mut self, file: PathBuf, problem: Problem, severity: Severity) {
        self.report(Finding { file, position: None, offset: None, problem, severity });
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        // A broker at work removes what it needs no more.
        if self.facts.in_use && error.kind() == io::ErrorKind::NotFound {
            return;
        }
        self.broken = true;
        self.at_file(path.to_owned(), Problem::Unreadable { reason: error.to_string() }, Severity::Damage);
    }

    /// Metadata, the epoch checkpoint, and what does not belong here.
    fn small_files(&mut self, names: &[String]) {
        for name in names {
            let path = self.folder.join(name);
            match DataFile::of_name(name) {
                None => self.at_file(path, Problem::Strange, Severity::Leftover),
                // A broker at work has them on purpose.
                Some(DataFile::Leftover(_)) if self.facts.in_use => {}
                Some(DataFile::Leftover(
                    Leftover::Deleted | Leftover::Cleaned | Leftover::Swap | Leftover::Temporary,
                )) => self.at_file(path, Problem::Leftover, Severity::Leftover),
                Some(_) => {}
            }
        }
        let path = self.folder.join("partition.metadata");
        if let Err(error) = checkpoint::read_topic_id(self.vfs, &path) {
            self.malformed(path, error, Severity::Damage);
        }
        let path = self.folder.join("leader-epoch-checkpoint");
        match checkpoint::read_epochs(self.vfs, &path) {
            Ok(Some(entries)) => {
                let epochs = LeaderEpochs::new(entries.iter().copied());
                if epochs.entries() == entries.as_slice() {
                    self.epochs = Some(epochs);
                } else {
                    self.at_file(path, Problem::EpochsDoNotRise, Severity::Rebuildable);
                }
            }
            Ok(None) => {}
            Err(error) => self.malformed(path, error, Severity::Rebuildable),
        }
    }

    fn malformed(&mut self, path: PathBuf, error: CheckpointError, severity: Severity) {
        match error {
            CheckpointError::Io { source, .. } => self.unreadable(&path, &source),
            CheckpointError::Malformed { problem, .. } => {
                self.at_file(path, Problem::Malformed { reason: problem.to_owned() }, severity);
            }
        }
    }

    /// Which transactions were open where the log begins.
    fn seed_producers(&mut self, first: Option<i64>) {
        self.producers_known = first == Some(0);
        let Some(first) = first.filter(|first| *first > 0) else { return };
        let path = self.path(first, "snapshot");
        if let Ok(bytes) = self.read_small(&path)
            && let Some(producers) = Producers::decode(&bytes)
        {
            (self.producers, self.producers_known) = (producers, true);
        }
    }

    fn read_small(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.vfs.open(path)?.len()? > SMALL_FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        vfs::read(self.vfs, path)
    }

    /// Walks a segment. False if the log ends within it.
    fn segment(&mut self, base: i64, next_base: Option<i64>) -> io::Result<bool> {
        let path = self.path(base, "log");
        let file = self.vfs.open(&path)?;
        let length = file.len()?;
        self.summary.segments += 1;
        let gaps_allowed = self.facts.gaps_allowed;
        let indexes = IndexCheck::open(self.vfs, self.folder, base, gaps_allowed, next_base.is_some())?;
        let mut current = Current { path, base, next_base, indexes, damage: 0, disordered: false };
        let expected = *self.next_offset.get_or_insert(base);
        let (first, _) = self.summary.offsets.unwrap_or((base, base));
        self.summary.offsets = Some((first, base.max(expected)));
        let mut scan = BatchScan::of_file(std::sync::Arc::clone(&file), length);
        let mut read_before = 0;
        while let Some(scanned) = scan.next() {
            match scanned? {
                Scanned::Batch(found) if found.damage.is_none() => {
                    self.batch(&mut current, &found.batch, found.position)?;
                }
                Scanned::Batch(found) => {
                    let reason = found.damage.map(|error| error.to_string()).unwrap_or_default();
                    let bytes = found.batch.header().size_in_bytes() as u64;
                    let resumes = found.position + bytes < length;
                    let damaged = Hole { position: found.position, bytes, reason, resumes, blank: false };
                    if !self.damaged(&mut current, &*file, length, &damaged)? {
                        return self.leave(current, false);
                    }
                }
                Scanned::Damaged(DamagedBytes { position, length: bytes, error, resumes, blank }) => {
                    let damaged = Hole { position, bytes, reason: error.to_string(), resumes, blank };
                    if !self.damaged(&mut current, &*file, length, &damaged)? {
                        return self.leave(current, false);
                    }
                }
            }
            self.observer.read(scan.position() - read_before);
            self.summary.bytes += scan.position() - read_before;
            read_before = scan.position();
            if current.damage > DAMAGE_MAX {
                break;
            }
        }
        if let (Some(next_base), Some(ends)) = (next_base, self.next_offset) {
            self.between(&current, ends, next_base);
        }
        self.leave(current, true)
    }

    fn leave(&mut self, current: Current, goes_on: bool) -> io::Result<bool> {
        // Where offsets cannot be relied on, what is said of them cannot be judged.
        let findings = if current.disordered { Vec::new() } else { current.indexes.finish(current.damage == 0) };
        findings.into_iter().for_each(|finding| self.report(finding));
        Ok(goes_on)
    }

    /// A segment ends where the next one begins.
    fn between(&mut self, current: &Current, ends: i64, next_base: i64) {
        if current.damage > 0 {
            self.next_offset = Some(next_base);
        } else if ends > next_base {
            let problem = Problem::OffsetsGoBack { expected: ends, found: next_base };
            self.at_offset(current.path.clone(), None, next_base, problem);
        } else if ends < next_base {
            if !self.facts.gaps_allowed {
                let problem = Problem::OffsetsMissing { expected: ends, found: next_base };
                self.at_offset(current.path.clone(), None, ends, problem);
            }
            self.next_offset = Some(next_base);
        }
    }

    fn at_offset(&mut self, file: PathBuf, position: Option<u64>, offset: i64, problem: Problem) {
        self.broken = true;
        self.report(Finding { file, position, offset: Some(offset), problem, severity: Severity::Damage });
    }

    fn batch(&mut self, current: &mut Current, batch: &RecordBatch, position: u64) -> io::Result<()> {
        let header = *batch.header();
        self.summary.batches += 1;
        self.follows(current, &header, position);
        if self.facts.deep {
            self.records(current, batch, position);
        }
        current.indexes.batch(&header, position)?;
        self.epoch_of(&header);
        if header.has_producer_id() && header.attributes.is_transactional() {
            self.transaction(current, batch)?;
        }
        let end = header.next_offset().max(self.next_offset.unwrap_or(0));
        match self.summary.sound.last_mut() {
            Some((_, last)) if self.next_offset == Some(*last + 1) || self.facts.gaps_allowed => *last = end - 1,
            _ => self.summary.sound.push((header.base_offset, header.last_offset())),
        }
        self.next_offset = Some(end);
        if let Some((_, known)) = &mut self.summary.offsets {
            *known = end;
        }
        Ok(())
    }

    /// Offsets follow each other, epochs never fall.
    fn follows(&mut self, current: &mut Current, header: &BatchHeader, position: u64) {
        let expected = self.next_offset.unwrap_or(current.base).max(current.base);
        let found = header.base_offset;
        let problem = match found {
            // What comes after an offset that went back follows that one; it was said once.
            _ if current.disordered && self.run_next == Some(found) => None,
            _ if found < expected => Some(Problem::OffsetsGoBack { expected, found }),
            _ if found > expected && !self.facts.gaps_allowed => Some(Problem::OffsetsMissing { expected, found }),
            _ => None,
        };
        if let Some(problem) = problem {
            current.damage += 1;
            current.disordered = true;
            // What was missing is not missing twice.
            self.next_offset = Some(expected.max(found));
            self.at_offset(current.path.clone(), Some(position), found, problem);
        }
        self.run_next = Some(header.next_offset());
        let (found, before) = (header.partition_leader_epoch, self.epoch);
        if found < before {
            let problem = Problem::EpochFalls { found, before };
            self.at_offset(current.path.clone(), Some(position), header.base_offset, problem);
        }
        self.epoch = before.max(found);
    }

    fn records(&mut self, current: &Current, batch: &RecordBatch, position: u64) {
        let read = batch.decode(&DecompressLimits::default()).and_then(|records| {
            if self.facts.gaps_allowed || batch.header().attributes.is_control() {
                records.iter().try_for_each(|record| record.map(drop))
            } else {
                validate_records(&records).map(drop)
            }
        });
        let Err(error) = read else { return };
        let problem = Problem::Records { reason: crate::log::error::with_causes(&error) };
        let (file, offset) = (current.path.clone(), Some(batch.header().base_offset));
        self.report(Finding { file, position: Some(position), offset, problem, severity: Severity::Damage });
    }

    fn epoch_of(&mut self, header: &BatchHeader) {
        let Some(epochs) = &self.epochs else { return };
        let (written, offset) = (header.partition_leader_epoch, header.base_offset);
        let Some(stated) = epochs.epoch_for_offset(offset).map(|epoch| epoch.0) else { return };
        if written >= 0 && stated != written {
            self.epochs = None;
            let problem = Problem::EpochDiffers { stated, written, offset };
            let file = self.folder.join("leader-epoch-checkpoint");
            let severity = Severity::Rebuildable;
            self.report(Finding { file, position: None, offset: Some(offset), problem, severity });
        }
    }

    fn transaction(&mut self, current: &mut Current, batch: &RecordBatch) -> io::Result<()> {
        let header = batch.header();
        let marker = EndMarker::of(batch).unwrap_or_default();
        if marker.is_none() && (header.attributes.is_control() || header.record_count == 0) {
            return Ok(());
        }
        let expected = self.producers.apply(header, marker);
        if marker.is_some_and(|marker| !marker.commit) {
            let exact = self.producers_known && !self.broken;
            current.indexes.aborted(header, expected.filter(|_| !self.broken), exact)?;
        }
        self.applied += 1;
        if self.applied.is_multiple_of(PRODUCERS_FORGOTTEN_EVERY) {
            self.producers.settle_below(i64::MAX);
            self.producers.expire(i64::MAX);
        }
        Ok(())
    }

    /// Reports bytes that are no sound batch. False if they are the log's torn end.
    fn damaged(
        &mut self,
        current: &mut Current,
        file: &dyn vfs::VfsFile,
        length: u64,
        hole: &Hole,
    ) -> io::Result<bool> {
        let next_offset = self.next_offset.unwrap_or(current.base);
        let synced = match (self.facts.clean, current.next_base) {
            (true, _) => i64::MAX,
            (false, next_base) => next_base.unwrap_or(i64::MAX).min(self.facts.recovery_point.unwrap_or(0)),
        };
        let suspect = Suspect { file, position: hole.position, length, next_offset };
        let may_be_cut = current.damage == 0 && next_offset >= synced && !self.facts.in_use;
        if may_be_cut && hole.blank {
            // Room for batches to come, as whoever is killed leaves it.
            return Ok(true);
        }
        current.damage += 1;
        self.broken = true;
        let torn = may_be_cut && tear::is_torn(&suspect)?;
        let (reason, bytes) = (hole.reason.clone(), hole.bytes);
        let (problem, severity) = if torn {
            (Problem::TornTail { bytes: length - hole.position, reason }, Severity::TornTail)
        } else {
            (Problem::Batch { bytes, reason }, Severity::Damage)
        };
        let (file, position, offset) = (current.path.clone(), Some(hole.position), Some(next_offset));
        self.report(Finding { file, position, offset, problem, severity });
        if torn {
            return Ok(false);
        }
        if hole.resumes {
            self.resume(current, hole.position + bytes, length)?;
        }
        Ok(true)
    }

    /// Goes on with the batch at `position`, whatever its offset.
    fn resume(&mut self, current: &mut Current, position: u64, length: u64) -> io::Result<()> {
        let file = self.vfs.open(&current.path)?;
        let mut scan = BatchScan::of_file(file, length);
        scan.skip_to(position);
        if let Some(Ok(Scanned::Batch(found))) = scan.next() {
            let base = found.batch.header().base_offset;
            self.next_offset = self.next_offset.max(Some(base));
            current.indexes.skip_to(position, base)?;
        }
        Ok(())
    }

    /// Holds the end of the log against what checkpoints know of it.
    fn judge_end(&mut self, bases: &[i64]) {
        let facts = self.facts;
        let Some((start, end)) = self.summary.offsets else {
            if facts.recovery_point.is_some_and(|point| point > facts.log_start_offset.unwrap_or(0)) {
                self.at_file(self.folder.to_owned(), Problem::NoSegment, Severity::Damage);
            }
            return;
        };
        if self.broken {
            return;
        }
        let rests = facts.bookmark.as_ref().filter(|mark| mark.at_end && facts.clean).map(|mark| mark.offset);
        let known = [
            ("recovery-point-offset-checkpoint", facts.recovery_point),
            ("log-start-offset-checkpoint", facts.log_start_offset),
            ("riverrun-bookmarks", rests),
        ];
        let path = self.path(bases.last().copied().unwrap_or_default(), "log");
        if let Some((file, known)) =
            known.into_iter().find_map(|(file, known)| Some((file, known.filter(|k| *k > end)?)))
        {
            let problem = Problem::EndsTooEarly { end, file, known };
            self.at_offset(path, None, end, problem);
        } else if let Some(offset) = facts.high_watermark.filter(|offset| *offset > end) {
            let partition = self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = self.folder.with_file_name("replication-offset-checkpoint");
            let problem = Problem::OutOfBounds { offset, partition, start, end };
            self.at_file(file, problem, Severity::Rebuildable);
        }
    }

    fn snapshots(&mut self, names: &[String]) {
        for name in names {
            let Some(DataFile::ProducerSnapshot(at)) = DataFile::of_name(name) else { continue };
            let path = self.folder.join(name);
            let bytes = match self.read_small(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.unreadable(&path, &error);
                    continue;
                }
            };
            // A file that is being written, or that a crash left so, is made anew.
            match Producers::read(&bytes) {
                Err(_) if self.facts.in_use => {}
                Err(defect) => self.at_file(path, Problem::Snapshot(defect), Severity::Rebuildable),
                Ok(producers) => {
                    let last = |(id, producer): (&i64, &crate::log::producers::Producer)| {
                        Some((*id, producer.batches.back()?.last_offset)).filter(|(_, offset)| *offset >= at)
                    };
                    let ahead = producers.by_id.iter().find_map(last);
                    if let Some((producer_id, offset)) = ahead {
                        let problem = Problem::SnapshotAhead { producer_id, offset };
                        self.at_file(path, problem, Severity::Rebuildable);
                    }
                }
            }
        }
    }
}

/// Bytes that are no sound batch.
struct Hole {
    position: u64,
    bytes: u64,
    reason: String,
    resumes: bool,
    /// Whether it is zeros up to the end of the file.
    blank: bool,
}
