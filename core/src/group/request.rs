//! What the coordinator is asked: one struct per command, in the terms of the domain. The broker translates wire
//! messages into these; no wire type comes below it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{GenerationId, GroupId, GroupState, InstanceId, MemberId};
use crate::{TopicPartition, Uuid};

/// The time at which a command runs: timeouts follow the monotonic clock, what is stored follows the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never goes back; its zero means nothing.
    pub monotonic_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub wall_ms: i64,
}

/// The broker's name for a parked caller: unique as long as the caller waits, opaque to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One way of assigning partitions that a member supports, with the blob the leader will read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The assignor's name, such as `range`.
    pub name: String,
    /// The member's subscription in the assignor's own format; opaque to the coordinator.
    pub metadata: Bytes,
}

/// A member wants to be part of the next generation (JoinGroup).
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The group.
    pub group_id: GroupId,
    /// Who the member is; `None` for one that was never here.
    pub member_id: Option<MemberId>,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
    /// The connection's client id, for naming and describing.
    pub client_id: String,
    /// The connection's address, for describing.
    pub client_host: String,
    /// Silence after which the member is taken for dead.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for this member (version 0 of the API sends none: the session timeout).
    pub rebalance_timeout_ms: i32,
    /// The kind of group, `consumer` or `connect` as a rule.
    pub protocol_type: String,
    /// What the member supports, best first.
    pub protocols: Vec<Protocol>,
    /// Whether a new dynamic member must come back with the id it is given (API version 4 on, KIP-394).
    pub requires_known_member_id: bool,
    /// Whether the member understands `skip_assignment` (API version 9 on, KIP-814).
    pub supports_skip_assignment: bool,
    /// Random bytes from which a new member id is made.
    pub new_member_uuid: Uuid,
}

/// A member asks for its assignment; the leader brings everybody's (SyncGroup).
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The group.
    pub group_id: GroupId,
    /// The generation the member joined.
    pub generation: GenerationId,
    /// The member.
    pub member_id: MemberId,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
    /// The protocol type the member believes in, from API version 5 on.
    pub protocol_type: Option<String>,
    /// The protocol the member believes was chosen, from API version 5 on.
    pub protocol_name: Option<String>,
    /// The leader's decision; empty from anybody else.
    pub assignments: BTreeMap<MemberId, Bytes>,
}

/// A member is alive (Heartbeat).
#[derive(Clone, Debug)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: GroupId,
    /// The generation the member is in.
    pub generation: GenerationId,
    /// The member.
    pub member_id: MemberId,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
}

/// One member to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// Its id; `None` if an administrator names a static member by instance id alone.
    pub member_id: Option<MemberId>,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
}

/// Members go (LeaveGroup; before API version 3 exactly one).
#[derive(Clone, Debug)]
pub struct LeaveRequest {
    /// The group.
    pub group_id: GroupId,
    /// Who goes.
    pub members: Vec<LeavingMember>,
}

/// An offset to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The partition it belongs to.
    pub topic_partition: TopicPartition,
    /// The topic's id, stored beside the name if the caller knows it.
    pub topic_id: Option<Uuid>,
    /// The next offset to read.
    pub offset: i64,
    /// The epoch of the last record read, if the consumer tracks it (KIP-320).
    pub leader_epoch: Option<i32>,
    /// The consumer's own text.
    pub metadata: String,
}

/// Positions to store (OffsetCommit).
#[derive(Clone, Debug)]
pub struct OffsetCommitRequest {
    /// The group.
    pub group_id: GroupId,
    /// The generation the member is in; `None` for a consumer that assigns its partitions itself.
    pub generation: Option<GenerationId>,
    /// The member; `None` for a consumer that assigns its partitions itself.
    pub member_id: Option<MemberId>,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
    /// Whether the version of the request can tell the epoch of a member of the consumer protocol (9 on).
    pub tells_member_epoch: bool,
    /// A retention of its own (API versions 2 to 4 only).
    pub retention_ms: Option<i64>,
    /// What to store, one answer each.
    pub offsets: Vec<OffsetToCommit>,
}

/// Which offsets of a group to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffsetSelection {
    /// All that are stored.
    All,
    /// These, stored or not.
    Partitions(Vec<TopicPartition>),
}

/// Which groups to list; an empty set does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only groups in one of these states.
    pub states: BTreeSet<GroupState>,
    /// Only groups of one of these types, in lower case (`classic`, `consumer`).
    pub types: BTreeSet<String>,
}

impl ListFilter {
    /// Reads the wire's filters: letter case does not count. `None` if no group can pass, because states are asked for
    /// and none of them exists.
    pub fn from_wire<'a>(
        states: impl IntoIterator<Item = &'a str>,
        types: impl IntoIterator<Item = &'a str>,
    ) -> Option<Self> {
        let mut states = states.into_iter().peekable();
        let restricted = states.peek().is_some();
        let states: BTreeSet<_> = states.filter_map(GroupState::from_name).collect();
        let types = types.into_iter().map(str::to_ascii_lowercase).collect();
        (!restricted || !states.is_empty()).then_some(Self { states, types })
    }
}
