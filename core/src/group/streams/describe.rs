//! What operators ask of a streams group: what it looks like (StreamsGroupDescribe).
//!
//! Source: Kafka `GroupMetadataManager.streamsGroupDescribe`, `StreamsGroup.asDescribedGroup`.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ConfiguredSubtopology, ConfiguredTopology, InternalTopic, StreamsMemberInfo, Subtopology, Tasks, TopicInfo,
    TopologyEpoch,
    group::{StreamsGroup, StreamsMember},
};
use crate::group::{Epoch, GroupError, GroupId, GroupShard, GroupState, MemberId};

/// A streams group in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedStreamsGroup {
    /// Where it stands.
    pub state: GroupState,
    /// Counts its changes.
    pub group_epoch: Epoch,
    /// Of which epoch the targets are.
    pub target_epoch: Epoch,
    /// The version of its topology, if it has one.
    pub topology_epoch: Option<TopologyEpoch>,
    /// The parts of its topology by id, with all numbers that are decided.
    pub subtopologies: BTreeMap<Arc<str>, DescribedSubtopology>,
    /// Its members by id.
    pub members: Vec<DescribedStreamsMember>,
}

/// A part of the topology of a described streams group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribedSubtopology {
    /// The topics of the user that it reads.
    pub source_topics: Vec<Arc<str>>,
    /// The repartition topics that it writes.
    pub repartition_sink_topics: Vec<Arc<str>>,
    /// The changelogs of its state.
    pub state_changelog_topics: Vec<TopicInfo>,
    /// The repartition topics that it reads.
    pub repartition_source_topics: Vec<TopicInfo>,
}

/// A member of a described streams group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedStreamsMember {
    /// The member.
    pub member_id: MemberId,
    /// The epoch it has reached.
    pub member_epoch: Epoch,
    /// What it told of itself.
    pub info: StreamsMemberInfo,
    /// What it has.
    pub assigned: Tasks,
    /// What it is to have.
    pub target: Tasks,
}

impl GroupShard {
    /// One streams group in full.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`]; [`GroupError::WrongType`] if it is of another type.
    pub fn describe_streams_group(&self, group_id: &GroupId) -> Result<DescribedStreamsGroup, GroupError> {
        let group = self.streams.get(group_id).ok_or_else(|| self.no_streams_group(group_id))?;
        let member = |member: &StreamsMember| DescribedStreamsMember {
            member_id: member.id.clone(),
            member_epoch: member.epoch(),
            info: member.info.clone(),
            assigned: member.current.assigned.tasks(),
            target: group.targets.get(&member.id).cloned().unwrap_or_default(),
        };
        Ok(DescribedStreamsGroup {
            state: group.state(),
            group_epoch: group.group.epoch,
            target_epoch: group.target.epoch,
            topology_epoch: group.topology.as_ref().map(|topology| topology.epoch),
            subtopologies: self.described_topology(group),
            members: group.members.values().map(member).collect(),
        })
    }

    fn described_topology(&self, group: &StreamsGroup) -> BTreeMap<Arc<str>, DescribedSubtopology> {
        let Some(topology) = &group.topology else { return BTreeMap::new() };
        let configured = ConfiguredTopology::on_topics(topology, &self.topics).ok();
        match configured.filter(ConfiguredTopology::is_ready).and_then(|configured| configured.subtopologies) {
            Some(parts) => parts.iter().map(|(id, part)| (Arc::clone(id), from_configured(part))).collect(),
            None => topology.subtopologies.iter().map(|(id, part)| (Arc::clone(id), from_told(part))).collect(),
        }
    }
}

fn from_told(part: &Subtopology) -> DescribedSubtopology {
    DescribedSubtopology {
        source_topics: part.source_topics.clone(),
        repartition_sink_topics: part.repartition_sink_topics.clone(),
        state_changelog_topics: part.state_changelog_topics.clone(),
        repartition_source_topics: part.repartition_source_topics.clone(),
    }
}

fn from_configured(part: &ConfiguredSubtopology) -> DescribedSubtopology {
    let info = |topic: &InternalTopic| TopicInfo {
        name: Arc::clone(&topic.name),
        partitions: Some(topic.partitions),
        replication_factor: topic.replication_factor,
        configs: topic.configs.clone(),
    };
    DescribedSubtopology {
        source_topics: part.source_topics.iter().cloned().collect(),
        repartition_sink_topics: part.repartition_sink_topics.iter().cloned().collect(),
        state_changelog_topics: part.state_changelog_topics.values().map(info).collect(),
        repartition_source_topics: part.repartition_source_topics.values().map(info).collect(),
    }
}
