//! Groups of the consumer protocol (KIP-848): the coordinator assigns, and leads each member to its target one heartbeat
//! at a time. Part of the [group coordinator](super), whose calling contract holds here too.
//!
//! All of a group is in its records, and only their replay changes it: a call reads the group, works out the records
//! that follow, and answers as if they were replayed. What a restart may forget is which metadata a group was last
//! compared with, and when its patterns were matched.
//!
//! The way of a call: [`heartbeat`] (or [`classic_member`] for members of the classic protocol) finds the member;
//! [`update`] brings subscription, [patterns](regex), epoch and [target](target) up to date and takes the
//! [next step](reconciliation) of the member; [`fence`] takes members out; [`migration`] changes the type of a group.

mod assignors;
mod classic_member;
pub(super) mod codec;
mod describe;
mod epoch;
mod fence;
mod group;
mod heartbeat;
mod member;
mod migration;
mod offsets;
mod reconciliation;
mod record;
mod regex;
mod request;
mod target;
#[cfg(test)]
mod tests;
mod topics;
mod update;
mod weight;

pub use assignors::Assignor;
pub use describe::{DescribedConsumer, DescribedConsumerGroup, DescribedPartitions};
pub use epoch::Epoch;
pub(super) use group::ConsumerGroup;
use member::ConsumerMember;
pub use member::MemberState;
pub use migration::{MigrationPolicy, UnknownMigrationPolicy};
pub use record::{
    Assigned, ClassicSubscription, ConsumerRecord, CurrentAssignment, GroupEpoch, MemberSubscription, PartitionSet,
    ResolvedRegex, TargetEpoch,
};
pub use request::{ConsumerHeartbeat, ConsumerHeartbeatResponse};
pub use topics::Topics;
