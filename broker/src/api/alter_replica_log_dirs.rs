//! AlterReplicaLogDirs (API key 34): there is one log directory, in which every partition already is (KIP-113). A move to it
//! is done at once, a move to any other is refused.
//!
//! Source: Kafka `ReplicaManager#alterReplicaLogDirs`.

use std::path::Path;

use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
        alter_replica_log_dirs::{AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult},
    },
};

use crate::node::Node;

pub(super) fn handle(node: &Node, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let image = node.image();
    let mut results = Vec::new();
    for dir in request.dirs {
        let is_here = Path::new(&dir.path) == node.storage.path();
        for topic in dir.topics {
            let partitions = topic.partitions.iter().map(|&partition_index| {
                let code = if !is_here {
                    ErrorCode::LogDirNotFound
                } else if image.partition(&topic.name, partition_index).is_none() {
                    ErrorCode::UnknownTopicOrPartition
                } else {
                    ErrorCode::None
                };
                AlterReplicaLogDirPartitionResult { partition_index, error_code: code.code() }
            });
            let partitions = partitions.collect();
            results.push(AlterReplicaLogDirTopicResult { topic_name: topic.name, partitions });
        }
    }
    AlterReplicaLogDirsResponse { results, ..Default::default() }
}
