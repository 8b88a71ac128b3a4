//! One consumer group, as its records say, and the questions asked of it. Only [`replay`](ConsumerGroup::replay) changes
//! it, apart from the few fields that a restart may forget.
//!
//! Invariants:
//! - a partition has at most one owner: the member that last said so in the log;
//! - `static_members` maps each instance id to the member that last took it.
//!
//! Source: Kafka `ConsumerGroup`, `ModernGroup`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ConsumerMember, ConsumerRecord, Epoch, GroupEpoch, MemberSubscription, PartitionSet, ResolvedRegex, TargetEpoch,
    Topics,
};
use crate::{
    Uuid,
    group::{GroupError, GroupId, GroupRecord, GroupState, InstanceId, MemberId},
};

/// A consumer group.
#[derive(Debug, Clone)]
pub(in crate::group) struct ConsumerGroup {
    pub(in crate::group) id: GroupId,
    pub(super) group: GroupEpoch,
    pub(super) target: TargetEpoch,
    pub(in crate::group) members: BTreeMap<MemberId, ConsumerMember>,
    pub(super) static_members: BTreeMap<InstanceId, MemberId>,
    pub(super) targets: BTreeMap<MemberId, PartitionSet>,
    pub(super) regexes: BTreeMap<String, ResolvedRegex>,
    /// Who holds each partition, to be given back ones included.
    owners: BTreeMap<Uuid, BTreeMap<i32, MemberId>>,
    /// The version of the metadata against which the hash of the topics was last compared; forgotten by a restart.
    pub(super) checked_version: Option<i64>,
    /// When the patterns were last matched, by the monotonic clock; forgotten by a restart.
    pub(super) regexes_matched_ms: Option<i64>,
}

impl ConsumerGroup {
    /// A group nobody has joined.
    pub(in crate::group) fn new(id: GroupId) -> Self {
        Self {
            id,
            group: GroupEpoch::default(),
            target: TargetEpoch::default(),
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            owners: BTreeMap::new(),
            checked_version: None,
            regexes_matched_ms: None,
        }
    }

