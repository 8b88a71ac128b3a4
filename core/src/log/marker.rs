//! The marker that ends a transaction on a partition: a control batch of one record, appended by the broker for the
//! transaction coordinator. Built here, and read back here.
//! Source: KIP-98, KIP-890; Kafka's `EndTransactionMarker`, `MemoryRecords.withEndTransactionMarker`.

use bytes::Bytes;

use super::AppendError;
use crate::record::{
    BatchBuilder, BatchError, BatchHeader, BatchOptions, ControlRecord, ControlRecordType, DecompressLimits,
    EndTransactionMarker, RecordBatch,
};

/// From this version of the transaction protocol on the coordinator raises the producer's epoch with every transaction
/// (KIP-890), so that a marker's epoch is higher than that of the records it ends.
const EPOCH_BUMPS_FROM: i8 = 2;

/// A coordinator's order to end a transaction on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionMarker {
    /// Whose transaction.
    pub producer_id: i64,
    /// The producer's epoch; one higher than that of the transaction's records from `transaction_version` 2 on.
    pub producer_epoch: i16,
    /// Whether the records count, or are void.
    pub commit: bool,
    /// Epoch of the coordinator's own partition: an older coordinator is fenced.
    pub coordinator_epoch: i32,
    /// The `transaction.version` of the transaction: 0 and 1 keep the epoch, 2 raises it.
    pub transaction_version: i8,
}

impl TransactionMarker {
    pub(super) fn raises_epoch(&self) -> bool {
        self.transaction_version >= EPOCH_BUMPS_FROM
    }

    /// The control batch, at base offset 0.
    pub(super) fn to_batch(self, now_ms: i64) -> Result<Bytes, AppendError> {
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            transactional: true,
            control: true,
            ..BatchOptions::default()
        });
        let control_type = if self.commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
        let key = ControlRecord { version: 0, control_type }.to_bytes();
        let value = EndTransactionMarker { coordinator_epoch: self.coordinator_epoch }.to_bytes();
        let unfit = |_| AppendError::InvalidRecord { reason: "the transaction's marker cannot be written" };
        builder.append(now_ms, Some(&key), Some(&value), []).map_err(unfit)?;
        builder.build().map_err(unfit)
    }
}

/// What a marker in the log tells, beside its batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndMarker {
    pub(super) commit: bool,
    pub(super) coordinator_epoch: i32,
    pub(super) timestamp: i64,
}

/// Whether a batch is, by its header, a marker that ends a transaction.
pub(super) fn ends_transaction(header: &BatchHeader) -> bool {
    header.attributes.is_control() && header.has_producer_id()
}

impl EndMarker {
    /// Reads the marker out of a control batch; `None` if there is none in it: compaction has emptied it, or its record
    /// is of another kind.
    pub(super) fn of(batch: &RecordBatch) -> Result<Option<Self>, BatchError> {
        if !ends_transaction(batch.header()) {
            return Ok(None);
        }
        let records = batch.decode(&DecompressLimits::default())?;
        let Some(record) = records.iter().next().transpose()? else { return Ok(None) };
        let commit = match ControlRecord::parse(record.key).map(|record| record.control_type) {
            Ok(ControlRecordType::Commit) => true,
            Ok(ControlRecordType::Abort) => false,
            _ => return Ok(None),
        };
        let Ok(marker) = EndTransactionMarker::parse(record.value) else { return Ok(None) };
        Ok(Some(Self { commit, coordinator_epoch: marker.coordinator_epoch, timestamp: record.timestamp }))
    }
}
