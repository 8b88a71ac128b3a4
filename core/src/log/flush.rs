//! Making a log durable, cut in two so that no lock is held while the disk works: the log hands out a ticket, any thread
//! runs it, and the log takes note of its end. All appends that arrive while a ticket runs share the next one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CheckpointError, Log, StorageError, checkpoint,
    open::{EPOCHS, METADATA},
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
    /// The leader epochs, if their file does not have them, and the file.
    epochs: Option<(PathBuf, Vec<(i32, i64)>)>,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) up_to: SyncedPlace,
    /// Bytes of batches that were not synced before.
    bytes: u64,
    names: bool,
}

/// What a ticket has done.
#[derive(Debug, Clone, Copy)]
pub struct Flushed {
    /// Whether the file of the leader epochs was removed, since the disk is full.
    epochs_removed: bool,
}

/// Why a ticket failed. Never to be retried: hand it to [`super::Log::complete_flush`].
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The file of the leader epochs cannot be replaced.
    #[error("the leader epochs cannot be written")]
    Epochs(#[source] io::Error),
    /// What the disk holds is unknown.
    #[error("a sync failed")]
    Sync(#[source] io::Error),
}

impl FlushTicket {
    /// The offset before which everything is durable once this has run.
    pub fn up_to(&self) -> i64 {
        self.up_to.offset
    }

    /// Bytes of batches, of the segment that grows, that were not synced before.
    pub fn size_in_bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the leader epochs if they have changed, and syncs. Blocks for as long as the disk takes; must end before the
    /// log's next ticket is taken.
    ///
    /// # Errors
    /// [`FlushError`].
    pub fn run(&self) -> Result<Flushed, FlushError> {
        // Records whose epoch the file does not know must not be told to be durable: nobody reads them again for it.
        let epochs_removed = self.write_epochs().map_err(FlushError::Epochs)?;
        for file in &self.files {
            file.sync_data().map_err(FlushError::Sync)?;
        }
        self.folders.iter().try_for_each(|folder| self.vfs.sync_dir(folder)).map_err(FlushError::Sync)?;
        Ok(Flushed { epochs_removed })
    }

    /// Returns whether the file was removed instead, since the disk is full: without it the epochs are read off the
    /// batches, with an old one they would be wrong.
    fn write_epochs(&self) -> io::Result<bool> {
        let Some((path, epochs)) = &self.epochs else { return Ok(false) };
        match checkpoint::write_epochs(&*self.vfs, path, epochs) {
            Ok(()) => Ok(false),
            Err(CheckpointError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                match self.vfs.remove(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                path.parent().map_or(Ok(()), |folder| self.vfs.sync_dir(folder))?;
                Ok(true)
            }
            Err(CheckpointError::Io { source, .. }) => Err(source),
            Err(error) => Err(io::Error::other(error)),
        }
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
        let mut files = std::mem::take(&mut self.closed_files);
        let mut names_changed = !files.is_empty();
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
        let changed = std::mem::take(&mut self.epochs_dirty);
        let epochs = changed.then(|| (self.folder.join(EPOCHS), self.epochs.entries().to_vec()));
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
        let before = self.synced.filter(|before| before.segment == up_to.segment);
        let bytes = up_to.position.saturating_sub(before.map_or(0, |before| before.position));
        Ok(Some(FlushTicket { files, folders, epochs, vfs, up_to, bytes, names }))
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

    /// Takes note of a ticket that has run. An error takes the log offline: what the disk holds is unknown then, and a
    /// second sync would report success without telling.
    ///
    /// # Errors
    /// [`StorageError`] with the ticket's error.
    pub fn complete_flush(
        &mut self,
        ticket: &FlushTicket,
        result: Result<Flushed, FlushError>,
    ) -> Result<i64, StorageError> {
        let (action, path, source) = match result {
            Ok(flushed) => {
                self.epochs_dirty |= flushed.epochs_removed;
                self.names_unsynced &= !ticket.names;
                if ticket.up_to.offset >= self.recovery_point {
                    self.recovery_point = ticket.up_to.offset;
                    self.synced = Some(ticket.up_to);
                }
                return Ok(self.recovery_point);
            }
            Err(FlushError::Epochs(source)) => ("write", self.folder.join(EPOCHS), source),
            Err(FlushError::Sync(source)) => ("sync", self.folder.clone(), source),
        };
        let file = path.display().to_string();
        self.offline = Some(match action {
            "write" => format!("{file} cannot be written: {source}"),
            _ => format!("a sync of {file} failed: {source}"),
        });
        Err(StorageError { action, file, source })
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
        // Room that was cut off is not gone before that is synced.
        let dirty = self.segments.values().any(|segment| segment.dirty && segment.size > 0);
        let as_written = !dirty && self.room_in_bytes() == 0 && self.closed_files.is_empty() && !self.epochs_dirty;
        as_written && (self.is_resting() || untouched || settled)
    }

    fn write_derived(&mut self) -> Result<(), StorageError> {
        self.cut_room()?;
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
