//! The aborted transactions whose markers lie in a segment, as `<base offset>.txnindex` in Kafka's layout: what a reader
//! of committed records needs to know which batches to pass over.
//!
//! ```text
//!  0  i16  version, 0
//!  2  i64  producer id
//! 10  i64  first offset of the transaction, in this segment or an earlier one
//! 18  i64  last offset: that of the marker, in this segment
//! 26  i64  last stable offset once the marker was written: the first offset of the earliest transaction open then
//! ```
//! Entries stand in the order of their markers. The file is derived like the other indexes: it is written when its
//! segment is closed and before a producer snapshot within it, an empty one says that nothing was aborted, and a missing
//! or wrong one is built anew from the batches ([`super::transactions`]).
//!
//! Invariant: the file has, durably, all that was aborted before the newest producer snapshot within the segment or at its
//! end. What came after it is found when a start replays the batches behind the snapshot. Nothing in the file itself
//! tells whether entries are missing at its end, so it is synced when it is written.
//!
//! Source: Kafka's `TransactionIndex`, `AbortedTxn`.

use std::{io, path::Path};

use super::vfs::{self, Vfs};

const VERSION: i16 = 0;
pub(super) const ENTRY_LEN: usize = 2 + 8 + 8 + 8 + 8;
const _: () = assert!(ENTRY_LEN == 34);

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose it was.
    pub producer_id: i64,
    /// Offset of its first record in this partition.
    pub first_offset: i64,
    /// Offset of the marker that ended it.
    pub last_offset: i64,
}

/// An entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AbortedEntry {
    pub(super) transaction: AbortedTransaction,
    /// No transaction aborted later in the log began before this.
    pub(super) last_stable_offset: i64,
}

/// What is known of a segment's aborted transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TransactionIndex {
    /// Those whose markers lie before `from` stand in the file, or so it should be; `newer` are the others.
    OnDisk { from: i64, newer: Vec<AbortedEntry> },
    /// All of them, by rising last offset.
    Known { entries: Vec<AbortedEntry>, file: FileState },
}

/// What the file holds of the entries that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// So many of them, the first ones.
    Holds(usize),
    /// Something else, or there is none.
    Other,
}

impl TransactionIndex {
    /// That of a segment in which nothing was aborted yet.
    pub(super) fn none() -> Self {
        Self::Known { entries: Vec::new(), file: FileState::Other }
    }

    /// That of a segment whose file has all that was aborted before `from`.
    pub(super) fn on_disk_before(from: i64) -> Self {
        Self::OnDisk { from, newer: Vec::new() }
    }

    /// Whether the file has all there is.
    pub(super) fn is_written(&self) -> bool {
        match self {
            Self::OnDisk { newer, .. } => newer.is_empty(),
            Self::Known { entries, file } => *file == FileState::Holds(entries.len()),
        }
    }

    /// Takes note of an abort marker that was appended to the segment.
    pub(super) fn push(&mut self, entry: AbortedEntry) {
        match self {
            Self::Known { entries, .. } => entries.push(entry),
            Self::OnDisk { newer, .. } => newer.push(entry),
        }
    }

    /// Completes what is `OnDisk` with the content of the file.
    pub(super) fn with_file(&self, mut stored: Vec<AbortedEntry>) -> Self {
        let Self::OnDisk { from, newer } = self else { return self.clone() };
        let in_file = stored.len();
        stored.retain(|entry| entry.transaction.last_offset < *from);
        let file = if stored.len() == in_file { FileState::Holds(in_file) } else { FileState::Other };
        stored.extend_from_slice(newer);
        Self::Known { entries: stored, file }
    }

    /// Adds those that overlap the offsets `from..up_to` to `found`.
    pub(super) fn collect(&self, from: i64, up_to: i64, found: &mut Vec<AbortedTransaction>) {
        let Self::Known { entries, .. } = self else { return };
        let begin = entries.partition_point(|entry| entry.transaction.last_offset < from);
        for entry in entries.iter().skip(begin) {
            if entry.transaction.first_offset < up_to {
                found.push(entry.transaction);
            }
            if entry.last_stable_offset >= up_to {
                break;
            }
        }
    }

