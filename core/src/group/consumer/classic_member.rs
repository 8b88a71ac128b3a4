//! Classic members of a consumer group: what they say with JoinGroup, SyncGroup, Heartbeat and LeaveGroup, in the terms
//! of the consumer protocol. Nobody is parked: a join moves the member on at once, a sync tells what it has, and a
//! heartbeat when it must join again.
//!
//! | call | what it does |
//! |---|---|
//! | JoinGroup | tells subscription and owned partitions; the generation of the answer is the epoch reached |
//! | SyncGroup | tells the share; or to join again, if the group has moved on |
//! | Heartbeat | tells to join again if the group has moved on, if there is something to give back, or if what others held is free |
//! | LeaveGroup | takes it out |
//!
//! A member told to join again has its rebalance timeout for that, and as long again to sync.
//!
//! Whether the group has moved on is said by its assignment, which may be behind the group's own epoch for a while.
//!
//! When a classic static member takes the place of the last member of the consumer protocol, the group is downgraded. If
//! its assignment is of its epoch, the group is stable and the member has what its predecessor had. Else the group
//! rebalances; the member is answered a generation that it never had, and is told so when it syncs.
//!
//! Source: Kafka `GroupMetadataManager.{classicGroupJoinToConsumerGroup, classicGroupSyncToConsumerGroup,
//! classicGroupHeartbeatToConsumerGroup, classicGroupLeaveToConsumerGroup}`; KIP-848.

use super::{
    ClassicSubscription, ConsumerGroup, ConsumerMember, Epoch, MemberState, PartitionSet, Topics,
    group::is_behind,
    member::partitions_of,
    migration::{Heir, Leaving, encode_assignment, subscription},
    update::Update,
};
use crate::{
    group::{
        Decision, GenerationId, GroupError, GroupId, GroupShard, HeartbeatRequest, JoinRequest, JoinResponse,
        LeaveOutcome, LeaveRequest, LeavingMember, MemberId, Now, SyncRequest, SyncResponse, classic::Context,
        subscription::PROTOCOL_TYPE, timer::Timer,
    },
    protocol::consumer::ConsumerProtocolSubscription,
};

impl GroupShard {
    /// Decides on one JoinGroup in a consumer group.
    pub(in crate::group) fn join_consumer_group(
        &mut self,
        request: &JoinRequest,
        now: Now,
        out: &mut Decision,
    ) -> Result<JoinResponse, GroupError> {
        let group_id = &request.group_id;
        let group = self.consumers.get(group_id).ok_or_else(|| self.no_consumer_group(group_id))?;
        let limit = self.config.consumer.members_max;
        let is_known = request.member_id.as_ref().is_some_and(|id| group.members.contains_key(id));
        if !is_known && group.members.len() >= limit {
            return Err(GroupError::GroupFull { group: group_id.clone(), limit });
        }
        let spoken = group.accepts(request).ok_or(GroupError::InconsistentProtocol)?;
        let prefix = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
        let member_id = request.member_id.clone().unwrap_or_else(|| MemberId::new(prefix, request.new_member_uuid));
        if request.member_id.is_none() && request.group_instance_id.is_none() && request.requires_known_member_id {
            return Err(GroupError::MemberIdRequired { member_id });
        }
        let former = request.group_instance_id.as_ref().and_then(|id| group.static_member(id));
        let former = former.filter(|former| self.must_downgrade_with_heir(group, &former.id)).map(|m| m.id.clone());

        let mut records = Vec::new();
        let (before, replaced) = group.classic_subscriber(request, &member_id, &mut records)?;
        let group = replaced.as_ref().unwrap_or(group);
        let owned = owned_by(&spoken, &self.topics);
        let member = with_changes(&before, request, spoken);
        let update = Update { group, topics: &self.topics, config: &self.config.consumer, now };
        let updated = update.apply(&before, member, Some(&owned), &|_| true, &mut records)?;
        let member = updated.member;
        let mut response = JoinResponse {
            generation: GenerationId(member.epoch().0),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: request.protocols.first().map(|protocol| protocol.name.clone()),
            leader: MemberId::from(""),
            member_id: member.id.clone(),
            members: Vec::new(),
            skip_assignment: false,
        };
        if let Some(former) = former {
            let is_assigned = updated.epoch == group.target.epoch;
            if !is_assigned {
                response.generation = GenerationId(Epoch::JOINING.0);
            }
            let heir = Heir { former, member, is_assigned };
            self.downgrade(group_id, &Leaving::To(&heir), now, out);
            return Ok(response);
        }
        out.records.append(&mut records);

        let Self { config, timers, .. } = self;
        let mut cx = Context { config, timers, now, out };
        let timer = |timer: fn(GroupId, MemberId) -> Timer| timer(group_id.clone(), member.id.clone());
        cx.timers.cancel(&timer(Timer::ConsumerJoin));
        cx.timers.cancel(&timer(Timer::ConsumerRebalance));
        cx.set(timer(Timer::ConsumerSession), i64::from(request.session_timeout_ms));
        cx.set(timer(Timer::ConsumerSync), i64::from(request.rebalance_timeout_ms));
        Ok(response)
    }

