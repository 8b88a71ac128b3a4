//! The records of a consumer group of the new protocol (KIP-848) in `__consumer_offsets`: key types 3 and 5 to 8 and 16.
//!
//! Type 4 (partition metadata) was written by early 4.0 releases only; it is read so that it can be removed.

use bytes::Bytes;
use riverrun_core_derive::Message;

use crate::Uuid;

/// The key of `ConsumerGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 3, versions = "0", flexible = "none")]
pub struct ConsumerGroupMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `ConsumerGroupMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 3, versions = "0", flexible = "0+")]
pub struct ConsumerGroupMetadataValue {
    pub epoch: i32,
    #[kafka(tagged = "0+", tag = 0)]
    pub metadata_hash: i64,
}

/// The key of `ConsumerGroupPartitionMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 4, versions = "0", flexible = "none")]
pub struct ConsumerGroupPartitionMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `ConsumerGroupPartitionMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 4, versions = "0", flexible = "0+")]
pub struct ConsumerGroupPartitionMetadataValue {
    pub topics: Vec<TopicMetadata>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicMetadata {
    pub topic_id: Uuid,
    pub topic_name: String,
    pub num_partitions: i32,
    pub partition_metadata: Vec<PartitionMetadata>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionMetadata {
    pub partition: i32,
    pub racks: Vec<String>,
}

/// The key of `ConsumerGroupMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 5, versions = "0", flexible = "none")]
pub struct ConsumerGroupMemberMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `ConsumerGroupMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 5, versions = "0", flexible = "0+")]
pub struct ConsumerGroupMemberMetadataValue {
    #[kafka(nullable = "0+")]
    pub instance_id: Option<String>,
    #[kafka(nullable = "0+")]
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub subscribed_topic_names: Vec<String>,
    #[kafka(nullable = "0+")]
    pub subscribed_topic_regex: Option<String>,
    #[kafka(default = "-1")]
    pub rebalance_timeout_ms: i32,
    #[kafka(nullable = "0+")]
    pub server_assignor: Option<String>,
    #[kafka(nullable = "0+", tagged = "0+", tag = 0)]
    pub classic_member_metadata: Option<ClassicMemberMetadata>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ClassicMemberMetadata {
    pub session_timeout_ms: i32,
    pub supported_protocols: Vec<ClassicProtocol>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ClassicProtocol {
    pub name: String,
    pub metadata: Bytes,
}

/// The key of `ConsumerGroupTargetAssignmentMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 6, versions = "0", flexible = "none")]
pub struct ConsumerGroupTargetAssignmentMetadataKey {
    #[kafka(versions = "0")]
    pub group_id: String,
}

/// The value of `ConsumerGroupTargetAssignmentMetadata`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 6, versions = "0", flexible = "0+")]
pub struct ConsumerGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    #[kafka(tagged = "0+", tag = 0, ignorable)]
    pub assignment_timestamp: i64,
}

/// The key of `ConsumerGroupTargetAssignmentMember`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 7, versions = "0", flexible = "none")]
pub struct ConsumerGroupTargetAssignmentMemberKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `ConsumerGroupTargetAssignmentMember`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 7, versions = "0", flexible = "0+")]
pub struct ConsumerGroupTargetAssignmentMemberValue {
    pub topic_partitions: Vec<TopicPartition>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartition {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

/// The key of `ConsumerGroupCurrentMemberAssignment`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 8, versions = "0", flexible = "none")]
pub struct ConsumerGroupCurrentMemberAssignmentKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub member_id: String,
}

/// The value of `ConsumerGroupCurrentMemberAssignment`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 8, versions = "0", flexible = "0+")]
pub struct ConsumerGroupCurrentMemberAssignmentValue {
    /// 0 joins, -1 leaves; else the epoch the member has reached.
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub assigned_partitions: Vec<TopicPartitions>,
    pub partitions_pending_revocation: Vec<TopicPartitions>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
    #[kafka(nullable = "0+", tagged = "0+", tag = 0)]
    pub assignment_epochs: Option<Vec<i32>>,
}

/// The key of `ConsumerGroupRegularExpression`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 16, versions = "0", flexible = "none")]
pub struct ConsumerGroupRegularExpressionKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub regular_expression: String,
}

/// The value of `ConsumerGroupRegularExpression`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 16, versions = "0", flexible = "0+")]
pub struct ConsumerGroupRegularExpressionValue {
    pub topics: Vec<String>,
    pub version: i64,
    pub timestamp: i64,
}
