//! Which partitions the members with an endpoint serve, for interactive queries: those that their tasks read.
//!
//! Source: Kafka `EndpointToPartitionsManager`, `StreamsGroup.buildEndpointToPartitions`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    ConfiguredTopology, EndpointPartitions, TaskSet,
    group::{StreamsGroup, StreamsMember},
};
use crate::group::Topics;

/// What all members with an endpoint serve, `updated` in the place of what is known of it, last.
pub(super) fn endpoints(
    group: &StreamsGroup,
    updated: &StreamsMember,
    configured: &ConfiguredTopology,
    topics: &Topics,
) -> Vec<EndpointPartitions> {
    let others = group.members.values().filter(|member| member.id != updated.id);
    let served = |member: &StreamsMember| {
        let tasks = member.current.assigned.tasks();
        Some(EndpointPartitions {
            endpoint: member.info.user_endpoint.clone()?,
            active: partitions(&tasks.active, configured, topics),
            standby: partitions(&tasks.standby, configured, topics),
        })
    };
    others.chain(std::iter::once(updated)).filter_map(served).collect()
}

/// A task has the partition of its number of each topic that its subtopology reads, if the topic has so many.
fn partitions(tasks: &TaskSet, configured: &ConfiguredTopology, topics: &Topics) -> BTreeMap<Arc<str>, BTreeSet<i32>> {
    let mut served = BTreeMap::new();
    for (id, partitions) in tasks {
        let part = configured.subtopologies.as_ref().and_then(|parts| parts.get(id));
        for topic in part.into_iter().flat_map(|part| part.input_topics()) {
            let count = topics.partition_count(topic).unwrap_or(0);
            let partitions: BTreeSet<i32> = partitions.range(..count).copied().collect();
            if !partitions.is_empty() {
                served.insert(Arc::clone(topic), partitions);
            }
        }
    }
    served
}
