//! The target assignment: what every member is to have at the group's epoch, decided by the assignor most members wish
//! for. Only what changes is written.
//!
//! A new one is not decided sooner than an interval after the last, so that members that start together cost one
//! assignment (KIP-1263); until then the group is Assigning and its members stay with the target there is.
//!
//! Source: Kafka `TargetAssignmentBuilder`, `ConsumerGroup.computePreferredServerAssignor`.

use std::collections::BTreeMap;

use super::{
    Assignor, ConsumerGroup, ConsumerMember, ConsumerRecord, Epoch, PartitionSet, ResolvedRegex, TargetEpoch, Topics,
    assignors::{AssignorInput, AssignorMember},
    group::{subscribed_topics, topics_of},
};
use crate::group::{GroupRecord, Now};

/// The group as it is to be assigned: some of it is not replayed yet.
pub(super) struct Assigning<'a> {
    pub(super) group: &'a ConsumerGroup,
    /// The group's epoch.
    pub(super) epoch: Epoch,
    /// The member that calls, as it is now.
    pub(super) updated: &'a ConsumerMember,
    /// The patterns as they are now.
    pub(super) regexes: &'a BTreeMap<String, ResolvedRegex>,
    pub(super) default: Assignor,
}

impl Assigning<'_> {
    /// Decides the targets; gives that of the member that calls.
    pub(super) fn assign(&self, topics: &Topics, now: Now, records: &mut Vec<GroupRecord>) -> PartitionSet {
        let group = self.group;
        let names = subscribed_topics(group.members_with(self.updated), self.regexes);
        let mut input = AssignorInput { topics: topics.partition_counts(names), ..AssignorInput::default() };
        for member in group.members_with(self.updated) {
            let known = topics_of(member, self.regexes).filter_map(|name| topics.topic(name));
            let spec = AssignorMember {
                instance_id: member.instance_id(),
                topics: known.map(|topic| topic.id).collect(),
                target: group.targets.get(&member.id),
            };
            input.members.insert(&member.id, spec);
        }
        let mut targets = self.assignor().assign(&input);
        for (member_id, target) in &targets {
            if group.targets.get(member_id) != Some(target) {
                records.push(group.record(ConsumerRecord::Target(member_id.clone(), Some(target.clone()))));
            }
        }
        let value = TargetEpoch { epoch: self.epoch, timestamp_ms: now.wall_ms };
        records.push(group.record(ConsumerRecord::TargetEpoch(Some(value))));
        targets.remove(&self.updated.id).unwrap_or_default()
    }

    fn assignor(&self) -> Assignor {
        preferred_assignor(self.group.members_with(self.updated)).unwrap_or(self.default)
    }
}

/// The assignor most members wish for, if any wishes for one.
pub(super) fn preferred_assignor<'a>(members: impl Iterator<Item = &'a ConsumerMember>) -> Option<Assignor> {
    let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
    for member in members {
        if let Some(assignor) = member.subscription.server_assignor.as_deref().and_then(Assignor::from_name) {
            *votes.entry(assignor).or_default() += 1;
        }
    }
    votes.into_iter().rev().max_by_key(|(_, votes)| *votes).map(|(assignor, _)| assignor)
}
