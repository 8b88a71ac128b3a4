//! A topology on the topics there are: how many tasks each subtopology has, which topics the coordinator must create
//! and with how many partitions, or what stands in the way.
//!
//! Source: KIP-1071; Kafka `InternalTopicManager`, `ConfiguredTopology`, `TopicConfigurationException`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    InvalidTopology, StatusCode, Topology, TopologyEpoch,
    partitions::{PartitionCounts, decide},
    topology::{Subtopology, TopicInfo, list},
};
use crate::group::Topics;

/// A topology on the topics of one version of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredTopology {
    /// The version of the topology.
    pub topology_epoch: TopologyEpoch,
    /// Its parts, if the numbers of partitions could be decided.
    pub subtopologies: Option<BTreeMap<Arc<str>, ConfiguredSubtopology>>,
    /// The topics to create before the group can work, by name.
    pub topics_to_create: BTreeMap<Arc<str>, InternalTopic>,
    /// What stands in the way of an assignment.
    pub problem: Option<TopicProblem>,
}

/// A subtopology with all numbers decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfiguredSubtopology {
    /// How many tasks it has: as many as the largest of its input topics has partitions.
    pub task_count: i32,
    /// The topics of the user that it reads.
    pub source_topics: BTreeSet<Arc<str>>,
    /// The repartition topics that it reads, by name.
    pub repartition_source_topics: BTreeMap<Arc<str>, InternalTopic>,
    /// The repartition topics that it writes.
    pub repartition_sink_topics: BTreeSet<Arc<str>>,
    /// The changelogs of its state, by name.
    pub state_changelog_topics: BTreeMap<Arc<str>, InternalTopic>,
}

impl ConfiguredSubtopology {
    /// Whether its tasks keep state, which standby tasks can then keep a copy of.
    pub fn is_stateful(&self) -> bool {
        !self.state_changelog_topics.is_empty()
    }

    /// The topics that it reads.
    pub fn input_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.source_topics.iter().chain(self.repartition_source_topics.keys())
    }
}

/// A topic that the coordinator creates, with its number of partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it must have.
    pub partitions: i32,
    /// How often it is replicated, as in [`TopicInfo`](super::TopicInfo).
    pub replication_factor: Option<i16>,
    /// Its settings.
    pub configs: BTreeMap<String, String>,
}

/// What is wrong with the topics of a topology. Its text goes to the members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicProblem {
    /// Topics of the user do not exist.
    #[error("these source topics do not exist: {}", list(.topics))]
    MissingSourceTopics {
        /// Their names.
        topics: BTreeSet<Arc<str>>,
    },
    /// Topics that must have equally many partitions have not.
    #[error("these topics are read together, but their numbers of partitions differ: {}", counts(.topics))]
    NotCopartitioned {
        /// The topics and their numbers of partitions.
        topics: BTreeMap<Arc<str>, i32>,
    },
    /// A repartition topic was given a number of partitions other than the topics it is read together with have.
    #[error(
        "repartition topic {topic} is set to {partitions} partitions, but the topics it is read with have {expected}"
    )]
    RepartitionTopicDiffers {
        /// The repartition topic.
        topic: Arc<str>,
        /// How many partitions it was given.
        partitions: i32,
        /// How many the topics read with it have.
        expected: i32,
    },
    /// A topic that the coordinator would create exists with another number of partitions.
    #[error("topic {topic} exists with {partitions} partitions, but the topology needs {expected}")]
    InternalTopicDiffers {
        /// The topic.
        topic: Arc<str>,
        /// How many partitions it has.
        partitions: i32,
        /// How many it must have.
        expected: i32,
    },
    /// Topics that the coordinator creates do not exist yet.
    #[error("these internal topics are not created yet: {}", list(.topics))]
    MissingInternalTopics {
        /// Their names.
        topics: BTreeSet<Arc<str>>,
    },
}

fn counts(topics: &BTreeMap<Arc<str>, i32>) -> String {
    let named: Vec<Arc<str>> = topics.iter().map(|(topic, count)| format!("{topic} ({count})").into()).collect();
    list(&named)
}

impl TopicProblem {
    /// The status that tells members of it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingSourceTopics { .. } => StatusCode::MissingSourceTopics,
            Self::NotCopartitioned { .. }
            | Self::RepartitionTopicDiffers { .. }
            | Self::InternalTopicDiffers { .. } => StatusCode::IncorrectlyPartitionedTopics,
            Self::MissingInternalTopics { .. } => StatusCode::MissingInternalTopics,
        }
    }
}

