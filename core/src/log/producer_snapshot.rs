//! The `.snapshot` file: the producers of a log before an offset, taken when a segment begins and when the log closes, in
//! Kafka's format.
//!
//! ```text
//!  0  i16  version, 1
//!  2  u32  CRC32C of what follows
//!  6  i32  number of entries, then for each (46 bytes):
//!          i64 producer id   i16 epoch        i32 last sequence   i64 last offset
//!          i32 offset delta  i64 timestamp    i32 coordinator epoch
//!          i64 first offset of its open transaction, -1 for none
//! ```
//! Kafka writes one entry per producer, with its last batch and the time of its last batch or marker, and so forgets the
//! four batches before on a restart. Here each remembered batch has an entry, the oldest first, and the last one a second
//! entry if a marker came after it. Kafka lets a later entry of a producer replace an earlier one, so it reads out of
//! these files what it would have written. Producers without an open transaction stand in the order of their last
//! writes, the longest silent first, which is the order they are forgotten in when they are too many.
//!
//! Invariant T7: reading a snapshot gives what replaying the log up to its offset gives.
//!
//! Source: Kafka's `ProducerStateManager`.

use std::collections::{BTreeMap, VecDeque};

use super::producers::{BATCHES_KEPT, Batch, Producer, Producers};
use crate::record::crc32c;

const VERSION: i16 = 1;
const ENTRIES_OFFSET: usize = 2 + 4;
const ENTRY_LEN: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;
const _: () = assert!(ENTRY_LEN == 46);

impl Batch {
    /// Stands in a snapshot for a producer without batches.
    const NONE: Self = Self { last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp: -1 };
}

impl Producers {
    /// The content of a `.snapshot` file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        let mut count: i32 = 0;
        let mut add = |id: i64, producer: &Producer, batch: &Batch| {
            encode_entry(&mut entries, id, producer, batch);
            count = count.saturating_add(1);
        };
        for (id, producer) in self.in_order() {
            for batch in &producer.batches {
                add(id, producer, batch);
            }
            let last = producer.batches.back().unwrap_or(&Batch::NONE);
            if last.last_offset < 0 || last.timestamp != producer.last_timestamp {
                add(id, producer, &Batch { timestamp: producer.last_timestamp, ..*last });
            }
        }
        let mut bytes = Vec::with_capacity(ENTRIES_OFFSET + 4 + entries.len());
        let content = [&count.to_be_bytes(), entries.as_slice()].concat();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(crc32c(&content).to_be_bytes());
        bytes.extend(content);
        bytes
    }

    /// Reads a `.snapshot` file; `None` if it is no sound snapshot, and state has to come from the batches.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Self::read(bytes).ok()
    }

    /// The same, with what is wrong.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, SnapshotDefect> {
        let short = SnapshotDefect::TooShort { bytes: bytes.len() };
        let (version, rest) = bytes.split_first_chunk().ok_or(short)?;
        let (crc, content) = rest.split_first_chunk().ok_or(short)?;
        let (version, stated) = (i16::from_be_bytes(*version), u32::from_be_bytes(*crc));
        if version != VERSION {
            return Err(SnapshotDefect::Version { version });
        }
        let computed = crc32c(content);
        if stated != computed {
            return Err(SnapshotDefect::Crc { stated, computed });
        }
        let (count, entries) = content.split_first_chunk::<4>().ok_or(short)?;
        let (entries, rest) = entries.as_chunks::<ENTRY_LEN>();
        let count = i32::from_be_bytes(*count);
        if !rest.is_empty() || usize::try_from(count) != Ok(entries.len()) {
            return Err(SnapshotDefect::Count { count });
        }
        let mut by_id: BTreeMap<i64, (usize, Producer)> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            let (id, mut producer) = decode_entry(entry).ok_or(SnapshotDefect::Entry)?;
            if let Some((_, earlier)) = by_id.remove(&id).filter(|(_, earlier)| earlier.epoch == producer.epoch) {
                producer.batches = joined(earlier.batches, producer.batches);
            }
            by_id.insert(id, (place, producer));
        }
        let mut in_order: Vec<_> = by_id.into_iter().map(|(id, (place, producer))| (place, id, producer)).collect();
        in_order.sort_unstable_by_key(|(place, ..)| *place);
        Ok(Self::restored(in_order.into_iter().map(|(_, id, producer)| (id, producer))))
    }
}

/// Why a file is no sound snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotDefect {
    /// It ends before its number of entries.
    #[error("{bytes} bytes are no producer snapshot")]
    TooShort {
        /// Bytes of the file.
        bytes: usize,
    },
    /// It is of another version.
    #[error("version {version} of producer snapshots is not known, only 1 is")]
    Version {
        /// The version as found.
        version: i16,
    },
    /// Its bytes are not what was written.
    #[error("checksum is {computed:#010x}, the snapshot states {stated:#010x}")]
    Crc {
        /// Checksum in the file.
        stated: u32,
        /// Checksum of its bytes.
        computed: u32,
    },
    /// It has not as many entries as it states.
    #[error("it has not the {count} entries that it states")]
    Count {
        /// The number as found.
        count: i32,
    },
    /// An entry has a negative producer id or offset delta.
    #[error("an entry is of no producer")]
    Entry,
}

