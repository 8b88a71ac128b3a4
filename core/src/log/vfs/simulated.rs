//! A disk in memory that behaves as badly as a real one may: bytes that were not synced are lost or torn per sector in a
//! crash, names that were not synced vanish, writes fall short, space runs out, reads, writes and syncs fail. Everything
//! is decided by a seed, so a failing run can be repeated. Without faults it is also the disk of an in-memory broker.
//!
//! Folders are durable once made; only the names of files have to be synced. A file that was renamed has its old name, its
//! new one or both after a crash, as on every file system with a journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Vfs, VfsFile};

/// The unit in which a crash keeps or loses bytes.
const SECTOR: usize = 512;
/// The unit in which a sector is torn.
const BURST: usize = SECTOR / 8;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The nth read from now on (0: the next) fails with EIO.
    Read(u64),
    /// The nth write from now on fails with EIO, after half of its bytes were written.
    Write(u64),
    /// The nth sync of a file or folder from now on fails with EIO. As on Linux, the bytes it should have made durable
    /// count as clean afterwards: a later sync succeeds without them.
    Sync(u64),
    /// Files may hold so many bytes in all; a write beyond that fails with ENOSPC.
    Capacity(u64),
    /// The nth change from now on (write, truncate, create, rename, remove, sync) and all that follows fail, until
    /// [`SimulatedVfs::crash`]: the machine stopped there.
    Stop(u64),
}

/// A simulated disk; clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimulatedVfs {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    /// Whether it is known what is durable; off for a broker in memory, which never crashes and needs one copy only.
    tracks_durability: bool,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    capacity: Option<u64>,
    read_fault: Option<u64>,
    write_fault: Option<u64>,
    sync_fault: Option<u64>,
    stop: Option<u64>,
    stopped: bool,
    changes: u64,
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that differ from what is durable, as far as the next sync knows.
    dirty: BTreeSet<usize>,
    length_dirty: bool,
}

#[derive(Debug)]
struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn enospc() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file", path.display()))
}

