//! What operators ask: which groups there are (ListGroups), what one looks like (DescribeGroups), that one be gone
//! (DeleteGroups).
//!
//! Source: Kafka `GroupMetadataManager.{listGroups, describeGroups, deleteGroups}`; KIP-222, KIP-518, KIP-1043.

use super::{
    Decision, DescribedGroup, DescribedMember, GroupError, GroupId, GroupRecord, GroupShard, GroupState, ListFilter,
    ListedGroup, classic::Group, consumer::ConsumerGroup, member::Member, offsets::tombstone, streams::StreamsGroup,
    subscription,
};
use crate::{TopicPartition, share::group::ShareGroupState};

const CLASSIC: &str = "classic";
const CONSUMER: &str = "consumer";
const SHARE: &str = "share";
const STREAMS: &str = "streams";

impl GroupShard {
    /// The groups that pass `filter`, by name.
    pub fn list(&self, filter: &ListFilter) -> Vec<ListedGroup> {
        let is_type = |name: &str| filter.types.is_empty() || filter.types.contains(name);
        let is_state = |state: GroupState| filter.states.is_empty() || filter.states.contains(&state);
        let wanted = |group: &&Group| is_state(group.state) && !self.is_of_new_protocol(&group.id);
        let listed = |group: &Group| ListedGroup {
            group_id: group.id.clone(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            state: group.state,
            group_type: CLASSIC,
        };
        let consumer = |group: &ConsumerGroup| ListedGroup {
            group_id: group.id.clone(),
            protocol_type: subscription::PROTOCOL_TYPE.to_owned(),
            state: group.state(),
            group_type: CONSUMER,
        };
        let streams = |group: &StreamsGroup| ListedGroup {
            group_id: group.id.clone(),
            protocol_type: STREAMS.to_owned(),
            state: group.state(),
            group_type: STREAMS,
        };
        let share = self.share.list().map(|(group_id, state)| ListedGroup {
            group_id: group_id.clone(),
            protocol_type: SHARE.to_owned(),
            state: match state {
                ShareGroupState::Empty => GroupState::Empty,
                ShareGroupState::Stable => GroupState::Stable,
            },
            group_type: SHARE,
        });
        let classic = self.groups.values().filter(|_| is_type(CLASSIC)).filter(wanted).map(listed);
        let consumers = self.consumers.values().filter(|_| is_type(CONSUMER)).map(consumer);
        let streams = self.streams.values().filter(|_| is_type(STREAMS)).map(streams);
        let others = consumers.chain(streams).chain(share.filter(|_| is_type(SHARE)));
        let mut groups: Vec<_> = classic.chain(others.filter(|group| is_state(group.state))).collect();
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        groups
    }

    /// One group in full.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`]; before API version 6 that is answered as a group in state
    /// [`Dead`](GroupState::Dead) without an error.
    pub fn describe(&self, group_id: &GroupId) -> Result<DescribedGroup, GroupError> {
        if self.is_of_new_protocol(group_id) {
            return Err(GroupError::WrongType { group: group_id.clone(), expected: CLASSIC });
        }
        let group = self.groups.get(group_id).ok_or_else(|| GroupError::GroupNotFound { group: group_id.clone() })?;
        let protocol_name = group.protocol_name.clone().filter(|_| group.state == GroupState::Stable);
        Ok(DescribedGroup {
            state: group.state,
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            members: group.members.values().map(|m| described(m, protocol_name.as_deref())).collect(),
            protocol_name: protocol_name.unwrap_or_default(),
        })
    }

    /// Deletes a group with all its positions, if nobody is in it.
    pub fn delete(&self, group_id: &GroupId) -> Decision<Result<(), GroupError>> {
        let mut out = Decision::empty();
        let response = self.try_delete(group_id, &mut out);
        out.with(response)
    }

    fn try_delete(&self, group_id: &GroupId, out: &mut Decision) -> Result<(), GroupError> {
        let (consumer, streams) = (self.consumers.get(group_id), self.streams.get(group_id));
        let group = self.groups.get(group_id);
        if consumer.is_none() && streams.is_none() && group.is_none() {
            return Err(GroupError::GroupNotFound { group: group_id.clone() });
        }
        let has_members = group.is_some_and(|group| group.state != GroupState::Empty);
        let has_consumers = consumer.is_some_and(|group| !group.is_empty());
        if has_members || has_consumers || streams.is_some_and(|group| !group.is_empty()) {
            return Err(GroupError::GroupNotEmpty { group: group_id.clone() });
        }
        if let Some(group) = group {
            self.forget_all_offsets(group, out);
        }
        match (consumer, streams) {
            (Some(consumer), _) => consumer.tombstones(&mut out.records),
            (None, Some(streams)) => streams.tombstones(&mut out.records),
            (None, None) => out.records.push(GroupRecord::Group { group_id: group_id.clone(), value: None }),
        }
        Ok(())
    }

    fn forget_all_offsets(&self, group: &Group, out: &mut Decision) {
        let group_id = &group.id;
        for (topic, partitions) in &group.offsets {
            for partition in partitions.keys() {
                out.records.push(tombstone(group_id, TopicPartition::new(topic.clone(), *partition)));
            }
        }
        let is_stored = |tp: &&TopicPartition| {
            group.offsets.get(&tp.topic).is_some_and(|partitions| partitions.contains_key(&tp.partition))
        };
        let pending = self.pending.partitions(group_id).filter(|tp| !is_stored(tp)).cloned();
        out.records.extend(pending.map(|tp| tombstone(group_id, tp)));
    }

    /// The records that forget all positions in partitions that are gone with their topic.
    pub fn forget_partitions(&self, is_gone: impl Fn(&TopicPartition) -> bool) -> Decision {
        let mut out = Decision::empty();
        for group in self.groups.values() {
            for (topic, partitions) in &group.offsets {
                let named = partitions.keys().map(|partition| TopicPartition::new(topic.clone(), *partition));
                out.records.extend(named.filter(|tp| is_gone(tp)).map(|tp| tombstone(&group.id, tp)));
            }
            let is_stored = |tp: &&TopicPartition| {
                group.offsets.get(&tp.topic).is_some_and(|partitions| partitions.contains_key(&tp.partition))
            };
            let pending = self.pending.partitions(&group.id).filter(|tp| is_gone(tp) && !is_stored(tp)).cloned();
            out.records.extend(pending.map(|tp| tombstone(&group.id, tp)));
        }
        out
    }
}

/// Outside Stable no subscription is told, as no protocol is chosen. The assignment is the one of the last generation.
fn described(member: &Member, protocol_name: Option<&str>) -> DescribedMember {
    DescribedMember {
        member_id: member.id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: member.metadata(protocol_name),
        assignment: member.assignment.clone(),
    }
}
