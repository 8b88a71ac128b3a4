//! What one fetch brought of one partition, handed out record by record: batches are checked and decompressed when
//! their turn comes, records share the memory of their batch. With `read_committed` records of aborted transactions
//! are left out; control batches always are.
//!
//! Source: Kafka's `CompletedFetch`; KIP-98 (aborted transactions).

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use riverrun_core::{
    TopicPartition,
    protocol::messages::fetch::AbortedTransaction,
    record::{BatchError, DecompressLimits, RecordBatch, RecordCursor, Records, batches},
};

use super::record::ConsumerRecord;

/// Fetched batches of one partition.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) topic_partition: TopicPartition,
    /// Under which they were asked for; see `assignment.rs`.
    pub(super) fence: u64,
    /// The node that sent them.
    pub(super) node: i32,
    /// In which answer of that node.
    pub(super) response: u64,
    batches: VecDeque<RecordBatch>,
    current: Option<Current>,
    aborted: Aborted,
    /// A batch that could not even be cut out.
    damaged: Option<Arc<BatchError>>,
}

/// The batch being read.
#[derive(Debug)]
struct Current {
    records: Records,
    cursor: RecordCursor,
    next_offset: i64,
    leader_epoch: Option<i32>,
}

/// The transactions whose records are to be left out.
#[derive(Debug, Default)]
struct Aborted {
    /// By first offset, the next one last; nothing if all records are wanted.
    coming: Option<Vec<AbortedTransaction>>,
    producers: HashSet<i64>,
}

/// What was read, and where the position is then.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) records: Vec<ConsumerRecord>,
    /// The next record's offset, if any batch or record was passed.
    pub(super) position: Option<i64>,
    pub(super) leader_epoch: Option<i32>,
    /// Nothing is left.
    pub(super) exhausted: bool,
}

impl Fetched {
    /// Takes a response's records. With `aborted` records of those transactions are left out.
    pub(super) fn new(
        topic_partition: TopicPartition,
        fence: u64,
        (node, response): (i32, u64),
        records: Bytes,
        aborted: Option<Vec<AbortedTransaction>>,
    ) -> Self {
        let mut whole = VecDeque::new();
        let mut damaged = None;
        for batch in batches(records) {
            match batch {
                Ok(batch) => whole.push_back(batch),
                Err(error) => damaged = Some(Arc::new(error)),
            }
        }
        let coming = aborted.map(|mut transactions| {
            transactions.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
            transactions
        });
        let aborted = Aborted { coming, producers: HashSet::new() };
        Self { topic_partition, fence, node, response, batches: whole, current: None, aborted, damaged }
    }

    /// The offset after the last batch, if there is one.
    pub(super) fn end_offset(&self) -> Option<i64> {
        self.batches.back().map(|batch| batch.header().next_offset())
    }

    /// Reads up to `max` records at or after `position`.
    ///
    /// # Errors
    /// A damaged batch, when everything before it has been handed out.
    pub(super) fn take(
        &mut self,
        position: i64,
        max: usize,
        limits: &DecompressLimits,
    ) -> Result<Taken, Arc<BatchError>> {
        let mut taken = Taken::default();
        while taken.records.len() < max {
            let Some(current) = &mut self.current else {
                match self.open_next(limits) {
                    Ok(true) => continue,
                    Ok(false) => {
                        taken.exhausted = true;
                        break;
                    }
                    Err(error) if taken.position.is_none() => return Err(error),
                    // What came before is handed out first; the next call meets the damage again.
                    Err(_) => break,
                }
            };
            match current.records.read(&mut current.cursor) {
                None => {
                    taken.position = Some(current.next_offset);
                    taken.leader_epoch = current.leader_epoch;
                    self.current = None;
                }
                Some(Ok(record)) => {
                    taken.position = Some(record.offset + 1);
                    taken.leader_epoch = current.leader_epoch;
                    if record.offset < position {
                        continue;
                    }
                    let share = |part: Option<&[u8]>| part.map(|part| current.records.share(part));
                    let headers = record.headers.iter();
                    let headers = headers.map(|header| (Arc::from(&*header.key()), share(header.value)));
                    taken.records.push(ConsumerRecord {
                        topic: Arc::clone(&self.topic_partition.topic),
                        partition: self.topic_partition.partition,
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: share(record.key),
                        value: share(record.value),
                        headers: headers.collect(),
                        leader_epoch: current.leader_epoch,
                    });
                }
                Some(Err(error)) if taken.records.is_empty() => return Err(Arc::new(error)),
                Some(Err(_)) => break,
            }
        }
        taken.position = taken.position.map(|offset| offset.max(position));
        Ok(taken)
    }

