//! ShareGroupHeartbeat: API key 76, version 1, flexible from 0.
//!
//! Joins a share group, stays in it, learns what to fetch from, and leaves it (epoch -1). A field that is the same as in the
//! last heartbeat is null (KIP-932).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ShareGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 76, versions = "1", flexible = "0+")]
pub struct ShareGroupHeartbeatRequest {
    pub group_id: String,
    pub member_id: String,
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub subscribed_topic_names: Option<Vec<String>>,
}

/// The response of `ShareGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 76, versions = "1", flexible = "0+")]
pub struct ShareGroupHeartbeatResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub member_id: Option<String>,
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub assignment: Option<Assignment>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Assignment {
    pub topic_partitions: Vec<TopicPartitions>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}
