//! What a log knows of its idempotent and transactional producers: the last five batches of each, so that a retry is
//! answered with the offset it already has, a gap is refused, and an older session is fenced; and where the transaction
//! began that it has open.
//!
//! A transaction begins with the first transactional batch of a producer and ends with a marker of the coordinator's:
//!
//! | state of a producer | batch                                | becomes | refused                                   |
//! |---------------------|--------------------------------------|---------|-------------------------------------------|
//! | idle                | records, transactional               | open    | older epoch, gap in the sequence          |
//! | idle                | marker                               | idle    | older epoch, older coordinator            |
//! | open                | records, transactional               | open    | older epoch, gap in the sequence          |
//! | open                | records, not transactional           |         | always                                    |
//! | open                | marker                               | idle    | older epoch (v2: the same), older coordinator |
//!
//! A marker's epoch may be higher than that of the records: the coordinator raised it, to fence the producer or, with
//! version 2 of the protocol, with every transaction. The producer's next batch then begins its sequence at 0.
//!
//! State is rebuilt from the batches; [`super::producer_snapshot`] saves reading all of them again.
//!
//! A log remembers a bounded number of producers, so that clients which take a new id for every batch cannot fill the
//! memory. Beyond it the idle producer is forgotten whose last batch or marker stands furthest back in the log, as if it had
//! expired: its next batch is taken whatever its number, and a retry is not known for one. Producers with a transaction
//! open are never forgotten; if all have one open, a new producer is refused. Which ones are remembered follows from the
//! order of the batches alone and not from clocks, so replaying a log gives the same ones; unless the memory for the state
//! of clients ([`StateBudget`](crate::budget::StateBudget)) is used up, which lowers the number.
//!
//! Memory: a producer takes about 300 bytes after its first batch and 400 from the fifth on.
//!
//! Source: Kafka's `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`; KIP-98, KIP-890.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    compaction::LastOfProducer,
    marker::{EndMarker, TransactionMarker},
    txn_index::{AbortedEntry, AbortedTransaction},
};
use crate::{
    budget::{entry_bytes, heap_bytes},
    record::BatchHeader,
};

/// How many batches of a producer are remembered: as many as it may have in flight.
pub(super) const BATCHES_KEPT: usize = 5;

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
    /// A marker comes from a coordinator that has been replaced.
    #[error("producer {producer_id}: the marker's coordinator epoch {got} is older than {current}")]
    CoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// The marker's coordinator epoch.
        got: i32,
        /// The latest that was seen.
        current: i32,
    },
    /// Records that would begin a transaction which the coordinator was not asked about, or has ended since.
    #[error("producer {producer_id}: the records belong to no transaction that its coordinator knows here")]
    NotVerified {
        /// The producer.
        producer_id: i64,
    },
    /// As many producers are remembered as may be, and all of them have a transaction open.
    #[error(
        "producer {producer_id} is new, and all {remembered} producers that are remembered have a transaction open"
    )]
    TooMany {
        /// The producer.
        producer_id: i64,
        /// How many are remembered.
        remembered: usize,
    },
    /// Records outside of a transaction, from a producer that has one open.
    #[error("producer {producer_id} has a transaction open, and the batch does not belong to it")]
    NotInTransaction {
        /// The producer.
        producer_id: i64,
    },
}

/// A producer as an operator sees it (DescribeProducers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// The epoch of its session.
    pub producer_epoch: i16,
    /// The last sequence number it wrote in this epoch; `None` if it has not.
    pub last_sequence: Option<i32>,
    /// When it, or the coordinator for it, wrote last; `None` if that had no timestamp.
    pub last_timestamp: Option<i64>,
    /// Epoch of the last coordinator that ended a transaction of its; `None` if none did.
    pub coordinator_epoch: Option<i32>,
    /// Where the transaction began that it has open.
    pub transaction_first_offset: Option<i64>,
}

