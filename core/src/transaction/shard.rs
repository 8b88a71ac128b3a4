//! The coordinator of all transactional ids that live in one partition of `__transaction_state`: looks the id up and
//! replays records. The commands are in one file each; the calling contract is in the [module documentation](super).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ProducerIdAndEpoch, TransactionConfig, TransactionError, TransactionMetadata, TransactionRecord, TransactionState,
    TransactionalId,
    deadlines::{Deadlines, deadline},
};
use crate::{
    TopicPartition,
    budget::{Charge, StateBudget, entry_bytes, heap_bytes, map_bytes},
};

/// The outcome of a command: first the records, then the answer, which may not leave before `records`, and all records
/// of earlier decisions of the shard, are durable.
#[derive(Debug)]
#[must_use = "records must be appended"]
pub struct Decision<T = ()> {
    /// To append to the shard's partition, in this order, all or none.
    pub records: Vec<TransactionRecord>,
    /// The answer to the command.
    pub response: T,
}

impl<T> Decision<T> {
    pub(super) fn nothing(response: T) -> Self {
        Self { records: Vec::new(), response }
    }
}

impl<T> Decision<Result<T, TransactionError>> {
    /// A change of one transactional id with its answer, or why there is none.
    pub(super) fn of(
        id: &TransactionalId,
        decided: Result<(Option<TransactionMetadata>, Result<T, TransactionError>), TransactionError>,
    ) -> Self {
        match decided {
            Ok((value, response)) => {
                let record = |value| TransactionRecord { transactional_id: id.clone(), value: Some(value) };
                Self { records: value.map(record).into_iter().collect(), response }
            }
            Err(error) => Self::nothing(Err(error)),
        }
    }
}

/// What is to be written into the logs of a transaction's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markers {
    /// Whose transaction.
    pub transactional_id: TransactionalId,
    /// The producer the markers are for, with the epoch they carry.
    pub producer: ProducerIdAndEpoch,
    /// Whether the transaction is committed; otherwise it is aborted.
    pub commit: bool,
    /// Whether the epoch of the markers is higher than that of the records (KIP-890).
    pub bumped_epoch: bool,
    /// Where they go.
    pub partitions: Vec<TopicPartition>,
}

/// The transactional ids of one partition of `__transaction_state`.
#[derive(Debug)]
pub struct TransactionShard {
    pub(super) config: TransactionConfig,
    pub(super) transactions: BTreeMap<TransactionalId, TransactionMetadata>,
    pub(super) deadlines: Deadlines,
    charge: Charge,
}

impl TransactionShard {
    /// A shard that knows nothing. Replay the partition's records, then write the markers of all that is
    /// [`prepared`](Self::prepared).
    pub fn new(config: TransactionConfig) -> Self {
        Self { config, transactions: BTreeMap::new(), deadlines: Deadlines::default(), charge: Charge::default() }
    }

    /// The shard, still empty, with its part in a common budget.
    #[must_use]
    pub fn within(mut self, budget: Arc<StateBudget>) -> Self {
        self.charge = Charge::new(budget);
        self
    }

    /// Ends the shard: this broker coordinates its transactional ids no longer.
    pub fn unload(&mut self) {
        self.transactions.clear();
        self.deadlines.clear();
        self.charge.set(0);
    }

    /// Whether these records may be written: what they add to what is known stays within the budget.
    pub fn admits(&self, records: &[TransactionRecord]) -> bool {
        let (mut new, mut standing) = (0_usize, 0_usize);
        for record in records {
            let id = &record.transactional_id;
            let after = record.value.as_ref().map_or(0, |value| weight(id, value));
            match self.transactions.get(id) {
                Some(known) => standing = standing.saturating_add(after.saturating_sub(weight(id, known))),
                None => new = new.saturating_add(after),
            }
        }
        self.charge.fits(new) && self.charge.fits_standing(new.saturating_add(standing))
    }

    /// What all of it weighs, which is what the ids weigh one by one.
    #[cfg(test)]
    pub(super) fn charged(&self) -> usize {
        let all = self.transactions.iter().map(|(id, value)| weight(id, value)).sum();
        assert_eq!(self.charge.bytes(), all);
        all
    }

    /// Applies one record: the only way in which anything changes, live and when loading.
    pub fn replay(&mut self, record: &TransactionRecord) {
        let id = &record.transactional_id;
        let new = record.value.as_ref().filter(|value| value.state != TransactionState::Dead);
        let deadline_ms = new.and_then(|value| deadline(value, &self.config));
        let old = match new {
            Some(value) => self.transactions.insert(id.clone(), value.clone()),
            None => self.transactions.remove(id),
        };
        self.charge.change(old.as_ref().map_or(0, |old| weight(id, old)), new.map_or(0, |new| weight(id, new)));
        if let Some(old_deadline_ms) = old.and_then(|old| deadline(&old, &self.config)) {
            self.deadlines.remove(old_deadline_ms, id);
        }
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.set(deadline_ms, id.clone());
        }
    }

    /// The markers of a transaction whose end is decided.
    pub fn markers(&self, id: &str) -> Option<Markers> {
        let (id, value) = self.transactions.get_key_value(id)?;
        value.state.is_prepared().then(|| markers(id, value))
    }

    /// The markers of all transactions whose end is decided: those to write after loading.
    pub fn prepared(&self) -> impl Iterator<Item = Markers> {
        let prepared = self.transactions.iter().filter(|(_, value)| value.state.is_prepared());
        prepared.map(|(id, value)| markers(id, value))
    }

    /// What is known of a transactional id.
    pub fn get(&self, id: &str) -> Option<&TransactionMetadata> {
        self.transactions.get(id)
    }

    /// What is known of the id of a request that comes from its producer.
    pub(super) fn owned(&self, id: &TransactionalId) -> Result<&TransactionMetadata, TransactionError> {
        if id.as_str().is_empty() {
            return Err(TransactionError::EmptyTransactionalId);
        }
        let unknown = || TransactionError::InvalidProducerIdMapping { transactional_id: id.clone() };
        self.transactions.get(id).ok_or_else(unknown)
    }
}

fn markers(id: &TransactionalId, value: &TransactionMetadata) -> Markers {
    Markers {
        transactional_id: id.clone(),
        producer: value.producer,
        commit: value.state == TransactionState::PrepareCommit,
        bumped_epoch: value.client_version.bumps_epoch(),
        partitions: value.partitions.iter().cloned().collect(),
    }
}

pub(super) fn tombstone(id: &TransactionalId) -> TransactionRecord {
    TransactionRecord { transactional_id: id.clone(), value: None }
}

/// What a transactional id weighs: itself, its deadline and the partitions of its transaction.
fn weight(id: &TransactionalId, value: &TransactionMetadata) -> usize {
    let partitions = value.partitions.iter().map(|tp| heap_bytes(tp.topic.len()));
    entry_bytes::<TransactionalId, TransactionMetadata>()
        + 2 * entry_bytes::<(i64, TransactionalId), ()>()
        + heap_bytes(id.as_str().len())
        + map_bytes::<TopicPartition, ()>(value.partitions.len())
        + partitions.sum::<usize>()
}
