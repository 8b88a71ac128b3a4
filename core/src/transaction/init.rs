//! InitProducerId with a transactional id: a producer takes over, and whoever had the id before is fenced.
//!
//! A producer that knows its id and epoch asks to go on with the next epoch (KIP-360); it is fenced if somebody took over
//! meanwhile. An open transaction is aborted first: the caller is told to ask again.
//!
//! Source: Kafka `TransactionCoordinator.handleInitProducerId`, `TransactionMetadata.prepareIncrementProducerEpoch`.

use super::{
    Decision, ProducerIdAndEpoch, TransactionError, TransactionMetadata, TransactionShard, TransactionState,
    TransactionVersion, TransactionalId, metadata::is_epoch_exhausted,
};
use crate::ProducerId;

/// A producer wants to own a transactional id.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// Which.
    pub transactional_id: TransactionalId,
    /// How long its transactions may be open.
    pub timeout_ms: i32,
    /// What the producer believes to be, if it was one before.
    pub expected: Option<ProducerIdAndEpoch>,
    /// Whether it wants to take part in two-phase commits (KIP-939).
    pub two_phase_commit: bool,
    /// Whether a prepared transaction is to be kept (KIP-939).
    pub keep_prepared: bool,
}

impl TransactionShard {
    /// Whether [`init_producer_id`](Self::init_producer_id) or [`end`](Self::end) needs a new producer id.
    pub fn needs_producer_id(&self, id: &str) -> bool {
        !id.is_empty() && self.transactions.get(id).is_none_or(TransactionMetadata::is_epoch_exhausted)
    }

    /// A producer takes over. `fresh` is a producer id that was never given out, to be there if
    /// [`needs_producer_id`](Self::needs_producer_id) says so; otherwise the caller is told to ask again.
    pub fn init_producer_id(
        &self,
        request: &InitRequest,
        fresh: Option<ProducerId>,
        now_ms: i64,
    ) -> Decision<Result<ProducerIdAndEpoch, TransactionError>> {
        Decision::of(&request.transactional_id, self.try_init(request, fresh, now_ms))
    }

    fn try_init(
        &self,
        request: &InitRequest,
        fresh: Option<ProducerId>,
        now_ms: i64,
    ) -> Result<(Option<TransactionMetadata>, Result<ProducerIdAndEpoch, TransactionError>), TransactionError> {
        self.admit(request)?;
        let Some(value) = self.transactions.get(&request.transactional_id) else {
            let (count, limit) = (self.transactions.len(), self.config.transactions_max);
            if count >= limit {
                return Err(TransactionError::TooManyTransactions { limit });
            }
            let id = fresh.ok_or(TransactionError::ConcurrentTransactions)?;
            let value = TransactionMetadata::new(id, request.timeout_ms, now_ms);
            let producer = value.producer;
            return Ok((Some(value), Ok(producer)));
        };
        if value.state.is_prepared() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        if !request.expected.is_none_or(|expected| is_of_same_producer(value, expected)) {
            return Err(TransactionError::ProducerFenced { current: value.producer });
        }
        if value.state == TransactionState::Ongoing {
            let aborted = Self::fenced(value, fresh, now_ms)?;
            return Ok((Some(aborted), Err(TransactionError::ConcurrentTransactions)));
        }
        let taken = taken_over(value, request, fresh, now_ms)?;
        let producer = taken.producer;
        Ok((Some(taken), Ok(producer)))
    }

    fn admit(&self, request: &InitRequest) -> Result<(), TransactionError> {
        if request.transactional_id.as_str().is_empty() {
            return Err(TransactionError::EmptyTransactionalId);
        }
        if request.two_phase_commit {
            return Err(TransactionError::TwoPhaseCommitDisabled);
        }
        if request.keep_prepared {
            return Err(TransactionError::KeepPreparedUnsupported);
        }
        let (requested_ms, max_ms) = (request.timeout_ms, self.config.timeout_ms_max);
        if !(1..=max_ms).contains(&requested_ms) {
            return Err(TransactionError::InvalidTimeout { requested_ms, max_ms });
        }
        Ok(())
    }

    /// The abort of an open transaction against its producer's will: the epoch rises, whatever protocol it follows.
    pub(super) fn fenced(
        value: &TransactionMetadata,
        fresh: Option<ProducerId>,
        now_ms: i64,
    ) -> Result<TransactionMetadata, TransactionError> {
        Ok(value.prepared(false, TransactionVersion::V2, value.next_id(fresh)?, now_ms))
    }
}

/// Whether a producer that knows `expected` may be the one that had the id last.
fn is_of_same_producer(value: &TransactionMetadata, expected: ProducerIdAndEpoch) -> bool {
    // With the id before and its last epoch, it is a producer that never got the answer with the new id.
    expected.id == value.producer.id
        || (Some(expected.id) == value.previous_producer_id && is_epoch_exhausted(expected.epoch))
}

fn taken_over(
    value: &TransactionMetadata,
    request: &InitRequest,
    fresh: Option<ProducerId>,
    now_ms: i64,
) -> Result<TransactionMetadata, TransactionError> {
    let epoch = value.producer.epoch;
    let expected = request.expected.map(|expected| expected.epoch);
    let is_current = expected.is_none_or(|expected| expected == epoch);
    // So that a producer whose answer was lost may ask once more.
    let last_epoch = expected.map(|_| epoch);
    if value.is_epoch_exhausted() && is_current {
        let id = fresh.ok_or(TransactionError::ConcurrentTransactions)?;
        return Ok(value.rotated(id, last_epoch, request.timeout_ms, now_ms));
    }
    if is_current {
        return Ok(value.initialized(value.next_epoch(), last_epoch, request.timeout_ms, now_ms));
    }
    if expected == value.last_producer_epoch {
        return Ok(value.initialized(epoch, value.last_producer_epoch, request.timeout_ms, now_ms));
    }
    Err(TransactionError::ProducerFenced { current: value.producer })
}
