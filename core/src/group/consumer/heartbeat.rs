//! ConsumerGroupHeartbeat: the one call of the consumer protocol. A member joins with it, says what it wants and owns,
//! is told what to have, and leaves.
//!
//! | member epoch | meaning |
//! |---|---|
//! | 0 | joins, or begins anew with what it has; makes the group if there is none, upgrades it if it is classic |
//! | the one it has reached | stays |
//! | the one before, owning no more than it has | stays: it has missed the answer |
//! | any other | is fenced, gives everything up and joins again |
//! | -1 | leaves |
//! | -2 | leaves for a while: a static member, whose share is kept for who comes back with its instance id |
//!
//! Source: Kafka `GroupMetadataManager.consumerGroupHeartbeat`; KIP-848, KIP-1082 (the member chooses its id).

use super::{
    ConsumerGroup, ConsumerHeartbeat, ConsumerHeartbeatResponse, ConsumerMember, ConsumerRecord, CurrentAssignment,
    Epoch, MemberState, PartitionSet, member::partitions_of, update::Update,
};
use crate::group::{
    Decision, GroupError, GroupId, GroupRecord, GroupShard, MemberId, Now, classic::Context, timer::Timer,
};

pub(super) const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";

impl GroupShard {
    /// A member of the consumer protocol calls. `may_see` tells of a topic whether a pattern of the caller may match it.
    pub fn consumer_heartbeat(
        &mut self,
        request: &ConsumerHeartbeat,
        may_see: &dyn Fn(&str) -> bool,
        now: Now,
    ) -> Decision<Result<ConsumerHeartbeatResponse, GroupError>> {
        let mut out = Decision::empty();
        let response = match request.validate(&self.config.consumer.assignors) {
            Err(error) => Err(error),
            Ok(()) if request.member_epoch < Epoch::JOINING => self.consumer_leave(request, now, &mut out),
            Ok(()) => self.consumer_join_or_stay(request, may_see, now, &mut out),
        };
        if response.is_err() {
            out.records.clear();
        }
        out.with(response)
    }

    fn consumer_join_or_stay(
        &mut self,
        request: &ConsumerHeartbeat,
        may_see: &dyn Fn(&str) -> bool,
        now: Now,
        out: &mut Decision,
    ) -> Result<ConsumerHeartbeatResponse, GroupError> {
        let group_id = &request.group_id;
        let made = match self.consumers.get(group_id) {
            Some(_) => None,
            None if request.joins() => Some(self.new_or_upgraded(group_id, &mut out.records)?),
            None => return Err(self.no_consumer_group(group_id)),
        };
        let Some(mut group) = made.as_ref().or_else(|| self.consumers.get(group_id)) else {
            return Err(self.no_consumer_group(group_id));
        };
        let is_known = group.members.contains_key(&request.member_id);
        if !is_known && group.members.len() >= self.config.consumer.members_max {
            let limit = self.config.consumer.members_max;
            return Err(GroupError::GroupFull { group: group_id.clone(), limit });
        }
        let (before, replaced) = group.subscriber(request, &mut out.records)?;
        group = replaced.as_ref().unwrap_or(group);
        let member = with_changes(&before, request);
        let update = Update { group, topics: &self.topics, config: &self.config.consumer, now };
        let updated = update.apply(&before, member, request.owned.as_ref(), may_see, &mut out.records)?;
        let member = updated.member;
        let assigned = partitions_of(&member.current.assigned);
        let is_told = request.joins() || request.is_full() || assigned != partitions_of(&before.current.assigned);
        let response = ConsumerHeartbeatResponse {
            member_id: member.id.clone(),
            member_epoch: member.epoch(),
            heartbeat_interval_ms: self
                .topics
                .group_setting(group_id, HEARTBEAT_INTERVAL)
                .unwrap_or(self.config.consumer.heartbeat_interval_ms),
            assignment: is_told.then_some(assigned),
        };
        if made.is_some() {
            self.leave_classic_behind(group_id, now, out);
        }
        if let Some(group) = self.consumers.get_mut(group_id) {
            group.checked_version = updated.is_checked.then_some(self.topics.version());
            if updated.is_matched {
                group.regexes_matched_ms = Some(now.monotonic_ms);
            }
        }
        let session_ms = self.consumer_session_ms(group_id);
        let Self { config, timers, .. } = self;
        let mut cx = Context { config, timers, now, out };
        cx.set(Timer::ConsumerSession(group_id.clone(), member.id.clone()), session_ms);
        if member.current != before.current || made.is_some() {
            await_revocation(group_id, &member, &mut cx);
        }
        Ok(response)
    }

    fn consumer_leave(
        &mut self,
        request: &ConsumerHeartbeat,
        now: Now,
        out: &mut Decision,
    ) -> Result<ConsumerHeartbeatResponse, GroupError> {
        let group_id = &request.group_id;
        let group = self.consumers.get(group_id).ok_or_else(|| self.no_consumer_group(group_id))?;
        let member = group.caller(&request.member_id, request.instance_id.as_ref())?;
        if request.member_epoch == Epoch::AWAY {
            let current =
                CurrentAssignment { epoch: Epoch::AWAY, revoking: Default::default(), ..member.current.clone() };
            out.records.push(group.record(ConsumerRecord::Current(member.id.clone(), Some(current))));
        } else {
            self.fence(group_id, std::slice::from_ref(&request.member_id), now, out);
        }
        Ok(ConsumerHeartbeatResponse {
            member_id: request.member_id.clone(),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        })
    }

