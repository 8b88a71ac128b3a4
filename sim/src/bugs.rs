//! Planted bugs: a disk that cheats exactly as a broken log would, so that the stories can be shown to notice. A wrapper
//! around the simulated disk plays most of them; the log itself has no switch for any.

use std::{io, path::Path, sync::Arc};

use riverrun_core::{
    log::{Vfs, VfsFile},
    record::{ATTRIBUTES_OFFSET, BatchHeader, CRC_OFFSET, crc32c},
};

/// Something a log could do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Files are never synced.
    SkipFileSync,
    /// Folders are never synced: new names and renames are not durable.
    SkipFolderSync,
    /// Records are acknowledged once they are appended, before any sync.
    AckEarly,
    /// Whatever checksum a batch has, it is taken for right.
    IgnoreChecksums,
    /// A torn tail stays where it is.
    KeepTornTail,
    /// A sync that failed is tried again, and the second answer believed.
    RetrySync,
    /// Producer snapshots are written once and then never again: the newest one holds what the first held.
    StaleSnapshots,
    /// Reads of the log return zeros where the disk reported an error.
    SwallowReadErrors,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SkipFileSync,
        Self::SkipFolderSync,
        Self::AckEarly,
        Self::IgnoreChecksums,
        Self::KeepTornTail,
        Self::RetrySync,
        Self::StaleSnapshots,
        Self::SwallowReadErrors,
    ];
}

/// A disk below a log that has the bug.
#[derive(Debug)]
pub(crate) struct BuggyVfs {
    pub(crate) inner: Arc<dyn Vfs>,
    pub(crate) bug: Bug,
}

#[derive(Debug)]
struct BuggyFile {
    inner: Arc<dyn VfsFile>,
    bug: Bug,
    is_log: bool,
    /// A snapshot of no producers, where snapshots are stale.
    is_snapshot: bool,
}

impl BuggyVfs {
    fn wrap(&self, path: &Path, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        let has = |suffix| path.extension().is_some_and(|extension| extension == suffix);
        Arc::new(BuggyFile { inner, bug: self.bug, is_log: has("log"), is_snapshot: has("snapshot") })
    }
}

impl Vfs for BuggyVfs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.wrap(path, self.inner.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.wrap(path, self.inner.create(path)?))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.inner.list(folder)
    }

    fn exists(&self, path: &Path) -> bool {
        self.inner.exists(path)
    }

    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.inner.create_dir_all(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn remove_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(folder)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        match self.bug {
            Bug::SkipFolderSync => Ok(()),
            Bug::RetrySync => self.inner.sync_dir(folder).or_else(|_| self.inner.sync_dir(folder)),
            _ => self.inner.sync_dir(folder),
        }
    }
}

impl VfsFile for BuggyFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.inner.read_at(position, buffer) {
            Err(_) if self.is_log && self.bug == Bug::SwallowReadErrors => {
                buffer.fill(0);
                return Ok(0);
            }
            read => read?,
        };
        if self.is_log && self.bug == Bug::IgnoreChecksums {
            set_checksums(&mut buffer[..read]);
        }
        Ok(read)
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        if self.is_snapshot && self.bug == Bug::StaleSnapshots {
            // Version 1, a checksum of the count, and the count: nobody.
            let mut nobody = vec![0, 1];
            nobody.extend(crc32c(&[0; 4]).to_be_bytes());
            nobody.extend([0; 4]);
            return self.inner.write_at(position, &nobody);
        }
        self.inner.write_at(position, bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        if self.is_log && self.bug == Bug::KeepTornTail {
            return Ok(());
        }
        self.inner.truncate(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.bug {
            Bug::SkipFileSync => Ok(()),
            Bug::RetrySync => self.inner.sync_data().or_else(|_| self.inner.sync_data()),
            _ => self.inner.sync_data(),
        }
    }
}

/// Gives every whole batch from the start of the buffer on the checksum that its bytes have.
fn set_checksums(mut bytes: &mut [u8]) {
    while let Ok(header) = BatchHeader::parse(bytes) {
        let size = header.size_in_bytes();
        if size > bytes.len() {
            return;
        }
        let (batch, rest) = bytes.split_at_mut(size);
        let crc = crc32c(&batch[ATTRIBUTES_OFFSET..]).to_be_bytes();
        batch[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc);
        bytes = rest;
    }
}
