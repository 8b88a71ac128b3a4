//! Making a log durable, cut in two so that no lock is held while the disk works: the log hands out a ticket, any thread
//! runs it, and the log takes note of its end. All appends that arrive while a ticket runs share the next one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Log, StorageError, checkpoint,
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
        let mut folders = Vec::new();
        if self.names_unsynced {
            let metadata = self.folder.join(METADATA);
            let file = self.vfs.open(&metadata).map_err(|source| StorageError {
                action: "open",
                file: metadata.display().to_string(),
                source,
            })?;
            files.push(file);
        }
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
