//! Consumer groups: the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup), the consumer protocol
//! (KIP-848) and committed offsets, as a state machine that touches no socket, disk, clock or random source.
//!
//! [`GroupShard`] coordinates all groups of one partition of `__consumer_offsets`; [`partition_for_group`] tells which
//! partition that is. States and transitions are drawn at [`GroupState`].
//!
//! # Calling contract
//! The caller owns the log of the partition and the clock, and calls one method at a time, under one lock:
//!
//! 1. *Load*: [`decode`](decode_record) the partition's records in order and [`replay`](GroupShard::replay) each, those
//!    of transactional batches with [`replay_pending`](GroupShard::replay_pending) and markers with
//!    [`replay_marker`](GroupShard::replay_marker); then
//!    [`start`](GroupShard::start), whose decision is handled as in 2. Until then callers are told that the
//!    coordinator is loading.
//! 2. *Command*: call it, and get a [`Decision`]. [`encode`](encode_record) and append its `records` as one batch, all
//!    or none, then `replay` each, in order, **before the next call**. Send `response` and `replies` as soon as that
//!    append **and every earlier one** of the shard is durable (a decision without records may rest on records of
//!    earlier ones); for [`GroupShard::heartbeat`] there is nothing to wait for.
//! 3. *Failure*: if the append fails, do not `replay`, and send the replies of [`Decision::fail`]; answer the command
//!    itself with [`GroupError::LogUnavailable`]. The shard stays usable. If the records were appended but will never
//!    be durable, the log has failed: call [`unload`](GroupShard::unload), send its replies, answer all that is held
//!    back with [`GroupError::NotCoordinator`], and load anew when the log is back.
//!    Before commands and timeouts that look at topics, tell the shard the metadata of now:
//!    [`set_topics`](GroupShard::set_topics).
//! 4. *Time*: at [`next_timeout`](GroupShard::next_timeout) (which every call may change) call
//!    [`on_timeout`](GroupShard::on_timeout) and handle its decision, until the next timeout lies ahead.
//!
//! JoinGroup and SyncGroup park: they take a [`Ticket`] and every ticket is answered exactly once, in the decision of
//! that call or of a later one. A caller whose connection is gone needs no word here: its answer is dropped.
//!
//! # What is durable
//! Positions, those of open transactions included, and the generation of a group with its members and assignments: what the records say. Only `replay`
//! changes them, and only `replay` makes a group Stable, so that an assignment is never seen that a restart would not
//! find. Volatile, as in Kafka: who is joining, parked callers, deadlines, and a generation whose assignment has not
//! been accepted: after a restart the generation before it stands, and no member of the lost one ever had partitions.
//!
//! # Not here
//! Share groups (KIP-932) are in [`share::group`](crate::share::group). The assignors of classic groups
//! run in the clients. Authorization is the broker's, and so is resolving topic ids of positions to names.
//!
//! Source: Kafka `GroupMetadataManager`, `ClassicGroup`, `OffsetMetadataManager`; KIP-62, 98, 134, 345, 394, 559, 814.

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod admin;
mod classic;
mod codec;
mod config;
mod consumer;
mod error;
mod expiry;

mod heartbeat;
mod id;
mod join;
mod leave;
mod member;
mod offsets;
mod rebalance;
mod record;
mod request;
mod response;
mod shard;
mod state;
pub mod streams;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod timer;
mod transactions;
mod weight;

pub use codec::{DecodeRecordError, EncodedRecord, decode_record, encode_record};
pub use config::{ConsumerConfig, GroupConfig, StreamsConfig};
pub use consumer::{
    Assigned, Assignor, ClassicSubscription, ConsumerHeartbeat, ConsumerHeartbeatResponse, ConsumerRecord,
    CurrentAssignment, DescribedConsumer, DescribedConsumerGroup, DescribedPartitions, Epoch, GroupEpoch, MemberState,
    MemberSubscription, MigrationPolicy, PartitionSet, ResolvedRegex, TargetEpoch, Topics, UnknownMigrationPolicy,
};
pub use error::GroupError;
pub use id::{GenerationId, GroupId, InstanceId, MemberId, partition_for_group};
pub use record::{CommittedOffset, GroupMetadata, GroupRecord, MemberMetadata};
pub use request::{
    HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, ListFilter, Now, OffsetCommitRequest, OffsetSelection,
    OffsetToCommit, Protocol, SyncRequest, Ticket,
};
pub use response::{
    CommitOutcome, Decision, DescribedGroup, DescribedMember, FetchedOffset, JoinResponse, JoinedMember, LeaveOutcome,
    ListedGroup, Reply, Response, SyncResponse,
};
pub use shard::GroupShard;
pub use state::GroupState;
