//! What administrators see (KIP-664): DescribeTransactions and ListTransactions.

use std::collections::BTreeSet;

use super::{
    ProducerIdAndEpoch, TransactionError, TransactionMetadata, TransactionShard, TransactionState, TransactionalId,
};
use crate::{ProducerId, TopicPartition};

/// A transactional id in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedTransaction {
    /// The state.
    pub state: TransactionState,
    /// Who owns it.
    pub producer: ProducerIdAndEpoch,
    /// How long its transactions may be open.
    pub timeout_ms: i32,
    /// When the current or last transaction began.
    pub started_ms: Option<i64>,
    /// The partitions of the open or prepared transaction, by topic.
    pub partitions: Vec<TopicPartition>,
}

/// A transactional id in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The id.
    pub transactional_id: TransactionalId,
    /// Its producer.
    pub producer_id: ProducerId,
    /// The state.
    pub state: TransactionState,
}

/// Which transactional ids to list.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only in one of these states, unless `None`.
    pub states: Option<BTreeSet<TransactionState>>,
    /// Only of these producers; an empty set does not restrict.
    pub producer_ids: BTreeSet<ProducerId>,
    /// Only those whose transaction began longer ago.
    pub longer_than_ms: Option<i64>,
}

impl ListFilter {
    fn admits(&self, value: &TransactionMetadata, now_ms: i64) -> bool {
        // One without a transaction counts as old as time, as in Kafka.
        let age_ms = now_ms.saturating_sub(value.started_ms.unwrap_or(-1));
        self.states.as_ref().is_none_or(|states| states.contains(&value.state))
            && (self.producer_ids.is_empty() || self.producer_ids.contains(&value.producer.id))
            && self.longer_than_ms.is_none_or(|longer_than_ms| age_ms > longer_than_ms)
    }
}

impl TransactionShard {
    /// Describes a transactional id.
    ///
    /// # Errors
    /// If the id is empty or not known.
    pub fn describe(&self, id: &TransactionalId) -> Result<DescribedTransaction, TransactionError> {
        if id.as_str().is_empty() {
            return Err(TransactionError::EmptyTransactionalId);
        }
        let unknown = || TransactionError::NotFound { transactional_id: id.clone() };
        let value = self.transactions.get(id).ok_or_else(unknown)?;
        Ok(DescribedTransaction {
            state: value.state,
            producer: value.producer,
            timeout_ms: value.timeout_ms,
            started_ms: value.started_ms,
            partitions: value.partitions.iter().cloned().collect(),
        })
    }

    /// Lists the transactional ids of the shard that pass the filter and whose name `matches`.
    pub fn list(&self, filter: &ListFilter, matches: impl Fn(&str) -> bool, now_ms: i64) -> Vec<ListedTransaction> {
        let passing =
            self.transactions.iter().filter(|(id, value)| filter.admits(value, now_ms) && matches(id.as_str()));
        let listed = passing.map(|(id, value)| ListedTransaction {
            transactional_id: id.clone(),
            producer_id: value.producer.id,
            state: value.state,
        });
        listed.collect()
    }
}
