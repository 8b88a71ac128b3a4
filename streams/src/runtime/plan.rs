//! What a topology needs on a cluster, computed from the partition counts of the topics it reads: its internal topics
//! with their sizes and settings, and its tasks. Pure: asking for counts and creating topics is the runtime's part.
//!
//! A repartition topic has as many partitions as the largest topic read by the sub-topologies that write it, internal
//! ones included (R3); a sub-topology has a task per partition of its largest topic, and each of its stores a changelog
//! with a partition per task. Source: Kafka's `RepartitionTopics`, `InternalTopicConfig` and its subclasses.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use riverrun_core::TopicPartition;

use crate::{
    engine::TaskId,
    topology::{TopicName, Topology},
};

/// Kept in a window store's changelog beyond the store's own retention: clocks and stream time drift apart
/// (`windowstore.changelog.additional.retention.ms`).
const ADDITIONAL_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;

/// Size of a repartition topic's segments: small, so that what is processed can be deleted soon.
const REPARTITION_SEGMENT_BYTES: &str = "52428800";

/// A topic the application makes for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: i32,
    pub(crate) configs: Vec<(&'static str, String)>,
}

/// The sub-topologies by what they read, under full topic names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readers {
    /// By sub-topology.
    topics: Vec<Vec<Arc<str>>>,
    by_topic: HashMap<Arc<str>, usize>,
}

impl Readers {
    pub(crate) fn of(topology: &Topology) -> Self {
        let full = |subtopology| {
            topology.source_topics(subtopology).iter().map(|topic| topic.full(topology.app_id())).collect::<Vec<_>>()
        };
        let topics: Vec<_> = (0..topology.subtopology_count()).map(full).collect();
        let by_topic = topics.iter().enumerate().flat_map(|(id, all)| all.iter().map(move |t| (t.clone(), id)));
        let by_topic = by_topic.collect();
        Self { topics, by_topic }
    }

    /// All topics read.
    pub(crate) fn all_topics(&self) -> Vec<Arc<str>> {
        self.topics.iter().flatten().cloned().collect()
    }

    /// The task a partition belongs to.
    pub(crate) fn task(&self, topic: &str, partition: i32) -> Option<TaskId> {
        self.by_topic.get(topic).map(|subtopology| TaskId { subtopology: *subtopology, partition })
    }

    /// All tasks with the partitions each reads: partition `p` of every topic that has one.
    pub(crate) fn tasks(&self, count: impl Fn(&str) -> Option<i32>) -> BTreeMap<TaskId, Vec<TopicPartition>> {
        let mut tasks: BTreeMap<TaskId, Vec<TopicPartition>> = BTreeMap::new();
        for (subtopology, topics) in self.topics.iter().enumerate() {
            for topic in topics {
                for partition in 0..count(topic).unwrap_or(0) {
                    let id = TaskId { subtopology, partition };
                    tasks.entry(id).or_default().push(TopicPartition { topic: topic.clone(), partition });
                }
            }
        }
        tasks
    }
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlanError {
    /// A topic of the user's does not exist.
    MissingTopic(Arc<str>),
    /// A repartition topic whose size depends on nothing but itself.
    Cycle(Arc<str>),
}

/// The internal topics of `topology`, given the partition counts of the user's topics.
pub(crate) fn internal_topics(
    topology: &Topology,
    external: &HashMap<Arc<str>, i32>,
) -> Result<Vec<InternalTopic>, PlanError> {
    let app_id = topology.app_id();
    let parts = 0..topology.subtopology_count();
    let sources: Vec<_> = parts.clone().map(|part| topology.source_topics(part)).collect();
    let mut counts: HashMap<TopicName, i32> = HashMap::new();
    let mut unresolved = Vec::new();
    for topic in sources.iter().flatten() {
        match topic {
            TopicName::External(name) => {
                let count = external.get(name).ok_or_else(|| PlanError::MissingTopic(name.clone()))?;
                counts.insert(topic.clone(), *count);
            }
            TopicName::Repartition(_) => unresolved.push(topic.clone()),
        }
    }
    let repartitions = unresolved.clone();
    while let Some(position) = unresolved.iter().position(|topic| size(topology, topic, &sources, &counts).is_some()) {
        let topic = unresolved.swap_remove(position);
        if let Some(count) = size(topology, &topic, &sources, &counts) {
            counts.insert(topic, count);
        }
    }
    if let Some(topic) = unresolved.first() {
        return Err(PlanError::Cycle(topic.full(app_id)));
    }
    let repartitions = repartitions.iter().map(|topic| repartition_topic(topic.full(app_id), counts[topic]));
    let mut topics: Vec<_> = repartitions.collect();
    for (part, sources) in parts.zip(&sources) {
        let tasks = sources.iter().map(|topic| counts[topic]).max().unwrap_or(0);
        topics.extend(topology.stores(part).map(|store| InternalTopic {
            name: store.changelog(app_id),
            partitions: tasks,
            configs: changelog_configs(store.retention_ms),
        }));
    }
    Ok(topics)
}

/// The partition count of a repartition topic, once those of all topics read by its writers are known.
fn size(
    topology: &Topology,
    topic: &TopicName,
    sources: &[Vec<TopicName>],
    counts: &HashMap<TopicName, i32>,
) -> Option<i32> {
    let writers = (0..sources.len()).filter(|part| topology.sink_topics(*part).contains(topic));
    let read = writers.flat_map(|part| &sources[part]);
    read.map(|topic| counts.get(topic).copied()).try_fold(None, |max, count| Some(max.max(Some(count?))))?
}

fn repartition_topic(name: Arc<str>, partitions: i32) -> InternalTopic {
    let configs = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("segment.bytes", REPARTITION_SEGMENT_BYTES.to_owned()),
        ("message.timestamp.type", "CreateTime".to_owned()),
    ];
    InternalTopic { name, partitions, configs }
}

