//! The share coordinator: the durable state of the share partitions in one partition of `__share_group_state`, as a state
//! machine that touches no disk and no clock.
//!
//! A state is written as a *snapshot*, then as *updates* that hold only what changed, and after
//! [`ShareStateConfig::updates_per_snapshot`] of them as a snapshot again. Whatever is before the oldest snapshot in force
//! is of no use any more: [`ShareStateShard::redundant_before`].
//!
//! # Calling contract
//! As that of the transaction coordinator: a command gives a [`Decision`]; append its records, then
//! [`replay`](ShareStateShard::replay) each with its offset, before the next call; answer when they are durable. If the
//! append fails do not replay, and refuse.
//!
//! # Fencing
//! | of the request | against what is stored | otherwise |
//! |---|---|---|
//! | state epoch | not lower | [`StateError::FencedStateEpoch`] |
//! | leader epoch, if it has one | not lower | [`StateError::FencedLeaderEpoch`] |
//!
//! Source: Kafka `ShareCoordinatorShard`, `ShareGroupOffset`, `PersisterStateBatchCombiner`; KIP-932.

mod batches;
mod codec;
mod shard;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::{Uuid, group::partition_for_group, protocol::ErrorCode};
pub use batches::{DeliveryState, StateBatch, overlay};
pub use codec::{DecodeRecordError, EncodedRecord, ShareStateRecord, decode_record, encode_record};
pub use shard::{Decision, ShareState, ShareStateConfig, ShareStateShard, Summary, WriteRequest};

/// A partition as one share group reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharePartitionKey {
    /// The group.
    pub group_id: Arc<str>,
    /// The topic.
    pub topic_id: Uuid,
    /// The partition's index.
    pub partition: i32,
}

impl SharePartitionKey {
    /// The partition of `__share_group_state`, of `count`, that holds this state.
    pub fn state_partition(&self, count: u32) -> u32 {
        partition_for_group(&self.to_string(), count)
    }
}

/// As it is looked up with FindCoordinator: `group:topic id:partition`.
impl std::fmt::Display for SharePartitionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.group_id, self.topic_id, self.partition)
    }
}

/// Why the share coordinator refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A newer use of the group and partition has begun.
    #[error("the state epoch is {current}")]
    FencedStateEpoch {
        /// The epoch that is stored.
        current: i32,
    },
    /// Another leader has taken over.
    #[error("the leader epoch is {current}")]
    FencedLeaderEpoch {
        /// The epoch that is stored.
        current: i32,
    },
    /// There is no state to change.
    #[error("the state has not been initialized")]
    NotInitialized,
    /// An offset, a count or a state is none.
    #[error("the request is malformed")]
    Malformed,
    /// There are as many states as there may be.
    #[error("no more than {limit} share partitions fit in one partition of __share_group_state")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The memory for what clients make the broker remember is used up.
    #[error("the memory for the state of clients is used up (riverrun.state.max.bytes)")]
    NoRoom,
}

impl From<&StateError> for ErrorCode {
    fn from(error: &StateError) -> Self {
        match error {
            StateError::FencedStateEpoch { .. } => Self::FencedStateEpoch,
            StateError::FencedLeaderEpoch { .. } => Self::FencedLeaderEpoch,
            StateError::NotInitialized | StateError::Malformed => Self::InvalidRequest,
            StateError::TooMany { .. } | StateError::NoRoom => Self::CoordinatorNotAvailable,
        }
    }
}
