//! Why the coordinator refuses, and the one place where each reason becomes a Kafka error code.

use super::{ProducerIdAndEpoch, TransactionState, TransactionalId};
use crate::protocol::ErrorCode;

/// Why a request to the transaction coordinator was refused. [`ErrorCode::from`] gives the code for the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The transactional id is empty.
    #[error("a transactional id must not be empty")]
    EmptyTransactionalId,
    /// The timeout asked for is not in the broker's bounds.
    #[error("transaction timeout of {requested_ms} ms is not in 1..={max_ms} ms")]
    InvalidTimeout {
        /// What the producer asked for.
        requested_ms: i32,
        /// The upper bound.
        max_ms: i32,
    },
    /// Two-phase commit is asked for (KIP-939), and is not on.
    #[error("two-phase commit is not enabled")]
    TwoPhaseCommitDisabled,
    /// A prepared transaction is to be kept (KIP-939), which is not known.
    #[error("a prepared transaction cannot be kept")]
    KeepPreparedUnsupported,
    /// The producer id does not belong to the transactional id, or nothing is known of that at all.
    #[error("the producer id is not that of transactional id {transactional_id}")]
    InvalidProducerIdMapping {
        /// The id asked for.
        transactional_id: TransactionalId,
    },
    /// Nothing is known of the transactional id (only told to administrators).
    #[error("transactional id {transactional_id} does not exist")]
    NotFound {
        /// The id asked for.
        transactional_id: TransactionalId,
    },
    /// Another producer has taken over the transactional id.
    #[error("the transactional id now belongs to {current}")]
    ProducerFenced {
        /// Who owns it.
        current: ProducerIdAndEpoch,
    },
    /// The last transaction is still being ended; the caller may ask again.
    #[error("the transaction before is still being ended")]
    ConcurrentTransactions,
    /// The command does not fit the state.
    #[error("a transaction in state {} cannot be {}", .state.name(), if *.commit { "committed" } else { "aborted" })]
    InvalidTransition {
        /// The state.
        state: TransactionState,
        /// Whether a commit was asked for; otherwise it was an abort.
        commit: bool,
    },
    /// The partition is no part of the producer's transaction, which must be aborted.
    #[error("the partition is not in the transaction")]
    PartitionNotInTransaction,
    /// The shard holds as many transactional ids as it may.
    #[error("no more than {limit} transactional ids fit in one partition of __transaction_state")]
    TooManyTransactions {
        /// The limit, [`TransactionConfig::transactions_max`](super::TransactionConfig::transactions_max).
        limit: usize,
    },
    /// The memory for what clients make the broker remember is used up.
    #[error("the memory for the state of clients is used up (riverrun.state.max.bytes)")]
    NoRoom,
    /// This broker coordinates the transactional id no longer.
    #[error("this broker is not the coordinator of the transactional id")]
    NotCoordinator,
    /// The decision could not be written to the log; the caller may retry.
    #[error("the coordinator cannot write its log")]
    LogUnavailable,
}

impl From<&TransactionError> for ErrorCode {
    fn from(error: &TransactionError) -> Self {
        match error {
            TransactionError::EmptyTransactionalId => Self::InvalidRequest,
            TransactionError::InvalidTimeout { .. } => Self::InvalidTransactionTimeout,
            TransactionError::TwoPhaseCommitDisabled => Self::TransactionalIdAuthorizationFailed,
            TransactionError::KeepPreparedUnsupported => Self::UnsupportedVersion,
            TransactionError::InvalidProducerIdMapping { .. } => Self::InvalidProducerIdMapping,
            TransactionError::NotFound { .. } => Self::TransactionalIdNotFound,
            TransactionError::ProducerFenced { .. } => Self::ProducerFenced,
            TransactionError::ConcurrentTransactions => Self::ConcurrentTransactions,
            TransactionError::InvalidTransition { .. } => Self::InvalidTxnState,
            TransactionError::PartitionNotInTransaction => Self::TransactionAbortable,
            TransactionError::TooManyTransactions { .. } | TransactionError::NoRoom => Self::PolicyViolation,
            TransactionError::NotCoordinator => Self::NotCoordinator,
            TransactionError::LogUnavailable => Self::CoordinatorNotAvailable,
        }
    }
}
