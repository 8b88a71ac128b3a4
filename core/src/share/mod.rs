//! Share groups (KIP-932): many consumers take records of the same partitions, each record goes to one of them at a time,
//! and is acknowledged, given back or given up by itself.
//!
//! | module | what it decides |
//! |---|---|
//! | [`partition`] | which records of one partition a group's members hold, and what becomes of them |
//! | [`session`] | which partitions a member fetches, and whether its requests come in order |
//! | [`group`] | who the members are and which partitions each is to fetch, in `__consumer_offsets` |
//! | [`state`] | what of that is durable: the share coordinator of one partition of `__share_group_state` |
//!
//! All are state machines without I/O; time comes in as an argument.
//!
//! Source: Kafka `SharePartition`, `ShareSession`, `ShareCoordinatorShard`, `GroupMetadataManager`, `SimpleAssignor`.

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod group;
pub mod partition;
pub mod session;
pub mod state;
