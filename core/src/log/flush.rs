//! Making a log durable, cut in two so that no lock is held while the disk works: the log hands out a ticket, any thread
//! runs it, and the log takes note of its end. All appends that arrive while a ticket runs share the next one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CheckpointError, Log, StorageError, checkpoint,
    open::METADATA,
    rest::SyncedPlace,
    roll::write_whole,
    segment::file_name,
    vfs::{Vfs, VfsFile},
};

/// What has to be synced for the log to be durable up to an offset.
#[derive(Debug)]
pub struct FlushTicket {
    pub(super) files: Vec<Arc<dyn VfsFile>>,
    /// Folders whose names have changed.
    pub(super) folders: Vec<PathBuf>,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) up_to: SyncedPlace,
    names: bool,
}

impl FlushTicket {
    /// The offset before which everything is durable once this has run.
    pub fn up_to(&self) -> i64 {
        self.up_to.offset
    }

    /// Syncs. Blocks for as long as the disk takes; must run before the log's next ticket is taken.
    ///
    /// # Errors
    /// Those of the file system. Never to be retried: hand the error to [`super::Log::complete_flush`].
    pub fn run(&self) -> io::Result<()> {
        for file in &self.files {
            file.sync_data()?;
        }
        self.folders.iter().try_for_each(|folder| self.vfs.sync_dir(folder))
    }
}

impl Log {
    /// What has to be synced for all that was appended to be durable; `None` if it is already.
    ///
    /// # Errors
    /// [`StorageError`] if a segment's file cannot be opened.
    pub fn begin_flush(&mut self) -> Result<Option<FlushTicket>, StorageError> {
        self.check_may_flush()?;
        // Nothing is taken for synced before all that has to be synced is at hand.
        let mut segments = Vec::new();
        for segment in self.segments.values_mut().filter(|segment| segment.dirty) {
            let file = segment.path("log").display().to_string();
            let handle = segment.file(&*self.vfs).map_err(|source| StorageError { action: "open", file, source })?;
            segments.push((segment.base_offset, handle));
        }
        let metadata = if self.names_unsynced && !(segments.is_empty() && self.closed_files.is_empty()) {
            let path = self.folder.join(METADATA);
            let file = path.display().to_string();
            Some(self.vfs.open(&path).map_err(|source| StorageError { action: "open", file, source })?)
        } else {
            None
        };
        let epochs_removed = self.write_epochs_if_changed()?;
        let mut files = std::mem::take(&mut self.closed_files);
        let mut names_changed = !files.is_empty() || epochs_removed;
        for (base, handle) in segments {
            files.push(handle);
            names_changed |= base >= self.recovery_point;
            if let Some(segment) = self.segments.get_mut(&base) {
                segment.dirty = false;
            }
        }
        if files.is_empty() {
            return Ok(None);
        }
        let mut folders = Vec::new();
        files.extend(metadata);
        if names_changed || self.names_unsynced {
            folders.push(self.folder.clone());
        }
        if self.names_unsynced {
            folders.extend(self.folder.parent().map(Path::to_owned));
        }
        let active = self.segments.values().next_back();
        let up_to = SyncedPlace {
            offset: self.log_end_offset(),
            segment: active.map_or(0, |segment| segment.base_offset),
            position: active.map_or(0, |segment| segment.size),
        };
        let (vfs, names) = (Arc::clone(&self.vfs), self.names_unsynced);
        Ok(Some(FlushTicket { files, folders, vfs, up_to, names }))
    }

    /// After a failed sync nothing may be taken for durable any more, whatever a second one says.
    fn check_may_flush(&self) -> Result<(), StorageError> {
        let Some(reason) = &self.offline else { return Ok(()) };
        let is_dirty = self.epochs_dirty || self.segments.values().any(|segment| segment.dirty);
        if !is_dirty && self.closed_files.is_empty() {
            return Ok(());
        }
        let (file, source) = (self.folder.display().to_string(), io::Error::other(reason.clone()));
        Err(StorageError { action: "flush", file, source })
    }

    /// Returns whether the file was removed instead, since the disk is full: without it the epochs are read off the
    /// batches, with an old one they would be wrong.
    fn write_epochs_if_changed(&mut self) -> Result<bool, StorageError> {
        if !self.epochs_dirty {
            return Ok(false);
        }
        let path = self.folder.join("leader-epoch-checkpoint");
        let written = checkpoint::write_epochs(&*self.vfs, &path, self.epochs.entries());
        let failed = match written {
            Ok(()) => {
                self.epochs_dirty = false;
                return Ok(false);
            }
            Err(CheckpointError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                match self.vfs.remove(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => error,
                    _ => return Ok(true),
                }
            }
            Err(error) => io::Error::other(error),
        };
        self.offline = Some(format!("{} cannot be written: {failed}", path.display()));
        Err(StorageError { action: "write", file: path.display().to_string(), source: failed })
    }

    /// Takes note of a ticket that has run. An error takes the log offline: what the disk holds is unknown then, and a
    /// second sync would report success without telling.
    ///
    /// # Errors
    /// [`StorageError`] with the ticket's error.
    pub fn complete_flush(&mut self, ticket: &FlushTicket, result: io::Result<()>) -> Result<i64, StorageError> {
        match result {
            Ok(()) => {
                self.names_unsynced &= !ticket.names;
                if ticket.up_to.offset >= self.recovery_point {
                    self.recovery_point = ticket.up_to.offset;
                    self.synced = Some(ticket.up_to);
                }
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
        if !self.is_as_on_disk() {
            self.write_derived()?;
        }
        self.offline = Some("it is closed".to_owned());
        Ok(())
    }

    /// Whether the next opening finds all it needs as it is: nothing was written since it was last settled, or ever.
    fn is_as_on_disk(&self) -> bool {
        let untouched = self.log_end_offset() == 0 && self.size_in_bytes() == 0;
        let settled = self.settled == self.log_end_offset() && self.recovery_point == self.log_end_offset();
        self.closed_files.is_empty() && !self.epochs_dirty && (self.is_resting() || untouched || settled)
    }

    fn write_derived(&mut self) -> Result<(), StorageError> {
        self.write_active_aborted()?;
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
        self.settled = self.log_end_offset();
        Ok(())
    }
}
