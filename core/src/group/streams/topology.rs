//! The topology of a streams application as its members announce it and as it is stored: which topics each of its
//! subtopologies reads and writes. What becomes of it on the topics there are is in [`configured`](super::configured).
//!
//! A topology is checked once, when a member brings it; one read from the log is taken as it is, so what works on it
//! trusts nothing in it.
//!
//! Source: KIP-1071; Kafka `StreamsTopology`, `StreamsGroupTopologyValue`, `GroupCoordinatorService.throwIfInvalidTopology`,
//! `KafkaApis.handleStreamsGroupHeartbeat`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::group::Topics;

/// The version of a topology: an application that changes its topology counts it up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopologyEpoch(pub i32);

/// A topology. Two are equal when their epochs and all their subtopologies are, in whatever order these were listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Its version.
    pub epoch: TopologyEpoch,
    /// Its parts by id.
    pub subtopologies: BTreeMap<Arc<str>, Subtopology>,
}

/// A part of a topology that is linked to the others through topics only. Each partition of its input is a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subtopology {
    /// The topics of the user that it reads.
    pub source_topics: Vec<Arc<str>>,
    /// The patterns of topics that it reads.
    pub source_topic_regex: Vec<Arc<str>>,
    /// The changelogs of its state; none if it keeps no state.
    pub state_changelog_topics: Vec<TopicInfo>,
    /// The repartition topics that it writes.
    pub repartition_sink_topics: Vec<Arc<str>>,
    /// The repartition topics that it reads.
    pub repartition_source_topics: Vec<TopicInfo>,
    /// The sets of its input topics that must have equally many partitions.
    pub copartition_groups: Vec<CopartitionGroup>,
}

/// A topic that the group coordinator is to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it must have; `None` (0 on the wire) if that follows from the topics upstream, as it does
    /// for every changelog.
    pub partitions: Option<i32>,
    /// How often it is replicated; `None` (0 on the wire) for the default of the cluster, for which the Java client
    /// says -1.
    pub replication_factor: Option<i16>,
    /// Its settings.
    pub configs: BTreeMap<String, String>,
}

/// Input topics that must have equally many partitions, as positions in the lists of their subtopology.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopartitionGroup {
    /// Positions in [`Subtopology::source_topics`].
    pub source_topics: Vec<i16>,
    /// Positions in [`Subtopology::source_topic_regex`].
    pub source_topic_regex: Vec<i16>,
    /// Positions in [`Subtopology::repartition_source_topics`].
    pub repartition_source_topics: Vec<i16>,
}

/// Why a topology cannot be that of a group, whatever topics there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopology {
    /// Patterns are part of the protocol, but no coordinator resolves them so far: an `INVALID_REQUEST` in Kafka.
    #[error("subtopology {subtopology}: patterns of source topics are not supported yet")]
    RegexUnsupported {
        /// The subtopology with the pattern.
        subtopology: Arc<str>,
    },
    /// Two subtopologies have the same id.
    #[error("subtopology {subtopology} is given twice")]
    DuplicateSubtopology {
        /// The id.
        subtopology: Arc<str>,
    },
    /// A changelog has as many partitions as its subtopology has tasks; that is no one's to set.
    #[error("changelog topic {topic} is given {partitions} partitions, but the number must be left open")]
    ChangelogPartitionsSet {
        /// The changelog.
        topic: Arc<str>,
        /// The number given.
        partitions: i32,
    },
    /// A repartition topic cannot have less than one partition.
    #[error("repartition topic {topic} cannot have {partitions} partitions")]
    NegativePartitions {
        /// The repartition topic.
        topic: Arc<str>,
        /// The number given.
        partitions: i32,
    },
    /// A copartition group names a topic by a position that its subtopology does not have.
    #[error("subtopology {subtopology}: a copartition group refers to topic number {index}, which does not exist")]
    CopartitionIndex {
        /// The subtopology with the group.
        subtopology: Arc<str>,
        /// The position.
        index: i16,
    },
    /// A subtopology must read something.
    #[error("subtopology {subtopology} has no source topics")]
    NoSourceTopics {
        /// The subtopology.
        subtopology: Arc<str>,
    },
    /// Repartition topics depend on each other in a circle, so none tells the number of partitions of the others.
    #[error("the numbers of partitions of these repartition topics depend on each other: {}", list(.topics))]
    RepartitionLoop {
        /// The repartition topics without a number.
        topics: BTreeSet<Arc<str>>,
    },
    /// A repartition topic of an open number of partitions is read, but nobody writes it.
    #[error("these repartition topics are read but never written: {}", list(.topics))]
    RepartitionNeverWritten {
        /// The repartition topics.
        topics: BTreeSet<Arc<str>>,
    },
}

