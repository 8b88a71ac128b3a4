//! A disk that counts the syncs of files, says which threads made them, and can hold them up: what shares a sync with what
//! is told by counting, not by the clock. It also tells when a file was cut.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::ThreadId,
};

use riverrun_core::log::{SimulatedVfs, Vfs, VfsFile};

/// The disk; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct WatchedVfs {
    disk: SimulatedVfs,
    watch: Arc<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    syncs: BTreeMap<PathBuf, usize>,
    /// To what length a file was truncated last.
    truncated: BTreeMap<PathBuf, u64>,
    threads: HashSet<ThreadId>,
    /// What the names of files end with whose syncs are held up.
    held_suffix: Option<&'static str>,
    held: usize,
}

#[derive(Debug)]
struct WatchedFile {
    inner: Arc<dyn VfsFile>,
    path: PathBuf,
    watch: Arc<Watch>,
}

impl WatchedVfs {
    pub(super) fn new() -> Self {
        Self { disk: SimulatedVfs::new(), watch: Arc::default() }
    }

    /// How often files whose names end with `suffix` were synced.
    pub(super) fn syncs(&self, suffix: &str) -> usize {
        let seen = self.watch.seen.lock().unwrap();
        let has_suffix = |path: &Path| path.to_string_lossy().ends_with(suffix);
        seen.syncs.iter().filter(|(path, _)| has_suffix(path)).map(|(_, count)| count).sum()
    }

    /// Waits until a file has been truncated to `length`.
    pub(super) fn wait_until_truncated(&self, path: &Path, length: u64) {
        let seen = self.watch.seen.lock().unwrap();
        drop(self.watch.changed.wait_while(seen, |seen| seen.truncated.get(path) != Some(&length)).unwrap());
    }

    /// How many threads have synced.
    pub(super) fn thread_count(&self) -> usize {
        self.watch.seen.lock().unwrap().threads.len()
    }

    /// Holds up the syncs of files whose names end with `suffix`, from now on.
    pub(super) fn hold(&self, suffix: &'static str) {
        self.watch.seen.lock().unwrap().held_suffix = Some(suffix);
    }

    /// Waits until so many syncs are held up.
    pub(super) fn wait_until_held(&self, count: usize) {
        let seen = self.watch.seen.lock().unwrap();
        drop(self.watch.changed.wait_while(seen, |seen| seen.held < count).unwrap());
    }

    /// Lets all syncs go on.
    pub(super) fn release(&self) {
        self.watch.seen.lock().unwrap().held_suffix = None;
        self.watch.changed.notify_all();
    }

    fn wrap(&self, path: &Path, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(WatchedFile { inner, path: path.to_owned(), watch: Arc::clone(&self.watch) })
    }
}

impl Vfs for WatchedVfs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.wrap(path, self.disk.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.wrap(path, self.disk.create(path)?))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_dir_all(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(folder)
    }

    /// Fails for a folder that is not there, as the operating system does.
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        if self.disk.exists(folder) { self.disk.sync_dir(folder) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl VfsFile for WatchedFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(position, buffer)
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(position, bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)?;
        let mut seen = self.watch.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.truncated.insert(self.path.clone(), length);
        self.watch.changed.notify_all();
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut seen = self.watch.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.syncs.entry(self.path.clone()).or_default() += 1;
        seen.threads.insert(std::thread::current().id());
        let is_held = |seen: &Seen| seen.held_suffix.is_some_and(|held| self.path.to_string_lossy().ends_with(held));
        if is_held(&seen) {
            seen.held += 1;
            self.watch.changed.notify_all();
            seen = self.watch.changed.wait_while(seen, |seen| is_held(seen)).unwrap_or_else(PoisonError::into_inner);
            seen.held -= 1;
        }
        drop(seen);
        self.inner.sync_data()
    }
}
