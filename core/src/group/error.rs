//! Why the coordinator refuses, and the one place where each reason becomes a Kafka error code.

use std::sync::Arc;

use super::{Epoch, GenerationId, GroupId, InstanceId, MemberId, streams::InvalidTopology};
use crate::protocol::ErrorCode;

/// Why a request to the group coordinator was refused. [`ErrorCode::from`] gives the code for the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The group id is empty, or otherwise none a member may use.
    #[error("a group id must not be empty")]
    InvalidGroupId,
    /// No such group.
    #[error("Group {group} not found.")]
    GroupNotFound {
        /// The group asked for.
        group: GroupId,
    },
    /// Only a group without members may be changed like this.
    #[error("group {group} still has members")]
    GroupNotEmpty {
        /// The group asked for.
        group: GroupId,
    },
    /// An offset is not deleted while a member subscribes to its topic.
    #[error("group {group} is subscribed to topic {topic}")]
    SubscribedToTopic {
        /// The group asked for.
        group: GroupId,
        /// The topic whose offset was to go.
        topic: String,
    },
    /// The shard already holds as many groups as it may.
    #[error("no more than {limit} groups fit in one partition of __consumer_offsets")]
    TooManyGroups {
        /// The limit, [`GroupConfig::groups_max`](super::GroupConfig::groups_max).
        limit: usize,
    },
    /// The group already has as many members as it may.
    #[error("group {group} is full: at most {limit} members")]
    GroupFull {
        /// The group asked for.
        group: GroupId,
        /// The limit, [`GroupConfig::members_max`](super::GroupConfig::members_max).
        limit: usize,
    },
    /// The memory for what clients make the broker remember is used up.
    #[error("the memory for the state of clients is used up (riverrun.state.max.bytes)")]
    NoRoom,
    /// The session timeout lies outside the broker's bounds.
    #[error("session timeout of {requested_ms} ms lies outside {min_ms}..={max_ms} ms")]
    InvalidSessionTimeout {
        /// What the member asked for.
        requested_ms: i32,
        /// The lower bound.
        min_ms: i32,
        /// The upper bound.
        max_ms: i32,
    },
    /// The member must join again with the id it is given here (KIP-394).
    #[error("join again as member {member_id}")]
    MemberIdRequired {
        /// The id made for the member.
        member_id: MemberId,
    },
    /// The group does not know the member, or the id was left out where one is needed.
    #[error("the group has no such member")]
    UnknownMember,
    /// Another member has taken over the instance id (KIP-345).
    #[error("instance {instance_id} now belongs to another member")]
    FencedInstance {
        /// The instance id both claim.
        instance_id: InstanceId,
    },
    /// The member speaks of another generation than the current one.
    #[error("generation is {current}")]
    IllegalGeneration {
        /// The group's generation; 0 for a group that does not exist.
        current: GenerationId,
    },
    /// The member's protocol type or protocols do not fit the group's.
    #[error("protocol type or protocols do not fit those of the group")]
    InconsistentProtocol,
    /// The group is between two generations; the member must join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The text to store with an offset is too long.
    #[error("offset metadata of {length} bytes is longer than {limit}")]
    OffsetMetadataTooLarge {
        /// Its length.
        length: usize,
        /// The limit, [`GroupConfig::offset_metadata_bytes_max`](super::GroupConfig::offset_metadata_bytes_max).
        limit: usize,
    },
    /// The group is of another type than the request is for.
    #[error("Group {group} is not a {expected} group.")]
    WrongType {
        /// The group asked for.
        group: GroupId,
        /// The type that was expected.
        expected: &'static str,
    },
    /// The member of a consumer group is at another epoch than it says, and cannot come on from there.
    #[error("the member is at epoch {known}, not {told}: it must give up all partitions and join again")]
    FencedMemberEpoch {
        /// The epoch the coordinator knows.
        known: Epoch,
        /// The epoch the member told.
        told: Epoch,
    },
    /// A position comes from an epoch at which the member did not have the partition.
    #[error("the member is at epoch {known}, not {told}")]
    StaleMemberEpoch {
        /// The epoch the coordinator knows.
        known: Epoch,
        /// The epoch the member told.
        told: Epoch,
    },
    /// The member with this instance id is still there (KIP-848).
    #[error("instance {instance_id} is held by member {owner}")]
    UnreleasedInstance {
        /// The instance id both claim.
        instance_id: InstanceId,
        /// The member that has it.
        owner: MemberId,
    },
    /// The member wishes for an assignor that does not run here.
    #[error("assignor {assignor} is not supported; those that are: {supported}")]
    UnsupportedAssignor {
        /// The assignor wished for.
        assignor: String,
        /// The assignors there are.
        supported: String,
    },
    /// The pattern is none.
    #[error("'{regex}' is no regular expression: {reason}")]
    InvalidRegex {
        /// The pattern.
        regex: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request contradicts itself.
    #[error("{reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No group can have this topology.
    #[error(transparent)]
    InvalidTopology(#[from] InvalidTopology),
    /// A member of a streams group owns tasks of a part of the topology that there is not.
    #[error("the topology has no subtopology {subtopology}")]
    UnknownSubtopology {
        /// The subtopology.
        subtopology: Arc<str>,
    },
    /// A member of a streams group owns a task that there is not.
    #[error("subtopology {subtopology} has {count} tasks, and none with the number {partition}")]
    UnknownTask {
        /// The subtopology.
        subtopology: Arc<str>,
        /// The number of the task.
        partition: i32,
        /// How many tasks there are.
        count: i32,
    },
    /// A member of the consumer or the streams protocol commits in a version that cannot tell its epoch.
    #[error("members of the consumer or the streams protocol commit with OffsetCommit version 9 or above")]
    OldCommitVersion,
    /// This broker coordinates the group no longer (the shard was unloaded).
    #[error("this broker is not the coordinator of the group")]
    NotCoordinator,
    /// The decision could not be written to the log; the caller may retry.
    #[error("the coordinator cannot write its log")]
    LogUnavailable,
}

impl From<&GroupError> for ErrorCode {
    fn from(error: &GroupError) -> Self {
        match error {
            GroupError::InvalidGroupId => Self::InvalidGroupId,
            GroupError::GroupNotFound { .. } => Self::GroupIdNotFound,
            GroupError::GroupNotEmpty { .. } => Self::NonEmptyGroup,
            GroupError::SubscribedToTopic { .. } => Self::GroupSubscribedToTopic,
            GroupError::TooManyGroups { .. } | GroupError::GroupFull { .. } | GroupError::NoRoom => {
                Self::GroupMaxSizeReached
            }
            GroupError::InvalidSessionTimeout { .. } => Self::InvalidSessionTimeout,
            GroupError::MemberIdRequired { .. } => Self::MemberIdRequired,
            GroupError::UnknownMember => Self::UnknownMemberId,
            GroupError::FencedInstance { .. } => Self::FencedInstanceId,
            GroupError::IllegalGeneration { .. } => Self::IllegalGeneration,
            GroupError::InconsistentProtocol => Self::InconsistentGroupProtocol,
            GroupError::RebalanceInProgress => Self::RebalanceInProgress,
            GroupError::OffsetMetadataTooLarge { .. } => Self::OffsetMetadataTooLarge,
            GroupError::WrongType { .. } => Self::GroupIdNotFound,
            GroupError::FencedMemberEpoch { .. } => Self::FencedMemberEpoch,
            GroupError::StaleMemberEpoch { .. } => Self::StaleMemberEpoch,
            GroupError::UnreleasedInstance { .. } => Self::UnreleasedInstanceId,
            GroupError::UnsupportedAssignor { .. } => Self::UnsupportedAssignor,
            GroupError::InvalidRegex { .. } => Self::InvalidRegularExpression,
            GroupError::InvalidTopology(InvalidTopology::RegexUnsupported { .. })
            | GroupError::UnknownSubtopology { .. }
            | GroupError::UnknownTask { .. }
            | GroupError::InvalidRequest { .. } => Self::InvalidRequest,
            GroupError::InvalidTopology(_) => Self::StreamsInvalidTopology,
            GroupError::OldCommitVersion => Self::UnsupportedVersion,
            GroupError::NotCoordinator => Self::NotCoordinator,
            GroupError::LogUnavailable => Self::CoordinatorNotAvailable,
        }
    }
}

impl From<GroupError> for ErrorCode {
    fn from(error: GroupError) -> Self {
        Self::from(&error)
    }
}
