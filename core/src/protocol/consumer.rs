//! What consumers of one classic group tell each other inside JoinGroup and SyncGroup (protocol type "consumer").
//!
//! The broker passes these bytes on unread. Each is preceded by its version as a 16-bit integer, see
//! [`decode_versioned`](super::decode_versioned) and [`encode_versioned`](super::encode_versioned): a newer version than
//! ours is read as the newest we know, since later versions may only append fields.
//! - v1: owned partitions, for cooperative rebalancing (KIP-429)
//! - v2: generation id
//! - v3: rack id (KIP-881)

use bytes::Bytes;
use riverrun_core_derive::Message;

/// What a member wants: sent in JoinGroup.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(versions = "0-3", flexible = "none")]
pub struct ConsumerProtocolSubscription {
    pub topics: Vec<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub user_data: Option<Bytes>,
    #[kafka(versions = "1+", ignorable)]
    pub owned_partitions: Vec<TopicPartition>,
    /// The generation of the group; -1 outside of a group.
    #[kafka(versions = "2+", default = "-1", ignorable)]
    pub generation_id: i32,
    #[kafka(versions = "3+", nullable = "3+", default = "null", ignorable)]
    pub rack_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartition {
    #[kafka(versions = "1+")]
    pub topic: String,
    #[kafka(versions = "1+")]
    pub partitions: Vec<i32>,
}

/// What a member gets: sent in SyncGroup.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(versions = "0-3", flexible = "none")]
pub struct ConsumerProtocolAssignment {
    pub assigned_partitions: Vec<AssignedPartitions>,
    #[kafka(nullable = "0+", default = "null")]
    pub user_data: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "TopicPartition")]
pub struct AssignedPartitions {
    pub topic: String,
    pub partitions: Vec<i32>,
}
