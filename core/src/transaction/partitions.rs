//! Partitions join a transaction (AddPartitionsToTxn, AddOffsetsToTxn, and implicitly with KIP-890), and a partition's
//! leader asks whether one is in it.
//!
//! Source: Kafka `TransactionCoordinator.handleAddPartitionsToTransaction`, `handleVerifyPartitionsInTransaction`.

use super::{
    Decision, ProducerIdAndEpoch, TransactionError, TransactionMetadata, TransactionShard, TransactionState,
    TransactionVersion, TransactionalId,
};
use crate::{ProducerId, TopicPartition};

/// Partitions to be part of a producer's transaction.
#[derive(Debug, Clone)]
pub struct AddPartitionsRequest {
    /// Whose transaction.
    pub transactional_id: TransactionalId,
    /// The producer.
    pub producer: ProducerIdAndEpoch,
    /// What joins.
    pub partitions: Vec<TopicPartition>,
    /// The protocol the producer follows.
    pub client_version: TransactionVersion,
}

impl TransactionShard {
    /// Partitions join the transaction; it begins if there is none. What is in it already needs no record.
    pub fn add_partitions(
        &self,
        request: &AddPartitionsRequest,
        now_ms: i64,
    ) -> Decision<Result<(), TransactionError>> {
        let added = || {
            let value = self.owned(&request.transactional_id)?;
            if value.state.is_prepared() {
                // First of all: the producer may go on under an id or epoch that holds once the markers are written.
                return Err(TransactionError::ConcurrentTransactions);
            }
            value.check_producer(&request.transactional_id, request.producer)?;
            let is_open = value.state == TransactionState::Ongoing;
            if is_open && request.partitions.iter().all(|partition| value.partitions.contains(partition)) {
                return Ok((None, Ok(())));
            }
            Ok((Some(value.with_partitions(&request.partitions, request.client_version, now_ms)), Ok(())))
        };
        Decision::of(&request.transactional_id, added())
    }

    /// Whether a partition is in the producer's open transaction.
    ///
    /// # Errors
    /// Why the producer may not write to the partition.
    pub fn verify(
        &self,
        transactional_id: &TransactionalId,
        producer: ProducerIdAndEpoch,
        partition: &TopicPartition,
    ) -> Result<(), TransactionError> {
        let value = self.owned(transactional_id)?;
        value.check_producer(transactional_id, producer)?;
        if value.state.is_prepared() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        if value.partitions.contains(partition) { Ok(()) } else { Err(TransactionError::PartitionNotInTransaction) }
    }
}

impl TransactionMetadata {
    fn check_producer(&self, id: &TransactionalId, producer: ProducerIdAndEpoch) -> Result<(), TransactionError> {
        self.check_producer_id(id, producer.id)?;
        if self.producer.epoch == producer.epoch {
            return Ok(());
        }
        Err(TransactionError::ProducerFenced { current: self.producer })
    }

    pub(super) fn check_producer_id(&self, id: &TransactionalId, found: ProducerId) -> Result<(), TransactionError> {
        if self.producer.id == found {
            return Ok(());
        }
        Err(TransactionError::InvalidProducerIdMapping { transactional_id: id.clone() })
    }
}
