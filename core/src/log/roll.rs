//! Closing the segment that grows and beginning the next. Source: Kafka's `LogSegment.shouldRoll`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    AppendError, Log, StorageError, recovery,
    segment::{Segment, file_name},
    vfs::{Vfs, VfsFile},
};
use crate::record::BatchHeader;

/// Snapshots of producers that are kept.
const SNAPSHOTS_KEPT: usize = 2;

impl Log {
    /// Begins a new segment if the batch does not fit the last one any more, or that one is too old.
    pub(super) fn roll_if_needed(&mut self, header: &BatchHeader, now_ms: i64) -> Result<(), AppendError> {
        let Some(active) = self.segments.values().next_back() else { return Ok(()) };
        let full = active.size + header.size_in_bytes() as u64 > u64::from(self.config.segment_bytes.unsigned_abs());
        let index_full = active.index_bytes() + super::index::TIME_ENTRY_LEN
            > usize::try_from(self.config.segment_index_bytes).unwrap_or_default();
        let reference = if header.max_timestamp >= 0 { header.max_timestamp } else { now_ms };
        let old = active.first_timestamp >= 0
            && reference.saturating_sub(active.first_timestamp) > self.config.effective_segment_ms();
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
        self.wake_for_upkeep()?;
        let base = self.log_end_offset();
        let storage = |action: &'static str, path: PathBuf| {
            move |source| StorageError { action, file: path.display().to_string(), source }
        };
        if self.names_unsynced {
            // Were the first segment's name lost, the second, which survived, would be taken for the first.
            if let Err(source) = self.vfs.sync_dir(&self.folder) {
                self.offline = Some(format!("a sync of {} failed: {source}", self.folder.display()));
                return Err(storage("sync", self.folder.clone())(source));
            }
        }
        if !self.segments.contains_key(&base) {
            self.write_active_aborted()?;
        }
        let path = self.folder.join(file_name(base, "snapshot"));
        let snapshot = write_whole(&*self.vfs, &path, &self.producers.encode()).map_err(storage("write", path))?;
        if self.segments.contains_key(&base) {
            return Ok(());
        }
        let Some(active) = self.segments.values_mut().next_back() else { return Ok(()) };
        active.cut_room(&*self.vfs).map_err(storage("truncate", active.path("log")))?;
        let files = active.write_index(&*self.vfs).map_err(storage("write", active.path("index")))?;
        let path = self.folder.join(file_name(base, "log"));
        let segment = Segment::create(&*self.vfs, &self.folder, base).map_err(storage("create", path))?;
        self.closed_files.extend(files);
        self.closed_files.push(snapshot);
        self.segments.insert(base, segment);
        self.bound_indexes(base);
        self.prune_snapshots()
    }

    /// Sees to it that the segments are there.
    pub(super) fn wake_for_upkeep(&mut self) -> Result<(), StorageError> {
        let file = self.folder.display().to_string();
        self.wake().map_err(|error| StorageError { action: "open", file, source: io::Error::other(error) })
    }

    /// Removes all snapshots but the newest, and one more for the case that a crash spoils that.
    pub(super) fn prune_snapshots(&mut self) -> Result<(), StorageError> {
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
}

/// Writes a file as a whole without syncing it; what is in it can be told from damage by its checksum or structure.
pub(super) fn write_whole(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<Arc<dyn VfsFile>> {
    let file = vfs.create(path)?;
    file.truncate(0)?;
    file.write_at(0, bytes)?;
    Ok(file)
}