    /// Decides on one SyncGroup in a consumer group.
    pub(in crate::group) fn sync_consumer_group(
        &mut self,
        request: &SyncRequest,
        now: Now,
        out: &mut Decision,
    ) -> Result<SyncResponse, GroupError> {
        let Self { config, consumers, timers, topics, .. } = self;
        let group = consumers.get(&request.group_id).ok_or(GroupError::UnknownMember)?;
        let instance_id = request.group_instance_id.as_ref();
        let (member, classic) = group.classic_caller(&request.member_id, instance_id, request.generation)?;
        let spoken = classic.protocols.first();
        let differs = |told: &Option<String>, known: Option<&str>| told.is_some() && told.as_deref() != known;
        if differs(&request.protocol_type, Some(PROTOCOL_TYPE))
            || differs(&request.protocol_name, spoken.map(|protocol| protocol.name.as_str()))
        {
            return Err(GroupError::InconsistentProtocol);
        }
        let mut cx = Context { config, timers, now, out };
        let timer = |timer: fn(GroupId, MemberId) -> Timer| timer(group.id.clone(), member.id.clone());
        if is_behind(member, group.target.epoch) && member.current.state != MemberState::UnrevokedPartitions {
            set_if_unset(timer(Timer::ConsumerJoin), member, &mut cx);
            return Err(GroupError::RebalanceInProgress);
        }
        cx.timers.cancel(&timer(Timer::ConsumerSync));
        cx.set(timer(Timer::ConsumerSession), i64::from(classic.session_timeout_ms));
        let metadata = spoken.map(|protocol| protocol.metadata.clone()).unwrap_or_default();
        Ok(SyncResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: encode_assignment(&partitions_of(&member.current.assigned), &metadata, topics),
        })
    }

    /// Decides on one Heartbeat in a consumer group.
    pub(in crate::group) fn heartbeat_consumer_group(
        &mut self,
        request: &HeartbeatRequest,
        now: Now,
    ) -> Result<(), GroupError> {
        let mut out = Decision::empty();
        let Self { config, consumers, timers, topics, .. } = self;
        let group = consumers.get(&request.group_id).ok_or(GroupError::UnknownMember)?;
        let instance_id = request.group_instance_id.as_ref();
        let (member, classic) = group.classic_caller(&request.member_id, instance_id, request.generation)?;
        let mut cx = Context { config, timers, now, out: &mut out };
        let timer = |timer: fn(GroupId, MemberId) -> Timer| timer(group.id.clone(), member.id.clone());
        cx.set(timer(Timer::ConsumerSession), i64::from(classic.session_timeout_ms));
        let must_join = is_behind(member, group.target.epoch)
            || match member.current.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !group.waits_for_others(member, topics),
                MemberState::Stable | MemberState::Unknown(_) => false,
            };
        if must_join {
            set_if_unset(timer(Timer::ConsumerJoin), member, &mut cx);
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Decides on one LeaveGroup in a consumer group.
    pub(in crate::group) fn leave_consumer_group(
        &mut self,
        request: &LeaveRequest,
        now: Now,
        out: &mut Decision,
    ) -> Vec<LeaveOutcome> {
        let Some(group) = self.consumers.get(&request.group_id) else { return Vec::new() };
        let mut gone: Vec<MemberId> = Vec::new();
        let outcomes = request.members.iter().map(|leaving| {
            let member = group.leaving(leaving)?;
            if gone.contains(&member.id) {
                return Err(GroupError::UnknownMember);
            }
            gone.push(member.id.clone());
            Ok(())
        });
        let outcomes = outcomes.collect();
        self.fence(&request.group_id, &gone, now, out);
        outcomes
    }
}

/// Gives a member its time to join again, unless it runs already.
fn set_if_unset(timer: Timer, member: &ConsumerMember, cx: &mut Context<'_>) {
    if !cx.timers.is_set(&timer) {
        cx.set(timer, i64::from(member.subscription.rebalance_timeout_ms));
    }
}

