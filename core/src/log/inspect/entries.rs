//! The entries of indexes and snapshots as they stand in their files, one after the other.

use std::{io, path::Path, sync::Arc};

use crate::log::{
    SnapshotDefect, index,
    producers::Producers,
    txn_index,
    vfs::{self, Vfs, VfsFile},
};

/// Entries that are read at once.
const ENTRIES_AT_ONCE: usize = 4096;
/// A snapshot larger than this is no snapshot: it would have millions of producers.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;

/// Entries of `N` bytes. Ends before the zeros that Apache Kafka fills a growing index up with.
#[derive(Debug)]
pub(super) struct Entries<const N: usize> {
    file: Arc<dyn VfsFile>,
    length: u64,
    position: u64,
    chunk: Vec<[u8; N]>,
    taken: usize,
    done: bool,
}

impl<const N: usize> Entries<N> {
    pub(super) fn open(vfs: &dyn Vfs, path: &Path) -> io::Result<Self> {
        let file = vfs.open(path)?;
        let length = file.len()?;
        Ok(Self { file, length, position: 0, chunk: Vec::new(), taken: 0, done: false })
    }

    /// Whether the file ends within an entry.
    pub(super) fn ends_within(&self) -> bool {
        !self.length.is_multiple_of(N as u64)
    }

    fn fill(&mut self) -> io::Result<()> {
        let left = usize::try_from((self.length - self.position) / N as u64).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(ENTRIES_AT_ONCE) * N];
        let read = self.file.read_at(self.position, &mut bytes)?;
        bytes.truncate(read);
        self.chunk = bytes.as_chunks::<N>().0.to_vec();
        self.position += (self.chunk.len() * N) as u64;
        self.taken = 0;
        Ok(())
    }
}

impl<const N: usize> Iterator for Entries<N> {
    type Item = io::Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.done
            && self.taken == self.chunk.len()
            && let Err(error) = self.fill()
        {
            self.done = true;
            return Some(Err(error));
        }
        let entry = self.chunk.get(self.taken).filter(|entry| !self.done && **entry != [0; N]);
        let Some(entry) = entry else {
            self.done = true;
            return None;
        };
        self.taken += 1;
        Some(Ok(*entry))
    }
}

/// An entry of an offset index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    /// The last offset of a batch.
    pub offset: i64,
    /// Where that batch begins.
    pub position: u32,
}

/// An entry of a time index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// The largest timestamp up to the offset.
    pub timestamp: i64,
    /// The last offset of the batch that has it.
    pub offset: i64,
}

/// An entry of a transaction index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedEntry {
    /// Whose transaction was aborted.
    pub producer_id: i64,
    /// Where it began.
    pub first_offset: i64,
    /// Where its marker stands.
    pub last_offset: i64,
    /// The last stable offset once the marker was written.
    pub last_stable_offset: i64,
}

/// A producer of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Its id.
    pub producer_id: i64,
    /// The epoch of its session.
    pub producer_epoch: i16,
    /// Epoch of the last coordinator that ended a transaction of its; -1 for none.
    pub coordinator_epoch: i32,
    /// When it, or the coordinator for it, wrote last; -1 if that is not known.
    pub last_timestamp: i64,
    /// Where the transaction began that it has open.
    pub transaction_first_offset: Option<i64>,
    /// Its last batch, if it has written in this epoch.
    pub last_batch: Option<SnapshotBatch>,
}

/// The last batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotBatch {
    /// Its last sequence number.
    pub last_sequence: i32,
    /// Its last offset.
    pub last_offset: i64,
}

/// The entries of the offset index at `path`, whose segment begins at `base_offset`.
///
/// # Errors
/// Those of the file system, also from the iterator.
pub fn offset_entries(
    vfs: &dyn Vfs,
    path: &Path,
    base_offset: i64,
) -> io::Result<impl Iterator<Item = io::Result<OffsetEntry>> + use<>> {
    Ok(Entries::open(vfs, path)?.map(move |entry| {
        let (relative, position) = index::offset_entry(&entry?);
        Ok(OffsetEntry { offset: base_offset.saturating_add(i64::from(relative)), position })
    }))
}

/// The entries of the time index at `path`, whose segment begins at `base_offset`.
///
/// # Errors
/// Those of the file system, also from the iterator.
pub fn time_entries(
    vfs: &dyn Vfs,
    path: &Path,
    base_offset: i64,
) -> io::Result<impl Iterator<Item = io::Result<TimeEntry>> + use<>> {
    Ok(Entries::open(vfs, path)?.map(move |entry| {
        let (timestamp, relative) = index::time_entry(&entry?);
        Ok(TimeEntry { timestamp, offset: base_offset.saturating_add(i64::from(relative)) })
    }))
}

/// The entries of the transaction index at `path`; one that can be no entry is an error of kind `InvalidData`.
///
/// # Errors
/// Those of the file system, also from the iterator.
pub fn aborted_entries(
    vfs: &dyn Vfs,
    path: &Path,
) -> io::Result<impl Iterator<Item = io::Result<AbortedEntry>> + use<>> {
    Ok(Entries::<{ txn_index::ENTRY_LEN }>::open(vfs, path)?.map(|entry| {
        let read = txn_index::decode_entry(&entry?);
        let read = read.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an entry of another version"))?;
        Ok(AbortedEntry {
            producer_id: read.transaction.producer_id,
            first_offset: read.transaction.first_offset,
            last_offset: read.transaction.last_offset,
            last_stable_offset: read.last_stable_offset,
        })
    }))
}

/// The producers of the snapshot at `path`, by rising id.
///
/// # Errors
/// Those of the file system; within, what makes it no snapshot.
pub fn snapshot_entries(vfs: &dyn Vfs, path: &Path) -> io::Result<Result<Vec<SnapshotEntry>, SnapshotDefect>> {
    if vfs.open(path)?.len()? > SNAPSHOT_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large for a producer snapshot"));
    }
    Ok(Producers::read(&vfs::read(vfs, path)?).map(|producers| {
        let entry = |(id, producer): (&i64, &crate::log::producers::Producer)| SnapshotEntry {
            producer_id: *id,
            producer_epoch: producer.epoch,
            coordinator_epoch: producer.coordinator_epoch,
            last_timestamp: producer.last_timestamp,
            transaction_first_offset: producer.transaction_first_offset,
            last_batch: producer
                .batches
                .back()
                .map(|last| SnapshotBatch { last_sequence: last.last_sequence, last_offset: last.last_offset }),
        };
        producers.by_id.iter().map(entry).collect()
    }))
}