    /// Why there is no consumer group of that id.
    pub(super) fn no_consumer_group(&self, group_id: &GroupId) -> GroupError {
        match self.groups.contains_key(group_id) {
            true => GroupError::WrongType { group: group_id.clone(), expected: "consumer" },
            false => GroupError::GroupNotFound { group: group_id.clone() },
        }
    }

    /// How long a member of the consumer protocol may be silent.
    pub(super) fn consumer_session_ms(&self, group_id: &GroupId) -> i64 {
        let own = self.topics.group_setting(group_id, SESSION_TIMEOUT);
        i64::from(own.unwrap_or(self.config.consumer.session_timeout_ms))
    }
}

/// Gives a member that is to give partitions back its time for that, and takes it from one that is not.
pub(super) fn await_revocation(group_id: &GroupId, member: &ConsumerMember, cx: &mut Context<'_>) {
    let timer = Timer::ConsumerRebalance(group_id.clone(), member.id.clone());
    if member.current.state == MemberState::UnrevokedPartitions && !member.is_classic() {
        cx.set(timer, i64::from(member.subscription.rebalance_timeout_ms));
    } else {
        cx.timers.cancel(&timer);
    }
}

/// The member with what the call changes.
fn with_changes(before: &ConsumerMember, request: &ConsumerHeartbeat) -> ConsumerMember {
    let mut member = before.clone();
    let subscription = &mut member.subscription;
    subscription.instance_id = request.instance_id.clone().or(subscription.instance_id.take());
    subscription.rack_id = request.rack_id.clone().or(subscription.rack_id.take());
    subscription.server_assignor = request.server_assignor.clone().or(subscription.server_assignor.take());
    if let Some(regex) = &request.topic_regex {
        subscription.topic_regex = Some(regex.clone()).filter(|regex| !regex.is_empty());
    }
    if let Some(timeout_ms) = request.rebalance_timeout_ms {
        subscription.rebalance_timeout_ms = timeout_ms;
    }
    if let Some(names) = &request.topic_names {
        subscription.topic_names = names.iter().cloned().collect();
    }
    subscription.client_id.clone_from(&request.client_id);
    subscription.client_host.clone_from(&request.client_host);
    subscription.classic = None;
    member
}

impl ConsumerGroup {
    /// The member that calls, as it was; and the group with it in the place of its predecessor, if it takes one's place.
    fn subscriber(
        &self,
        request: &ConsumerHeartbeat,
        records: &mut Vec<GroupRecord>,
    ) -> Result<(ConsumerMember, Option<Self>), GroupError> {
        let owned = request.owned.as_ref();
        let Some(instance_id) = &request.instance_id else {
            return match self.members.get(&request.member_id) {
                Some(member) => check_epoch(member, request.member_epoch, owned).map(|()| (member.clone(), None)),
                None if request.joins() => Ok((ConsumerMember::new(request.member_id.clone()), None)),
                None => Err(GroupError::UnknownMember),
            };
        };
        match self.static_member(instance_id) {
            Some(member) if !request.joins() && member.id == request.member_id => {
                check_epoch(member, request.member_epoch, owned)?;
                Ok((member.clone(), None))
            }
            Some(_) if !request.joins() => Err(GroupError::FencedInstance { instance_id: instance_id.clone() }),
            Some(former) if !former.is_classic() && former.epoch() != Epoch::AWAY => {
                let owner = former.id.clone();
                Err(GroupError::UnreleasedInstance { instance_id: instance_id.clone(), owner })
            }
            Some(former) => {
                let group = self.replaced(former, &request.member_id, Epoch::JOINING, records);
                let heir = group.member(&request.member_id)?.clone();
                Ok((heir, Some(group)))
            }
            None if request.joins() => Ok((ConsumerMember::new(request.member_id.clone()), None)),
            None => Err(GroupError::UnknownMember),
        }
    }

    /// The group with a new member in the place of `former`: it has what that had.
    pub(super) fn replaced(
        &self,
        former: &ConsumerMember,
        member_id: &MemberId,
        epoch: Epoch,
        records: &mut Vec<GroupRecord>,
    ) -> Self {
        let mut changes = Vec::new();
        if former.id != *member_id {
            self.remove_member(&former.id, &mut changes);
        }
        let current = CurrentAssignment { epoch, previous_epoch: Epoch::JOINING, ..former.current.clone() };
        let subscription = Some(Box::new(former.subscription.clone()));
        changes.push(self.record(ConsumerRecord::Member(member_id.clone(), subscription)));
        let target = Some(self.target_of(former));
        changes.push(self.record(ConsumerRecord::Target(member_id.clone(), target)));
        changes.push(self.record(ConsumerRecord::Current(member_id.clone(), Some(current))));
        let mut group = self.clone();
        for change in &changes {
            if let GroupRecord::Consumer { record, .. } = change {
                group.replay(record);
            }
        }
        records.append(&mut changes);
        group
    }
}

/// Checks that a member is where the coordinator believes it is, where it was before an answer got lost, or that it
/// begins anew.
fn check_epoch(member: &ConsumerMember, told: Epoch, owned: Option<&PartitionSet>) -> Result<(), GroupError> {
    let known = member.epoch();
    let owns_no_more = || {
        owned.is_some_and(|owned| {
            owned.iter().all(|(topic, partitions)| {
                let assigned = member.current.assigned.get(topic);
                partitions.iter().all(|p| assigned.is_some_and(|assigned| assigned.contains_key(p)))
            })
        })
    };
    if told == known
        || told == Epoch::JOINING
        || (told < known && told == member.current.previous_epoch && owns_no_more())
    {
        Ok(())
    } else {
        Err(GroupError::FencedMemberEpoch { known, told })
    }
}
