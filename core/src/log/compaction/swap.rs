//! A new segment takes the place of those it was made from, so that a crash at any step leaves the old ones or the new
//! one, and readers never see anything in between.
//!
//! ```text
//!   step                                          log held   a crash after it leaves
//!   1  X.log.cleaned and its indexes, synced      no         the old segments; .cleaned files are removed
//!   2  names .cleaned -> .swap, .log last; synced no         the swap to be completed, from here on
//!   3  the log's list has the new segment         yes
//!   4  old files removed; synced                  no
//!   5  names .swap -> none, .log last             yes
//!   6  synced                                     no         the new segment
//! ```
//! The old segments are those whose base lies within the offsets of X.log.swap: a new segment ends exactly where the last
//! one of those it replaces ended ([`super::filter`]). No step holds the log while the disk syncs.
//!
//! The names are Kafka's, and so is the rule for what is found at a start: a `.swap` at or behind the smallest `.cleaned`
//! is one that was not complete. Source: Kafka's `UnifiedLog.replaceSegments`, `LogLoader.load`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    decide::{self, Cleanable, LogFacts, SegmentFacts},
    run::{CLEANED, Compaction, CompactionError, CompactionLimits, Replacement, SUFFIXES, SWAP, Work, remove_staged},
};
use crate::{
    log::{
        Log, OpenError, ReadError,
        read::searched,
        recovery::{self, io_error},
        segment::{Segment, SegmentError, file_name},
        vfs::Vfs,
    },
    record::BatchHeader,
};

/// The files of replaced segments, which nobody refers to any more but readers that have them open.
#[derive(Debug)]
pub struct ReplacedFiles {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    paths: Vec<PathBuf>,
    base_offset: i64,
}

impl Log {
    /// What of the log can be compacted. `cleaned_to` comes from the checkpoint. `None` if nothing can, which is said
    /// without a look at the files of a log at rest.
    ///
    /// # Errors
    /// [`ReadError`] if the times of segments are needed and cannot be read.
    pub fn cleanable(&mut self, cleaned_to: Option<i64>, now_ms: i64) -> Result<Option<Cleanable>, ReadError> {
        if !self.config.cleanup_policy.compact || self.offline.is_some() || self.unreadable.is_some() {
            return Ok(None);
        }
        if let Some(resting) = &self.resting {
            let done = cleaned_to.unwrap_or(self.log_start_offset).max(self.log_start_offset) >= resting.segment;
            if done || resting.segment_count < 2 {
                return Ok(None);
            }
        }
        self.wake_to_read()?;
        let segments = self.segment_facts(cleaned_to.unwrap_or(0))?;
        let facts = LogFacts {
            config: &self.config,
            segments: &segments,
            log_start_offset: self.log_start_offset,
            log_end_offset: self.log_end_offset(),
            last_stable_offset: self.last_stable_offset(),
            cleaned_to,
            now_ms,
        };
        let found = decide::cleanable(&facts);
        Ok((found.cleanable_bytes > 0 || found.checkpoint_is_wrong).then_some(found))
    }

    /// The facts about all segments; times only of those from `dirty_from` on, and only where a setting asks for them.
    fn segment_facts(&mut self, dirty_from: i64) -> Result<Vec<SegmentFacts>, ReadError> {
        let wants_largest = self.config.min_compaction_lag_ms > 0;
        let wants_first = self.config.max_compaction_lag_ms < i64::MAX;
        let mut bases = self.segments.keys().copied().skip(1).collect::<Vec<_>>();
        bases.push(self.log_end_offset());
        let mut facts = Vec::with_capacity(bases.len());
        for (segment, next_offset) in self.segments.values_mut().zip(bases) {
            let mut fact = SegmentFacts {
                base_offset: segment.base_offset,
                next_offset,
                size: segment.size,
                max_timestamp: -1,
                first_timestamp: -1,
            };
            if next_offset > dirty_from && wants_largest {
                fact.max_timestamp =
                    searched(&*self.vfs, segment, &self.config, |segment| Ok(segment.max_timestamp.0))?;
            }
            if next_offset > dirty_from && wants_first {
                fact.first_timestamp = searched(&*self.vfs, segment, &self.config, |segment| {
                    let first = segment.walk(&*self.vfs, 0)?.next_batch()?;
                    Ok(first.map_or(-1, |placed| placed.header.max_timestamp))
                })?;
            }
            facts.push(fact);
        }
        Ok(facts)
    }

