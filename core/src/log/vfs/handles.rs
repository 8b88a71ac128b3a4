//! A bound on the files that logs hold open. Logs open their files when they need them and leave them open; once there
//! are more than a number of open ones, those that have not been used for longest are closed, and opened again
//! when needed.
//!
//! "Longest" is approximate, by a clock: a file that was used since the hand last passed gets a second chance. Whoever
//! works with a file while it is put aside keeps it until done: the handle is counted.
//!
//! A file may be closed before it was synced. The sync that follows goes through another handle, and syncs all the same:
//! the pages belong to the file. An error of writing them back is kept by the kernel and told to the next handle that
//! syncs (Linux 4.17 and later), as long as the file's inode is in memory.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Vfs, VfsFile};

/// The place of one file: open, or put aside.
#[derive(Debug, Default)]
struct Shared {
    file: Mutex<Option<Arc<dyn VfsFile>>>,
    /// Whether it was used since the hand last passed.
    used: AtomicBool,
}

/// A file that is opened when needed. Owned by who uses the file; takes no room before the file is first opened.
#[derive(Debug, Default)]
pub(in crate::log) struct Handle(Option<Arc<Shared>>);

impl Handle {
    /// The file, if it is open.
    pub(in crate::log) fn get(&self) -> Option<Arc<dyn VfsFile>> {
        let shared = self.0.as_ref()?;
        shared.used.store(true, Ordering::Relaxed);
        shared.lock().clone()
    }

    /// Takes an opened file in, and has another put aside if there are too many.
    pub(in crate::log) fn put(&mut self, file: Arc<dyn VfsFile>, vfs: &dyn Vfs) {
        let shared = self.0.get_or_insert_default();
        *shared.lock() = Some(file);
        shared.used.store(true, Ordering::Relaxed);
        if let Some(handles) = vfs.handles() {
            handles.admit(shared);
        }
    }

    /// Closes the file, unless somebody else works with it.
    pub(in crate::log) fn close(&mut self) {
        self.0 = None;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn VfsFile>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open files of a data directory.
#[derive(Debug)]
pub struct Handles {
    max: usize,
    /// Each open file once, in the order in which the hand passes; and some that were closed since.
    ring: Mutex<VecDeque<Weak<Shared>>>,
}

impl Handles {
    fn admit(&self, shared: &Arc<Shared>) {
        let mut ring = self.lock();
        ring.push_back(Arc::downgrade(shared));
        let mut closed = Vec::new();
        while ring.len() > self.max {
            closed.extend(put_one_aside(&mut ring));
        }
        drop(ring);
        // Closing may take the file system time.
        drop(closed);
    }

    /// Puts a share of the files aside: the process has no room for another. True if there were any.
    fn make_room(&self) -> bool {
        let mut ring = self.lock();
        let count = ring.len().div_ceil(4);
        let closed: Vec<_> = (0..count).filter_map(|_| put_one_aside(&mut ring)).collect();
        drop(ring);
        !closed.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Weak<Shared>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes one file out of the ring. It is at most once around: the second time a file has not been used since.
fn put_one_aside(ring: &mut VecDeque<Weak<Shared>>) -> Option<Arc<dyn VfsFile>> {
    for _ in 0..=ring.len() {
        let shared = ring.pop_front()?.upgrade()?;
        if shared.used.swap(false, Ordering::Relaxed) {
            ring.push_back(Arc::downgrade(&shared));
            continue;
        }
        return shared.lock().take();
    }
    ring.pop_front()?.upgrade()?.lock().take()
}

/// A file system on which logs hold no more than a number of files open.
#[derive(Debug)]
pub struct BoundedVfs {
    inner: Arc<dyn Vfs>,
    handles: Handles,
}

impl BoundedVfs {
    /// Bounds the open files of logs on `inner` to `max`, at least one.
    pub fn new(inner: Arc<dyn Vfs>, max: usize) -> Self {
        Self { inner, handles: Handles { max: max.max(1), ring: Mutex::default() } }
    }

    /// How many files logs have open, or had until lately.
    pub fn open_files(&self) -> usize {
        self.handles.lock().len()
    }

    /// Opens once more after files were put aside, where the process has too many.
    fn with_room<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        /// EMFILE and ENFILE, which are the same numbers on Linux, macOS and the BSDs.
        const TOO_MANY: [i32; 2] = [24, 23];
        match open() {
            Err(error)
                if cfg!(unix)
                    && error.raw_os_error().is_some_and(|code| TOO_MANY.contains(&code))
                    && self.handles.make_room() =>
            {
                open()
            }
            opened => opened,
        }
    }
}

impl Vfs for BoundedVfs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.with_room(|| self.inner.open(path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.with_room(|| self.inner.create(path))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.with_room(|| self.inner.list(folder))
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
        self.with_room(|| self.inner.remove_dir_all(folder))
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.with_room(|| self.inner.sync_dir(folder))
    }

    fn handles(&self) -> Option<&Handles> {
        Some(&self.handles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::SimulatedVfs;

    #[test]
    fn the_file_that_was_not_used_is_put_aside() {
        let vfs = BoundedVfs::new(Arc::new(SimulatedVfs::in_memory()), 2);
        let mut handles: Vec<Handle> = (0..4).map(|_| Handle::default()).collect();
        let open = |handle: &mut Handle, name: &str| handle.put(vfs.create(name.as_ref()).expect("creates"), &vfs);
        open(&mut handles[0], "/a");
        open(&mut handles[1], "/b");
        open(&mut handles[2], "/c");
        assert_eq!(handles.iter().filter(|handle| handle.get().is_some()).count(), 2);
        let held = handles[1].get().or_else(|| handles[0].get()).expect("one of the first is open");
        open(&mut handles[3], "/d");
        open(&mut handles[0], "/a");
        assert_eq!(vfs.open_files(), 2);
        held.len().expect("who works with a file keeps it");
    }

    #[test]
    fn a_dropped_handle_leaves_its_place() {
        let vfs = BoundedVfs::new(Arc::new(SimulatedVfs::in_memory()), 3);
        for number in 0..50 {
            let mut handle = Handle::default();
            handle.put(vfs.create(format!("/{number}").as_ref()).expect("creates"), &vfs);
            handle.close();
            assert!(vfs.open_files() <= 3);
        }
    }
}