/// Where a batch that arrives a second time already stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Duplicate {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) timestamp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// -1 for a coordinator's batch, which is not numbered.
    pub(super) last_sequence: i32,
    pub(super) last_offset: i64,
    pub(super) offset_delta: i32,
    pub(super) timestamp: i64,
}

/// Bytes that a producer takes in the memory of its log.
pub(super) const PRODUCER_WEIGHT: usize = entry_bytes::<i64, Producer>()
    + heap_bytes(8 * size_of::<Batch>())
    + entry_bytes::<u64, i64>()
    + entry_bytes::<i64, i64>();

#[derive(Debug, Clone)]
pub(super) struct Producer {
    pub(super) epoch: i16,
    /// In this epoch.
    pub(super) batches: VecDeque<Batch>,
    /// -1 for none.
    pub(super) coordinator_epoch: i32,
    /// Of the last batch or marker.
    pub(super) last_timestamp: i64,
    pub(super) transaction_first_offset: Option<i64>,
    /// Its place in the order of the last writes.
    turn: u64,
}

/// The producers of a log.
#[derive(Debug, Clone)]
pub(super) struct Producers {
    pub(super) by_id: BTreeMap<i64, Producer>,
    /// How many there may be.
    max: usize,
    /// Those without an open transaction in the order of their last writes: turn, producer.
    idle: BTreeMap<u64, i64>,
    last_turn: u64,
    /// Open transactions: first offset, producer.
    open: BTreeMap<i64, i64>,
    /// Ended ones whose markers are not below the high watermark yet: first offset, offset of the marker.
    unreplicated: BTreeMap<i64, i64>,
}

/// The sequence number `delta` before `sequence`; they wrap from 2³¹-1 to 0.
fn sequence_before(sequence: i32, delta: i32) -> i32 {
    sequence.wrapping_sub(delta) & i32::MAX
}

impl Batch {
    fn first_sequence(&self) -> i32 {
        if self.last_sequence < 0 { -1 } else { sequence_before(self.last_sequence, self.offset_delta) }
    }
}