/// Counts a fault down; true when it is due.
fn due(fault: &mut Option<u64>) -> bool {
    match fault {
        Some(0) => {
            *fault = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

/// A small generator (splitmix64), enough to decide what a crash loses.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Default for SimulatedVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedVfs {
    /// An empty disk that knows what is durable and can [`crash`](Self::crash).
    pub fn new() -> Self {
        Self { disk: Arc::new(Mutex::new(Disk { tracks_durability: true, ..Disk::default() })) }
    }

    /// An empty disk in memory that never fails: the one of a broker without files.
    pub fn in_memory() -> Self {
        Self { disk: Arc::default() }
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        let mut disk = self.lock();
        match fault {
            Fault::Read(nth) => disk.read_fault = Some(nth),
            Fault::Write(nth) => disk.write_fault = Some(nth),
            Fault::Sync(nth) => disk.sync_fault = Some(nth),
            Fault::Capacity(bytes) => disk.capacity = Some(bytes),
            Fault::Stop(nth) => disk.stop = Some(nth),
        }
    }

    /// Takes every armed fault back, a full disk included.
    pub fn heal(&self) {
        let mut disk = self.lock();
        (disk.read_fault, disk.write_fault, disk.sync_fault) = (None, None, None);
        (disk.capacity, disk.stop, disk.stopped) = (None, None, false);
    }

    /// How many changes the disk has seen: the range for [`Fault::Stop`].
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The power goes and comes back: what was not synced is kept, lost or torn by sector, as `seed` decides. Files that
    /// are still open must not be used any more.
    pub fn crash(&self, seed: u64) {
        let mut disk = self.lock();
        let mut state = seed;
        let durable_names = disk.durable_names.clone();
        let mut names = durable_names.clone();
        let unsynced: Vec<(PathBuf, usize)> = disk
            .names
            .iter()
            .filter(|(path, inode)| durable_names.get(*path) != Some(*inode))
            .map(|(p, i)| (p.clone(), *i))
            .collect();
        for (path, inode) in unsynced {
            if random(&mut state).is_multiple_of(2) {
                names.insert(path, inode);
            }
        }
        // A name that was removed may be back, each for itself. One that was changed is not gone unless the new one is there.
        for (path, inode) in durable_names.iter().filter(|(path, _)| !disk.names.contains_key(*path)) {
            let renamed = disk.names.values().any(|named| named == inode);
            let has_other = names.iter().any(|(other, named)| named == inode && other != path);
            if (!renamed || has_other) && random(&mut state).is_multiple_of(2) {
                names.remove(path);
            }
        }
        for inode in &mut disk.inodes {
            inode.crash(&mut state);
        }
        disk.durable_names.clone_from(&names);
        disk.names = names;
        (disk.read_fault, disk.write_fault, disk.sync_fault) = (None, None, None);
        (disk.stop, disk.stopped) = (None, false);
    }

    /// Flips one bit of a file, durable or not, as a failing disk does.
    pub fn flip_bit(&self, path: &Path, position: u64, bit: u8) {
        let mut disk = self.lock();
        let Some(inode) = disk.names.get(path).copied() else { return };
        let Some(inode) = disk.inodes.get_mut(inode) else { return };
        let Ok(position) = usize::try_from(position) else { return };
        for bytes in [&mut inode.bytes, &mut inode.durable] {
            if let Some(byte) = bytes.get_mut(position) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// A panic in a holder leaves the disk usable: each change is complete by itself.
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inode {
    fn write(&mut self, position: usize, bytes: &[u8], tracks: bool) -> io::Result<()> {
        let end = position.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.length_dirty = true;
        }
        if let Some(target) = self.bytes.get_mut(position..end) {
            target.copy_from_slice(bytes);
        }
        if tracks && !bytes.is_empty() {
            self.dirty.extend(position / SECTOR..=(end - 1) / SECTOR);
        }
        Ok(())
    }

    fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.bytes.len());
            if let (Some(source), Some(target)) = (self.bytes.get(from..to), self.durable.get_mut(from..to)) {
                target.copy_from_slice(source);
            }
        }
        self.length_dirty = false;
    }

    fn crash(&mut self, state: &mut u64) {
        if self.length_dirty {
            // The length on disk is the old one, the new one, or one between them.
            let (low, high) = (self.durable.len().min(self.bytes.len()), self.durable.len().max(self.bytes.len()));
            let span = (high - low) as u64 + 1;
            let length = match random(state) % 3 {
                0 => low,
                1 => high,
                _ => low + usize::try_from(random(state) % span).unwrap_or_default(),
            };
            self.durable.resize(length, 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.bytes.len()).min(self.durable.len());
            if from >= to {
                continue;
            }
            let kept = match random(state) % 3 {
                0 => from,
                1 => to,
                // Power that fails within a sector leaves whole bursts of it.
                _ => (from + usize::try_from(random(state) % 8).unwrap_or_default() * BURST).min(to),
            };
            if let (Some(source), Some(target)) = (self.bytes.get(from..kept), self.durable.get_mut(from..kept)) {
                target.copy_from_slice(source);
            }
        }
        self.bytes.clone_from(&self.durable);
        self.length_dirty = false;
    }
}

impl Disk {
    /// Counts a change; an error once the machine has stopped.
    fn change(&mut self) -> io::Result<()> {
        self.changes += 1;
        if due(&mut self.stop) {
            self.stopped = true;
        }
        if self.stopped { Err(io::Error::other("the simulated machine has stopped")) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|inode| self.inodes.get(*inode)).map(|inode| inode.bytes.len() as u64).sum()
    }
}

impl Vfs for SimulatedVfs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let inode = self.lock().names.get(path).copied().ok_or_else(|| not_found(path))?;
        Ok(Arc::new(SimulatedFile { disk: Arc::clone(&self.disk), inode }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        if let Ok(file) = self.open(path) {
            return Ok(file);
        }
        let mut disk = self.lock();
        disk.change()?;
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.names.insert(path.to_owned(), inode);
        Ok(Arc::new(SimulatedFile { disk: Arc::clone(&self.disk), inode }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let disk = self.lock();
        if !disk.folders.contains(folder) {
            return Err(not_found(folder));
        }
        let children = disk.names.keys().chain(&disk.folders).filter(|path| path.parent() == Some(folder));
        let names: BTreeSet<String> =
            children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
        Ok(names.into_iter().collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let disk = self.lock();
        disk.names.contains_key(path) || disk.folders.contains(path)
    }

    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.folders.extend(folder.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.change()?;
        if let Some(inode) = disk.names.remove(from) {
            disk.names.insert(to.to_owned(), inode);
            return Ok(());
        }
        if !disk.folders.contains(from) {
            return Err(not_found(from));
        }
        let moved = |path: &PathBuf| path.strip_prefix(from).map_or_else(|_| path.clone(), |rest| to.join(rest));
        disk.folders = disk.folders.iter().map(moved).collect();
        disk.names = disk.names.iter().map(|(path, inode)| (moved(path), *inode)).collect();
        disk.durable_names = disk.durable_names.iter().map(|(path, inode)| (moved(path), *inode)).collect();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.change()?;
        disk.names.remove(path).map(|_| ()).ok_or_else(|| not_found(path))?;
        if !disk.tracks_durability {
            // Nobody can bring the name back: let its bytes go.
            disk.release_unnamed();
        }
        Ok(())
    }

    fn remove_dir_all(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.change()?;
        disk.names.retain(|path, _| !path.starts_with(folder));
        disk.durable_names.retain(|path, _| !path.starts_with(folder));
        disk.folders.retain(|path| !path.starts_with(folder));
        disk.release_unnamed();
        Ok(())
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.change()?;
        if due(&mut disk.sync_fault) {
            return Err(eio());
        }
        if disk.tracks_durability {
            disk.durable_names.retain(|path, _| path.parent() != Some(folder));
            let now: Vec<_> = disk
                .names
                .iter()
                .filter(|(path, _)| path.parent() == Some(folder))
                .map(|(p, i)| (p.clone(), *i))
                .collect();
            disk.durable_names.extend(now);
        }
        Ok(())
    }
}

impl Disk {
    fn release_unnamed(&mut self) {
        let named: BTreeSet<usize> = self.names.values().chain(self.durable_names.values()).copied().collect();
        for (index, inode) in self.inodes.iter_mut().enumerate() {
            if !named.contains(&index) {
                *inode = Inode::default();
            }
        }
    }
}

impl SimulatedFile {
    fn with<T>(&self, act: impl FnOnce(&mut Disk, usize) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner), self.inode)
    }
}

impl VfsFile for SimulatedFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|disk, inode| {
            if due(&mut disk.read_fault) {
                return Err(eio());
            }
            let bytes = disk.inodes.get(inode).map(|inode| inode.bytes.as_slice()).unwrap_or_default();
            let rest = usize::try_from(position).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            for (target, source) in buffer.iter_mut().zip(rest) {
                *target = *source;
            }
            Ok(length)
        })
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|disk, inode| {
            disk.change()?;
            let position = usize::try_from(position).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
            let tracks = disk.tracks_durability;
            let fault = due(&mut disk.write_fault);
            let room = disk.capacity.map(|capacity| capacity.saturating_sub(disk.used()));
            let Some(inode) = disk.inodes.get_mut(inode) else { return Err(eio()) };
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            if fault {
                inode.write(position, half, tracks)?;
                return Err(eio());
            }
            let growth = (position + bytes.len()).saturating_sub(inode.bytes.len()) as u64;
            if room.is_some_and(|room| growth > room) {
                inode.write(
                    position,
                    half.get(..half.len().min(usize::try_from(room.unwrap_or(0)).unwrap_or(0))).unwrap_or_default(),
                    tracks,
                )?;
                return Err(enospc());
            }
            inode.write(position, bytes, tracks)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|disk, inode| Ok(disk.inodes.get(inode).map_or(0, |inode| inode.bytes.len() as u64)))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(|disk, inode| {
            disk.change()?;
            let length = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
            let tracks = disk.tracks_durability;
            let Some(inode) = disk.inodes.get_mut(inode) else { return Err(eio()) };
            inode.bytes.resize(length, 0);
            inode.length_dirty = tracks;
            inode.dirty.retain(|sector| sector * SECTOR < length);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|disk, inode| {
            disk.change()?;
            let fault = due(&mut disk.sync_fault);
            let tracks = disk.tracks_durability;
            let Some(inode) = disk.inodes.get_mut(inode) else { return Err(eio()) };
            if fault {
                inode.dirty.clear();
                return Err(eio());
            }
            if tracks {
                inode.sync();
            }
            Ok(())
        })
    }
}