    /// Opens the next batch; whether there was one.
    fn open_next(&mut self, limits: &DecompressLimits) -> Result<bool, Arc<BatchError>> {
        let Some(batch) = self.batches.front() else {
            return self.damaged.clone().map_or(Ok(false), Err);
        };
        batch.verify_crc().map_err(Arc::new)?;
        let header = *batch.header();
        let records = batch.decode(limits).map_err(Arc::new)?;
        let mut cursor = RecordCursor::default();
        self.aborted.reach(header.last_offset());
        let skipped = if header.attributes.is_control() {
            if is_abort_marker(&records) {
                self.aborted.producers.remove(&header.producer_id);
            }
            true
        } else {
            header.attributes.is_transactional() && self.aborted.producers.contains(&header.producer_id)
        };
        if skipped {
            // Passed over by reading to its end, so that the position moves past it all the same.
            while let Some(Ok(_)) = records.read(&mut cursor) {}
        }
        let leader_epoch = Some(header.partition_leader_epoch).filter(|epoch| *epoch >= 0);
        self.current = Some(Current { records, cursor, next_offset: header.next_offset(), leader_epoch });
        self.batches.pop_front();
        Ok(true)
    }
}

impl Aborted {
    /// Takes note of the transactions that begin up to `offset`.
    fn reach(&mut self, offset: i64) {
        let Some(coming) = &mut self.coming else { return };
        while let Some(transaction) = coming.pop_if(|transaction| transaction.first_offset <= offset) {
            self.producers.insert(transaction.producer_id);
        }
    }
}

/// Whether a control batch ends a transaction by aborting it: its key is a version and then type 0.
fn is_abort_marker(records: &Records) -> bool {
    let first = records.iter().next().and_then(Result::ok);
    let key: Option<[u8; 4]> = first.and_then(|record| record.key.and_then(|key| key.first_chunk().copied()));
    matches!(key, Some([_, _, 0, 0]))
}

#[cfg(test)]
mod tests {
    use riverrun_core::record::{BatchBuilder, BatchOptions};

    use super::*;

    fn batch(base_offset: i64, producer_id: i64, control: bool, keys: &[&[u8]]) -> Vec<u8> {
        let transactional = producer_id >= 0;
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset,
            producer_id,
            producer_epoch: 0,
            base_sequence: if control { -1 } else { 0 },
            transactional,
            control,
            ..Default::default()
        });
        for key in keys {
            builder.append(5, Some(key), Some(b"value"), []).unwrap();
        }
        builder.build().unwrap().to_vec()
    }

    fn fetched(bytes: Vec<u8>, aborted: Option<Vec<AbortedTransaction>>) -> Fetched {
        Fetched::new(TopicPartition::new("t", 0), 1, (0, 0), bytes.into(), aborted)
    }

    fn offsets(taken: &Taken) -> Vec<i64> {
        taken.records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn begins_in_the_middle_of_a_batch_and_stops_at_the_limit() {
        let mut fetched =
            fetched([batch(10, -1, false, &[b"a", b"b", b"c"]), batch(20, -1, false, &[b"d"])].concat(), None);
        assert_eq!(fetched.end_offset(), Some(21));
        let limits = DecompressLimits::default();
        let first = fetched.take(11, 1, &limits).unwrap();
        assert_eq!((offsets(&first), first.position, first.exhausted), (vec![11], Some(12), false));
        let rest = fetched.take(12, 10, &limits).unwrap();
        assert_eq!((offsets(&rest), rest.position, rest.exhausted), (vec![12, 20], Some(21), true));
    }

    #[test]
    fn aborted_records_are_left_out() {
        let abort: &[u8] = &[0, 0, 0, 0];
        let commit: &[u8] = &[0, 0, 0, 1];
        let log = [
            batch(0, 7, false, &[b"aborted"]),
            batch(1, 8, false, &[b"committed"]),
            batch(2, 7, true, &[abort]),
            batch(3, 8, true, &[commit]),
            batch(4, 7, false, &[b"later"]),
        ]
        .concat();
        let limits = DecompressLimits::default();
        let transactions = vec![AbortedTransaction { producer_id: 7, first_offset: 0 }];
        let taken = fetched(log.clone(), Some(transactions)).take(0, 10, &limits).unwrap();
        assert_eq!((offsets(&taken), taken.position), (vec![1, 4], Some(5)));
        let taken = fetched(log, None).take(0, 10, &limits).unwrap();
        assert_eq!(offsets(&taken), [0, 1, 4]);
    }

    #[test]
    fn damage_is_reported_after_what_precedes_it() {
        let mut bytes = [batch(0, -1, false, &[b"a"]), batch(1, -1, false, &[b"b"])].concat();
        *bytes.last_mut().unwrap() ^= 1;
        let mut fetched = fetched(bytes, None);
        let limits = DecompressLimits::default();
        assert_eq!(offsets(&fetched.take(0, 10, &limits).unwrap()), [0]);
        assert!(matches!(fetched.take(1, 10, &limits), Err(error) if matches!(*error, BatchError::CrcMismatch { .. })));
    }
}