impl Producer {
    pub(super) fn new(epoch: i16) -> Self {
        Self {
            epoch,
            batches: VecDeque::new(),
            coordinator_epoch: -1,
            last_timestamp: -1,
            transaction_first_offset: None,
            turn: 0,
        }
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

impl Producers {
    /// None yet, and never more than `max`.
    pub(super) fn bounded(max: usize) -> Self {
        let (by_id, idle, open) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { by_id, max, idle, last_turn: 0, open, unreplicated: BTreeMap::new() }
    }

    /// Producers out of a snapshot, at a time when everything before it is settled, in the order of their last writes.
    /// How many there may be is not bounded yet.
    pub(super) fn restored(in_order: impl IntoIterator<Item = (i64, Producer)>) -> Self {
        let mut restored = Self::bounded(usize::MAX);
        for (id, mut producer) in in_order {
            producer.turn = restored.next_turn();
            match producer.transaction_first_offset {
                Some(first_offset) => restored.open.insert(first_offset, id),
                None => restored.idle.insert(producer.turn, id),
            };
            restored.by_id.insert(id, producer);
        }
        restored
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether a producer is known.
    pub(super) fn knows(&self, producer_id: i64) -> bool {
        self.by_id.contains_key(&producer_id)
    }

    /// Lets there be at most `max` from now on, and forgets those that are too many.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
        self.forget_surplus();
    }

    fn next_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    fn forget_surplus(&mut self) {
        while self.by_id.len() > self.max
            && let Some((_, id)) = self.idle.pop_first()
        {
            self.by_id.remove(&id);
        }
    }

    /// All producers: those with an open transaction by rising id, then the others, the longest silent first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (i64, &Producer)> {
        let open = self.by_id.iter().filter(|(_, producer)| producer.transaction_first_offset.is_some());
        let idle = self.idle.values().filter_map(|id| Some((*id, self.by_id.get(id)?)));
        open.map(|(id, producer)| (*id, producer)).chain(idle)
    }

    /// Whether a batch of records may be appended: `Some` if it already was. A coordinator's batches are not numbered.
    pub(super) fn check(&self, header: &BatchHeader, numbered: bool) -> Result<Option<Duplicate>, ProducerError> {
        let BatchHeader { producer_id, producer_epoch, base_sequence, .. } = *header;
        let Some(producer) = self.by_id.get(&producer_id) else {
            let (remembered, is_room) = (self.by_id.len(), self.by_id.len() < self.max || !self.idle.is_empty());
            return if is_room { Ok(None) } else { Err(ProducerError::TooMany { producer_id, remembered }) };
        };
        if numbered && let Some(duplicate) = producer.find(header) {
            return Ok(Some(duplicate));
        }
        if producer_epoch < producer.epoch {
            return Err(ProducerError::Fenced { producer_id, got: producer_epoch, current: producer.epoch });
        }
        if numbered {
            let last = producer.batches.back().filter(|_| producer_epoch == producer.epoch);
            let expected = last.map_or(0, |last| match last.last_sequence {
                -1 => 0,
                last => sequence_before(last, -1),
            });
            if base_sequence != expected {
                let expected_after = last.map_or(-1, |last| last.last_sequence);
                return Err(ProducerError::OutOfOrderSequence { producer_id, got: base_sequence, expected_after });
            }
        }
        if producer.transaction_first_offset.is_some() && !header.attributes.is_transactional() {
            return Err(ProducerError::NotInTransaction { producer_id });
        }
        Ok(None)
    }

    /// Whether a marker may be appended.
    pub(super) fn check_marker(&self, marker: &TransactionMarker) -> Result<(), ProducerError> {
        let TransactionMarker { producer_id, producer_epoch: got, .. } = *marker;
        let Some(producer) = self.by_id.get(&producer_id) else { return Ok(()) };
        // With an epoch for each transaction, a marker in the epoch of open records is late: it ends an earlier one. When
        // nothing is open, it is the retry of one that was written.
        let is_late = marker.raises_epoch() && got == producer.epoch && producer.transaction_first_offset.is_some();
        if got < producer.epoch || is_late {
            return Err(ProducerError::Fenced { producer_id, got, current: producer.epoch });
        }
        let (got, current) = (marker.coordinator_epoch, producer.coordinator_epoch);
        if got < current {
            return Err(ProducerError::CoordinatorFenced { producer_id, got, current });
        }
        Ok(())
    }

    /// Takes in a batch that now stands in the log, with its `marker` if it is one. Returns the transaction it aborts.
    pub(super) fn apply(&mut self, header: &BatchHeader, marker: Option<EndMarker>) -> Option<AbortedEntry> {
        if !header.has_producer_id() {
            return None;
        }
        if let Some(marker) = marker {
            return self.end_transaction(header, marker);
        }
        if !header.attributes.is_control() {
            self.take_records(header);
        }
        None
    }

    fn take_records(&mut self, header: &BatchHeader) {
        let BatchHeader { producer_id, base_offset, .. } = *header;
        let turn = self.next_turn();
        let producer = self.by_id.entry(producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.enter_epoch(header.producer_epoch);
        if producer.batches.len() == BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Batch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        producer.last_timestamp = header.max_timestamp;
        if header.attributes.is_transactional() && producer.transaction_first_offset.is_none() {
            producer.transaction_first_offset = Some(base_offset);
            self.open.insert(base_offset, producer_id);
        }
        self.take_turn(producer_id, turn);
    }

    /// Puts a producer that has just written at the end of the order.
    fn take_turn(&mut self, producer_id: i64, turn: u64) {
        let Some(producer) = self.by_id.get_mut(&producer_id) else { return };
        self.idle.remove(&producer.turn);
        producer.turn = turn;
        if producer.transaction_first_offset.is_none() {
            self.idle.insert(turn, producer_id);
        }
        self.forget_surplus();
    }

    fn end_transaction(&mut self, header: &BatchHeader, marker: EndMarker) -> Option<AbortedEntry> {
        let (producer_id, last_offset) = (header.producer_id, header.base_offset);
        let turn = self.next_turn();
        let producer = self.by_id.entry(producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.enter_epoch(header.producer_epoch);
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp = marker.timestamp;
        let first_offset = producer.transaction_first_offset.take();
        self.take_turn(producer_id, turn);
        // A marker without records before it moves nothing.
        let first_offset = first_offset?;
        self.open.remove(&first_offset);
        self.unreplicated.insert(first_offset, last_offset);
        let last_stable_offset = self.open.keys().next().copied().unwrap_or(last_offset + 1);
        (!marker.commit).then_some(AbortedEntry {
            transaction: AbortedTransaction { producer_id, first_offset, last_offset },
            last_stable_offset,
        })
    }

    /// The open transactions: first offset, producer.
    pub(super) fn open_transactions(&self) -> impl Iterator<Item = (i64, i64)> {
        self.open.iter().map(|(first_offset, producer_id)| (*first_offset, *producer_id))
    }

    /// The first offset whose transaction is open, or ended by a marker that is not below the high watermark yet.
    pub(super) fn first_unstable_offset(&self) -> Option<i64> {
        let (open, unreplicated) = (self.open.keys().next(), self.unreplicated.keys().next());
        open.into_iter().chain(unreplicated).min().copied()
    }

    /// Takes note that the high watermark has moved: what ended below it is settled.
    pub(super) fn settle_below(&mut self, high_watermark: i64) {
        if !self.unreplicated.is_empty() {
            self.unreplicated.retain(|_, last_offset| *last_offset >= high_watermark);
        }
    }

    /// Whether a producer has written in its present epoch.
    pub(super) fn has_written(&self, producer_id: i64) -> bool {
        self.by_id.get(&producer_id).is_some_and(|producer| !producer.batches.is_empty())
    }

    /// Whether a producer has a transaction open in this epoch.
    pub(super) fn has_open_transaction(&self, producer_id: i64, producer_epoch: i16) -> bool {
        let producer = self.by_id.get(&producer_id).filter(|producer| producer.epoch == producer_epoch);
        producer.is_some_and(|producer| producer.transaction_first_offset.is_some())
    }

    /// All producers that are remembered.
    pub(super) fn active(&self) -> Vec<ActiveProducer> {
        let not_negative = |value: i32| (value >= 0).then_some(value);
        let describe = |(producer_id, producer): (&i64, &Producer)| ActiveProducer {
            producer_id: *producer_id,
            producer_epoch: producer.epoch,
            last_sequence: producer.batches.back().and_then(|batch| not_negative(batch.last_sequence)),
            last_timestamp: Some(producer.last_timestamp).filter(|timestamp| *timestamp >= 0),
            coordinator_epoch: not_negative(producer.coordinator_epoch),
            transaction_first_offset: producer.transaction_first_offset,
        };
        self.by_id.iter().map(describe).collect()
    }

    /// Where the last of each producer stands, which compaction must not lose.
    pub(super) fn last_of_each(&self) -> HashMap<i64, LastOfProducer> {
        let last = |(id, producer): (&i64, &Producer)| {
            let last_offset = producer.batches.back().map(|batch| batch.last_offset);
            (*id, LastOfProducer { last_offset, epoch: producer.epoch })
        };
        self.by_id.iter().map(last).collect()
    }

    /// Forgets producers that have not written since `timestamp`, but for those with an open transaction.
    pub(super) fn expire(&mut self, timestamp: i64) {
        let idle = &mut self.idle;
        self.by_id.retain(|_, producer| {
            let stays = producer.transaction_first_offset.is_some() || producer.last_timestamp > timestamp;
            if !stays {
                idle.remove(&producer.turn);
            }
            stays
        });
    }
}

impl Producer {
    fn find(&self, header: &BatchHeader) -> Option<Duplicate> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let is_it = |batch: &&Batch| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        self.batches.iter().find(is_it).map(|batch| Duplicate {
            base_offset: batch.last_offset - i64::from(batch.offset_delta),
            last_offset: batch.last_offset,
            timestamp: batch.timestamp,
        })
    }
}
