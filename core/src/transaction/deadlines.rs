//! What comes due in a shard: the end of an open transaction's time, and the oblivion of an unused transactional id.
//!
//! Deadlines follow from the records alone and lie on the wall clock, as the times in the records do. Invariant: each
//! transactional id has at most one, the one [`deadline`] gives for its state.

use std::collections::BTreeSet;

use super::{Decision, TransactionConfig, TransactionMetadata, TransactionShard, TransactionState, TransactionalId};
use crate::{ProducerId, transaction::shard::tombstone};

/// When something happens to a transactional id unless it changes before.
pub(super) fn deadline(value: &TransactionMetadata, config: &TransactionConfig) -> Option<i64> {
    if value.state == TransactionState::Ongoing {
        return value.started_ms.map(|started_ms| started_ms.saturating_add(i64::from(value.timeout_ms)));
    }
    value.state.may_expire().then(|| value.updated_ms.saturating_add(config.expiration_ms))
}

/// The deadlines of a shard in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deadlines(BTreeSet<(i64, TransactionalId)>);

impl Deadlines {
    pub(super) fn set(&mut self, deadline_ms: i64, id: TransactionalId) {
        self.0.insert((deadline_ms, id));
    }

    pub(super) fn remove(&mut self, deadline_ms: i64, id: &TransactionalId) {
        self.0.remove(&(deadline_ms, id.clone()));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn first(&self) -> Option<&(i64, TransactionalId)> {
        self.0.first()
    }
}

impl TransactionShard {
    /// When [`on_deadline`](Self::on_deadline) is to be called, in wall-clock milliseconds, unless a command changes it.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Whether the next call of [`on_deadline`](Self::on_deadline) needs a new producer id.
    pub fn deadline_needs_producer_id(&self) -> bool {
        let next = self.deadlines.first().and_then(|(_, id)| self.transactions.get(id));
        next.is_some_and(|value| value.state == TransactionState::Ongoing && value.is_epoch_exhausted())
    }

    /// Lets happen what is due: one thing with each call; call again while the next deadline is not in the future.
    /// Without the `fresh` producer id it may need, nothing happens.
    pub fn on_deadline(&mut self, fresh: Option<ProducerId>, now_ms: i64) -> Decision {
        let due = self.deadlines.first().filter(|(deadline_ms, _)| *deadline_ms <= now_ms);
        let Some((id, value)) = due.and_then(|(_, id)| Some((id, self.transactions.get(id)?))) else {
            return Decision::nothing(());
        };
        let record = match value.state {
            TransactionState::Ongoing => match Self::fenced(value, fresh, now_ms) {
                Ok(aborted) => super::TransactionRecord { transactional_id: id.clone(), value: Some(aborted) },
                Err(_) => return Decision::nothing(()),
            },
            _ => tombstone(id),
        };
        Decision { records: vec![record], response: () }
    }
}
