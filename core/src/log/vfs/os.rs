//! The operating system's file system behind [`Vfs`]: plain positioned reads and writes, no memory mapping.

use std::{fs, io, path::Path, sync::Arc};

use super::{Vfs, VfsFile};

/// The disk of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsVfs;

#[derive(Debug)]
pub(super) struct OsFile(pub(super) fs::File);

impl Vfs for OsVfs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(OsFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir_all(folder)
    }

    #[cfg(unix)]
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }

    /// Windows has no way to sync a folder; NTFS journals its names.
    #[cfg(not(unix))]
    fn sync_dir(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for OsFile {
    #[cfg(unix)]
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        fill(position, buffer, |at, rest| std::os::unix::fs::FileExt::read_at(&self.0, rest, at))
    }

    #[cfg(windows)]
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        fill(position, buffer, |at, rest| std::os::windows::fs::FileExt::seek_read(&self.0, rest, at))
    }

    #[cfg(unix)]
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, position)
    }

    #[cfg(windows)]
    fn write_at(&self, mut position: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&self.0, bytes, position)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
            position += written as u64;
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn write_two_at(&self, position: u64, first: &[u8], second: &[u8]) -> io::Result<()> {
        let parts = [io::IoSlice::new(first), io::IoSlice::new(second)];
        let mut written = loop {
            match rustix::io::pwritev(&self.0, &parts, position) {
                Err(rustix::io::Errno::INTR) => {}
                written => break written?,
            }
        };
        // As a rule nothing is left; a full disk, or a signal, cuts a write short.
        let mut at = position;
        for part in [first, second] {
            let done = written.min(part.len());
            written -= done;
            if let Some(rest) = part.get(done..).filter(|rest| !rest.is_empty()) {
                self.write_at(at + done as u64, rest)?;
            }
            at += part.len() as u64;
        }
        Ok(())
    }

    fn as_os_file(&self) -> Option<&fs::File> {
        Some(&self.0)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Calls `read` until the buffer is full or the file ends.
fn fill(
    position: u64,
    buffer: &mut [u8],
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read(position + filled as u64, rest) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