impl ConsumerGroup {
    /// What the member says of itself, if it can be read and its protocols fit those of the other classic members.
    fn accepts(&self, request: &JoinRequest) -> Option<ConsumerProtocolSubscription> {
        if request.protocol_type != PROTOCOL_TYPE {
            return None;
        }
        let others = || self.members.values().filter(|m| Some(&m.id) != request.member_id.as_ref());
        let mut classic = others().filter_map(|member| member.subscription.classic.as_ref()).peekable();
        let is_common = |name: &str| {
            let mut all = others().filter_map(|member| member.subscription.classic.as_ref());
            all.all(|classic| classic.protocols.iter().any(|p| p.name == name))
        };
        if classic.peek().is_some() && !request.protocols.iter().any(|protocol| is_common(&protocol.name)) {
            return None;
        }
        subscription(&request.protocols.first()?.metadata)
    }

    /// The member that joins, as it was; and the group with it in the place of its predecessor, if it takes one's place.
    fn classic_subscriber(
        &self,
        request: &JoinRequest,
        member_id: &MemberId,
        records: &mut Vec<crate::group::GroupRecord>,
    ) -> Result<(ConsumerMember, Option<Self>), GroupError> {
        let Some(instance_id) = &request.group_instance_id else {
            let member = self.members.get(member_id).cloned();
            return Ok((member.unwrap_or_else(|| ConsumerMember::new(member_id.clone())), None));
        };
        match self.static_member(instance_id) {
            Some(member) if member.id == *member_id => Ok((member.clone(), None)),
            Some(_) if request.member_id.is_some() => {
                Err(GroupError::FencedInstance { instance_id: instance_id.clone() })
            }
            Some(former) => {
                let epoch = former.epoch().max(Epoch::JOINING);
                let group = self.replaced(former, member_id, epoch, records);
                Ok((group.member(member_id)?.clone(), Some(group)))
            }
            None if request.member_id.is_some() => Err(GroupError::UnknownMember),
            None => Ok((ConsumerMember::new(member_id.clone()), None)),
        }
    }

    /// The classic member that calls, at the generation it says.
    fn classic_caller(
        &self,
        member_id: &MemberId,
        instance_id: Option<&crate::group::InstanceId>,
        generation: GenerationId,
    ) -> Result<(&ConsumerMember, &ClassicSubscription), GroupError> {
        let member = self.caller(member_id, instance_id)?;
        let classic = member.subscription.classic.as_ref().ok_or(GroupError::UnknownMember)?;
        let current = GenerationId(member.epoch().0);
        if generation == current { Ok((member, classic)) } else { Err(GroupError::IllegalGeneration { current }) }
    }

    /// The classic member that is to leave.
    fn leaving(&self, leaving: &LeavingMember) -> Result<&ConsumerMember, GroupError> {
        let member = match (&leaving.member_id, &leaving.group_instance_id) {
            (Some(member_id), instance_id) => self.caller(member_id, instance_id.as_ref())?,
            (None, Some(instance_id)) => self.static_member(instance_id).ok_or(GroupError::UnknownMember)?,
            (None, None) => return Err(GroupError::UnknownMember),
        };
        if member.is_classic() { Ok(member) } else { Err(GroupError::UnknownMember) }
    }
}

fn owned_by(spoken: &ConsumerProtocolSubscription, topics: &Topics) -> PartitionSet {
    let mut owned = PartitionSet::new();
    for partitions in &spoken.owned_partitions {
        if let Some(topic) = topics.topic(&partitions.topic) {
            owned.entry(topic.id).or_default().extend(&partitions.partitions);
        }
    }
    owned
}

/// The member with what the join changes.
fn with_changes(
    before: &ConsumerMember,
    request: &JoinRequest,
    spoken: ConsumerProtocolSubscription,
) -> ConsumerMember {
    let mut member = before.clone();
    let subscription = &mut member.subscription;
    subscription.instance_id = request.group_instance_id.clone().or(subscription.instance_id.take());
    subscription.rack_id = spoken.rack_id.filter(|rack| !rack.is_empty()).or(subscription.rack_id.take());
    subscription.rebalance_timeout_ms = request.rebalance_timeout_ms;
    subscription.topic_names = spoken.topics.into_iter().collect();
    subscription.topic_regex = None;
    subscription.client_id.clone_from(&request.client_id);
    subscription.client_host.clone_from(&request.client_host);
    subscription.classic = Some(ClassicSubscription {
        session_timeout_ms: request.session_timeout_ms,
        protocols: request.protocols.clone(),
    });
    member
}
