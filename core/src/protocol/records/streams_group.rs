//! The records of a streams group (KIP-1071) in `__consumer_offsets`: key types 17 to 23.

use riverrun_core_derive::Message;

/// The key of `StreamsGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 17, versions = "0", flexible = "none")]
pub struct StreamsGroupMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `StreamsGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 17, versions = "0", flexible = "0+")]
pub struct StreamsGroupMetadataValue {
    pub epoch: i32,
    pub metadata_hash: i64,
    #[kafka(tagged = "0+", tag = 0, default = "-1")]
    pub validated_topology_epoch: i32,
    #[kafka(nullable = "0+", tagged = "0+", tag = 1)]
    pub last_assignment_configs: Option<Vec<LastAssignmentConfig>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct LastAssignmentConfig {
    pub key: String,
    pub value: String,
}

/// The key of `StreamsGroupMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 19, versions = "0", flexible = "none")]
pub struct StreamsGroupMemberMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `StreamsGroupMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 19, versions = "0", flexible = "0+")]
pub struct StreamsGroupMemberMetadataValue {
    #[kafka(nullable = "0+")]
    pub instance_id: Option<String>,
    #[kafka(nullable = "0+")]
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    #[kafka(default = "-1")]
    pub rebalance_timeout_ms: i32,
    pub topology_epoch: i32,
    pub process_id: String,
    #[kafka(nullable = "0+", default = "null")]
    pub user_endpoint: Option<Endpoint>,
    pub client_tags: Vec<KeyValue>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

/// The key of `StreamsGroupTargetAssignmentMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 20, versions = "0", flexible = "none")]
pub struct StreamsGroupTargetAssignmentMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `StreamsGroupTargetAssignmentMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 20, versions = "0", flexible = "0+")]
pub struct StreamsGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    #[kafka(tagged = "0+", tag = 0, ignorable)]
    pub assignment_timestamp: i64,
}

/// The key of `StreamsGroupTargetAssignmentMember`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 21, versions = "0", flexible = "none")]
pub struct StreamsGroupTargetAssignmentMemberKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `StreamsGroupTargetAssignmentMember`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 21, versions = "0", flexible = "0+")]
pub struct StreamsGroupTargetAssignmentMemberValue {
    pub active_tasks: Vec<TaskIds>,
    pub standby_tasks: Vec<TaskIds>,
    pub warmup_tasks: Vec<TaskIds>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
}

/// The key of `StreamsGroupCurrentMemberAssignment`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 22, versions = "0", flexible = "none")]
pub struct StreamsGroupCurrentMemberAssignmentKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `StreamsGroupCurrentMemberAssignment`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 22, versions = "0", flexible = "0+")]
pub struct StreamsGroupCurrentMemberAssignmentValue {
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub active_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub standby_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub warmup_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub active_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub standby_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
    pub warmup_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "TaskIds")]
pub struct StreamsGroupCurrentMemberAssignmentTaskIds {
    pub subtopology_id: String,
    pub partitions: Vec<i32>,
    #[kafka(nullable = "0+", tagged = "0+", tag = 0)]
    pub assignment_epochs: Option<Vec<i32>>,
}

/// The key of `StreamsGroupTopology`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 23, versions = "0", flexible = "none")]
pub struct StreamsGroupTopologyKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `StreamsGroupTopology`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 23, versions = "0", flexible = "0+")]
pub struct StreamsGroupTopologyValue {
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
    pub topic_configs: Vec<TopicConfig>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicConfig {
    pub key: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CopartitionGroup {
    pub source_topics: Vec<i16>,
    pub source_topic_regex: Vec<i16>,
    pub repartition_source_topics: Vec<i16>,
}
