//! The operating system's file system, to be looked at only: files are opened for reading, so that a tool needs no more
//! rights than that, and whatever would change something fails.

use std::{fs, io, path::Path, sync::Arc};

use super::{OsVfs, Vfs, VfsFile, os::OsFile};

/// The disk of the machine, read only.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOnlyVfs;

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Vfs for ReadOnlyVfs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(OsFile(fs::File::open(path)?)))
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn VfsFile>> {
        refused()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        OsVfs.list(folder)
    }

    fn exists(&self, path: &Path) -> bool {
        OsVfs.exists(path)
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"content").unwrap();
        let file = ReadOnlyVfs.open(&path).unwrap();
        assert_eq!(file.len().unwrap(), 7);
        assert!(file.write_at(0, b"x").is_err() && file.truncate(0).is_err());
        assert!(ReadOnlyVfs.create(&path).is_err() && ReadOnlyVfs.remove(&path).is_err());
        assert!(ReadOnlyVfs.rename(&path, &folder.path().join("other")).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"content");
    }
}
