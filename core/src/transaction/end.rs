//! The end of a transaction: EndTxn decides it, and when its markers are written it is complete.
//!
//! With the second protocol (KIP-890) the epoch rises with each end, so an epoch one below the current one is a retry
//! whose answer was lost, and is answered again; with the first a retry cannot be told from a second end, and the state
//! decides. A transaction without partitions can be aborted with the second protocol only.
//!
//! Source: Kafka `TransactionCoordinator.endTransaction`, `endTransactionWithTV1`.

use super::{
    Decision, ProducerIdAndEpoch, TransactionError, TransactionMetadata, TransactionShard, TransactionState,
    TransactionVersion, TransactionalId, metadata::LAST_EPOCH_OF_PRODUCERS,
};
use crate::{ProducerEpoch, ProducerId};

/// A producer ends its transaction.
#[derive(Debug, Clone)]
pub struct EndRequest {
    /// Whose transaction.
    pub transactional_id: TransactionalId,
    /// The producer.
    pub producer: ProducerIdAndEpoch,
    /// Whether to commit; otherwise to abort.
    pub commit: bool,
    /// The protocol the producer follows.
    pub client_version: TransactionVersion,
}

/// What is to be done: a new value, or nothing as it is done.
type Ended = Result<Option<TransactionMetadata>, TransactionError>;

impl TransactionShard {
    /// Decides the end. The response is the producer with which the next transaction begins. `fresh` is a producer id
    /// that was never given out, to be there if [`needs_producer_id`](Self::needs_producer_id) says so.
    pub fn end(
        &self,
        request: &EndRequest,
        fresh: Option<ProducerId>,
        now_ms: i64,
    ) -> Decision<Result<ProducerIdAndEpoch, TransactionError>> {
        let ended = || {
            let value = self.owned(&request.transactional_id)?;
            let next = if request.client_version.bumps_epoch() {
                end_second(value, request, fresh, now_ms)?
            } else {
                end_first(value, request, now_ms)?
            };
            // The answer tells what holds when the markers are written.
            let after = next.as_ref().unwrap_or(value);
            let producer = after.next_producer_id.map_or(after.producer, first_of);
            Ok((next, Ok(producer)))
        };
        Decision::of(&request.transactional_id, ended())
    }

    /// All markers of a transaction are written. Nothing happens if it was completed before, or is another one.
    pub fn complete(
        &self,
        transactional_id: &TransactionalId,
        producer: ProducerIdAndEpoch,
        now_ms: i64,
    ) -> Decision<Result<(), TransactionError>> {
        let value = self.transactions.get(transactional_id);
        let value = value.filter(|value| value.state.is_prepared() && value.producer == producer);
        Decision::of(transactional_id, Ok((value.map(|value| value.completed(now_ms)), Ok(()))))
    }
}

fn end_first(value: &TransactionMetadata, request: &EndRequest, now_ms: i64) -> Ended {
    value.check_producer_id(&request.transactional_id, request.producer.id)?;
    if value.producer.epoch != request.producer.epoch {
        return Err(TransactionError::ProducerFenced { current: value.producer });
    }
    match (value.state, request.commit) {
        (TransactionState::PrepareCommit | TransactionState::PrepareAbort, _) => {
            Err(TransactionError::ConcurrentTransactions)
        }
        (TransactionState::Ongoing, commit) => Ok(Some(value.prepared(commit, TransactionVersion::V0, None, now_ms))),
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => Ok(None),
        (state, commit) => Err(TransactionError::InvalidTransition { state, commit }),
    }
}

fn end_second(value: &TransactionMetadata, request: &EndRequest, fresh: Option<ProducerId>, now_ms: i64) -> Ended {
    if value.state.is_prepared() {
        // First of all: the producer may go on under an id or epoch that holds once the markers are written.
        return Err(TransactionError::ConcurrentTransactions);
    }
    let retry = is_retry_over_rotation(value, request.producer);
    if !retry {
        value.check_producer_id(&request.transactional_id, request.producer.id)?;
    }
    let is_complete = matches!(value.state, TransactionState::CompleteCommit | TransactionState::CompleteAbort);
    let retry = is_complete && (retry || value.next_epoch_after(request.producer.epoch));
    if !retry && value.producer.epoch != request.producer.epoch {
        return Err(TransactionError::ProducerFenced { current: value.producer });
    }
    match (value.state, request.commit) {
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) if retry => Ok(None),
        (TransactionState::Ongoing, commit) => {
            Ok(Some(value.prepared(commit, request.client_version, value.next_id(fresh)?, now_ms)))
        }
        (TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort, false)
            if !retry =>
        {
            Ok(Some(value.prepared(false, request.client_version, value.next_id(fresh)?, now_ms)))
        }
        (state, commit) => Err(TransactionError::InvalidTransition { state, commit }),
    }
}

/// Whether the answer to the last end, which gave the producer a new id, was lost.
fn is_retry_over_rotation(value: &TransactionMetadata, producer: ProducerIdAndEpoch) -> bool {
    Some(producer.id) == value.previous_producer_id
        && producer.id != value.producer.id
        && producer.epoch == LAST_EPOCH_OF_PRODUCERS
        && value.producer.epoch == ProducerEpoch(0)
}

fn first_of(id: ProducerId) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id, epoch: ProducerEpoch(0) }
}