/// The batches of a producer's earlier entries and of its next one, which may name the last of them once more.
fn joined(mut earlier: VecDeque<Batch>, next: VecDeque<Batch>) -> VecDeque<Batch> {
    let is_new = |batch: &Batch| earlier.back().is_none_or(|last| last.last_offset < batch.last_offset);
    let new: Vec<_> = next.into_iter().filter(is_new).collect();
    earlier.extend(new);
    let surplus = earlier.len().saturating_sub(BATCHES_KEPT);
    earlier.drain(..surplus);
    earlier
}

fn encode_entry(bytes: &mut Vec<u8>, id: i64, producer: &Producer, batch: &Batch) {
    bytes.extend(id.to_be_bytes());
    bytes.extend(producer.epoch.to_be_bytes());
    bytes.extend(batch.last_sequence.to_be_bytes());
    bytes.extend(batch.last_offset.to_be_bytes());
    bytes.extend(batch.offset_delta.to_be_bytes());
    bytes.extend(batch.timestamp.to_be_bytes());
    bytes.extend(producer.coordinator_epoch.to_be_bytes());
    bytes.extend(producer.transaction_first_offset.unwrap_or(-1).to_be_bytes());
}

fn decode_entry(mut entry: &[u8]) -> Option<(i64, Producer)> {
    fn take<const N: usize>(entry: &mut &[u8]) -> Option<[u8; N]> {
        let (value, rest) = entry.split_first_chunk::<N>()?;
        *entry = rest;
        Some(*value)
    }
    let id = i64::from_be_bytes(take(&mut entry)?);
    let epoch = i16::from_be_bytes(take(&mut entry)?);
    let last_sequence = i32::from_be_bytes(take(&mut entry)?);
    let last_offset = i64::from_be_bytes(take(&mut entry)?);
    let offset_delta = i32::from_be_bytes(take(&mut entry)?);
    let last_timestamp = i64::from_be_bytes(take(&mut entry)?);
    let coordinator_epoch = i32::from_be_bytes(take(&mut entry)?);
    let first_offset = i64::from_be_bytes(take(&mut entry)?);
    if id < 0 || offset_delta < 0 {
        return None;
    }
    let last = Batch { last_sequence, last_offset, offset_delta, timestamp: last_timestamp };
    let batches = (last_offset >= 0).then_some(last).into_iter().collect();
    let transaction_first_offset = (first_offset >= 0).then_some(first_offset);
    let mut producer = Producer::new(epoch);
    (producer.batches, producer.coordinator_epoch) = (batches, coordinator_epoch);
    (producer.last_timestamp, producer.transaction_first_offset) = (last_timestamp, transaction_first_offset);
    Some((id, producer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchHeader, BatchOptions};

    fn header(producer_id: i64, producer_epoch: i16, base_sequence: i32, base_offset: i64) -> BatchHeader {
        let options = BatchOptions { producer_id, producer_epoch, base_sequence, base_offset, ..Default::default() };
        let mut builder = BatchBuilder::new(options);
        builder.append(1_000, None, None, []).expect("fits");
        BatchHeader::parse(&builder.build().expect("builds")).expect("a header")
    }

    #[test]
    fn a_snapshot_holds_the_last_five_batches_of_each() {
        let mut producers = Producers::bounded(100);
        for sequence in 0..7 {
            producers.apply(&header(1, 0, sequence, i64::from(sequence)), None);
            producers.apply(&header(2, sequence.try_into().expect("small"), 0, i64::from(sequence) + 50), None);
        }
        let bytes = producers.encode();
        assert_eq!(bytes.len(), 10 + ENTRY_LEN * (5 + 1));
        let read = Producers::decode(&bytes).expect("sound");
        assert_eq!(read.encode(), bytes);
        for sequence in 2..7 {
            let known = read.check(&header(1, 0, sequence, 0), true).expect("no error").expect("a duplicate");
            assert_eq!(known.base_offset, i64::from(sequence));
        }
        assert!(read.check(&header(1, 0, 1, 0), true).is_err(), "older than what is remembered");
    }

    #[test]
    fn no_changed_snapshot_is_believed() {
        let mut producers = Producers::bounded(100);
        producers.apply(&header(1, 0, 0, 0), None);
        let bytes = producers.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Producers::decode(&flipped).is_none(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Producers::decode(&bytes[..length]).is_none(), "{length} bytes");
        }
    }
}
