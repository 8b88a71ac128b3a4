//! All I/O of the core goes through these two traits: a [`Vfs`] names and lists files, a [`VfsFile`] reads and writes
//! one. The operating system's disk ([`OsVfs`]) and a simulated one ([`SimulatedVfs`]) implement them; the simulated one
//! also serves as the disk of a broker that keeps all in memory.
//!
//! The contract is that of a POSIX file system at its weakest: bytes are durable only after [`VfsFile::sync_data`], a
//! created, renamed or removed name only after [`Vfs::sync_dir`] of its folder, and a failed sync says nothing about
//! what reached the disk; whoever sees one must not retry it.

mod handles;
mod os;
mod read_only;
mod simulated;

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) use handles::Handle;
pub use handles::{BoundedVfs, Handles};
pub use os::OsVfs;
pub use read_only::ReadOnlyVfs;
pub use simulated::{Fault, SimulatedVfs};

/// A file system.
pub trait Vfs: Debug + Send + Sync + 'static {
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if there is none, else those of the file system.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>>;

    /// Opens a file for reading and writing, making it if there is none. Its content stays.
    ///
    /// # Errors
    /// Those of the file system.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>>;

    /// The names in a folder, sorted; folders included.
    ///
    /// # Errors
    /// `NotFound` if there is no such folder, else those of the file system.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Whether a file or folder of this name exists.
    fn exists(&self, path: &Path) -> bool;

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// Those of the file system.
    fn create_dir_all(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file or folder another name, in place of the file that has it.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and all in it.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove_dir_all(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Those of the file system; never to be retried.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// The bound on the files that logs hold open here; `None` for none.
    fn handles(&self) -> Option<&Handles> {
        None
    }
}

/// An open file. Shared handles read and write at positions, so that none of them has a cursor to fight over.
pub trait VfsFile: Debug + Send + Sync + 'static {
    /// Fills `buffer` from `position`; returns how many bytes there were, fewer only at the end of the file.
    ///
    /// # Errors
    /// Those of the file system.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `position`. On an error some of them may have been written.
    ///
    /// # Errors
    /// Those of the file system.
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()>;

    /// Writes `first` and then `second` at `position`, in one call of the operating system where it has one.
    ///
    /// # Errors
    /// Those of the file system. On an error some of the bytes may have been written.
    fn write_two_at(&self, position: u64, first: &[u8], second: &[u8]) -> io::Result<()> {
        self.write_at(position, first)?;
        self.write_at(position + first.len() as u64, second)
    }

    /// The file of the operating system behind this one, for what only that can do (`sendfile`); `None` if there is none.
    fn as_os_file(&self) -> Option<&std::fs::File> {
        None
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or fills it up with zeros, to `length`.
    ///
    /// # Errors
    /// Those of the file system.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes the file's bytes and length durable (`fdatasync`).
    ///
    /// # Errors
    /// Those of the file system; never to be retried.
    fn sync_data(&self) -> io::Result<()>;
}

/// Reads a whole small file.
///
/// # Errors
/// Those of the file system.
pub(super) fn read(vfs: &dyn Vfs, path: &Path) -> io::Result<Vec<u8>> {
    let file = vfs.open(path)?;
    let length = usize::try_from(file.len()?).map_err(|_| io::Error::other("the file does not fit in memory"))?;
    let mut bytes = vec![0; length];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a small file as a whole: after a crash it holds the old bytes or the new ones. Writes a temporary file, syncs
/// it, renames it, syncs the folder.
///
/// # Errors
/// Those of the file system.
pub(super) fn replace(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let file = vfs.create(&temporary)?;
    file.truncate(0)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    vfs.rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| vfs.sync_dir(folder))
}
