//! What a log knows of its idempotent producers: the last five batches of each, so that a retry is answered with the
//! offset it already has, a gap is refused, and an older session is fenced.
//!
//! State is rebuilt from batch headers; a snapshot in Kafka's format, taken when a segment begins and when the log
//! closes, saves reading all of them again:
//!
//! ```text
//!  0  i16  version, 1
//!  2  u32  CRC32C of what follows
//!  6  i32  number of entries, then for each (46 bytes):
//!          i64 producer id   i16 epoch        i32 last sequence   i64 last offset
//!          i32 offset delta  i64 timestamp    i32 coordinator epoch
//!          i64 first offset of its open transaction, -1 for none
//! ```
//! Kafka writes one entry per producer, that of its last batch, and so forgets the four before on a restart. Here each
//! remembered batch has an entry, the oldest first: Kafka lets a later entry of a producer replace an earlier one, so it
//! reads out of these files what it would have written.
//!
//! Source: Kafka's `ProducerStateManager`, `ProducerAppendInfo`, KIP-98.

use std::collections::{BTreeMap, VecDeque};

use crate::record::{BatchHeader, crc32c};

/// How many batches of a producer are remembered: as many as it may have in flight.
const BATCHES_KEPT: usize = 5;
const VERSION: i16 = 1;
const CRC_OFFSET: usize = 2;
const ENTRIES_OFFSET: usize = CRC_OFFSET + 4;
const ENTRY_LEN: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;
const _: () = assert!(ENTRY_LEN == 46);

/// Why a producer's batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A batch is missing before this one, or it is older than what is remembered.
    #[error("producer {producer_id}: sequence {got} does not follow {expected_after}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The batch's first sequence number.
        got: i32,
        /// The last one the log has; -1 for none in this epoch.
        expected_after: i32,
    },
    /// A newer session of this producer has written.
    #[error("producer {producer_id}: epoch {got} is older than {current}")]
    Fenced {
        /// The producer.
        producer_id: i64,
        /// The batch's epoch.
        got: i16,
        /// The epoch that is in force.
        current: i16,
    },
}

/// Where a batch that arrives a second time already stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Duplicate {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) timestamp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    last_sequence: i32,
    last_offset: i64,
    offset_delta: i32,
    timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Batch>,
    coordinator_epoch: i32,
    transaction_first_offset: Option<i64>,
}

/// The producers of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Producers {
    by_id: BTreeMap<i64, Producer>,
}

/// The sequence number `delta` before `sequence`; they wrap from 2³¹-1 to 0.
fn sequence_before(sequence: i32, delta: i32) -> i32 {
    sequence.wrapping_sub(delta) & i32::MAX
}

impl Batch {
    /// Stands in a snapshot for a producer without batches.
    const NONE: Self = Self { last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp: -1 };

    fn first_sequence(&self) -> i32 {
        sequence_before(self.last_sequence, self.offset_delta)
    }
}

impl Producers {
    /// Whether a batch may be appended: `Some` if it already was.
    pub(super) fn check(&self, header: &BatchHeader) -> Result<Option<Duplicate>, ProducerError> {
        let BatchHeader { producer_id, producer_epoch, base_sequence, .. } = *header;
        let Some(producer) = self.by_id.get(&producer_id) else { return Ok(None) };
        let out_of_order =
            |expected_after| ProducerError::OutOfOrderSequence { producer_id, got: base_sequence, expected_after };
        if producer_epoch < producer.epoch {
            return Err(ProducerError::Fenced { producer_id, got: producer_epoch, current: producer.epoch });
        }
        if header.attributes.is_control() {
            return Ok(None);
        }
        if producer_epoch > producer.epoch {
            return if base_sequence == 0 { Ok(None) } else { Err(out_of_order(-1)) };
        }
        let known = producer
            .batches
            .iter()
            .find(|batch| batch.first_sequence() == base_sequence && batch.last_sequence == header.last_sequence());
        if let Some(batch) = known {
            return Ok(Some(Duplicate {
                base_offset: batch.last_offset - i64::from(batch.offset_delta),
                last_offset: batch.last_offset,
                timestamp: batch.timestamp,
            }));
        }
        match producer.batches.back() {
            Some(last) if base_sequence != sequence_before(last.last_sequence, -1) => {
                Err(out_of_order(last.last_sequence))
            }
            _ => Ok(None),
        }
    }

    /// Takes in a batch that now stands in the log.
    pub(super) fn update(&mut self, header: &BatchHeader) {
        if !header.has_producer_id() || header.attributes.is_control() {
            return;
        }
        let producer = self.by_id.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::with_capacity(BATCHES_KEPT),
            coordinator_epoch: -1,
            transaction_first_offset: None,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Batch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
    }

