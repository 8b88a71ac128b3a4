//! The records of a share group (KIP-932) in `__consumer_offsets`: key types 10 to 15.

use riverrun_core_derive::Message;

use crate::Uuid;

/// The key of `ShareGroupMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 10, versions = "0", flexible = "none")]
pub struct ShareGroupMemberMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `ShareGroupMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 10, versions = "0", flexible = "0+")]
pub struct ShareGroupMemberMetadataValue {
    #[kafka(nullable = "0+")]
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
}

/// The key of `ShareGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 11, versions = "0", flexible = "none")]
pub struct ShareGroupMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `ShareGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 11, versions = "0", flexible = "0+")]
pub struct ShareGroupMetadataValue {
    pub epoch: i32,
    pub metadata_hash: i64,
}

/// The key of `ShareGroupTargetAssignmentMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 12, versions = "0", flexible = "none")]
pub struct ShareGroupTargetAssignmentMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `ShareGroupTargetAssignmentMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 12, versions = "0", flexible = "0+")]
pub struct ShareGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    #[kafka(tagged = "0+", tag = 0, ignorable)]
    pub assignment_timestamp: i64,
}

/// The key of `ShareGroupTargetAssignmentMember`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 13, versions = "0", flexible = "none")]
pub struct ShareGroupTargetAssignmentMemberKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `ShareGroupTargetAssignmentMember`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 13, versions = "0", flexible = "0+")]
pub struct ShareGroupTargetAssignmentMemberValue {
    pub topic_partitions: Vec<TopicPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartition {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The key of `ShareGroupCurrentMemberAssignment`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 14, versions = "0", flexible = "none")]
pub struct ShareGroupCurrentMemberAssignmentKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `ShareGroupCurrentMemberAssignment`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 14, versions = "0", flexible = "0+")]
pub struct ShareGroupCurrentMemberAssignmentValue {
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub assigned_partitions: Vec<TopicPartitions>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The key of `ShareGroupStatePartitionMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 15, versions = "0", flexible = "none")]
pub struct ShareGroupStatePartitionMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `ShareGroupStatePartitionMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 15, versions = "0", flexible = "0+")]
pub struct ShareGroupStatePartitionMetadataValue {
    pub initializing_topics: Vec<TopicPartitionsInfo>,
    pub initialized_topics: Vec<TopicPartitionsInfo>,
    pub deleting_topics: Vec<TopicInfo>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitionsInfo {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicInfo {
    pub topic_id: Uuid,
    pub topic_name: String,
}