    /// Begins to compact what was found cleanable.
    ///
    /// # Errors
    /// [`ReadError`] if the aborted transactions cannot be told.
    pub fn begin_compaction(
        &mut self,
        cleanable: &Cleanable,
        limits: CompactionLimits,
        now_ms: i64,
    ) -> Result<Compaction, ReadError> {
        let end = cleanable.first_uncleanable_offset;
        let mut segments = self.segment_facts(i64::MAX)?;
        segments.retain(|segment| segment.next_offset <= end);
        let start = segments.first().map_or(end, |segment| segment.base_offset);
        let aborted = self.aborted_transactions(start, end)?;
        let work = Work {
            vfs: Arc::clone(&self.vfs),
            folder: self.folder.clone(),
            config: self.config.clone(),
            first_dirty_offset: cleanable.first_dirty_offset,
            first_uncleanable_offset: end,
            producers: self.producers.last_of_each(),
            unsynced: self.unsynced_segments(),
            segments,
            aborted,
            now_ms,
        };
        Ok(Compaction::new(work, limits))
    }

    fn unsynced_segments(&self) -> Vec<i64> {
        let is_unsynced = |segment: &&Segment| segment.dirty || segment.next_offset > self.recovery_point;
        self.segments.values().filter(is_unsynced).map(|segment| segment.base_offset).collect()
    }

    /// Before step 2: sees that the segments are still there, and keeps them until [`Self::swap_in`] or
    /// [`Self::give_up_swap`]. False if they are not: the replacement is of no use.
    pub fn prepare_swap(&mut self, replacement: &Replacement) -> bool {
        let is_there = |replaced: &SegmentFacts| {
            let next = self.segments.range(replaced.base_offset + 1..).next().map(|(base, _)| *base);
            let found = self.segments.get(&replaced.base_offset);
            next == Some(replaced.next_offset) && found.is_some_and(|segment| segment.size == replaced.size)
        };
        let sound = self.offline.is_none() && self.swapping.is_none() && replacement.replaced.iter().all(is_there);
        if sound {
            self.swapping = Some(replacement.segment.base_offset);
        }
        sound
    }

    /// Lets go of the segments that [`Self::prepare_swap`] kept, for they stay.
    pub fn give_up_swap(&mut self) {
        self.swapping = None;
    }

    /// Step 3.
    pub fn swap_in(&mut self, replacement: Replacement) -> ReplacedFiles {
        let Replacement { segment, replaced, vfs, folder } = replacement;
        let base_offset = segment.base_offset;
        let mut paths = Vec::new();
        for old in &replaced {
            self.segments.remove(&old.base_offset);
            // The new file takes the place of the first old one when it gets its name.
            let batches = (old.base_offset != base_offset).then_some("log");
            let derived = ["index", "timeindex", "txnindex"];
            let suffixes = derived.into_iter().chain(batches);
            paths.extend(suffixes.map(|suffix| folder.join(file_name(old.base_offset, suffix))));
        }
        self.segments.insert(base_offset, segment);
        // It may hold batches that are gone, and void ones of transactions that no index names any more.
        self.tail.clear();
        self.swaps += 1;
        ReplacedFiles { vfs, folder, paths, base_offset }
    }

    /// Step 5.
    ///
    /// # Errors
    /// [`CompactionError::Io`]; the log is offline then, its next opening completes the swap.
    pub fn finish_swap(&mut self, files: &ReplacedFiles) -> Result<(), CompactionError> {
        self.swapping = None;
        let Some(segment) = self.segments.get_mut(&files.base_offset) else { return Ok(()) };
        let renamed = rename_stage(&*self.vfs, &self.folder, files.base_offset, SWAP, "");
        match renamed {
            Ok(()) => {
                segment.enter_stage("");
                Ok(())
            }
            Err(error) => {
                self.fail_swap(&error);
                Err(error)
            }
        }
    }

    /// A swap could not be completed or undone: nothing may change before the next opening completes it.
    pub fn fail_swap(&mut self, error: &CompactionError) {
        self.offline = Some(format!("a swap of compacted segments failed: {}", crate::log::error::with_causes(error)));
    }

    /// How often a new segment has taken the place of others: what was found in files before belongs with what was said
    /// of aborted transactions before.
    pub fn swaps(&self) -> u64 {
        self.swaps
    }
}

impl Replacement {
    /// Step 2.
    ///
    /// # Errors
    /// [`CompactionError::Io`]. What was renamed is removed again; if even that fails, the error says so by
    /// [`CompactionError::is_failed_sync`].
    pub fn stage(&mut self) -> Result<(), CompactionError> {
        let (vfs, folder, base) = (&*self.vfs, &self.folder, self.segment.base_offset);
        let staged = rename_stage(vfs, folder, base, CLEANED, SWAP)
            .and_then(|()| vfs.sync_dir(folder).map_err(CompactionError::io("sync", folder)));
        match staged {
            Ok(()) => {
                self.segment.enter_stage(SWAP);
                Ok(())
            }
            Err(error) => {
                // Else the next opening would complete a swap that nobody knows of.
                match vfs.remove(&folder.join(file_name(base, "log") + SWAP)) {
                    Err(other) if other.kind() != io::ErrorKind::NotFound => {
                        return Err(CompactionError::io("sync", folder)(other));
                    }
                    _ => {}
                }
                remove_staged(vfs, folder, base, SWAP);
                remove_staged(vfs, folder, base, CLEANED);
                vfs.sync_dir(folder).map_err(CompactionError::io("sync", folder))?;
                Err(error)
            }
        }
    }

