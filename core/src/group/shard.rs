//! The coordinator of all groups that live in one partition of `__consumer_offsets`: looks the group up, runs the
//! command on it, replays records. The calling contract is in the [module documentation](super).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Decision, GroupConfig, GroupError, GroupId, GroupRecord, HeartbeatRequest, JoinRequest, LeaveOutcome, LeaveRequest,
    Now, Reply, SyncRequest, Ticket,
    classic::{Context, Group},
    consumer::{ConsumerGroup, ConsumerRecord, Topics},
    join::JoinStep,
    streams::{StreamsGroup, StreamsRecord},
    sync::SyncStep,
    timer::{Timer, Timers},
    transactions::PendingOffsets,
};
use crate::{
    budget::{Charge, StateBudget},
    share::group::ShareGroups,
};

/// The groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct GroupShard {
    pub(super) config: GroupConfig,
    /// The classic groups; and the positions of all groups, so that they stay when a group changes its type.
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// The groups of the consumer protocol.
    pub(super) consumers: BTreeMap<GroupId, ConsumerGroup>,
    /// The groups of the streams protocol.
    pub(super) streams: BTreeMap<GroupId, StreamsGroup>,
    pub(super) topics: Topics,
    pub(super) timers: Timers,
    pub(super) pending: PendingOffsets,
    pub(super) share: ShareGroups,
    /// What all of it weighs; see [`weight`](super::weight).
    pub(super) charge: Charge,
}

impl GroupShard {
    /// A shard without groups. Replay the partition's records, then call [`start`](Self::start).
    pub fn new(config: GroupConfig) -> Self {
        let share = ShareGroups::new(config.share);
        Self {
            config,
            groups: BTreeMap::new(),
            consumers: BTreeMap::new(),
            streams: BTreeMap::new(),
            topics: Topics::default(),
            timers: Timers::default(),
            pending: PendingOffsets::default(),
            share,
            charge: Charge::default(),
        }
    }

    /// The shard, still empty, with its part in a common budget.
    #[must_use]
    pub fn within(mut self, budget: Arc<StateBudget>) -> Self {
        self.charge = Charge::new(budget);
        self
    }

    /// Tells the metadata of now.
    pub fn set_topics(&mut self, topics: Topics) {
        self.topics = topics;
    }

    /// Ends loading: gives every member of the loaded groups a session that begins now, and shrinks groups that have
    /// become too large.
    pub fn start(&mut self, now: Now) -> Decision {
        let mut out = Decision::empty();
        self.share.start(now);
        let Self { config, groups, timers, .. } = self;
        let mut cx = Context { config, timers, now, out: &mut out };
        cx.set(Timer::OffsetExpiry, config.offsets_retention_check_interval_ms);
        for group in groups.values_mut() {
            for member_id in group.members.keys() {
                group.touch(member_id, &mut cx);
            }
            if group.members.len() > config.members_max {
                group.rebalance(&mut cx);
            }
        }
        self.start_consumers(now, &mut out);
        self.start_streams(now, &mut out);
        out
    }

    /// Ends the shard: this broker coordinates its groups no longer, and all who wait are told so.
    pub fn unload(&mut self) -> Vec<Reply> {
        let mut out = Decision::empty();
        for group in self.groups.values_mut() {
            group.release_all(&GroupError::NotCoordinator, &mut out);
        }
        self.groups.clear();
        self.consumers.clear();
        self.streams.clear();
        self.timers.clear();
        self.share.clear();
        self.pending = PendingOffsets::default();
        self.charge.set(0);
        out.replies
    }

    /// Changes what a `config` bounds from now on; standing sessions keep their deadlines.
    pub fn reconfigure(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// Applies one record: the only way in which offsets and stored generations change, live and when loading.
    pub fn replay(&mut self, record: &GroupRecord) {
        let before = self.weight_at(record) + self.pending.weight();
        self.apply(record);
        self.charge.change(before, self.weight_at(record) + self.pending.weight());
    }

    fn apply(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::Offset { group_id, topic_partition, value } => {
                let topic = &topic_partition.topic;
                match value {
                    Some(_) => self.pending.supersede(group_id, topic_partition),
                    None => self.pending.remove(group_id, topic_partition),
                }
                if let Some(value) = value {
                    let group = self.group_or_new(group_id);
                    group.offsets.entry(topic.clone()).or_default().insert(topic_partition.partition, value.clone());
                } else if let Some(group) = self.groups.get_mut(group_id)
                    && let Some(partitions) = group.offsets.get_mut(topic)
                {
                    partitions.remove(&topic_partition.partition);
                    if partitions.is_empty() {
                        group.offsets.remove(topic);
                    }
                }
            }
            GroupRecord::Share(record) => self.share.replay(record),
            GroupRecord::Group { group_id, value: Some(value) } => self.group_or_new(group_id).replay(value),
            GroupRecord::Group { group_id, value: None } => {
                let Some(group) = self.groups.remove(group_id) else { return };
                debug_assert!(group.members.values().all(|m| m.join.is_none() && m.sync.is_none()));
                for member_id in group.members.keys().chain(&group.pending) {
                    self.timers.cancel(&group.session_timer(member_id));
                }
                if !group.offsets.is_empty() || self.pending.has_group(group_id) {
                    // A record written after the deletion, or one whose tombstone is gone, is the group's new start.
                    let offsets = group.offsets;
                    self.groups.insert(group_id.clone(), Group { offsets, ..Group::new(group_id.clone()) });
                }
            }
            GroupRecord::Consumer { group_id, record } => self.replay_consumer(group_id, record),
            GroupRecord::Streams { group_id, record } => self.replay_streams(group_id, record),
        }
    }