fn changelog_configs(retention_ms: Option<i64>) -> Vec<(&'static str, String)> {
    let mut configs = vec![("message.timestamp.type", "CreateTime".to_owned())];
    match retention_ms {
        None => configs.push(("cleanup.policy", "compact".to_owned())),
        Some(retention_ms) => {
            configs.push(("cleanup.policy", "compact,delete".to_owned()));
            configs.push(("retention.ms", retention_ms.saturating_add(ADDITIONAL_RETENTION_MS).to_string()));
        }
    }
    configs
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::prelude::*;

    fn counts(all: &[(&str, i32)]) -> HashMap<Arc<str>, i32> {
        all.iter().map(|(topic, count)| ((*topic).into(), *count)).collect()
    }

    fn chained() -> Topology {
        let b = StreamsBuilder::new("app");
        b.stream(["small", "large"], (Utf8, I64))
            .group_by("first", (Utf8, I64), |k, _| k.clone())
            .reduce("sums", |a, b| a + b)
            .to_stream()
            .group_by("second", (Utf8, I64.nullable()), |k, _| k.clone())
            .windowed_by(TimeWindows::tumbling(Duration::from_millis(10)).grace(Duration::from_millis(5)))
            .count("counts");
        b.build().unwrap()
    }

    /// R3: the largest source counts, through a chain of internal topics; E1 and E2: names and policies.
    #[test]
    fn internal_topics_are_sized_by_what_their_writers_read() {
        let topics = internal_topics(&chained(), &counts(&[("small", 2), ("large", 5)])).unwrap();
        let sizes: Vec<_> = topics.iter().map(|t| (&*t.name, t.partitions)).collect();
        let names = ["app-first-repartition", "app-second-repartition", "app-sums-changelog", "app-counts-changelog"];
        assert_eq!(sizes, names.map(|name| (name, 5)));
        let config = |topic: &InternalTopic, key: &str| {
            topic.configs.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
        };
        assert_eq!(config(&topics[0], "cleanup.policy").as_deref(), Some("delete"));
        assert_eq!(config(&topics[0], "retention.ms").as_deref(), Some("-1"));
        assert_eq!(config(&topics[2], "cleanup.policy").as_deref(), Some("compact"));
        assert_eq!(config(&topics[3], "cleanup.policy").as_deref(), Some("compact,delete"));
        assert_eq!(config(&topics[3], "retention.ms").as_deref(), Some("86400015"));
    }

    #[test]
    fn a_missing_topic_is_named() {
        let error = internal_topics(&chained(), &counts(&[("small", 2)])).unwrap_err();
        assert_eq!(error, PlanError::MissingTopic("large".into()));
    }

    #[test]
    fn tasks_read_the_same_partition_of_every_topic() {
        let b = StreamsBuilder::new("app");
        b.stream("a", (Raw, Raw)).merge(b.stream("b", (Raw, Raw))).to("c", (Raw, Raw));
        b.stream("d", (Raw, Raw)).to("c", (Raw, Raw));
        let readers = Readers::of(&b.build().unwrap());
        let counts = counts(&[("a", 2), ("b", 1), ("d", 1)]);
        let tasks = readers.tasks(|topic| counts.get(topic).copied());
        let tasks: Vec<_> = tasks.into_iter().map(|(id, read)| (id.to_string(), read)).collect();
        let tp = |topic: &str, partition| TopicPartition::new(topic, partition);
        assert_eq!(
            tasks,
            [
                ("0_0".to_owned(), vec![tp("a", 0), tp("b", 0)]),
                ("0_1".to_owned(), vec![tp("a", 1)]),
                ("1_0".to_owned(), vec![tp("d", 0)]),
            ]
        );
    }
}
