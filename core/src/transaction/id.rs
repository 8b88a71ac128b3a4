//! The ids of the transaction protocol.

use std::{borrow::Borrow, fmt, sync::Arc};

use crate::{ProducerEpoch, ProducerId, group::partition_for_group};

/// The name a producer keeps across restarts (`transactional.id`). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionalId(Arc<str>);

impl TransactionalId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TransactionalId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for TransactionalId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for TransactionalId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// One session of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerIdAndEpoch {
    /// The producer.
    pub id: ProducerId,
    /// Which of its sessions.
    pub epoch: ProducerEpoch,
}

impl fmt::Display for ProducerIdAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer {} at epoch {}", self.id, self.epoch)
    }
}

/// The partition of `__transaction_state` that holds a transactional id, out of `partition_count`: hashed as the ids of
/// groups are.
pub fn partition_for_transactional_id(transactional_id: &str, partition_count: u32) -> u32 {
    partition_for_group(transactional_id, partition_count)
}