    fn replay_consumer(&mut self, group_id: &GroupId, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Group(None) => {
                for member_id in self.consumers.remove(group_id).into_iter().flat_map(|group| group.members.into_keys())
                {
                    self.cancel_consumer_timers(group_id, &member_id);
                }
                self.forget_unused(group_id);
            }
            ConsumerRecord::PartitionMetadata => {}
            ConsumerRecord::Member(member_id, None) => {
                self.cancel_consumer_timers(group_id, member_id);
                if let Some(group) = self.consumers.get_mut(group_id) {
                    group.replay(record);
                }
            }
            // A tombstone does not make a group.
            ConsumerRecord::TargetEpoch(None)
            | ConsumerRecord::Target(_, None)
            | ConsumerRecord::Current(_, None)
            | ConsumerRecord::Regex(_, None) => {
                if let Some(group) = self.consumers.get_mut(group_id) {
                    group.replay(record);
                }
            }
            ConsumerRecord::Group(Some(_))
            | ConsumerRecord::Member(_, Some(_))
            | ConsumerRecord::TargetEpoch(Some(_))
            | ConsumerRecord::Target(_, Some(_))
            | ConsumerRecord::Current(_, Some(_))
            | ConsumerRecord::Regex(_, Some(_)) => {
                let group = self.consumers.entry(group_id.clone());
                group.or_insert_with(|| ConsumerGroup::new(group_id.clone())).replay(record);
            }
        }
    }

    fn replay_streams(&mut self, group_id: &GroupId, record: &StreamsRecord) {
        match record {
            StreamsRecord::Group(None) => {
                let members = self.streams.remove(group_id).into_iter().flat_map(|group| group.members.into_keys());
                for member_id in members {
                    self.cancel_streams_timers(group_id, &member_id);
                }
                self.timers.cancel(&Timer::StreamsInitialDelay(group_id.clone()));
                self.forget_unused(group_id);
            }
            // A tombstone does not make a group.
            StreamsRecord::Member(_, None)
            | StreamsRecord::TargetEpoch(None)
            | StreamsRecord::Target(_, None)
            | StreamsRecord::Current(_, None)
            | StreamsRecord::Topology(None) => {
                if let StreamsRecord::Member(member_id, _) = record {
                    self.cancel_streams_timers(group_id, member_id);
                }
                if let Some(group) = self.streams.get_mut(group_id) {
                    group.replay(record);
                }
            }
            StreamsRecord::Group(Some(_))
            | StreamsRecord::Member(_, Some(_))
            | StreamsRecord::TargetEpoch(Some(_))
            | StreamsRecord::Target(_, Some(_))
            | StreamsRecord::Current(_, Some(_))
            | StreamsRecord::Topology(Some(_)) => {
                let group = self.streams.entry(group_id.clone());
                group.or_insert_with(|| StreamsGroup::new(group_id.clone())).replay(record);
            }
        }
    }

    /// What held the positions of a group that has ended would otherwise be taken for a classic group.
    fn forget_unused(&mut self, group_id: &GroupId) {
        let is_nothing = |group: &Group| group.is_unused() && !self.pending.has_group(group_id);
        if self.groups.get(group_id).is_some_and(is_nothing) {
            self.groups.remove(group_id);
        }
    }

    /// Runs what may change the members of a classic group, and charges for the difference.
    pub(super) fn weighed<T>(&mut self, group_id: &GroupId, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.classic_weight(group_id);
        let outcome = run(self);
        self.charge.change(before, self.classic_weight(group_id));
        outcome
    }

    /// A member joins. `ticket` is answered in this decision or a later one.
    pub fn join(&mut self, request: &JoinRequest, ticket: Ticket, now: Now) -> Decision {
        self.weighed(&request.group_id, |shard| shard.decide_join(request, ticket, now))
    }

    fn decide_join(&mut self, request: &JoinRequest, ticket: Ticket, now: Now) -> Decision {
        let mut out = Decision::empty();
        match self.try_join(request, ticket, now, &mut out) {
            Ok(JoinStep::Parked) => {}
            Ok(JoinStep::Answered(response)) => out.reply_join(ticket, Ok(response)),
            Err(error) => out.reply_join(ticket, Err(error)),
        }
        out
    }

    fn try_join(
        &mut self,
        request: &JoinRequest,
        ticket: Ticket,
        now: Now,
        out: &mut Decision,
    ) -> Result<JoinStep, GroupError> {
        if request.group_id.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let (min_ms, max_ms) = (self.config.session_timeout_ms_min, self.config.session_timeout_ms_max);
        if !(min_ms..=max_ms).contains(&request.session_timeout_ms) {
            return Err(GroupError::InvalidSessionTimeout { requested_ms: request.session_timeout_ms, min_ms, max_ms });
        }
        if self.consumers.get(&request.group_id).is_some_and(|group| !group.is_empty()) {
            return self.join_consumer_group(request, now, out).map(JoinStep::Answered);
        }
        if self.streams.get(&request.group_id).is_some_and(|group| !group.is_empty()) {
            return Err(GroupError::InconsistentProtocol);
        }
        self.admit_join(request)?;
        self.end_if_empty(&request.group_id, &mut out.records);
        let Some((group, mut cx)) = self.split(&request.group_id, now, out) else {
            if request.member_id.is_some() {
                return Err(GroupError::UnknownMember);
            }
            if self.share.contains(&request.group_id) {
                return Err(GroupError::InconsistentProtocol);
            }
            if self.group_count() >= self.config.groups_max {
                return Err(GroupError::TooManyGroups { limit: self.config.groups_max });
            }
            let mut group = Group::new(request.group_id.clone());
            group.state_since_ms = Some(now.wall_ms);
            let Self { config, groups, timers, .. } = self;
            let step = group.join(request, ticket, &mut Context { config, timers, now, out });
            if !group.members.is_empty() || !group.pending.is_empty() {
                groups.insert(group.id.clone(), group);
            }
            return step;
        };
        group.join(request, ticket, &mut cx)
    }

    /// A member syncs. `ticket` is answered in this decision or a later one.
    pub fn sync(&mut self, request: &SyncRequest, ticket: Ticket, now: Now) -> Decision {
        let mut out = Decision::empty();
        if self.consumers.contains_key(&request.group_id) {
            let response = self.sync_consumer_group(request, now, &mut out);
            out.reply_sync(ticket, response);
            return out;
        }
        let step = match self.split(&request.group_id, now, &mut out) {
            Some((group, mut cx)) => group.sync(request, ticket, &mut cx),
            None => Err(GroupError::UnknownMember),
        };
        match step {
            Ok(SyncStep::Parked) => {}
            Ok(SyncStep::Answered(response)) => out.reply_sync(ticket, Ok(response)),
            Err(error) => out.reply_sync(ticket, Err(error)),
        }
        out
    }

    /// A member is alive. Writes nothing, so the answer may leave at once.
    ///
    /// # Errors
    /// What the member must do instead of going on.
    pub fn heartbeat(&mut self, request: &HeartbeatRequest, now: Now) -> Result<(), GroupError> {
        if self.consumers.contains_key(&request.group_id) {
            return self.heartbeat_consumer_group(request, now);
        }
        let mut out = Decision::empty();
        match self.split(&request.group_id, now, &mut out) {
            Some((group, mut cx)) => group.heartbeat(request, &mut cx),
            None => Err(GroupError::UnknownMember),
        }
    }

    /// Members leave. The response is one outcome for each, or the reason why none was looked at.
    pub fn leave(&mut self, request: &LeaveRequest, now: Now) -> Decision<Result<Vec<LeaveOutcome>, GroupError>> {
        self.weighed(&request.group_id, |shard| shard.decide_leave(request, now))
    }

    fn decide_leave(&mut self, request: &LeaveRequest, now: Now) -> Decision<Result<Vec<LeaveOutcome>, GroupError>> {
        let mut out = Decision::empty();
        if self.consumers.contains_key(&request.group_id) {
            let outcomes = self.leave_consumer_group(request, now, &mut out);
            return out.with(Ok(outcomes));
        }
        let response = match self.split(&request.group_id, now, &mut out) {
            Some((group, mut cx)) => Ok(group.leave(request, &mut cx)),
            None => Err(GroupError::UnknownMember),
        };
        out.with(response)
    }

    /// When [`on_timeout`](Self::on_timeout) is to be called, in monotonic milliseconds, unless a command changes it.
    pub fn next_timeout(&self) -> Option<i64> {
        self.timers.next().into_iter().chain(self.share.next_timeout()).min()
    }

    /// Lets happen what is due.
    ///
    /// One call works on one due timer, so that its records are replayed before the next timer is looked at; call
    /// again while [`next_timeout`](Self::next_timeout) is not in the future.
    pub fn on_timeout(&mut self, now: Now) -> Decision {
        let mut out = Decision::empty();
        let timer = self.timers.pop_due(now.monotonic_ms);
        match timer {
            Some(Timer::OffsetExpiry) => self.expire_offsets(now, &mut out),
            Some(Timer::Session(group_id, member_id)) => {
                self.on_classic_timeout(&group_id, now, &mut out, |group, cx| {
                    group.on_session_timeout(&member_id, cx);
                })
            }
            Some(Timer::Join(group_id)) => self.on_classic_timeout(&group_id, now, &mut out, Group::on_join_timeout),
            Some(Timer::Sync(group_id)) => self.on_classic_timeout(&group_id, now, &mut out, Group::on_sync_timeout),
            Some(Timer::Downgraded(group_id)) => {
                self.weighed(&group_id, |shard| shard.on_downgraded(&group_id, now, &mut out));
            }
            Some(
                timer @ (Timer::ConsumerSession(..)
                | Timer::ConsumerRebalance(..)
                | Timer::ConsumerJoin(..)
                | Timer::ConsumerSync(..)),
            ) => self.on_consumer_timeout(&timer, now, &mut out),
            Some(
                timer @ (Timer::StreamsSession(..) | Timer::StreamsRebalance(..) | Timer::StreamsInitialDelay(..)),
            ) => self.on_streams_timeout(&timer, now, &mut out),
            None => out.records.extend(self.share.on_timeout(now).into_iter().map(GroupRecord::Share)),
        }
        out
    }

    fn on_classic_timeout(
        &mut self,
        group_id: &GroupId,
        now: Now,
        out: &mut Decision,
        happen: impl FnOnce(&mut Group, &mut Context<'_>),
    ) {
        self.weighed(group_id, |shard| {
            if let Some((group, mut cx)) = shard.split(group_id, now, out) {
                happen(group, &mut cx);
            }
        });
    }

    /// The share groups of the partition; what their commands give is appended as [`GroupRecord::Share`].
    pub fn share(&mut self) -> &mut ShareGroups {
        &mut self.share
    }

    /// Whether there is a group of that name that is no share group.
    pub fn has_other_than_share(&self, group: &str) -> bool {
        self.groups.contains_key(group) || self.consumers.contains_key(group) || self.streams.contains_key(group)
    }

    /// Whether there is a consumer or a streams group of that name, whose positions alone are with the classic groups.
    pub(super) fn is_of_new_protocol(&self, group: &str) -> bool {
        self.consumers.contains_key(group) || self.streams.contains_key(group)
    }

    /// How many groups there are at most: one with positions of a consumer or a streams group counts twice.
    pub(super) fn group_count(&self) -> usize {
        self.groups.len() + self.consumers.len() + self.streams.len()
    }

    /// The group and, apart from it, all else a command on it needs.
    pub(super) fn split<'a>(
        &'a mut self,
        group_id: &GroupId,
        now: Now,
        out: &'a mut Decision,
    ) -> Option<(&'a mut Group, Context<'a>)> {
        let Self { config, groups, timers, .. } = self;
        Some((groups.get_mut(group_id)?, Context { config, timers, now, out }))
    }

    /// Panics if a group or a timer is not as it must be.
    #[cfg(test)]
    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.charge.bytes(), self.weight(), "the weight of all and what was charged");
        for group in self.consumers.values() {
            group.assert_invariants();
            for member_id in group.members.keys() {
                let timer = Timer::ConsumerSession(group.id.clone(), member_id.clone());
                assert!(self.timers.is_set(&timer), "{member_id} lives for ever");
            }
            let classic = self.groups.get(&group.id);
            assert!(classic.is_none_or(|classic| classic.members.is_empty()), "two groups in one");
        }
        for group in self.streams.values() {
            group.assert_invariants();
            for member_id in group.members.keys() {
                let timer = Timer::StreamsSession(group.id.clone(), member_id.clone());
                assert!(self.timers.is_set(&timer), "{member_id} lives for ever");
            }
            let classic = self.groups.get(&group.id);
            assert!(classic.is_none_or(|classic| classic.members.is_empty()), "two groups in one");
        }
        for group in self.groups.values() {
            group.assert_invariants();
            for member_id in group.members.keys().chain(&group.pending) {
                let may_wait = group.members.get(member_id).is_some_and(|m| !m.may_expire());
                assert!(may_wait || self.timers.is_set(&group.session_timer(member_id)), "{member_id} lives for ever");
            }
        }
    }

    pub(super) fn group_or_new(&mut self, group_id: &GroupId) -> &mut Group {
        self.groups.entry(group_id.clone()).or_insert_with(|| Group::new(group_id.clone()))
    }
}
