//! A member has called with what it wants now: the records that follow, from its subscription to what it has next. The
//! same for both protocols.
//!
//! Source: Kafka `GroupMetadataManager.{consumerGroupHeartbeat, classicGroupJoinToConsumerGroup}`.

use super::{
    Assignor, ConsumerGroup, ConsumerMember, ConsumerRecord, Epoch, GroupEpoch, PartitionSet, Topics,
    group::{subscribed_topics, topics_of},
    reconciliation::{Goal, next_step},
    regex::Caller,
    target::Assigning,
};
use crate::group::{ConsumerConfig, GroupError, GroupRecord, Now};

/// The setting of a group for the time between two assignments.
const ASSIGNMENT_INTERVAL: &str = "consumer.assignment.interval.ms";

/// The epoch of a group to which no member subscribes to anything yet.
const FIRST_EPOCH: Epoch = Epoch(1);

/// A group in the state before the records of this call.
pub(super) struct Update<'a> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) topics: &'a Topics,
    pub(super) config: &'a ConsumerConfig,
    pub(super) now: Now,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Updated {
    /// The member as it is now.
    pub(super) member: ConsumerMember,
    /// The group's epoch, raised if this call has done so.
    pub(super) epoch: Epoch,
    /// Whether the group's topics were found to be what they were.
    pub(super) is_checked: bool,
    /// Whether the group's patterns were matched.
    pub(super) is_matched: bool,
}

impl Update<'_> {
    /// Leads `member`, which was `before`, as far as it can come now. `owned` is what it says it owns.
    pub(super) fn apply(
        &self,
        before: &ConsumerMember,
        mut member: ConsumerMember,
        owned: Option<&PartitionSet>,
        may_see: &dyn Fn(&str) -> bool,
        records: &mut Vec<GroupRecord>,
    ) -> Result<Updated, GroupError> {
        let group = self.group;
        if member.subscription != before.subscription {
            let value = Some(Box::new(member.subscription.clone()));
            records.push(group.record(ConsumerRecord::Member(member.id.clone(), value)));
        }
        let caller = Caller { before, updated: &member, may_see };
        let refresh_ms = self.config.regex_refresh_interval_ms;
        let patterns = group.update_patterns(&caller, self.topics, refresh_ms, self.now, records)?;
        let regexes = patterns.resolved.as_ref().unwrap_or(&group.regexes);
        let subscription_changed =
            patterns.bumps_epoch || member.subscription.topic_names != before.subscription.topic_names;

        let is_new = group.group.epoch == Epoch::default();
        let mut epoch = if is_new { FIRST_EPOCH } else { group.group.epoch };
        let mut is_checked = group.checked_version == Some(self.topics.version());
        if subscription_changed || !is_checked {
            let names = subscribed_topics(group.members_with(&member), regexes);
            let metadata_hash = self.topics.metadata_hash(names);
            is_checked = !subscription_changed && metadata_hash == group.group.metadata_hash;
            if !is_checked || is_new {
                epoch = if is_checked { epoch } else { epoch.next() };
                let value = GroupEpoch { epoch, metadata_hash };
                records.push(group.record(ConsumerRecord::Group(Some(value))));
            }
        }

        let default = self.config.assignors.first().copied().unwrap_or(Assignor::Uniform);
        let (target_epoch, mut target) = if epoch > group.target.epoch && self.may_assign() {
            let assigning = Assigning { group, epoch, updated: &member, regexes, default };
            (epoch, assigning.assign(self.topics, self.now, records))
        } else {
            (group.target.epoch, group.target_of(&member))
        };
        if !member.is_reconciled_to(target_epoch) || subscription_changed {
            let known = topics_of(&member, regexes).filter_map(|name| self.topics.topic(name));
            let subscribed: Vec<_> = known.map(|topic| topic.id).collect();
            target.retain(|topic, _| subscribed.contains(topic));
            let goal = Goal { epoch: target_epoch, target: &target, subscription_changed };
            let next = next_step(&member, &goal, owned, |topic, partition| group.is_free(topic, partition))?;
            if next != member.current {
                records.push(group.record(ConsumerRecord::Current(member.id.clone(), Some(next.clone()))));
                member.current = next;
            }
        }
        Ok(Updated { member, epoch, is_checked, is_matched: patterns.matched })
    }

    /// Whether the last assignment is old enough for the next.
    fn may_assign(&self) -> bool {
        let interval_ms = self.topics.group_setting(&self.group.id, ASSIGNMENT_INTERVAL);
        let interval_ms = i64::from(interval_ms.unwrap_or(self.config.assignment_interval_ms));
        let since_ms = self.now.wall_ms.saturating_sub(self.group.target.timestamp_ms);
        // A clock that was set back must not hold the group up.
        !(0..interval_ms).contains(&since_ms)
    }
}
