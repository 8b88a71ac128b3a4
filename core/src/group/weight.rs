//! What a shard's groups weigh in the budget of what clients make the broker remember.
//!
//! The weight of a shard is a sum over groups, positions, members, targets and so on. [`GroupShard::weight_at`] gives those
//! terms of it that a record can change; they are taken before and after its replay, and the difference is charged. The
//! members of a classic group change without records too: commands that may do so take the terms of the group before and
//! after.
//!
//! A record grows by what a newcomer has chosen, by what somebody who is there needs for going on, or by what the
//! coordinator has worked out. The first is refused when the budget of newcomers is used up, the second when all of it is,
//! the third never ([`GroupShard::admits`]).

use std::sync::Arc;

use super::{
    CommittedOffset, GroupError, GroupId, GroupMetadata, GroupRecord, GroupShard, InstanceId, JoinRequest, MemberId,
    Protocol, classic::Group, consumer::ConsumerGroup, member::Member, streams::StreamsGroup, timer::Timer,
};
use crate::{
    TopicPartition,
    budget::{entry_bytes, heap_bytes, map_bytes, node_bytes},
};

/// The deadline of a member or a group: once by what it is for, once by when.
pub(super) const TIMER: usize = entry_bytes::<Timer, i64>() + entry_bytes::<(i64, Timer), ()>();

/// A classic group, or what holds the positions of any group.
const GROUP: usize = entry_bytes::<GroupId, Group>() + TIMER;
/// A topic in which a group has positions.
const TOPIC: usize = 2 * entry_bytes::<Arc<str>, ()>() + node_bytes::<i32, CommittedOffset>();
/// A position of an open transaction: it may be the only one of its transaction and of its group.
const PENDING: usize = 2 * node_bytes::<TopicPartition, Option<CommittedOffset>>()
    + 3 * node_bytes::<GroupId, MemberId>()
    + 2 * entry_bytes::<TopicPartition, Option<CommittedOffset>>();

impl GroupShard {
    /// The terms of the shard's weight that `record` can change.
    pub(super) fn weight_at(&self, record: &GroupRecord) -> usize {
        match record {
            GroupRecord::Offset { group_id, topic_partition, .. } => self.position_weight(group_id, topic_partition),
            GroupRecord::Share(record) => self.share.weight_at(record),
            GroupRecord::Group { group_id, .. } => self.classic_weight(group_id),
            GroupRecord::Consumer { group_id, record } => {
                let consumer = self.consumers.get(group_id);
                self.group_weight(group_id) + consumer.map_or(0, |group| group.weight_at(record))
            }
            GroupRecord::Streams { group_id, record } => {
                let streams = self.streams.get(group_id);
                self.group_weight(group_id) + streams.map_or(0, |group| group.weight_at(record))
            }
        }
    }

    /// What there is of a group whose records are of whatever kind, without members and positions.
    fn group_weight(&self, group_id: &GroupId) -> usize {
        let has = |is_there: bool, weight: usize| if is_there { weight + heap_bytes(group_id.len()) } else { 0 };
        has(self.groups.contains_key(group_id), GROUP)
            + has(self.consumers.contains_key(group_id), ConsumerGroup::WEIGHT)
            + has(self.streams.contains_key(group_id), StreamsGroup::WEIGHT)
    }

    /// A classic group with its members, without its positions.
    pub(super) fn classic_weight(&self, group_id: &GroupId) -> usize {
        self.group_weight(group_id) + self.groups.get(group_id).map_or(0, Group::members_weight)
    }

    /// One position, with its topic and what holds the group's positions.
    fn position_weight(&self, group_id: &GroupId, tp: &TopicPartition) -> usize {
        let Some(group) = self.groups.get(group_id) else { return 0 };
        let holder = GROUP + heap_bytes(group_id.len());
        let Some(topic) = group.offsets.get(&tp.topic) else { return holder };
        holder + topic_weight(&tp.topic) + topic.get(&tp.partition).map_or(0, offset_weight)
    }

