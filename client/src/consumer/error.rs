//! What can go wrong in a consumer.

use std::sync::Arc;

use riverrun_core::{
    TopicPartition,
    protocol::{DecodeError, ErrorCode},
    record::BatchError,
};

use crate::error::ClientError;

/// Why a poll, or another call on a consumer, failed. The consumer can be polled on unless it says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The cluster could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The call needs a group, and the consumer has none.
    #[error("the consumer has no group: set one with ConsumerBuilder::group")]
    NoGroup,
    /// The consumer has nothing to read: neither `subscribe` nor `assign` was called.
    #[error("the consumer is neither subscribed nor assigned to anything")]
    NotSubscribed,
    /// The partition is not assigned to this consumer.
    #[error("partition {topic_partition} is not assigned to this consumer")]
    NotAssigned {
        /// The partition.
        topic_partition: TopicPartition,
    },
    /// There is no offset to begin at, and `auto_offset_reset` is `None`.
    #[error("no offset to begin at in {topic_partition}, and auto_offset_reset is none")]
    NoOffset {
        /// The partition.
        topic_partition: TopicPartition,
    },
    /// The position lies outside the partition, and `auto_offset_reset` is `None`.
    #[error("offset {offset} of {topic_partition} is out of range, and auto_offset_reset is none")]
    OffsetOutOfRange {
        /// The partition.
        topic_partition: TopicPartition,
        /// The position.
        offset: i64,
    },
    /// A fetched batch is damaged. Polling on meets it again; seek past it to go on without it.
    #[error("damaged batch at offset {offset} of {topic_partition}")]
    Damaged {
        /// The partition.
        topic_partition: TopicPartition,
        /// Where it was read.
        offset: i64,
        /// What is wrong with it.
        #[source]
        source: Arc<BatchError>,
    },
    /// The broker refuses to let this partition be read.
    #[error("cannot fetch {topic_partition}: {} ({})", code.name(), code.message())]
    Fetch {
        /// The partition.
        topic_partition: TopicPartition,
        /// The broker's code.
        code: ErrorCode,
    },
    /// The group refuses this member for good: polling on will not help.
    #[error("group `{group}`: {} ({})", code.name(), code.message())]
    Group {
        /// The group.
        group: Arc<str>,
        /// The broker's code.
        code: ErrorCode,
    },
    /// The group's members do not understand each other.
    #[error("group `{group}`: {problem}")]
    Protocol {
        /// The group.
        group: Arc<str>,
        /// What does not fit.
        #[source]
        problem: ProtocolProblem,
    },
    /// Offsets could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// How members of a group fail to understand each other.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolProblem {
    /// The group chose an assignor that this member did not offer.
    #[error("the group uses the assignor `{name}`, which this member does not have")]
    UnknownAssignor {
        /// Its name.
        name: String,
    },
    /// A member's subscription or assignment cannot be read.
    #[error("a subscription or assignment cannot be read")]
    Malformed(#[source] Arc<DecodeError>),
}

impl ConsumeError {
    /// Whether polling on may succeed without anything being changed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retriable(),
            Self::Commit(error) => error.is_retriable(),
            Self::Fetch { code, .. } | Self::Group { code, .. } => code.is_retriable(),
            Self::NoGroup
            | Self::NotSubscribed
            | Self::NotAssigned { .. }
            | Self::NoOffset { .. }
            | Self::OffsetOutOfRange { .. }
            | Self::Damaged { .. }
            | Self::Protocol { .. } => false,
        }
    }

    /// Whether the broker may have carried out what was asked although there is no answer.
    pub fn may_have_side_effects(&self) -> bool {
        match self {
            Self::Client(error) => error.may_have_side_effects(),
            Self::Commit(error) => error.may_have_side_effects(),
            _ => false,
        }
    }
}

/// Why offsets were not committed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The cluster could not be asked.
    #[error("offsets could not be committed")]
    Client(#[from] ClientError),
    /// The consumer has no group.
    #[error("the consumer has no group: set one with ConsumerBuilder::group")]
    NoGroup,
    /// The group is in a rebalance: poll, then commit what is still assigned.
    #[error("the group is in a rebalance: poll, then commit again")]
    RebalanceInProgress,
    /// The group has gone on without this member, and others may have its partitions: what was processed since the
    /// last commit will be processed again.
    #[error("the group has gone on without this member ({})", code.name())]
    Fenced {
        /// The broker's code.
        code: ErrorCode,
    },
    /// The offset of one partition was refused.
    #[error("offset of {topic_partition}: {} ({})", code.name(), code.message())]
    Partition {
        /// The partition.
        topic_partition: TopicPartition,
        /// The broker's code.
        code: ErrorCode,
    },
}

impl CommitError {
    /// Whether the same commit may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retriable(),
            Self::RebalanceInProgress => true,
            Self::Partition { code, .. } => code.is_retriable(),
            Self::NoGroup | Self::Fenced { .. } => false,
        }
    }

    /// Whether the offsets may have been committed all the same.
    pub fn may_have_side_effects(&self) -> bool {
        match self {
            Self::Client(error) => error.may_have_side_effects(),
            // A request may name many partitions, of which others were committed.
            Self::Partition { .. } => true,
            Self::NoGroup | Self::RebalanceInProgress | Self::Fenced { .. } => false,
        }
    }
}

/// Why a consumer's settings do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerConfigError {
    /// A number is zero or beyond what it may be.
    #[error("{setting} of {value} is out of range")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
    },
    /// No assignor is given.
    #[error("a consumer needs at least one assignor")]
    NoAssignor,
    /// A static name makes sense in a group only.
    #[error("group_instance_id needs a group")]
    InstanceWithoutGroup,
}