    /// Removes the files of a replacement that is not used.
    pub fn discard(self) {
        remove_staged(&*self.vfs, &self.folder, self.segment.base_offset, self.segment.stage());
    }
}

impl ReplacedFiles {
    /// Step 4.
    ///
    /// # Errors
    /// [`CompactionError::Io`].
    pub fn remove(&self) -> Result<(), CompactionError> {
        for path in &self.paths {
            remove_if_there(&*self.vfs, path).map_err(CompactionError::io("remove", path))?;
        }
        self.sync()
    }

    /// Step 6.
    ///
    /// # Errors
    /// [`CompactionError::Io`].
    pub fn sync(&self) -> Result<(), CompactionError> {
        self.vfs.sync_dir(&self.folder).map_err(CompactionError::io("sync", &self.folder))
    }
}

fn remove_if_there(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    match vfs.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Renames the files of a segment, that with the batches last: its name decides.
fn rename_stage(vfs: &dyn Vfs, folder: &Path, base: i64, from: &str, to: &str) -> Result<(), CompactionError> {
    for suffix in SUFFIXES {
        let old = folder.join(file_name(base, suffix) + from);
        match vfs.rename(&old, &folder.join(file_name(base, suffix) + to)) {
            // Indexes are derived: one that is missing is built anew.
            Err(error) if error.kind() == io::ErrorKind::NotFound && suffix != "log" => {}
            renamed => renamed.map_err(CompactionError::io("rename", &old))?,
        }
    }
    Ok(())
}

/// Completes the swaps that a crash has interrupted, and removes what was not far enough. True if names have changed.
pub(in crate::log) fn complete_swaps(vfs: &dyn Vfs, folder: &Path, names: &[String]) -> Result<bool, OpenError> {
    let base_of = |name: &str| name.split('.').next()?.parse::<i64>().ok();
    let first_cleaned = names.iter().filter(|name| name.ends_with(CLEANED)).filter_map(|name| base_of(name)).min();
    let swaps: Vec<&String> = names.iter().filter(|name| name.ends_with(SWAP)).collect();
    let complete = swaps.iter().filter(|name| name.ends_with(".log.swap")).filter_map(|name| base_of(name));
    let complete: Vec<i64> = complete.filter(|base| first_cleaned.is_none_or(|first| *base < first)).collect();
    for name in &swaps {
        if !base_of(name).is_some_and(|base| complete.contains(&base)) {
            let path = folder.join(name);
            vfs.remove(&path).map_err(io_error("remove", &path))?;
        }
    }
    for base in &complete {
        complete_swap(vfs, folder, names, *base)?;
    }
    Ok(!swaps.is_empty())
}

/// Steps 4 to 6, for a swap found when a log is opened.
fn complete_swap(vfs: &dyn Vfs, folder: &Path, names: &[String], base: i64) -> Result<(), OpenError> {
    let path = folder.join(file_name(base, "log") + SWAP);
    let next_offset = verified_end(vfs, folder, &path, base)?;
    for old in recovery::segment_bases(names).into_iter().filter(|old| base <= *old && *old < next_offset) {
        for suffix in SUFFIXES.into_iter().filter(|suffix| old != base || *suffix != "log") {
            let path = folder.join(file_name(old, suffix));
            remove_if_there(vfs, &path).map_err(io_error("remove", &path))?;
        }
    }
    vfs.sync_dir(folder).map_err(io_error("sync", folder))?;
    rename_stage(vfs, folder, base, SWAP, "").map_err(|error| match error {
        CompactionError::Io { action, file, source } => OpenError::Io { action, file, source },
        other => OpenError::Io { action: "rename", file: path.display().to_string(), source: io::Error::other(other) },
    })?;
    vfs.sync_dir(folder).map_err(io_error("sync", folder))
}

/// Walks a new segment's headers to the end before anything is removed for it. Returns the offset after its last.
fn verified_end(vfs: &dyn Vfs, folder: &Path, path: &Path, base: i64) -> Result<i64, OpenError> {
    let mut segment = Segment::closed(folder, base, base, 0);
    segment.enter_stage(SWAP);
    let file = segment.file(vfs).map_err(io_error("open", path))?;
    segment.size = file.len().map_err(io_error("measure", path))?;
    let mut end = base;
    let visit = |header: &BatchHeader, _: Option<_>| end = header.next_offset();
    recovery::each_batch(vfs, &mut segment, visit).map_err(|error| match error {
        SegmentError::Io(source) => OpenError::Io { action: "read", file: path.display().to_string(), source },
        SegmentError::Damaged { position, source } => {
            OpenError::Corrupt { file: path.display().to_string(), position, reason: source.to_string() }
        }
        SegmentError::IndexIsWrong => OpenError::Io {
            action: "read",
            file: path.display().to_string(),
            source: io::ErrorKind::InvalidData.into(),
        },
    })?;
    Ok(end)
}
