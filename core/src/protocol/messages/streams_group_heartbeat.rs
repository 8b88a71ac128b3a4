//! StreamsGroupHeartbeat: API key 88, version 0, flexible from 0.
//!
//! The one request of the streams group protocol (KIP-1071): a member tells its topology and tasks, and learns which
//! tasks to own. A field that is the same as in the last heartbeat is null.

use riverrun_core_derive::Message;

/// The request of `StreamsGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 88, versions = "0", flexible = "0+")]
pub struct StreamsGroupHeartbeatRequest {
    pub group_id: String,
    pub member_id: String,
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    /// Which state of the endpoints is known; a change raises it.
    pub endpoint_information_epoch: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub instance_id: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub rack_id: Option<String>,
    #[kafka(default = "-1")]
    pub rebalance_timeout_ms: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub topology: Option<Topology>,
    #[kafka(nullable = "0+", default = "null")]
    pub active_tasks: Option<Vec<TaskIds>>,
    #[kafka(nullable = "0+", default = "null")]
    pub standby_tasks: Option<Vec<TaskIds>>,
    #[kafka(nullable = "0+", default = "null")]
    pub warmup_tasks: Option<Vec<TaskIds>>,
    #[kafka(nullable = "0+", default = "null")]
    pub process_id: Option<String>,
    #[kafka(nullable = "0+", default = "null")]
    pub user_endpoint: Option<Endpoint>,
    #[kafka(nullable = "0+", default = "null")]
    pub client_tags: Option<Vec<KeyValue>>,
    #[kafka(nullable = "0+", default = "null")]
    pub task_offsets: Option<Vec<TaskOffset>>,
    #[kafka(nullable = "0+", default = "null")]
    pub task_end_offsets: Option<Vec<TaskOffset>>,
    pub shutdown_application: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Topology {
    pub epoch: i32,
    pub subtopologies: Vec<Subtopology>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Subtopology {
    pub subtopology_id: String,
    pub source_topics: Vec<String>,
    pub source_topic_regex: Vec<String>,
    pub state_changelog_topics: Vec<TopicInfo>,
    pub repartition_sink_topics: Vec<String>,
    pub repartition_source_topics: Vec<TopicInfo>,
    pub copartition_groups: Vec<CopartitionGroup>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: i32,
    pub replication_factor: i16,
    pub topic_configs: Vec<KeyValue>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CopartitionGroup {
    pub source_topics: Vec<i16>,
    pub source_topic_regex: Vec<i16>,
    pub repartition_source_topics: Vec<i16>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TaskOffset {
    pub subtopology_id: String,
    pub partition: i32,
    pub offset: i64,
}

/// The response of `StreamsGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 88, versions = "0", flexible = "0+")]
pub struct StreamsGroupHeartbeatResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub member_id: String,
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    pub acceptable_recovery_lag: i32,
    pub task_offset_interval_ms: i32,
    #[kafka(nullable = "0+")]
    pub status: Option<Vec<Status>>,
    #[kafka(nullable = "0+", default = "null")]
    pub active_tasks: Option<Vec<TaskIds>>,
    #[kafka(nullable = "0+", default = "null")]
    pub standby_tasks: Option<Vec<TaskIds>>,
    #[kafka(nullable = "0+", default = "null")]
    pub warmup_tasks: Option<Vec<TaskIds>>,
    /// Which state of the endpoints is known; a change raises it.
    pub endpoint_information_epoch: i32,
    #[kafka(nullable = "0+", default = "null")]
    pub partitions_by_user_endpoint: Option<Vec<EndpointToPartitions>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Status {
    pub status_code: i8,
    pub status_detail: String,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct EndpointToPartitions {
    pub user_endpoint: Endpoint,
    pub active_partitions: Vec<TopicPartition>,
    pub standby_partitions: Vec<TopicPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartition {
    pub topic: String,
    pub partitions: Vec<i32>,
}
