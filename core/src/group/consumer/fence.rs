//! Members go: of their own will, or because they were silent or did not give partitions back in time. What they held is
//! free, the group's epoch rises, and if only classic members are left the group becomes a classic one.
//!
//! Source: Kafka `GroupMetadataManager.{consumerGroupFenceMembers, scheduleConsumerGroupSessionTimeout,
//! scheduleConsumerGroupRebalanceTimeout, scheduleConsumerGroupJoinTimeoutIfNeeded, scheduleConsumerGroupSyncTimeout}`.

use std::collections::BTreeSet;

use super::{ConsumerMember, ConsumerRecord, GroupEpoch, MemberState, group::subscribed_topics, migration::Leaving};
use crate::group::{Decision, GroupId, GroupShard, MemberId, Now, classic::Context, timer::Timer};

impl GroupShard {
    /// Takes members out of a consumer group.
    pub(super) fn fence(&mut self, group_id: &GroupId, leaving: &[MemberId], now: Now, out: &mut Decision) {
        let Some(group) = self.consumers.get(group_id) else { return };
        if leaving.is_empty() {
            return;
        }
        if self.must_downgrade(group, leaving) {
            return self.downgrade(group_id, &Leaving::For(leaving), now, out);
        }
        let stays = |member: &&ConsumerMember| !leaving.contains(&member.id);
        for member_id in leaving {
            group.remove_member(member_id, &mut out.records);
        }
        let in_use: BTreeSet<_> = group.members.values().filter(stays).filter_map(|m| m.subscription.regex()).collect();
        for regex in group.regexes.keys().filter(|regex| !in_use.contains(regex.as_str())) {
            out.records.push(group.record(ConsumerRecord::Regex(regex.clone(), None)));
        }
        let names = subscribed_topics(group.members.values().filter(stays), &group.regexes);
        let value = GroupEpoch { epoch: group.group.epoch.next(), metadata_hash: self.topics.metadata_hash(names) };
        out.records.push(group.record(ConsumerRecord::Group(Some(value))));
    }

    /// A timer of a member of a consumer group fired.
    pub(in crate::group) fn on_consumer_timeout(&mut self, timer: &Timer, now: Now, out: &mut Decision) {
        let (Timer::ConsumerSession(group_id, member_id)
        | Timer::ConsumerRebalance(group_id, member_id)
        | Timer::ConsumerJoin(group_id, member_id)
        | Timer::ConsumerSync(group_id, member_id)) = timer
        else {
            return;
        };
        let Some(member) = self.consumers.get(group_id).and_then(|group| group.members.get(member_id)) else { return };
        let is_revoking = member.current.state == MemberState::UnrevokedPartitions;
        if is_revoking || !matches!(timer, Timer::ConsumerRebalance(..)) {
            self.fence(group_id, std::slice::from_ref(member_id), now, out);
        }
    }

    /// After loading: every member has a session that begins now, and those that are to give partitions back have their
    /// time for it.
    pub(in crate::group) fn start_consumers(&mut self, now: Now, out: &mut Decision) {
        let Self { config, consumers, timers, topics, .. } = self;
        let mut cx = Context { config, timers, now, out };
        for group in consumers.values() {
            let session_ms = topics
                .group_setting(&group.id, super::heartbeat::SESSION_TIMEOUT)
                .unwrap_or(cx.config.consumer.session_timeout_ms);
            for member in group.members.values() {
                let classic = member.subscription.classic.as_ref();
                let session_ms = classic.map_or(session_ms, |classic| classic.session_timeout_ms);
                cx.set(Timer::ConsumerSession(group.id.clone(), member.id.clone()), i64::from(session_ms));
                super::heartbeat::await_revocation(&group.id, member, &mut cx);
            }
        }
    }

    /// Forgets all that is set for a member of a consumer group.
    pub(in crate::group) fn cancel_consumer_timers(&mut self, group_id: &GroupId, member_id: &MemberId) {
        let timers = [Timer::ConsumerSession, Timer::ConsumerRebalance, Timer::ConsumerJoin, Timer::ConsumerSync];
        for timer in timers {
            self.timers.cancel(&timer(group_id.clone(), member_id.clone()));
        }
    }
}
