//! ShareGroupDescribe: API key 77, version 1, flexible from 0.
//!
//! Describes share groups and their members (KIP-932).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ShareGroupDescribe`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 77, versions = "1", flexible = "0+")]
pub struct ShareGroupDescribeRequest {
    pub group_ids: Vec<String>,
    pub include_authorized_operations: bool,
}

/// The response of `ShareGroupDescribe`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 77, versions = "1", flexible = "0+")]
pub struct ShareGroupDescribeResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribedGroup {
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub group_id: String,
    pub group_state: String,
    pub group_epoch: i32,
    pub assignment_epoch: i32,
    pub assignor_name: String,
    pub members: Vec<Member>,
    #[kafka(default = "-2147483648")]
    pub authorized_operations: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Member {
    pub member_id: String,
    #[kafka(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
    pub assignment: Assignment,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Assignment {
    pub topic_partitions: Vec<TopicPartitions>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub partitions: Vec<i32>,
}
