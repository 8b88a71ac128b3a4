//! AlterReplicaLogDirs: API key 34, versions 1-2, flexible from 2.
//!
//! Moves replicas to other log directories of the broker (KIP-113).

use riverrun_core_derive::Message;

/// The request of `AlterReplicaLogDirs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 34, versions = "1-2", flexible = "2+")]
pub struct AlterReplicaLogDirsRequest {
    pub dirs: Vec<AlterReplicaLogDir>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterReplicaLogDir {
    pub path: String,
    pub topics: Vec<AlterReplicaLogDirTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterReplicaLogDirTopic {
    pub name: String,
    pub partitions: Vec<i32>,
}

/// The response of `AlterReplicaLogDirs`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 34, versions = "1-2", flexible = "2+")]
pub struct AlterReplicaLogDirsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub results: Vec<AlterReplicaLogDirTopicResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterReplicaLogDirTopicResult {
    pub topic_name: String,
    pub partitions: Vec<AlterReplicaLogDirPartitionResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterReplicaLogDirPartitionResult {
    pub partition_index: i32,
    pub error_code: i16,
}