    /// Forgets producers that have not written since `timestamp`.
    pub(super) fn expire(&mut self, timestamp: i64) {
        self.by_id.retain(|_, producer| producer.batches.back().is_some_and(|batch| batch.timestamp >= timestamp));
    }

    /// The content of a `.snapshot` file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let count: usize = self.by_id.values().map(|producer| producer.batches.len().max(1)).sum();
        let mut bytes = Vec::with_capacity(ENTRIES_OFFSET + 4 + count * ENTRY_LEN);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
        for (id, producer) in &self.by_id {
            for batch in &producer.batches {
                encode_entry(&mut bytes, *id, producer, batch);
            }
            if producer.batches.is_empty() {
                encode_entry(&mut bytes, *id, producer, &Batch::NONE);
            }
        }
        let crc = crc32c(bytes.get(ENTRIES_OFFSET..).unwrap_or_default());
        if let Some(target) = bytes.get_mut(CRC_OFFSET..ENTRIES_OFFSET) {
            target.copy_from_slice(&crc.to_be_bytes());
        }
        bytes
    }

    /// Reads a `.snapshot` file; `None` if it is no sound snapshot, and state has to come from the batches.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let version = i16::from_be_bytes(*bytes.first_chunk()?);
        let crc = u32::from_be_bytes(*bytes.get(CRC_OFFSET..)?.first_chunk()?);
        let content = bytes.get(ENTRIES_OFFSET..)?;
        if version != VERSION || crc != crc32c(content) {
            return None;
        }
        let (count, entries) = content.split_first_chunk::<4>()?;
        let (entries, rest) = entries.as_chunks::<ENTRY_LEN>();
        if !rest.is_empty() || usize::try_from(i32::from_be_bytes(*count)).ok()? != entries.len() {
            return None;
        }
        let mut by_id: BTreeMap<i64, Producer> = BTreeMap::new();
        for entry in entries {
            let (id, mut producer) = decode_entry(entry)?;
            if let Some(earlier) = by_id.remove(&id).filter(|earlier| earlier.epoch == producer.epoch) {
                let newest = std::mem::replace(&mut producer.batches, earlier.batches);
                producer.batches.extend(newest);
                let surplus = producer.batches.len().saturating_sub(BATCHES_KEPT);
                producer.batches.drain(..surplus);
            }
            by_id.insert(id, producer);
        }
        Some(Self { by_id })
    }
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
    let timestamp = i64::from_be_bytes(take(&mut entry)?);
    let coordinator_epoch = i32::from_be_bytes(take(&mut entry)?);
    let first_offset = i64::from_be_bytes(take(&mut entry)?);
    if id < 0 || offset_delta < 0 {
        return None;
    }
    let last = (last_sequence >= 0).then_some(Batch { last_sequence, last_offset, offset_delta, timestamp });
    let transaction_first_offset = (first_offset >= 0).then_some(first_offset);
    Some((id, Producer { epoch, batches: last.into_iter().collect(), coordinator_epoch, transaction_first_offset }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchOptions};

    fn header(producer_id: i64, producer_epoch: i16, base_sequence: i32, base_offset: i64) -> BatchHeader {
        let options = BatchOptions { producer_id, producer_epoch, base_sequence, base_offset, ..Default::default() };
        let mut builder = BatchBuilder::new(options);
        builder.append(1_000, None, None, []).expect("fits");
        BatchHeader::parse(&builder.build().expect("builds")).expect("a header")
    }

    #[test]
    fn a_snapshot_holds_the_last_five_batches_of_each() {
        let mut producers = Producers::default();
        for sequence in 0..7 {
            producers.update(&header(1, 0, sequence, i64::from(sequence)));
            producers.update(&header(2, sequence.try_into().expect("small"), 0, i64::from(sequence) + 50));
        }
        let bytes = producers.encode();
        assert_eq!(bytes.len(), 10 + ENTRY_LEN * (5 + 1));
        let read = Producers::decode(&bytes).expect("sound");
        assert_eq!(read, producers);
        for sequence in 2..7 {
            let known = read.check(&header(1, 0, sequence, 0)).expect("no error").expect("a duplicate");
            assert_eq!(known.base_offset, i64::from(sequence));
        }
        assert!(read.check(&header(1, 0, 1, 0)).is_err(), "older than what is remembered");
    }

    #[test]
    fn no_changed_snapshot_is_believed() {
        let mut producers = Producers::default();
        producers.update(&header(1, 0, 0, 0));
        let bytes = producers.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Producers::decode(&flipped), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Producers::decode(&bytes[..length]), None, "{length} bytes");
        }
    }
}
