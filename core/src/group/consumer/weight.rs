//! What a consumer group weighs; see [`group::weight`](crate::group).

use std::collections::BTreeMap;

use super::{
    Assigned, ConsumerGroup, ConsumerMember, ConsumerRecord, Epoch, MemberSubscription, PartitionSet, ResolvedRegex,
};
use crate::{
    Uuid,
    budget::{entry_bytes, heap_bytes, map_bytes, node_bytes},
    group::{
        GroupId, InstanceId, MemberId,
        weight::{TIMER, protocols_weight},
    },
};

impl ConsumerGroup {
    /// A group without members.
    pub(in crate::group) const WEIGHT: usize = entry_bytes::<GroupId, Self>()
        + 2 * node_bytes::<MemberId, PartitionSet>()
        + node_bytes::<MemberId, ConsumerMember>();

    /// The terms of its weight that a record can change.
    pub(in crate::group) fn weight_at(&self, record: &ConsumerRecord) -> usize {
        match record {
            ConsumerRecord::Group(None) => self.weight(),
            ConsumerRecord::Group(Some(_)) | ConsumerRecord::PartitionMetadata | ConsumerRecord::TargetEpoch(_) => 0,
            ConsumerRecord::Member(id, _) | ConsumerRecord::Current(id, _) => {
                self.members.get(id).map_or(0, member_weight)
            }
            ConsumerRecord::Target(id, _) => self.targets.get(id).map_or(0, |target| target_weight(id, target)),
            ConsumerRecord::Regex(regex, _) => {
                self.regexes.get(regex).map_or(0, |resolved| regex_weight(regex, resolved))
            }
        }
    }

    /// Its members, targets and patterns.
    pub(in crate::group) fn weight(&self) -> usize {
        let members = self.members.values().map(member_weight);
        let targets = self.targets.iter().map(|(id, target)| target_weight(id, target));
        let regexes = self.regexes.iter().map(|(regex, resolved)| regex_weight(regex, resolved));
        members.chain(targets).chain(regexes).sum()
    }

    /// By how much a record makes it grow with what a client has chosen. There may be no such group so far.
    pub(in crate::group) fn growth(group: Option<&Self>, record: &ConsumerRecord) -> usize {
        match record {
            ConsumerRecord::Member(id, Some(subscription)) => {
                let known = group.and_then(|group| group.members.get(id));
                let known = known.map_or(0, |member| member_fixed(id) + subscription_weight(&member.subscription));
                (member_fixed(id) + subscription_weight(subscription)).saturating_sub(known)
            }
            ConsumerRecord::Regex(regex, Some(resolved)) => {
                let known = group.map_or(0, |group| group.weight_at(record));
                regex_weight(regex, resolved).saturating_sub(known)
            }
            ConsumerRecord::Group(_)
            | ConsumerRecord::PartitionMetadata
            | ConsumerRecord::Member(_, None)
            | ConsumerRecord::TargetEpoch(_)
            | ConsumerRecord::Target(..)
            | ConsumerRecord::Current(..)
            | ConsumerRecord::Regex(_, None) => 0,
        }
    }
}

fn member_weight(member: &ConsumerMember) -> usize {
    member_fixed(&member.id)
        + subscription_weight(&member.subscription)
        + assigned_weight(&member.current.assigned)
        + assigned_weight(&member.current.revoking)
}

/// What a member of the consumer protocol takes, whatever it tells.
fn member_fixed(id: &MemberId) -> usize {
    entry_bytes::<MemberId, ConsumerMember>() + 2 * TIMER + heap_bytes(id.len())
}

fn subscription_weight(subscription: &MemberSubscription) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, |text| heap_bytes(text.len()));
    let instance = &subscription.instance_id;
    let instance = instance.as_ref().map_or(0, |id| map_bytes::<InstanceId, MemberId>(1) + heap_bytes(id.len()));
    let topics: usize = subscription.topic_names.iter().map(|name| heap_bytes(name.len())).sum();
    let classic = subscription.classic.as_ref().map_or(0, |classic| protocols_weight(&classic.protocols));
    instance
        + text(&subscription.rack_id)
        + text(&subscription.topic_regex)
        + text(&subscription.server_assignor)
        + heap_bytes(subscription.client_id.len())
        + heap_bytes(subscription.client_host.len())
        + map_bytes::<String, ()>(subscription.topic_names.len())
        + topics
        + classic
}

/// Partitions a member has, and that they are its own.
fn assigned_weight(assigned: &Assigned) -> usize {
    let topic = |partitions: &BTreeMap<i32, Epoch>| {
        map_bytes::<i32, Epoch>(partitions.len()) + map_bytes::<i32, MemberId>(partitions.len())
    };
    2 * map_bytes::<Uuid, PartitionSet>(assigned.len()) + assigned.values().map(topic).sum::<usize>()
}

fn target_weight(id: &MemberId, target: &PartitionSet) -> usize {
    let partitions: usize = target.values().map(|partitions| map_bytes::<i32, ()>(partitions.len())).sum();
    entry_bytes::<MemberId, PartitionSet>()
        + heap_bytes(id.len())
        + map_bytes::<Uuid, PartitionSet>(target.len())
        + partitions
}

fn regex_weight(regex: &str, resolved: &ResolvedRegex) -> usize {
    let topics: usize = resolved.topics.iter().map(|topic| heap_bytes(topic.len())).sum();
    map_bytes::<String, ResolvedRegex>(1)
        + heap_bytes(regex.len())
        + map_bytes::<String, ()>(resolved.topics.len())
        + topics
}