    /// The weight of all of it, added up: what is charged must be equal.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        let ids: std::collections::BTreeSet<&GroupId> =
            self.groups.keys().chain(self.consumers.keys()).chain(self.streams.keys()).collect();
        let groups: usize = ids.into_iter().map(|id| self.classic_weight(id)).sum();
        let topics = self.groups.values().flat_map(|group| &group.offsets);
        let positions = |partitions: &std::collections::BTreeMap<i32, CommittedOffset>| -> usize {
            partitions.values().map(offset_weight).sum()
        };
        let offsets: usize = topics.map(|(topic, partitions)| topic_weight(topic) + positions(partitions)).sum();
        let consumers: usize = self.consumers.values().map(ConsumerGroup::weight).sum();
        let streams: usize = self.streams.values().map(StreamsGroup::weight).sum();
        groups + offsets + consumers + streams + self.pending.weight() + self.share.weight()
    }

    /// Whether these records may be written: what their client has chosen, and what is not there yet, stays within the
    /// budget. With `pending` they are to be part of a producer's transaction.
    pub fn admits(&self, records: &[GroupRecord], pending: bool) -> bool {
        let new = records.iter().map(|record| self.new_growth(record, pending)).fold(0, usize::saturating_add);
        let standing = records.iter().map(|record| self.standing_growth(record, pending));
        self.charge.fits(new) && self.charge.fits_standing(standing.fold(new, usize::saturating_add))
    }

    /// What members of a group need that they already are in: what their leader assigns, and a position within a
    /// transaction in the place of one that is stored.
    fn standing_growth(&self, record: &GroupRecord, pending: bool) -> usize {
        match record {
            GroupRecord::Group { group_id, value: Some(value) } => {
                let known = self.groups.get(group_id).map_or(0, Group::assignments_weight);
                stored_assignments_weight(value).saturating_sub(known)
            }
            GroupRecord::Offset { group_id, topic_partition: tp, value: Some(value) }
                if pending && self.is_stored(group_id, tp) =>
            {
                pending_weight(tp, Some(value))
            }
            GroupRecord::Offset { .. }
            | GroupRecord::Group { value: None, .. }
            | GroupRecord::Share(_)
            | GroupRecord::Streams { .. }
            | GroupRecord::Consumer { .. } => 0,
        }
    }

    fn is_stored(&self, group_id: &GroupId, tp: &TopicPartition) -> bool {
        let topic = self.groups.get(group_id).and_then(|group| group.offsets.get(&tp.topic));
        topic.is_some_and(|partitions| partitions.contains_key(&tp.partition))
    }

    /// Whether a member may join with what it tells: a member that tells no more than before always may.
    pub(super) fn admit_join(&self, request: &JoinRequest) -> Result<(), GroupError> {
        let group = self.groups.get(&request.group_id);
        let by_instance = |group: &&Group| group.static_members.get(request.group_instance_id.as_ref()?).cloned();
        let id = group.as_ref().and_then(by_instance).or_else(|| request.member_id.clone());
        let known = group.zip(id).and_then(|(group, id)| group.members.get(&id)).map_or(0, member_weight);
        let id =
            request.member_id.clone().unwrap_or_else(|| MemberId::new(&request.client_id, request.new_member_uuid));
        let group_weight = if group.is_none() { GROUP + heap_bytes(request.group_id.len()) } else { 0 };
        let growth = group_weight + member_weight(&Member::joining(id, request)).saturating_sub(known);
        if self.charge.fits(growth) { Ok(()) } else { Err(GroupError::NoRoom) }
    }

    /// What a newcomer brings, or somebody tells anew.
    fn new_growth(&self, record: &GroupRecord, pending: bool) -> usize {
        match record {
            GroupRecord::Offset { group_id, topic_partition: tp, value: Some(value) } if pending => {
                if self.is_stored(group_id, tp) { 0 } else { pending_weight(tp, Some(value)) }
            }
            GroupRecord::Offset { group_id, topic_partition: tp, value: Some(value) } => {
                let after = GROUP + heap_bytes(group_id.len()) + topic_weight(&tp.topic) + offset_weight(value);
                after.saturating_sub(self.position_weight(group_id, tp))
            }
            GroupRecord::Consumer { group_id, record } => ConsumerGroup::growth(self.consumers.get(group_id), record),
            GroupRecord::Streams { group_id, record } => StreamsGroup::growth(self.streams.get(group_id), record),
            GroupRecord::Share(record) => self.share.growth(record),
            GroupRecord::Offset { value: None, .. } | GroupRecord::Group { .. } => 0,
        }
    }
}

impl Group {
    /// Its members, and who has been given the id of one.
    pub(super) fn members_weight(&self) -> usize {
        let members: usize = self.members.values().map(member_weight).sum();
        let pending: usize =
            self.pending.iter().map(|id| map_bytes::<MemberId, ()>(1) + TIMER + heap_bytes(id.len())).sum();
        let first = if self.members.is_empty() { 0 } else { node_bytes::<MemberId, Member>() };
        members + pending + first
    }

    fn assignments_weight(&self) -> usize {
        self.members.values().map(|member| heap_bytes(member.assignment.len())).sum()
    }
}

/// A member of a classic group. It is there from its first call on, which no record tells of.
pub(super) fn member_weight(member: &Member) -> usize {
    let instance =
        member.instance_id.as_ref().map_or(0, |id| map_bytes::<InstanceId, MemberId>(1) + heap_bytes(id.len()));
    entry_bytes::<MemberId, Member>()
        + 2 * entry_bytes::<MemberId, ()>()
        + TIMER
        + heap_bytes(member.id.len())
        + instance
        + heap_bytes(member.client_id.len())
        + heap_bytes(member.client_host.len())
        + heap_bytes(member.assignment.len())
        + protocols_weight(&member.protocols)
}

pub(super) fn protocols_weight(protocols: &[Protocol]) -> usize {
    let each = |protocol: &Protocol| {
        size_of::<Protocol>() + heap_bytes(protocol.name.len()) + heap_bytes(protocol.metadata.len())
    };
    protocols.iter().map(each).sum::<usize>() + heap_bytes(0)
}

fn stored_assignments_weight(stored: &GroupMetadata) -> usize {
    stored.members.iter().map(|member| heap_bytes(member.assignment.len())).sum()
}

fn topic_weight(topic: &str) -> usize {
    TOPIC + heap_bytes(topic.len())
}

fn offset_weight(offset: &CommittedOffset) -> usize {
    entry_bytes::<i32, CommittedOffset>() + heap_bytes(offset.metadata.len())
}

/// A position of an open transaction.
pub(super) fn pending_weight(tp: &TopicPartition, value: Option<&CommittedOffset>) -> usize {
    PENDING + heap_bytes(tp.topic.len()) + value.map_or(0, |value| heap_bytes(value.metadata.len()))
}
