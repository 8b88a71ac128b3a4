//! Members go: of their own will, or because they were silent or did not give tasks back in time. What they held is free
//! and the group's epoch rises.
//!
//! Source: Kafka `GroupMetadataManager.{streamsGroupFenceMember, scheduleStreamsGroupSessionTimeout,
//! scheduleStreamsGroupRebalanceTimeout}`.

use super::heartbeat::{await_revocation, next_epoch};
use crate::group::{Decision, GroupId, GroupShard, MemberId, MemberState, Now, classic::Context, timer::Timer};

impl GroupShard {
    /// Takes a member out of a streams group.
    pub(super) fn fence_streams_member(&self, group_id: &GroupId, member_id: &MemberId, out: &mut Decision) {
        let Some(group) = self.streams.get(group_id) else { return };
        group.remove_member(member_id, &mut out.records);
        out.records.push(next_epoch(group));
    }

    /// A timer of a streams group fired.
    pub(in crate::group) fn on_streams_timeout(&mut self, timer: &Timer, now: Now, out: &mut Decision) {
        let (Timer::StreamsSession(group_id, member_id) | Timer::StreamsRebalance(group_id, member_id)) = timer else {
            if let Timer::StreamsInitialDelay(group_id) = timer {
                self.on_streams_initial_delay(group_id, now, out);
            }
            return;
        };
        let Some(member) = self.streams.get(group_id).and_then(|group| group.members.get(member_id)) else { return };
        let is_revoking = member.current.state == MemberState::UnrevokedPartitions;
        if is_revoking || !matches!(timer, Timer::StreamsRebalance(..)) {
            self.fence_streams_member(group_id, member_id, out);
        }
    }

    /// After loading: every member has a session that begins now, and those that are to give tasks back have their time
    /// for it.
    pub(in crate::group) fn start_streams(&mut self, now: Now, out: &mut Decision) {
        let sessions: Vec<_> = self.streams.keys().map(|group_id| self.streams_session_ms(group_id)).collect();
        let Self { config, streams, timers, .. } = self;
        let mut cx = Context { config, timers, now, out };
        for (group, session_ms) in streams.values().zip(sessions) {
            for member in group.members.values() {
                cx.set(Timer::StreamsSession(group.id.clone(), member.id.clone()), session_ms);
                await_revocation(&group.id, member, &mut cx);
            }
        }
    }

    /// Forgets all that is set for a member of a streams group.
    pub(in crate::group) fn cancel_streams_timers(&mut self, group_id: &GroupId, member_id: &MemberId) {
        for timer in [Timer::StreamsSession, Timer::StreamsRebalance] {
            self.timers.cancel(&timer(group_id.clone(), member_id.clone()));
        }
    }
}
