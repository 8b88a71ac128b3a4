//! DescribeLogDirs (API key 35): what the data directory holds, in bytes. v4: its capacity (KIP-827), which is not told.

use riverrun_core::protocol::messages::{
    DescribeLogDirsRequest, DescribeLogDirsResponse,
    describe_log_dirs::{DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic},
};

use crate::node::Node;

pub(super) fn handle(node: &Node, request: &DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let image = node.image();
    let is_wanted = |topic: &str, partition: i32| {
        request.topics.as_ref().is_none_or(|topics| {
            topics.iter().any(|wanted| wanted.topic == topic && wanted.partitions.contains(&partition))
        })
    };
    let mut topics = Vec::new();
    for topic in image.topics() {
        let partitions: Vec<_> = node
            .storage
            .partitions(topic.id)
            .iter()
            // As in Kafka, what has no usable log is not in the directory.
            .filter(|partition| !partition.is_offline())
            .filter(|partition| is_wanted(&topic.name, partition.topic_partition().partition))
            .map(|partition| DescribeLogDirsPartition {
                partition_index: partition.topic_partition().partition,
                partition_size: i64::try_from(partition.size_in_bytes()).unwrap_or(i64::MAX),
                ..Default::default()
            })
            .collect();
        if !partitions.is_empty() {
            topics.push(DescribeLogDirsTopic { name: topic.name.to_string(), partitions });
        }
    }
    let result =
        DescribeLogDirsResult { log_dir: node.storage.path().display().to_string(), topics, ..Default::default() };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}
