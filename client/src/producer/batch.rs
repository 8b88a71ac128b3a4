//! A batch on its way: first open and being filled, then sealed, sent, perhaps sent again or split.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use riverrun_core::{
    protocol::ErrorCode,
    record::{BatchBuilder, BatchOptions, BuildError, Compression, DecompressLimits, RecordBatch, patch_producer},
};
use tokio::time::Instant;

use super::completion::{Completion, Outcome};
use crate::error::CallError;

/// Producer id and epoch (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProducerSession {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// The number that makes a batch recognisable when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequenced {
    pub(super) session: ProducerSession,
    pub(super) base_sequence: i32,
}

/// A batch that takes records.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) builder: BatchBuilder,
    pub(super) completion: Arc<Completion>,
    pub(super) id: u64,
    pub(super) created: Instant,
    /// Bytes of the buffer that its records hold.
    pub(super) memory: usize,
}

impl OpenBatch {
    pub(super) fn seal(self) -> Batch {
        let count = u32::try_from(self.builder.len()).unwrap_or(u32::MAX);
        Batch {
            content: Content::Records(Box::new(self.builder)),
            completion: self.completion,
            id: self.id,
            records: 0..count,
            created: self.created,
            attempts: 0,
            sequenced: None,
            memory: self.memory,
            failure: None,
        }
    }
}

/// A sealed batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) content: Content,
    pub(super) completion: Arc<Completion>,
    /// Batches of a producer are numbered in the order in which they were begun; parts of a split one share it.
    pub(super) id: u64,
    /// Its records by their index in the batch as it was filled.
    pub(super) records: Range<u32>,
    pub(super) created: Instant,
    /// How often it was sent.
    pub(super) attempts: u32,
    pub(super) sequenced: Option<Sequenced>,
    pub(super) memory: usize,
    /// Why the last attempt failed.
    pub(super) failure: Option<Failure>,
}

/// What is in it.
#[derive(Debug)]
pub(super) enum Content {
    /// Not yet compressed.
    Records(Box<BatchBuilder>),
    /// In wire form, with the producer session and sequence it had when it was sent first.
    Encoded(Bytes),
}

/// Why an attempt failed.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Broker { code: ErrorCode, message: Option<Arc<str>> },
    Call(CallError),
}

impl Batch {
    /// What decides the order within a partition.
    pub(super) fn order(&self) -> (u64, u32) {
        (self.id, self.records.start)
    }

    /// How many records are in it.
    pub(super) fn count(&self) -> u32 {
        self.records.end - self.records.start
    }

    /// Bytes before compression, or exactly, once encoded.
    pub(super) fn size(&self) -> usize {
        match &self.content {
            Content::Records(builder) => builder.size_estimate(),
            Content::Encoded(bytes) => bytes.len(),
        }
    }

    /// The wire form, made now if it is not there yet.
    pub(super) fn encoded(&mut self) -> Result<Bytes, BuildError> {
        if let Content::Encoded(bytes) = &self.content {
            return Ok(bytes.clone());
        }
        let records = std::mem::replace(&mut self.content, Content::Encoded(Bytes::new()));
        let Content::Records(mut builder) = records else { return Err(BuildError::Empty) };
        if let Some(Sequenced { session, base_sequence }) = self.sequenced {
            builder.set_producer(session.id, session.epoch, base_sequence);
        }
        let bytes = builder.build()?;
        self.content = Content::Encoded(bytes.clone());
        Ok(bytes)
    }

    /// Gives it another session and sequence, before it is sent again.
    pub(super) fn resequence(&mut self, sequenced: Sequenced) {
        self.sequenced = Some(sequenced);
        if let Content::Encoded(bytes) = &mut self.content {
            let mut copy = bytes.to_vec();
            let Sequenced { session, base_sequence } = sequenced;
            // It was encoded here, so its header is whole; were it not, the broker would say so.
            if patch_producer(&mut copy, session.id, session.epoch, base_sequence).is_ok() {
                *bytes = copy.into();
            }
        }
    }

