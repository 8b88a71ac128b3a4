//! Deletes records of repartition topics that have been processed (R6): nobody reads them again, and the topics keep
//! everything otherwise.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use riverrun_client::{Admin, TopicPartition};
use tokio::time::Instant;

use crate::topology::{TopicName, Topology};

/// What one worker has yet to delete.
pub(super) struct Purge {
    admin: Admin,
    topics: HashSet<Arc<str>>,
    processed: HashMap<TopicPartition, Option<i64>>,
    interval: Duration,
    next: Instant,
}

impl Purge {
    pub(super) fn new(admin: Admin, topology: &Topology, interval: Duration) -> Self {
        let sources = (0..topology.subtopology_count()).flat_map(|part| topology.source_topics(part));
        let internal = sources.filter(|topic| matches!(topic, TopicName::Repartition(_)));
        let topics = internal.map(|topic| topic.full(topology.app_id())).collect();
        Self { admin, topics, processed: HashMap::new(), interval, next: Instant::now() + interval }
    }

    /// Notes committed offsets, and deletes what lies before them if it is time. A failure costs space only; it is
    /// logged and tried again with the next offsets.
    pub(super) async fn after_commit(&mut self, committed: &[(TopicPartition, i64)]) {
        for (partition, offset) in committed {
            if self.topics.contains(&partition.topic) {
                self.processed.insert(partition.clone(), Some(*offset));
            }
        }
        if self.processed.is_empty() || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + self.interval;
        match self.admin.delete_records(&std::mem::take(&mut self.processed)).await {
            Ok(results) => {
                for (partition, error) in results.into_iter().filter_map(|(p, result)| Some((p, result.err()?))) {
                    tracing::warn!(%partition, %error, "processed records of a repartition topic are not deleted");
                }
            }
            Err(error) => tracing::warn!(%error, "processed records of repartition topics are not deleted"),
        }
    }
}
