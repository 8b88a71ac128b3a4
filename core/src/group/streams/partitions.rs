//! How many partitions the topics that the coordinator creates are to have.
//!
//! A repartition topic has the number it was given, else that of the largest topic its writer reads, and then as many
//! as the topics it is read together with; a changelog has as many as its subtopology has tasks. A topic that exists
//! counts with the partitions it has.
//!
//! Source: Kafka `RepartitionTopics`, `CopartitionedTopicsEnforcer`, `ChangelogTopics`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    InvalidTopology, Topology,
    configured::{ConfigureError, TopicProblem},
    topology::Subtopology,
};

/// The numbers of partitions of topics that exist and of those that are to.
pub(super) struct PartitionCounts<'a> {
    existing: &'a dyn Fn(&str) -> Option<i32>,
    decided: BTreeMap<Arc<str>, i32>,
}

impl PartitionCounts<'_> {
    /// How many partitions a topic has, or is to have if it does not exist.
    pub(super) fn get(&self, topic: &str) -> Option<i32> {
        (self.existing)(topic).or_else(|| self.decided(topic))
    }

    /// How many partitions a topic is to have.
    pub(super) fn decided(&self, topic: &str) -> Option<i32> {
        self.decided.get(topic).copied()
    }

    fn of<'b>(&self, topics: impl IntoIterator<Item = &'b Arc<str>>) -> BTreeMap<Arc<str>, i32> {
        topics.into_iter().filter_map(|topic| Some((Arc::clone(topic), self.get(topic)?))).collect()
    }
}

/// Decides the number of every topic that the coordinator creates. All source topics exist.
pub(super) fn decide<'a>(
    topology: &Topology,
    existing: &'a dyn Fn(&str) -> Option<i32>,
) -> Result<PartitionCounts<'a>, ConfigureError> {
    let mut counts = PartitionCounts { existing, decided: BTreeMap::new() };
    decide_repartition_topics(topology, &mut counts)?;
    enforce_copartitioning(topology, &mut counts)?;
    decide_changelogs(topology, &mut counts)?;
    Ok(counts)
}

fn decide_repartition_topics(topology: &Topology, counts: &mut PartitionCounts<'_>) -> Result<(), InvalidTopology> {
    let parts = || topology.subtopologies.values();
    let read = || parts().flat_map(|part| &part.repartition_source_topics);
    for info in read() {
        if let Some(partitions) = info.partitions {
            counts.decided.insert(Arc::clone(&info.name), partitions);
        }
    }
    // A number that is found may be what the next writer downstream waits for.
    loop {
        let mut open = BTreeSet::new();
        let mut progress = false;
        for part in parts() {
            for sink in &part.repartition_sink_topics {
                if counts.decided.contains_key(sink) {
                    continue;
                }
                match largest_input(part, counts) {
                    Some(partitions) => {
                        counts.decided.insert(Arc::clone(sink), partitions);
                        progress = true;
                    }
                    None => {
                        open.insert(Arc::clone(sink));
                    }
                }
            }
        }
        if open.is_empty() {
            break;
        }
        if !progress {
            return Err(InvalidTopology::RepartitionLoop { topics: open });
        }
    }
    let undecided = read().map(|info| &info.name).filter(|name| !counts.decided.contains_key(*name));
    let topics: BTreeSet<Arc<str>> = undecided.cloned().collect();
    if topics.is_empty() { Ok(()) } else { Err(InvalidTopology::RepartitionNeverWritten { topics }) }
}

/// The largest number of what a subtopology reads, as far as it is known. Of repartition topics the number that is
/// decided counts here, even if the topic exists.
fn largest_input(part: &Subtopology, counts: &PartitionCounts<'_>) -> Option<i32> {
    let repartitioned = part.repartition_source_topics.iter().filter_map(|info| counts.decided(&info.name));
    repartitioned.chain(part.source_topics.iter().filter_map(|topic| counts.get(topic))).max()
}

fn enforce_copartitioning(topology: &Topology, counts: &mut PartitionCounts<'_>) -> Result<(), ConfigureError> {
    let read = || topology.subtopologies.values().flat_map(|part| &part.repartition_source_topics);
    let fixed: BTreeSet<Arc<str>> =
        read().filter(|info| info.partitions.is_some()).map(|info| Arc::clone(&info.name)).collect();
    let repartition: BTreeSet<Arc<str>> = read().map(|info| Arc::clone(&info.name)).collect();
    for (id, part) in &topology.subtopologies {
        for group in part.copartitioned_topics(id)? {
            enforce(&group, &fixed, &repartition, counts)?;
        }
    }
    Ok(())
}

fn enforce(
    group: &BTreeSet<Arc<str>>,
    fixed: &BTreeSet<Arc<str>>,
    repartition: &BTreeSet<Arc<str>>,
    counts: &mut PartitionCounts<'_>,
) -> Result<(), TopicProblem> {
    let internal = counts.of(group.intersection(repartition));
    let external = counts.of(group.difference(repartition));
    let expected = if !external.is_empty() {
        one_count(&external).ok_or(TopicProblem::NotCopartitioned { topics: external })?
    } else if !fixed.is_empty() {
        // As in Kafka, a number given to any repartition topic of the topology rules the groups that consist of
        // repartition topics only. Topics created so by another broker must be found right here.
        let given = counts.of(fixed);
        one_count(&given).ok_or(TopicProblem::NotCopartitioned { topics: given })?
    } else {
        let Some(largest) = internal.values().copied().max() else { return Ok(()) };
        largest
    };
    for (topic, partitions) in internal {
        if fixed.contains(&topic) && partitions != expected {
            return Err(TopicProblem::RepartitionTopicDiffers { topic, partitions, expected });
        }
        counts.decided.insert(topic, expected);
    }
    Ok(())
}

/// The number that all topics have.
fn one_count(topics: &BTreeMap<Arc<str>, i32>) -> Option<i32> {
    let mut counts = topics.values().copied();
    let first = counts.next()?;
    counts.all(|count| count == first).then_some(first)
}

fn decide_changelogs(topology: &Topology, counts: &mut PartitionCounts<'_>) -> Result<(), InvalidTopology> {
    for (id, part) in &topology.subtopologies {
        let tasks = part.input_topics().filter_map(|topic| counts.get(topic)).max();
        let tasks = tasks.ok_or_else(|| InvalidTopology::NoSourceTopics { subtopology: Arc::clone(id) })?;
        for info in &part.state_changelog_topics {
            counts.decided.insert(Arc::clone(&info.name), tasks);
        }
    }
    Ok(())
}
