//! ConsumerGroupDescribe: API key 69, versions 0-1, flexible from 0.
//!
//! Describes groups of the new consumer protocol (KIP-848).
//!
//! - v1: response gains `member_type`; KIP-1099

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ConsumerGroupDescribe`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 69, versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupDescribeRequest {
    pub group_ids: Vec<String>,
    pub include_authorized_operations: bool,
}

/// The response of `ConsumerGroupDescribe`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 69, versions = "0-1", flexible = "0+")]
pub struct ConsumerGroupDescribeResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Assignment {
    pub topic_partitions: Vec<TopicPartitions>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribedGroup {
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub group_id: String,
    pub group_state: String,
    pub group_epoch: i32,
    /// The epoch of the target assignment.
    pub assignment_epoch: i32,
    pub assignor_name: String,
    pub members: Vec<Member>,
    /// Bit set of what the client may do; `i32::MIN` if it was not asked for (KIP-430).
    #[kafka(default = "-2147483648")]
    pub authorized_operations: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Member {
    pub member_id: String,
    #[kafka(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    /// The epoch of the member in the new consumer protocol (KIP-848).
    pub member_epoch: i32,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
    /// A regular expression in RE2 syntax.
    #[kafka(nullable = "0+", default = "null")]
    pub subscribed_topic_regex: Option<String>,
    pub assignment: Assignment,
    pub target_assignment: Assignment,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub member_type: i8,
}
