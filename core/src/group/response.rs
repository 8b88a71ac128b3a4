//! What the coordinator answers, and the [`Decision`] that carries it together with the records it rests on.

use bytes::Bytes;

use super::{GenerationId, GroupError, GroupId, GroupRecord, GroupState, InstanceId, MemberId, Ticket};
use crate::TopicPartition;

/// The outcome of a command: first the records, then the answers.
///
/// `response` answers the command itself; `replies` answer parked JoinGroup and SyncGroup callers, of this command or
/// of earlier ones. Neither may leave before `records`, and all records of earlier decisions of the shard, are
/// durable: see the calling contract in the [module documentation](super).
#[derive(Debug)]
#[must_use = "records must be appended and parked callers answered"]
pub struct Decision<T = ()> {
    /// To append to the shard's partition, in this order, all or none.
    pub records: Vec<GroupRecord>,
    /// Answers for parked callers.
    pub replies: Vec<Reply>,
    /// The answer to the command.
    pub response: T,
}

impl<T> Decision<T> {
    /// Turns the decision into what its callers are told if the records were not appended, for this reason. The machine
    /// needs no undo: what matters changes in [`GroupShard::replay`](super::GroupShard::replay) only, and that did not
    /// run.
    pub fn fail(self, reason: &GroupError) -> Vec<Reply> {
        let fail = |reply: Reply| Reply {
            ticket: reply.ticket,
            response: match reply.response {
                Response::Join(_) => Response::Join(Err(reason.clone())),
                Response::Sync(_) => Response::Sync(Err(reason.clone())),
            },
        };
        self.replies.into_iter().map(fail).collect()
    }

    pub(super) fn with<U>(self, response: U) -> Decision<U> {
        Decision { records: self.records, replies: self.replies, response }
    }
}

impl Decision {
    pub(super) fn empty() -> Self {
        Self { records: Vec::new(), replies: Vec::new(), response: () }
    }

    pub(super) fn reply_join(&mut self, ticket: Ticket, response: Result<JoinResponse, GroupError>) {
        self.replies.push(Reply { ticket, response: Response::Join(response) });
    }

    pub(super) fn reply_sync(&mut self, ticket: Ticket, response: Result<SyncResponse, GroupError>) {
        self.replies.push(Reply { ticket, response: Response::Sync(response) });
    }
}

/// The answer for one parked caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whom it is for.
    pub ticket: Ticket,
    /// What to say.
    pub response: Response,
}

/// An answer to one of the two commands that park.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// To JoinGroup.
    Join(Result<JoinResponse, GroupError>),
    /// To SyncGroup.
    Sync(Result<SyncResponse, GroupError>),
}

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member.
    pub member_id: MemberId,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
    /// Its subscription under the chosen protocol.
    pub metadata: Bytes,
}

/// The member is part of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinResponse {
    /// The generation.
    pub generation: GenerationId,
    /// The kind of group.
    pub protocol_type: Option<String>,
    /// The protocol all members agreed on.
    pub protocol_name: Option<String>,
    /// Who decides the assignment. May name the predecessor of a static member that was replaced.
    pub leader: MemberId,
    /// Who the caller is.
    pub member_id: MemberId,
    /// All members if the caller is the leader, else none.
    pub members: Vec<JoinedMember>,
    /// The leader must not assign anew: the standing assignment holds (KIP-814).
    pub skip_assignment: bool,
}

/// The member's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncResponse {
    /// The kind of group.
    pub protocol_type: Option<String>,
    /// The protocol all members agreed on.
    pub protocol_name: Option<String>,
    /// The leader's decision for this member, in the assignor's format; empty if it gave none.
    pub assignment: Bytes,
}

/// How one removal went; in the order of the request.
pub type LeaveOutcome = Result<(), GroupError>;

/// How one commit went; in the order of the request.
pub type CommitOutcome = Result<(), GroupError>;

/// A stored position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The partition asked for.
    pub topic_partition: TopicPartition,
    /// What is stored, if anything.
    pub committed: Option<super::CommittedOffset>,
    /// Whether it is to be asked for again, as an open transaction may replace it.
    pub is_unstable: bool,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: GroupId,
    /// Its kind; empty for a group that only stores offsets.
    pub protocol_type: String,
    /// Where it stands.
    pub state: GroupState,
    /// Which protocol it speaks: `classic` or `consumer`.
    pub group_type: &'static str,
}

/// A member of a described group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member_id: MemberId,
    /// A static member's own name.
    pub group_instance_id: Option<InstanceId>,
    /// The client id of its connection.
    pub client_id: String,
    /// The address of its connection.
    pub client_host: String,
    /// Its subscription under the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// What it was assigned last.
    pub assignment: Bytes,
}

/// A group in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Where it stands.
    pub state: GroupState,
    /// Its kind; empty for a group that only stores offsets.
    pub protocol_type: String,
    /// The protocol all members agreed on; empty unless the group is stable.
    pub protocol_name: String,
    /// Its members by id.
    pub members: Vec<DescribedMember>,
}