/// The first names of a set and how many there are besides, so that a text stays short whatever the topology.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> String {
    const SHOWN: usize = 3;
    let mut names = names.into_iter();
    let shown: Vec<&str> = names.by_ref().take(SHOWN).map(AsRef::as_ref).collect();
    let more = names.count();
    let mut text = shown.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

impl Topology {
    /// Gathers a topology from its parts as they are listed on the wire, and checks it.
    ///
    /// # Errors
    /// If no group can have this topology.
    pub fn from_parts(
        epoch: TopologyEpoch,
        parts: impl IntoIterator<Item = (Arc<str>, Subtopology)>,
    ) -> Result<Self, InvalidTopology> {
        let mut topology = Self { epoch, ..Self::default() };
        for (id, part) in parts {
            part.validate(&id)?;
            if topology.subtopologies.insert(Arc::clone(&id), part).is_some() {
                return Err(InvalidTopology::DuplicateSubtopology { subtopology: id });
            }
        }
        Ok(topology)
    }

    /// The topics that must exist before there can be an assignment: those of the user and those that the coordinator
    /// creates.
    pub fn required_topics(&self) -> BTreeSet<&Arc<str>> {
        let parts = self.subtopologies.values();
        parts
            .flat_map(|part| part.input_topics().chain(part.state_changelog_topics.iter().map(|info| &info.name)))
            .collect()
    }

    /// The hash by which the group notices that one of its topics has come, gone or grown.
    pub fn metadata_hash(&self, topics: &Topics) -> i64 {
        topics.metadata_hash(self.required_topics().into_iter().map(AsRef::as_ref))
    }
}

impl Subtopology {
    /// The topics that it reads: those of the user, then repartition topics.
    pub fn input_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.source_topics.iter().chain(self.repartition_source_topics.iter().map(|info| &info.name))
    }

    fn validate(&self, id: &Arc<str>) -> Result<(), InvalidTopology> {
        if !self.source_topic_regex.is_empty() {
            return Err(InvalidTopology::RegexUnsupported { subtopology: Arc::clone(id) });
        }
        for info in &self.state_changelog_topics {
            if let Some(partitions) = info.partitions {
                return Err(InvalidTopology::ChangelogPartitionsSet { topic: Arc::clone(&info.name), partitions });
            }
        }
        for info in &self.repartition_source_topics {
            if let Some(partitions) = info.partitions.filter(|partitions| *partitions < 1) {
                return Err(InvalidTopology::NegativePartitions { topic: Arc::clone(&info.name), partitions });
            }
        }
        self.copartitioned_topics(id)?;
        Ok(())
    }

    /// The copartition groups by the names of their topics.
    pub(super) fn copartitioned_topics(&self, id: &Arc<str>) -> Result<Vec<BTreeSet<Arc<str>>>, InvalidTopology> {
        let missing = |index: i16| InvalidTopology::CopartitionIndex { subtopology: Arc::clone(id), index };
        let resolve = |group: &CopartitionGroup| {
            let mut names = BTreeSet::new();
            for &index in &group.source_topics {
                let name = at(&self.source_topics, index).ok_or_else(|| missing(index))?;
                names.insert(Arc::clone(name));
            }
            for &index in &group.repartition_source_topics {
                let info = at(&self.repartition_source_topics, index).ok_or_else(|| missing(index))?;
                names.insert(Arc::clone(&info.name));
            }
            Ok(names)
        };
        self.copartition_groups.iter().map(resolve).collect()
    }
}

fn at<T>(list: &[T], index: i16) -> Option<&T> {
    usize::try_from(index).ok().and_then(|index| list.get(index))
}