/// Why a topology could not be configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConfigureError {
    /// No topics could help.
    #[error(transparent)]
    Topology(#[from] InvalidTopology),
    /// The topics there are do not fit.
    #[error(transparent)]
    Topics(#[from] TopicProblem),
}

impl ConfiguredTopology {
    /// Configures a topology on the topics there are: `partition_count` gives how many partitions a topic has, or
    /// `None` if it does not exist.
    ///
    /// # Errors
    /// If the topology can work on no topics.
    pub fn configure(
        topology: &Topology,
        partition_count: impl Fn(&str) -> Option<i32>,
    ) -> Result<Self, InvalidTopology> {
        let mut configured = Self {
            topology_epoch: topology.epoch,
            subtopologies: None,
            topics_to_create: BTreeMap::new(),
            problem: None,
        };
        match configure_subtopologies(topology, &partition_count) {
            Ok((subtopologies, topics_to_create)) => {
                if !topics_to_create.is_empty() {
                    let topics = topics_to_create.keys().cloned().collect();
                    configured.problem = Some(TopicProblem::MissingInternalTopics { topics });
                }
                configured.subtopologies = Some(subtopologies);
                configured.topics_to_create = topics_to_create;
            }
            Err(ConfigureError::Topics(problem)) => configured.problem = Some(problem),
            Err(ConfigureError::Topology(invalid)) => return Err(invalid),
        }
        Ok(configured)
    }

    /// Configures a topology on the topics of the metadata.
    ///
    /// # Errors
    /// If the topology can work on no topics.
    pub fn on_topics(topology: &Topology, topics: &Topics) -> Result<Self, InvalidTopology> {
        Self::configure(topology, |topic| topics.partition_count(topic))
    }

    /// Whether tasks can be assigned.
    pub fn is_ready(&self) -> bool {
        self.problem.is_none()
    }

    /// The subtopologies whose tasks can be assigned: none as long as there is a problem.
    pub fn assignable(&self) -> impl Iterator<Item = (&Arc<str>, &ConfiguredSubtopology)> {
        self.subtopologies.iter().filter(|_| self.is_ready()).flatten()
    }
}

type Configured = (BTreeMap<Arc<str>, ConfiguredSubtopology>, BTreeMap<Arc<str>, InternalTopic>);

fn configure_subtopologies(
    topology: &Topology,
    existing: &dyn Fn(&str) -> Option<i32>,
) -> Result<Configured, ConfigureError> {
    let sources = topology.subtopologies.values().flat_map(|part| &part.source_topics);
    let missing: BTreeSet<Arc<str>> = sources.filter(|topic| existing(topic).is_none()).cloned().collect();
    if !missing.is_empty() {
        return Err(TopicProblem::MissingSourceTopics { topics: missing }.into());
    }
    let counts = decide(topology, existing)?;
    let mut subtopologies = BTreeMap::new();
    for (id, part) in &topology.subtopologies {
        subtopologies.insert(Arc::clone(id), configure_subtopology(id, part, &counts)?);
    }
    let topics_to_create = missing_internal_topics(&subtopologies, existing)?;
    Ok((subtopologies, topics_to_create))
}

fn configure_subtopology(
    id: &Arc<str>,
    part: &Subtopology,
    counts: &PartitionCounts<'_>,
) -> Result<ConfiguredSubtopology, InvalidTopology> {
    let task_count = part.input_topics().filter_map(|topic| counts.get(topic)).max();
    let internal = |infos: &[TopicInfo]| infos.iter().filter_map(|info| internal_topic(info, counts)).collect();
    Ok(ConfiguredSubtopology {
        task_count: task_count.ok_or_else(|| InvalidTopology::NoSourceTopics { subtopology: Arc::clone(id) })?,
        source_topics: part.source_topics.iter().cloned().collect(),
        repartition_source_topics: internal(&part.repartition_source_topics),
        repartition_sink_topics: part.repartition_sink_topics.iter().cloned().collect(),
        state_changelog_topics: internal(&part.state_changelog_topics),
    })
}

/// A topic with its number of partitions, which is decided for every topic that gets here.
fn internal_topic(info: &TopicInfo, counts: &PartitionCounts<'_>) -> Option<(Arc<str>, InternalTopic)> {
    let topic = InternalTopic {
        name: Arc::clone(&info.name),
        partitions: info.partitions.or_else(|| counts.decided(&info.name))?,
        replication_factor: info.replication_factor,
        configs: info.configs.clone(),
    };
    Some((Arc::clone(&info.name), topic))
}

fn missing_internal_topics(
    subtopologies: &BTreeMap<Arc<str>, ConfiguredSubtopology>,
    existing: &dyn Fn(&str) -> Option<i32>,
) -> Result<BTreeMap<Arc<str>, InternalTopic>, TopicProblem> {
    let mut wanted = BTreeMap::new();
    for part in subtopologies.values() {
        let topics = part.repartition_source_topics.iter().chain(&part.state_changelog_topics);
        wanted.extend(topics.map(|(name, topic)| (Arc::clone(name), topic.clone())));
    }
    let mut missing = BTreeMap::new();
    for (name, topic) in wanted {
        match existing(&name) {
            None => {
                missing.insert(name, topic);
            }
            Some(partitions) if partitions != topic.partitions => {
                return Err(TopicProblem::InternalTopicDiffers { topic: name, partitions, expected: topic.partitions });
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}
