//! The members of share groups, and which partitions each of them fetches from: the part of the group coordinator that
//! share groups have for themselves. It lives in a [`GroupShard`](crate::group::GroupShard), whose calling contract holds
//! for it: a command gives records, only [`replay`](ShareGroups::replay) changes durable state.
//!
//! A share group has no rebalance: a member is told its partitions with the next heartbeat, and takes them at once, since
//! many may have the same.
//!
//! | what happens | group epoch | then |
//! |---|---|---|
//! | a member joins, leaves, is silent too long, or subscribes to other topics | + 1 | partitions are assigned anew |
//! | a topic that somebody subscribes to comes, goes or grows | + 1 with the next heartbeat | likewise |
//! | the state of partitions has been initialized | + 1 with the next heartbeat | they are assigned |
//! | offsets are altered | + 1 | the state of the partitions is initialized anew |
//!
//! Partitions are assigned with a heartbeat, and not sooner than an interval after the last time (KIP-1263), so that members
//! that start together cost one assignment; until then each keeps what it has. Other than in Kafka an assignment in which
//! nobody got anything does not count: it is that of a group whose partitions have no state yet, and which gets them as
//! soon as they have.
//!
//! Partitions are assigned only once the share coordinator has a state for them. Which have one is in the record
//! `ShareGroupStatePartitionMetadata`: *initializing* from before it is asked until it has answered, then *initialized*.
//!
//! Source: Kafka `GroupMetadataManager.shareGroupHeartbeat`, `ShareGroup`, `ShareGroupAssignmentBuilder`; KIP-932.

mod admin;
mod assignor;
mod codec;
mod heartbeat;
mod state;
#[cfg(test)]
mod tests;
mod weight;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Uuid, protocol::ErrorCode};
pub use admin::{DescribedShareGroup, DescribedShareMember, ShareGroupState};
pub use codec::ShareGroupRecord;
pub(crate) use codec::{decode, encode};
pub use heartbeat::{ShareHeartbeat, ShareHeartbeatReply};
pub use state::ShareGroups;

/// Partitions by topic.
pub type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// The name of the only assignor.
pub const ASSIGNOR: &str = "simple";

/// What bounds share groups; `group.share.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareGroupConfig {
    /// Silence after which a member is taken for dead.
    pub session_timeout_ms: i32,
    /// How often a member is to say that it is alive.
    pub heartbeat_interval_ms: i32,
    /// The time between two assignments of a group.
    pub assignment_interval_ms: i32,
    /// Members of one group.
    pub members_max: usize,
    /// Groups in one shard.
    pub groups_max: usize,
}

impl Default for ShareGroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            members_max: 200,
            groups_max: 100_000,
        }
    }
}

/// Why a request about a share group is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareGroupError {
    /// Something in it is missing or makes no sense.
    #[error("{reason}")]
    InvalidRequest {
        /// What.
        reason: &'static str,
    },
    /// There is no such group, or it is not a share group.
    #[error("Group {group} not found.")]
    GroupNotFound {
        /// Its name.
        group: String,
    },
    /// The member never joined, or was taken for dead.
    #[error("member {member} is not a member of the group")]
    UnknownMember {
        /// Its id.
        member: String,
    },
    /// The member is at another epoch than it believes.
    #[error("the member is at epoch {current}: it must rejoin")]
    FencedMemberEpoch {
        /// The member's epoch.
        current: i32,
    },
    /// The group has as many members as it may, or the shard as many groups.
    #[error("at most {limit} fit")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// Only a group without members may be changed like this.
    #[error("the group is not empty")]
    NotEmpty,
}

impl From<&ShareGroupError> for ErrorCode {
    fn from(error: &ShareGroupError) -> Self {
        match error {
            ShareGroupError::InvalidRequest { .. } => Self::InvalidRequest,
            ShareGroupError::GroupNotFound { .. } => Self::GroupIdNotFound,
            ShareGroupError::UnknownMember { .. } => Self::UnknownMemberId,
            ShareGroupError::FencedMemberEpoch { .. } => Self::FencedMemberEpoch,
            ShareGroupError::Full { .. } => Self::GroupMaxSizeReached,
            ShareGroupError::NotEmpty => Self::NonEmptyGroup,
        }
    }
}