    /// Two batches with half of the records each, in order, or nothing if it cannot be cut.
    pub(super) fn split(&self, compression: Compression) -> Option<[Self; 2]> {
        let Content::Encoded(bytes) = &self.content else { return None };
        let count = self.count();
        if count < 2 {
            return None;
        }
        let records = RecordBatch::parse(bytes.clone()).ok()?.decode(&DecompressLimits::default()).ok()?;
        let middle = count / 2;
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let mut halves = [BatchBuilder::new(options.clone()), BatchBuilder::new(options)];
        for (index, record) in (0..count).zip(&records) {
            let record = record.ok()?;
            let keys: Vec<_> = record.headers.iter().map(|header| (header.key(), header.value)).collect();
            let headers = keys.iter().map(|(key, value)| (key.as_ref(), *value));
            let [first, second] = &mut halves;
            let half = if index < middle { first } else { second };
            half.append(record.timestamp, record.key, record.value, headers).ok()?;
        }
        let [first, second] = halves;
        let start = self.records.start;
        Some([
            self.part(first, start..start + middle, 0, self.memory / 2),
            self.part(second, start + middle..self.records.end, middle, self.memory - self.memory / 2),
        ])
    }

    fn part(&self, builder: BatchBuilder, records: Range<u32>, skipped: u32, memory: usize) -> Self {
        let sequenced = self
            .sequenced
            .map(|sequenced| Sequenced { base_sequence: advance(sequenced.base_sequence, skipped), ..sequenced });
        Self {
            content: Content::Records(Box::new(builder)),
            completion: Arc::clone(&self.completion),
            id: self.id,
            records,
            created: self.created,
            attempts: self.attempts,
            sequenced,
            memory,
            failure: self.failure.clone(),
        }
    }

    /// Tells its records how it ended.
    pub(super) fn finish(&self, outcome: Outcome) {
        self.completion.finish(self.records.clone(), outcome);
    }
}

/// The sequence number `count` after `sequence`; numbers wrap from 2³¹-1 to 0.
pub(super) fn advance(sequence: i32, count: u32) -> i32 {
    sequence.wrapping_add(count.cast_signed()) & i32::MAX
}

#[cfg(test)]
mod tests {
    use riverrun_core::TopicPartition;

    use super::*;

    #[test]
    fn sequences_wrap() {
        assert_eq!(advance(i32::MAX - 1, 3), 1);
        assert_eq!(advance(5, 2), 7);
    }

    #[test]
    fn halves_keep_records_and_sequences() {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for index in 0..5i64 {
            builder.append(index, None, Some(&[7]), [("h", Some(b"x".as_slice()))]).unwrap();
        }
        let session = ProducerSession { id: 9, epoch: 1 };
        let mut batch = OpenBatch {
            builder,
            completion: Arc::new(Completion::new(TopicPartition::new("t", 0))),
            id: 1,
            created: Instant::now(),
            memory: 101,
        }
        .seal();
        batch.sequenced = Some(Sequenced { session, base_sequence: 10 });
        batch.encoded().unwrap();
        let [mut first, mut second] = batch.split(Compression::None).unwrap();
        assert_eq!((first.records.clone(), second.records.clone()), (0..2, 2..5));
        assert_eq!(first.memory + second.memory, 101);
        assert!(first.order() < second.order());
        let header = *RecordBatch::parse(second.encoded().unwrap()).unwrap().header();
        assert_eq!((header.base_sequence, header.record_count, header.producer_id), (12, 3, 9));
        assert_eq!(RecordBatch::parse(first.encoded().unwrap()).unwrap().header().base_sequence, 10);
        second.resequence(Sequenced { session: ProducerSession { id: 9, epoch: 2 }, base_sequence: 0 });
        let patched = RecordBatch::parse(second.encoded().unwrap()).unwrap();
        patched.verify_crc().unwrap();
        assert_eq!((patched.header().producer_epoch, patched.header().base_sequence), (2, 0));
    }
}
