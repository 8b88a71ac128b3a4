//! ConsumerGroupHeartbeat: API key 68, versions 0-1, flexible from 0.
//!
//! - v1: request gains `subscribed_topic_regex`

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ConsumerGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 68, versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupHeartbeatRequest {
    pub group_id: String,
    pub member_id: String,
    pub member_epoch: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    #[kafka(default = "-1")]
    pub rebalance_timeout_ms: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub subscribed_topic_names: Option<Vec<String>>,
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
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub member_id: Option<String>,
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
