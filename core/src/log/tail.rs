//! The latest batches of a log in memory, as they stand in its file, so that whoever reads at the end touches no file.
//!
//! Invariants: no more memory than the log was given; batches in the order of their offsets, without a gap; the oldest
//! goes first. Only what was appended by this process is here, and its checksum was verified then.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::record::{BatchHeader, PATCHED_PREFIX_LEN};

/// Up to this size a batch that is shared is copied, once, for its prefix to be patched; a larger one is written in two
/// parts and left to the page cache, which sends it without any copy.
const COPIED_BYTES_MAX: usize = 16 * 1024;
/// What an entry takes beside its bytes.
const ENTRY_BYTES: usize = 64;

/// A batch with its prefix patched.
pub(super) enum Patched {
    /// As a whole.
    InPlace(Bytes),
    /// The prefix is to be written in front of this.
    Apart(Bytes),
}

/// Puts `prefix` over the beginning of `batch`: in place if nobody else holds its bytes, in a copy if it is small.
pub(super) fn patched(batch: Bytes, prefix: &[u8; PATCHED_PREFIX_LEN]) -> Patched {
    if batch.len() <= COPIED_BYTES_MAX {
        let mut whole = BytesMut::with_capacity(batch.len());
        whole.extend_from_slice(prefix);
        whole.extend_from_slice(batch.get(PATCHED_PREFIX_LEN..).unwrap_or_default());
        return Patched::InPlace(whole.freeze());
    }
    match batch.try_into_mut() {
        Ok(mut whole) => {
            if let Some(place) = whole.first_chunk_mut() {
                *place = *prefix;
            }
            Patched::InPlace(whole.freeze())
        }
        Err(shared) => Patched::Apart(shared.slice(PATCHED_PREFIX_LEN.min(shared.len())..)),
    }
}

/// The latest batches.
#[derive(Debug, Default)]
pub(super) struct Tail {
    batches: VecDeque<Held>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Held {
    base_offset: i64,
    next_offset: i64,
    bytes: Bytes,
}

impl Held {
    fn memory(&self) -> usize {
        self.bytes.len() + ENTRY_BYTES
    }
}

impl Tail {
    pub(super) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.shrink();
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the batch that was appended last.
    pub(super) fn push(&mut self, header: &BatchHeader, bytes: Bytes) {
        if self.bytes_max == 0 {
            return;
        }
        if self.batches.back().is_some_and(|last| last.next_offset != header.base_offset) {
            self.clear();
        }
        let held = Held { base_offset: header.base_offset, next_offset: header.next_offset(), bytes };
        self.bytes += held.memory();
        self.batches.push_back(held);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.bytes > self.bytes_max && self.evict() > 0 {}
    }

    /// Lets go of the oldest batch; returns its memory.
    pub(super) fn evict(&mut self) -> usize {
        let freed = self.batches.pop_front().map_or(0, |held| held.memory());
        self.bytes -= freed;
        freed
    }

    pub(super) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }

    /// The batches from `offset` on, by the rules of [`super::Log::read`]; `None` if `offset` is not here, or so much that
    /// the file is the better place to take it from.
    pub(super) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        up_to: i64,
        at_least_one: bool,
        worth_bytes: usize,
    ) -> Option<Vec<Bytes>> {
        let first = self.batches.partition_point(|held| held.next_offset <= offset);
        if self.batches.get(first)?.base_offset > offset {
            return None;
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        for held in self.batches.range(first..) {
            let fits = bytes + held.bytes.len() <= max_bytes || (found.is_empty() && at_least_one);
            if held.next_offset > up_to || !fits {
                break;
            }
            bytes += held.bytes.len();
            if bytes > worth_bytes {
                return None;
            }
            found.push(held.bytes.clone());
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchOptions, RecordBatch};

    fn batch(base_offset: i64, value: &[u8]) -> RecordBatch {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
        builder.append(0, None, Some(value), []).unwrap();
        builder.append(0, None, Some(value), []).unwrap();
        RecordBatch::parse(builder.build().unwrap()).unwrap()
    }

    #[test]
    fn the_oldest_goes_first_and_reads_are_whole_batches() {
        let mut tail = Tail::default();
        let batches: Vec<_> = (0..4).map(|at| batch(at * 2, b"value")).collect();
        let one = batches[0].bytes().len();
        tail.set_bytes_max(3 * (one + ENTRY_BYTES));
        for batch in &batches {
            tail.push(batch.header(), batch.bytes().clone());
        }
        assert_eq!(tail.bytes(), 3 * (one + ENTRY_BYTES));
        let count = |offset, max_bytes, up_to, at_least_one| {
            tail.read(offset, max_bytes, up_to, at_least_one, usize::MAX).map(|found| found.len())
        };
        assert_eq!(count(1, 9999, 8, true), None, "gone");
        assert_eq!(count(3, 9999, 8, true), Some(3), "from within a batch");
        assert_eq!(count(2, 9999, 7, true), Some(2), "not half of the last");
        assert_eq!(count(2, 2 * one, 8, true), Some(2));
        assert_eq!(count(2, 1, 8, true), Some(1));
        assert_eq!(count(2, 1, 8, false), Some(0));
        assert_eq!(tail.read(2, 9999, 8, true, one), None, "that much the file gives");
        assert_eq!(tail.evict(), one + ENTRY_BYTES);
        tail.push(batches[0].header(), batches[0].bytes().clone());
        assert_eq!(tail.bytes(), one + ENTRY_BYTES, "what does not follow begins anew");
    }

    #[test]
    fn a_prefix_is_patched_in_place_only_where_nobody_else_looks() {
        let prefix = [7; PATCHED_PREFIX_LEN];
        let large = Bytes::from(vec![1; COPIED_BYTES_MAX + 1]);
        let shared = large.clone();
        assert!(matches!(patched(large, &prefix), Patched::Apart(rest) if rest.len() == shared.len() - prefix.len()));
        let address = shared.as_ptr();
        let Patched::InPlace(whole) = patched(shared, &prefix) else { panic!("unique") };
        assert_eq!((whole.as_ptr(), &whole[..prefix.len()]), (address, &prefix[..]));
        let small = Bytes::from_static(&[1; 100]);
        assert!(
            matches!(patched(small, &prefix), Patched::InPlace(whole) if whole[..17] == [[7; 16].as_slice(), &[1]].concat())
        );
    }
}
