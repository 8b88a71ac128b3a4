//! What is known of one transactional id, and the transitions as pure functions from one value to the next. Whether a
//! transition is allowed is decided by the commands.
//!
//! Invariants:
//! - a producer is never given more than [`LAST_EPOCH_OF_PRODUCERS`], so that whoever holds an epoch can always be fenced by a higher one;
//! - `next_producer_id` is there exactly while a transaction is prepared whose end uses up the producer's epochs.
//!
//! Source: Kafka `TransactionMetadata`.

use std::collections::BTreeSet;

use super::{ProducerIdAndEpoch, TransactionError, TransactionState, TransactionVersion};
use crate::{ProducerEpoch, ProducerId, TopicPartition};

/// The highest epoch a producer may have; only markers carry the one above it.
pub(super) const LAST_EPOCH_OF_PRODUCERS: ProducerEpoch = ProducerEpoch(i16::MAX - 1);

/// One transactional id as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionMetadata {
    /// Who owns it.
    pub producer: ProducerIdAndEpoch,
    /// The producer id before the last change.
    pub previous_producer_id: Option<ProducerId>,
    /// The producer id from the completion of a prepared transaction on.
    pub next_producer_id: Option<ProducerId>,
    /// The epoch before, if a producer that knows it may ask for the current one again (KIP-360). Not stored.
    pub last_producer_epoch: Option<ProducerEpoch>,
    /// How long its transactions may be open.
    pub timeout_ms: i32,
    /// The state.
    pub state: TransactionState,
    /// The partitions of the open or prepared transaction.
    pub partitions: BTreeSet<TopicPartition>,
    /// When the current or last transaction began.
    pub started_ms: Option<i64>,
    /// When this was written.
    pub updated_ms: i64,
    /// The protocol the producer follows.
    pub client_version: TransactionVersion,
}

impl TransactionMetadata {
    /// A transactional id that was never seen, with the first epoch of a new producer id.
    pub(super) fn new(producer_id: ProducerId, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer: ProducerIdAndEpoch { id: producer_id, epoch: ProducerEpoch(0) },
            previous_producer_id: Some(producer_id),
            next_producer_id: None,
            last_producer_epoch: None,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            started_ms: None,
            updated_ms: now_ms,
            client_version: TransactionVersion::V0,
        }
    }

    /// Whether no further epoch can be given out for the producer id.
    pub(super) fn is_epoch_exhausted(&self) -> bool {
        is_epoch_exhausted(self.producer.epoch)
    }

    /// A producer takes over with `epoch`; `last_epoch` is the one it takes over from, if it is the same producer.
    pub(super) fn initialized(
        &self,
        epoch: ProducerEpoch,
        last_epoch: Option<ProducerEpoch>,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Self {
        Self {
            producer: ProducerIdAndEpoch { epoch, ..self.producer },
            last_producer_epoch: last_epoch,
            timeout_ms,
            ..self.emptied(TransactionState::Empty, None, now_ms)
        }
    }

    /// A producer takes over under a new id, as all epochs of the old one are used up.
    pub(super) fn rotated(
        &self,
        producer_id: ProducerId,
        last_epoch: Option<ProducerEpoch>,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Self {
        Self {
            producer: ProducerIdAndEpoch { id: producer_id, epoch: ProducerEpoch(0) },
            ..self.initialized(ProducerEpoch(0), last_epoch, timeout_ms, now_ms)
        }
    }

    /// Partitions join the transaction, which begins if there is none.
    pub(super) fn with_partitions(
        &self,
        partitions: &[TopicPartition],
        client_version: TransactionVersion,
        now_ms: i64,
    ) -> Self {
        let is_open = self.state == TransactionState::Ongoing;
        let mut next = Self { client_version, updated_ms: now_ms, ..self.after(TransactionState::Ongoing) };
        next.started_ms = if is_open { self.started_ms } else { Some(now_ms) };
        next.partitions.extend(partitions.iter().cloned());
        next
    }

    /// The end is decided. `next_producer_id` is needed if the epochs are used up and the version raises them.
    pub(super) fn prepared(
        &self,
        commit: bool,
        client_version: TransactionVersion,
        next_producer_id: Option<ProducerId>,
        now_ms: i64,
    ) -> Self {
        let state = if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort };
        let mut next = Self { client_version, next_producer_id, updated_ms: now_ms, ..self.after(state) };
        if client_version.bumps_epoch() {
            next.producer.epoch = self.next_epoch();
            next.last_producer_epoch = Some(self.producer.epoch);
        }
        if self.state != TransactionState::Ongoing {
            // An end of nothing, which is allowed since the epochs rise: it has no beginning of its own.
            next.started_ms = Some(now_ms);
        }
        next
    }

    /// The producer id that follows at the end of this transaction: `fresh`, if the epochs are used up.
    pub(super) fn next_id(&self, fresh: Option<ProducerId>) -> Result<Option<ProducerId>, TransactionError> {
        match (self.is_epoch_exhausted(), fresh) {
            (false, _) => Ok(None),
            (true, Some(id)) => Ok(Some(id)),
            // The caller did not know that one is needed: it is to ask again.
            (true, None) => Err(TransactionError::ConcurrentTransactions),
        }
    }

    /// Whether the current epoch is the one after `epoch`.
    pub(super) fn next_epoch_after(&self, epoch: ProducerEpoch) -> bool {
        epoch.0.checked_add(1) == Some(self.producer.epoch.0)
    }

    /// The epoch after this one; there is none above the last.
    pub(super) fn next_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(self.producer.epoch.0.saturating_add(1))
    }

    /// All markers are written.
    pub(super) fn completed(&self, now_ms: i64) -> Self {
        let state = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        };
        let mut next = self.emptied(state, self.started_ms, now_ms);
        if let Some(id) = self.next_producer_id.filter(|_| self.client_version.bumps_epoch()) {
            next.producer = ProducerIdAndEpoch { id, epoch: ProducerEpoch(0) };
        }
        next
    }

    fn emptied(&self, state: TransactionState, started_ms: Option<i64>, now_ms: i64) -> Self {
        Self {
            producer: self.producer,
            previous_producer_id: Some(self.producer.id),
            next_producer_id: None,
            last_producer_epoch: self.last_producer_epoch,
            timeout_ms: self.timeout_ms,
            state,
            partitions: BTreeSet::new(),
            started_ms,
            updated_ms: now_ms,
            client_version: self.client_version,
        }
    }

    fn after(&self, state: TransactionState) -> Self {
        Self { state, previous_producer_id: Some(self.producer.id), ..self.clone() }
    }
}

/// Whether `epoch` is the last a producer may have.
pub(super) fn is_epoch_exhausted(epoch: ProducerEpoch) -> bool {
    epoch >= LAST_EPOCH_OF_PRODUCERS
}