    pub(in crate::group) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::group) fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.group.epoch > self.target.epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.target.epoch)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// A member by its id.
    pub(in crate::group) fn member(&self, member_id: &MemberId) -> Result<&ConsumerMember, GroupError> {
        self.members.get(member_id).ok_or(GroupError::UnknownMember)
    }

    /// The member that has an instance id.
    pub(super) fn static_member(&self, instance_id: &InstanceId) -> Option<&ConsumerMember> {
        self.members.get(self.static_members.get(instance_id)?)
    }

    /// The member that calls, which must be the one its instance id belongs to.
    pub(super) fn caller(
        &self,
        member_id: &MemberId,
        instance_id: Option<&InstanceId>,
    ) -> Result<&ConsumerMember, GroupError> {
        let Some(instance_id) = instance_id else { return self.member(member_id) };
        let member = self.static_member(instance_id).ok_or(GroupError::UnknownMember)?;
        if member.id == *member_id {
            Ok(member)
        } else {
            Err(GroupError::FencedInstance { instance_id: instance_id.clone() })
        }
    }

    /// All members, `updated` in the place of what is known of it.
    pub(super) fn members_with<'a>(
        &'a self,
        updated: &'a ConsumerMember,
    ) -> impl Iterator<Item = &'a ConsumerMember> + Clone {
        self.members.values().filter(|member| member.id != updated.id).chain(std::iter::once(updated))
    }

    /// Whether nobody holds the partition.
    pub(super) fn is_free(&self, topic: Uuid, partition: i32) -> bool {
        !self.owners.get(&topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// What a member is to have. A static member that comes back under another id is to have what it had.
    pub(super) fn target_of(&self, member: &ConsumerMember) -> PartitionSet {
        let heir = member.instance_id().and_then(|id| self.static_members.get(id)).unwrap_or(&member.id);
        self.targets.get(&member.id).or_else(|| self.targets.get(heir)).cloned().unwrap_or_default()
    }

    /// The topics the members subscribe to, by name or by pattern.
    pub(in crate::group) fn subscribed_topics(&self) -> BTreeSet<&str> {
        subscribed_topics(self.members.values(), &self.regexes)
    }

    /// Whether any of what this member waits for is with others.
    pub(super) fn waits_for_others(&self, member: &ConsumerMember, topics: &Topics) -> bool {
        let has = |topic: &Uuid, p: &i32| member.current.assigned.get(topic).is_some_and(|has| has.contains_key(p));
        let target = self.targets.get(&member.id).into_iter().flatten();
        let mut missing = target
            .filter(|(topic, _)| topics.name(**topic).is_some())
            .flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic, p)))
            .filter(|(topic, p)| !has(topic, p));
        missing.any(|(topic, p)| !self.is_free(*topic, *p))
    }

    /// The record `record` of this group.
    pub(super) fn record(&self, record: ConsumerRecord) -> GroupRecord {
        GroupRecord::Consumer { group_id: self.id.clone(), record }
    }

    /// The records that take a member out.
    pub(super) fn remove_member(&self, member_id: &MemberId, records: &mut Vec<GroupRecord>) {
        records.push(self.record(ConsumerRecord::Current(member_id.clone(), None)));
        records.push(self.record(ConsumerRecord::Target(member_id.clone(), None)));
        records.push(self.record(ConsumerRecord::Member(member_id.clone(), None)));
    }

    /// The records that end the group.
    pub(in crate::group) fn tombstones(&self, records: &mut Vec<GroupRecord>) {
        let ids = || self.members.keys().cloned();
        records.extend(ids().map(|id| self.record(ConsumerRecord::Current(id, None))));
        records.extend(ids().map(|id| self.record(ConsumerRecord::Target(id, None))));
        records.push(self.record(ConsumerRecord::TargetEpoch(None)));
        records.extend(ids().map(|id| self.record(ConsumerRecord::Member(id, None))));
        records.extend(self.regexes.keys().map(|regex| self.record(ConsumerRecord::Regex(regex.clone(), None))));
        records.push(self.record(ConsumerRecord::Group(None)));
    }

    /// Applies a record of this group other than its end.
    pub(in crate::group) fn replay(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Group(value) => self.group = value.unwrap_or_default(),
            ConsumerRecord::PartitionMetadata => {}
            ConsumerRecord::Member(id, Some(subscription)) => {
                if let Some(instance_id) = &subscription.instance_id {
                    self.static_members.insert(instance_id.clone(), id.clone());
                }
                self.member_or_new(id).subscription = MemberSubscription::clone(subscription);
            }
            ConsumerRecord::Member(id, None) => {
                let Some(member) = self.members.remove(id) else { return };
                self.disown(&member);
                if let Some(instance_id) = member.instance_id()
                    && self.static_members.get(instance_id) == Some(id)
                {
                    self.static_members.remove(instance_id);
                }
            }
            ConsumerRecord::TargetEpoch(value) => self.target = value.unwrap_or_default(),
            ConsumerRecord::Target(id, Some(target)) => {
                self.targets.insert(id.clone(), target.clone());
            }
            ConsumerRecord::Target(id, None) => {
                self.targets.remove(id);
            }
            ConsumerRecord::Current(id, value) => {
                if value.is_none() && !self.members.contains_key(id) {
                    return;
                }
                let mut member = std::mem::replace(self.member_or_new(id), ConsumerMember::new(id.clone()));
                self.disown(&member);
                member.current = value.clone().unwrap_or_default();
                for (topic, partition) in member.held() {
                    self.owners.entry(topic).or_default().insert(partition, id.clone());
                }
                self.members.insert(id.clone(), member);
            }
            ConsumerRecord::Regex(regex, Some(resolved)) => {
                self.regexes.insert(regex.clone(), resolved.clone());
            }
            ConsumerRecord::Regex(regex, None) => {
                self.regexes.remove(regex);
            }
        }
    }

    fn member_or_new(&mut self, id: &MemberId) -> &mut ConsumerMember {
        self.members.entry(id.clone()).or_insert_with(|| ConsumerMember::new(id.clone()))
    }

    fn disown(&mut self, member: &ConsumerMember) {
        for (topic, partition) in member.held() {
            let Some(partitions) = self.owners.get_mut(&topic) else { continue };
            if partitions.get(&partition) == Some(&member.id) {
                partitions.remove(&partition);
            }
            if partitions.is_empty() {
                self.owners.remove(&topic);
            }
        }
    }

    /// Panics if an invariant in the file's header does not hold.
    #[cfg(test)]
    pub(in crate::group) fn assert_invariants(&self) {
        let mut held = BTreeMap::new();
        for member in self.members.values() {
            for partition in member.held() {
                assert_eq!(held.insert(partition, &member.id), None, "{partition:?} is held twice: {self:?}");
            }
        }
        let owners = self.owners.iter();
        let owners = owners.flat_map(|(topic, partitions)| partitions.iter().map(|(p, id)| ((*topic, *p), id)));
        assert_eq!(held, owners.collect(), "{self:?}");
        for (instance_id, member_id) in &self.static_members {
            assert_eq!(self.members[member_id].instance_id(), Some(instance_id), "{self:?}");
        }
        assert!(self.target.epoch <= self.group.epoch, "{self:?}");
        assert!(self.targets.keys().all(|id| self.members.contains_key(id)), "{self:?}");
    }

    /// What a restart must find.
    #[cfg(test)]
    pub(in crate::group) fn durable(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let members = (self.members.clone(), self.static_members.clone(), self.owners.clone());
        (self.group, self.target, members, self.targets.clone(), self.regexes.clone())
    }
}

/// The topics these members subscribe to, by name or by pattern.
pub(super) fn subscribed_topics<'a>(
    members: impl IntoIterator<Item = &'a ConsumerMember>,
    regexes: &'a BTreeMap<String, ResolvedRegex>,
) -> BTreeSet<&'a str> {
    let mut topics = BTreeSet::new();
    for member in members {
        topics.extend(topics_of(member, regexes));
    }
    topics
}

/// The topics a member subscribes to, by name or by pattern.
pub(super) fn topics_of<'a>(
    member: &'a ConsumerMember,
    regexes: &'a BTreeMap<String, ResolvedRegex>,
) -> impl Iterator<Item = &'a str> {
    let by_name = member.subscription.topic_names.iter();
    let resolved = member.subscription.regex().and_then(|regex| regexes.get(regex));
    by_name.chain(resolved.into_iter().flat_map(|resolved| &resolved.topics)).map(String::as_str)
}

/// Whether a member has come as far as this epoch.
pub(super) fn is_behind(member: &ConsumerMember, epoch: Epoch) -> bool {
    member.epoch() < epoch
}
