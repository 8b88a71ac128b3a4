//! DescribeQuorum: API key 55, versions 0-2, flexible from 0.
//!
//! Tells who votes and observes in the metadata quorum, and how far each has read (KIP-595).
//!
//! - v1: response gains `last_fetch_timestamp`, `last_caught_up_timestamp`
//! - v2: response gains `error_message`, `nodes`, `node_id`, `listeners`, `name`, `host`, `port`, `replica_directory_id`

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `DescribeQuorum`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 55, versions = "0-2", flexible = "0+")]
pub struct DescribeQuorumRequest {
    pub topics: Vec<TopicData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicData {
    pub topic_name: String,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition_index: i32,
}

/// The response of `DescribeQuorum`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 55, versions = "0-2", flexible = "0+")]
pub struct DescribeQuorumResponse {
    pub error_code: i16,
    #[kafka(versions = "2+", nullable = "2+", ignorable)]
    pub error_message: Option<String>,
    pub topics: Vec<TopicDataResponse>,
    #[kafka(versions = "2+")]
    pub nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "TopicData")]
pub struct TopicDataResponse {
    pub topic_name: String,
    pub partitions: Vec<PartitionDataResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "PartitionData")]
pub struct PartitionDataResponse {
    pub partition_index: i32,
    pub error_code: i16,
    #[kafka(versions = "2+", nullable = "2+", ignorable)]
    pub error_message: Option<String>,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub current_voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReplicaState {
    pub replica_id: i32,
    #[kafka(versions = "2+")]
    pub replica_directory_id: Uuid,
    pub log_end_offset: i64,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub last_fetch_timestamp: i64,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub last_caught_up_timestamp: i64,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Node {
    #[kafka(versions = "2+")]
    pub node_id: i32,
    #[kafka(versions = "2+")]
    pub listeners: Vec<Listener>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Listener {
    #[kafka(versions = "2+")]
    pub name: String,
    #[kafka(versions = "2+")]
    pub host: String,
    #[kafka(versions = "2+")]
    pub port: u16,
}
