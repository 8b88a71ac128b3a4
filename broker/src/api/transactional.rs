//! What the APIs of transactions share: codes for refusals.

use riverrun_core::{ProducerEpoch, ProducerId, protocol::ErrorCode, transaction::ProducerIdAndEpoch};

use crate::transactions::CoordinatorError;

/// The code for what a request to the transaction coordinator was refused with.
pub(super) fn code(error: &CoordinatorError) -> ErrorCode {
    match error {
        CoordinatorError::Loading => ErrorCode::CoordinatorLoadInProgress,
        CoordinatorError::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        CoordinatorError::Refused(error) => ErrorCode::from(error),
    }
}

/// The same for a client that knows PRODUCER_FENCED only if `knows_fenced`.
pub(super) fn code_for(error: &CoordinatorError, knows_fenced: bool) -> ErrorCode {
    match code(error) {
        ErrorCode::ProducerFenced if !knows_fenced => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}

/// The producer a request names.
pub(super) fn producer(id: i64, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) }
}
