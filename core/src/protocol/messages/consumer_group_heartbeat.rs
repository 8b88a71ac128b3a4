//! ConsumerGroupHeartbeat: API key 68, versions 0-1, flexible from 0.
//!
//! The one request of the new consumer protocol (KIP-848): joins, stays, reports what is owned, learns what to own,
//! leaves (member epoch -1, or -2 for a static member that will be back). A field that has not changed since the last
//! heartbeat is null or -1.
//!
//! - v1: request gains `subscribed_topic_regex`; regular expressions; the member chooses its id (KIP-1082)

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ConsumerGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 68, versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupHeartbeatRequest {
    pub group_id: String,
    pub member_id: String,
    /// The epoch of the member in the new consumer protocol (KIP-848).
    pub member_epoch: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    /// How long members get to rejoin once a rebalance has begun.
    #[kafka(default = "-1")]
    pub rebalance_timeout_ms: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub subscribed_topic_names: Option<Vec<String>>,
    /// A regular expression in RE2 syntax.
    #[kafka(versions = "1+", nullable = "1+", default = "null")]
    pub subscribed_topic_regex: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub server_assignor: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub topic_partitions: Option<Vec<TopicPartitions>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The response of `ConsumerGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 68, versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupHeartbeatResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub member_id: Option<String>,
    /// The epoch of the member in the new consumer protocol (KIP-848).
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub assignment: Option<Assignment>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "TopicPartitions")]
pub struct TopicPartitionsResponse {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Assignment {
    pub topic_partitions: Vec<TopicPartitionsResponse>,
}
