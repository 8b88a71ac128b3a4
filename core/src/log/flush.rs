//! Making a log durable, cut in two so that no lock is held while the disk works: the log hands out a ticket, any thread
//! runs it, and the log takes note of its end. All appends that arrive while a ticket runs share the next one.

use std::{io, path::PathBuf, sync::Arc};

use super::vfs::{Vfs, VfsFile};

/// What has to be synced for the log to be durable up to an offset.
#[derive(Debug)]
pub struct FlushTicket {
    pub(super) files: Vec<Arc<dyn VfsFile>>,
    pub(super) folder: Option<(Arc<dyn Vfs>, PathBuf)>,
    pub(super) up_to: i64,
}

impl FlushTicket {
    /// The offset before which everything is durable once this has run.
    pub fn up_to(&self) -> i64 {
        self.up_to
    }

    /// Syncs. Blocks for as long as the disk takes; must run before the log's next ticket is taken.
    ///
    /// # Errors
    /// Those of the file system. Never to be retried: hand the error to [`super::Log::complete_flush`].
    pub fn run(&self) -> io::Result<()> {
        for file in &self.files {
            file.sync_data()?;
        }
        self.folder.as_ref().map_or(Ok(()), |(vfs, folder)| vfs.sync_dir(folder))
    }
}