    /// Writes to the file at `path` what it does not hold yet, durably: a file that lacks an entry would not show it.
    pub(super) fn write(&mut self, vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
        let Self::Known { entries, file } = self else { return Ok(()) };
        match *file {
            FileState::Holds(count) if count == entries.len() => return Ok(()),
            FileState::Holds(count) => {
                let handle = vfs.open(path)?;
                let rest = encode(entries.get(count..).unwrap_or_default());
                handle.write_at((count * ENTRY_LEN) as u64, &rest)?;
                handle.sync_data()?;
            }
            FileState::Other if entries.is_empty() => match vfs.open(path) {
                // Else a crash could bring back what an earlier life wrote of markers that it then lost. That the file is
                // empty now does not say that the disk knows: whoever emptied it may have come no further.
                Ok(handle) => {
                    handle.truncate(0)?;
                    handle.sync_data()?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => drop(vfs.create(path)?),
                Err(error) => return Err(error),
            },
            FileState::Other => vfs::replace(vfs, path, &encode(entries))?,
        }
        *file = FileState::Holds(entries.len());
        Ok(())
    }
}

/// The content of the file.
fn encode(entries: &[AbortedEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_LEN);
    for AbortedEntry { transaction, last_stable_offset } in entries {
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(transaction.producer_id.to_be_bytes());
        bytes.extend(transaction.first_offset.to_be_bytes());
        bytes.extend(transaction.last_offset.to_be_bytes());
        bytes.extend(last_stable_offset.to_be_bytes());
    }
    bytes
}

/// Reads the file of a segment with the offsets `base_offset..next_offset`; `None` if it cannot be that.
pub(super) fn decode(bytes: &[u8], base_offset: i64, next_offset: i64) -> Option<Vec<AbortedEntry>> {
    let (chunks, rest) = bytes.as_chunks::<ENTRY_LEN>();
    if !rest.is_empty() {
        return None;
    }
    let entries = chunks.iter().map(|chunk| decode_entry(chunk)).collect::<Option<Vec<_>>>()?;
    let mut marker_before = base_offset - 1;
    for AbortedEntry { transaction, last_stable_offset } in &entries {
        let AbortedTransaction { first_offset, last_offset, .. } = *transaction;
        let in_order = marker_before < last_offset && last_offset < next_offset;
        if !in_order || first_offset >= last_offset || *last_stable_offset > last_offset + 1 {
            return None;
        }
        marker_before = last_offset;
    }
    // A last stable offset that is too high would end a search too early.
    let mut earliest = i64::MAX;
    for AbortedEntry { transaction, last_stable_offset } in entries.iter().rev() {
        if *last_stable_offset > earliest {
            return None;
        }
        earliest = earliest.min(transaction.first_offset);
    }
    Some(entries)
}

/// Reads one entry; `None` if it cannot be one.
pub(super) fn decode_entry(mut entry: &[u8]) -> Option<AbortedEntry> {
    fn take<const N: usize>(entry: &mut &[u8]) -> Option<[u8; N]> {
        let (value, rest) = entry.split_first_chunk::<N>()?;
        *entry = rest;
        Some(*value)
    }
    let version = i16::from_be_bytes(take(&mut entry)?);
    let producer_id = i64::from_be_bytes(take(&mut entry)?);
    let first_offset = i64::from_be_bytes(take(&mut entry)?);
    let last_offset = i64::from_be_bytes(take(&mut entry)?);
    let last_stable_offset = i64::from_be_bytes(take(&mut entry)?);
    (version == VERSION && producer_id >= 0 && first_offset >= 0).then_some(AbortedEntry {
        transaction: AbortedTransaction { producer_id, first_offset, last_offset },
        last_stable_offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(producer_id: i64, first_offset: i64, last_offset: i64, last_stable_offset: i64) -> AbortedEntry {
        AbortedEntry { transaction: AbortedTransaction { producer_id, first_offset, last_offset }, last_stable_offset }
    }

    fn found(index: &TransactionIndex, from: i64, up_to: i64) -> Vec<i64> {
        let mut found = Vec::new();
        index.collect(from, up_to, &mut found);
        found.iter().map(|aborted| aborted.producer_id).collect()
    }

    #[test]
    fn entries_that_overlap_are_found_and_read_back() {
        // 3 is open while 1 and 2 end.
        let entries = vec![entry(1, 100, 110, 105), entry(2, 111, 120, 105), entry(3, 105, 130, 131)];
        let index = TransactionIndex::Known { entries: entries.clone(), file: FileState::Other };
        assert_eq!(found(&index, 100, 131), [1, 2, 3]);
        assert_eq!(found(&index, 111, 112), [2, 3]);
        assert_eq!(found(&index, 100, 105), [1], "up to, and not including");
        assert_eq!(found(&index, 130, 131), [3], "the marker belongs to it");
        assert_eq!(found(&index, 131, 200), [0; 0]);
        let bytes = encode(&entries);
        assert_eq!(bytes.len(), 3 * ENTRY_LEN);
        assert_eq!(decode(&bytes, 90, 131), Some(entries));
        assert_eq!(decode(&bytes, 90, 130), None, "a marker beyond the segment");
        assert_eq!(decode(&bytes, 111, 131), None, "a marker before it");
        assert_eq!(decode(&bytes[..bytes.len() - 1], 90, 131), None, "half an entry");
        assert_eq!(decode(&[], 90, 131), Some(Vec::new()));
    }

    #[test]
    fn a_file_that_would_hide_a_transaction_is_refused() {
        for entries in [
            vec![entry(1, 100, 110, 111), entry(3, 105, 130, 131)],
            vec![entry(1, 100, 110, 112)],
            vec![entry(1, 110, 110, 111)],
            vec![entry(-1, 100, 110, 111)],
            vec![entry(1, 100, 110, 100), entry(2, 90, 110, 100)],
        ] {
            let bytes = encode(&entries);
            assert_eq!(decode(&bytes, 90, 200), None, "{entries:?}");
        }
    }
}
