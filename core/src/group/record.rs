//! The records of `__consumer_offsets` that the coordinator writes and replays, in the terms of the domain. Their bytes
//! are the business of [`codec`](super::codec).

use bytes::Bytes;

use super::{ConsumerRecord, GenerationId, GroupId, InstanceId, MemberId, streams::StreamsRecord};
use crate::{TopicPartition, Uuid, share::group::ShareGroupRecord};

/// One change of durable state. `None` as a value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRecord {
    /// A position of a group.
    Offset {
        /// The group.
        group_id: GroupId,
        /// The partition the position is in.
        topic_partition: TopicPartition,
        /// The position.
        value: Option<CommittedOffset>,
    },
    /// A change of a share group.
    Share(ShareGroupRecord),
    /// A generation of a group.
    Group {
        /// The group.
        group_id: GroupId,
        /// The generation.
        value: Option<GroupMetadata>,
    },
    /// A change of a group of the streams protocol.
    Streams {
        /// The group.
        group_id: GroupId,
        /// The change.
        record: StreamsRecord,
    },
    /// A change of a group of the consumer protocol.
    Consumer {
        /// The group.
        group_id: GroupId,
        /// The change.
        record: ConsumerRecord,
    },
}

/// A committed position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// The epoch of the last record read, if the consumer tracks it.
    pub leader_epoch: Option<i32>,
    /// The consumer's own text.
    pub metadata: String,
    /// When it was committed.
    pub commit_timestamp_ms: i64,
    /// When it expires, if the commit said so; otherwise the broker's retention decides.
    pub expire_timestamp_ms: Option<i64>,
    /// The id of the topic it was committed for, if known.
    pub topic_id: Option<Uuid>,
}

/// A generation as it is stored: written when the leader's assignment is accepted, when the last member has gone, and
/// when a static member is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The kind of group.
    pub protocol_type: String,
    /// The generation.
    pub generation: GenerationId,
    /// The protocol all members agreed on; `None` if there are no members.
    pub protocol_name: Option<String>,
    /// Who decides the assignment; `None` if there are no members.
    pub leader: Option<MemberId>,
    /// Since when the group is as it is; `None` in records of very old brokers.
    pub state_timestamp_ms: Option<i64>,
    /// The members with their assignments, by id.
    pub members: Vec<MemberMetadata>,
}

/// A member as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    /// The member.
    pub member_id: MemberId,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
    /// The client id of its connection.
    pub client_id: String,
    /// The address of its connection.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// Silence after which it is taken for dead.
    pub session_timeout_ms: i32,
    /// Its subscription under the chosen protocol.
    pub subscription: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}
