//! A group changes its type: while it is empty, whenever a member of the other protocol joins; with members, if they are
//! consumers and the policy allows it. A member of the consumer protocol that joins upgrades it; when the last of them
//! goes, it is downgraded.
//!
//! | from | event | to |
//! |---|---|---|
//! | classic, no members | a member of the consumer protocol joins | consumer |
//! | classic, consumers | the same, upgrades allowed | consumer: each classic member stays with what it had |
//! | consumer, no members | a classic member joins | classic |
//! | consumer | the last member of the consumer protocol goes, downgrades allowed | classic: the others are to rejoin |
//! | consumer | a classic static member takes the place of the last of them, the same | classic: stable if all was assigned |
//!
//! Positions stay what they are. The records are the end of the one group and the start of the other, in one batch.
//!
//! Source: Kafka `GroupMetadataManager.{convertToConsumerGroup, convertToClassicGroup}`, `ConsumerGroup.fromClassicGroup`,
//! `ClassicGroup.fromConsumerGroup`; KIP-848.

use std::{collections::BTreeMap, str::FromStr};

use bytes::Bytes;

use super::{
    Assigned, ClassicSubscription, ConsumerGroup, ConsumerMember, ConsumerRecord, CurrentAssignment, Epoch, GroupEpoch,
    MemberState, MemberSubscription, PartitionSet, TargetEpoch, Topics, group::subscribed_topics,
    member::partitions_of,
};
use crate::{
    group::{
        Decision, GenerationId, GroupError, GroupId, GroupMetadata, GroupRecord, GroupShard, GroupState, MemberId,
        MemberMetadata, Now, Protocol,
        classic::{Context, Group},
        member::Member,
        subscription::PROTOCOL_TYPE,
        timer::Timer,
    },
    protocol::{
        DecodeLimits,
        consumer::{AssignedPartitions, ConsumerProtocolAssignment, ConsumerProtocolSubscription},
        decode_versioned, encode_versioned,
    },
};

/// What an embedded message of a member may take when decoded.
const EMBEDDED_BYTES_MAX: usize = 4 << 20;

/// Which groups change their type while they have members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Classic to consumer and back.
    #[default]
    Bidirectional,
    /// Classic to consumer only.
    Upgrade,
    /// Consumer to classic only.
    Downgrade,
    /// None.
    Disabled,
}

impl MigrationPolicy {
    fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// No policy has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no migration policy is called '{name}'")]
pub struct UnknownMigrationPolicy {
    name: String,
}

impl FromStr for MigrationPolicy {
    type Err = UnknownMigrationPolicy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "bidirectional" => Ok(Self::Bidirectional),
            "upgrade" => Ok(Self::Upgrade),
            "downgrade" => Ok(Self::Downgrade),
            "disabled" => Ok(Self::Disabled),
            _ => Err(UnknownMigrationPolicy { name: name.to_owned() }),
        }
    }
}

/// The members that go when a group is downgraded.
#[derive(Debug)]
pub(super) enum Leaving<'a> {
    /// They leave.
    For(&'a [MemberId]),
    /// One is replaced.
    To(&'a Heir),
}

/// A classic static member in the place of the last member of the consumer protocol.
#[derive(Debug)]
pub(super) struct Heir {
    pub(super) former: MemberId,
    pub(super) member: ConsumerMember,
    /// Whether the assignment is of the group's epoch, so that nobody has to join again.
    pub(super) is_assigned: bool,
}

impl GroupShard {
    /// A consumer group for a member that joins: a new one, or what a classic one becomes. What is written so far makes
    /// the same of it.
    pub(super) fn new_or_upgraded(
        &self,
        group_id: &GroupId,
        records: &mut Vec<GroupRecord>,
    ) -> Result<ConsumerGroup, GroupError> {
        let mut group = ConsumerGroup::new(group_id.clone());
        let Some(classic) = self.groups.get(group_id) else {
            if self.share.contains(group_id) || self.streams.contains_key(group_id) {
                return Err(GroupError::WrongType { group: group_id.clone(), expected: "consumer" });
            }
            let limit = self.config.groups_max;
            return if self.group_count() < limit { Ok(group) } else { Err(GroupError::TooManyGroups { limit }) };
        };
        let end = GroupRecord::Group { group_id: group_id.clone(), value: None };
        if classic.state == GroupState::Empty {
            records.push(end);
            return Ok(group);
        }
        let wrong_type = || GroupError::WrongType { group: group_id.clone(), expected: "consumer" };
        let fits = classic.members.len() <= self.config.consumer.members_max;
        if !self.config.consumer.migration.upgrades() || !classic.is_consumer_group() || !fits {
            return Err(wrong_type());
        }
        let changes = upgrade(classic, &self.topics).ok_or_else(wrong_type)?;
        for change in &changes {
            group.replay(change);
        }
        records.push(end);
        records.extend(changes.into_iter().map(|record| group.record(record)));
        Ok(group)
    }

    /// The members of a classic group that becomes a consumer group: who waits is told to join again, and silence
    /// counts by the consumer group's timers from now on.
    pub(super) fn leave_classic_behind(&mut self, group_id: &GroupId, now: Now, out: &mut Decision) {
        let Self { config, groups, timers, .. } = self;
        let Some(classic) = groups.get_mut(group_id) else { return };
        classic.release_all(&GroupError::RebalanceInProgress, out);
        timers.cancel(&Timer::Join(group_id.clone()));
        timers.cancel(&classic.sync_timer());
        let mut cx = Context { config, timers, now, out };
        for member in classic.members.values() {
            let timer = Timer::ConsumerSession(group_id.clone(), member.id.clone());
            cx.set(timer, i64::from(member.session_timeout_ms));
        }
    }

    /// Whether a consumer or a streams group ends, as a classic member joins it and nobody else is there.
    pub(in crate::group) fn end_if_empty(&self, group_id: &GroupId, records: &mut Vec<GroupRecord>) {
        if let Some(group) = self.consumers.get(group_id).filter(|group| group.is_empty()) {
            group.tombstones(records);
        }
        if let Some(group) = self.streams.get(group_id).filter(|group| group.is_empty()) {
            group.tombstones(records);
        }
    }

    /// Whether the group becomes a classic one when these members go.
    pub(super) fn must_downgrade(&self, group: &ConsumerGroup, leaving: &[MemberId]) -> bool {
        let mut others = group.members.values().filter(|member| !leaving.contains(&member.id)).peekable();
        self.config.consumer.migration.downgrades()
            && others.peek().is_some()
            && others.all(ConsumerMember::is_classic)
            && group.members.len() - leaving.len() <= self.config.members_max
    }

    /// Whether the group becomes a classic one when a classic member takes this one's place.
    pub(super) fn must_downgrade_with_heir(&self, group: &ConsumerGroup, former: &MemberId) -> bool {
        self.config.consumer.migration.downgrades()
            && group.members.values().all(|member| member.is_classic() || member.id == *former)
            && group.members.len() <= self.config.members_max
    }

    /// Makes a classic group of a consumer group, without the members that go. Its members are told to join, unless one of
    /// them has inherited and all have what they are to have.
    pub(super) fn downgrade(&mut self, group_id: &GroupId, leaving: &Leaving<'_>, now: Now, out: &mut Decision) {
        let Some(group) = self.consumers.get(group_id) else { return };
        group.tombstones(&mut out.records);
        let members = staying(group, leaving);
        let value = Some(as_classic(group, &members, &self.topics, now));
        out.records.push(GroupRecord::Group { group_id: group_id.clone(), value });
        for (member, _) in members {
            let session_ms = member.subscription.classic.as_ref().map_or(0, |classic| classic.session_timeout_ms);
            let deadline_ms = now.monotonic_ms.saturating_add(i64::from(session_ms));
            self.timers.set(Timer::Session(group_id.clone(), member.id.clone()), deadline_ms);
        }
        if !matches!(leaving, Leaving::To(heir) if heir.is_assigned) {
            // Once the records are replayed there is a group to rebalance.
            self.timers.set(Timer::Downgraded(group_id.clone()), now.monotonic_ms);
        }
    }

    /// A group has become classic: its members are to join.
    pub(in crate::group) fn on_downgraded(&mut self, group_id: &GroupId, now: Now, out: &mut Decision) {
        let Some((group, mut cx)) = self.split(group_id, now, out) else { return };
        if !group.members.is_empty() {
            group.rebalance(&mut cx);
        }
    }
}

/// What makes a consumer group of a classic one; `None` if what its members say cannot be read.
fn upgrade(classic: &Group, topics: &Topics) -> Option<Vec<ConsumerRecord>> {
    let epoch = Epoch(classic.generation.0);
    let members: Vec<_> =
        classic.members.values().map(|m| upgraded(classic, m, epoch, topics)).collect::<Option<_>>()?;
    let ids = || members.iter().map(|member| member.id.clone());
    let subscription =
        |m: &ConsumerMember| ConsumerRecord::Member(m.id.clone(), Some(Box::new(m.subscription.clone())));
    let mut records: Vec<_> = members.iter().map(subscription).collect();
    let names = BTreeMap::new();
    let metadata_hash = topics.metadata_hash(subscribed_topics(&members, &names));
    records.push(ConsumerRecord::Group(Some(GroupEpoch { epoch, metadata_hash })));
    let targets = members.iter().map(|member| partitions_of(&member.current.assigned));
    records.extend(ids().zip(targets).map(|(id, target)| ConsumerRecord::Target(id, Some(target))));
    records.push(ConsumerRecord::TargetEpoch(Some(TargetEpoch { epoch, timestamp_ms: 0 })));
    records.extend(members.into_iter().map(|member| ConsumerRecord::Current(member.id, Some(member.current))));
    Some(records)
}

fn upgraded(group: &Group, classic: &Member, epoch: Epoch, topics: &Topics) -> Option<ConsumerMember> {
    let name = group.protocol_name.as_deref().filter(|name| classic.supports(name));
    let protocol = classic.protocols.iter().find(|p| name.is_none_or(|name| p.name == name))?;
    let subscription = subscription(&protocol.metadata)?;
    let mut member = ConsumerMember::new(classic.id.clone());
    member.subscription = MemberSubscription {
        instance_id: classic.instance_id.clone(),
        rack_id: subscription.rack_id,
        client_id: classic.client_id.clone(),
        client_host: classic.client_host.clone(),
        topic_names: subscription.topics.into_iter().collect(),
        topic_regex: None,
        rebalance_timeout_ms: classic.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicSubscription {
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.protocols.clone(),
        }),
    };
    let assigned = match classic.assignment.is_empty() {
        true => Assigned::new(),
        false => with_epoch(assignment(&classic.assignment, topics)?, epoch),
    };
    member.current = CurrentAssignment {
        epoch,
        previous_epoch: epoch,
        state: MemberState::Stable,
        assigned,
        revoking: Assigned::new(),
    };
    Some(member)
}

fn with_epoch(partitions: PartitionSet, epoch: Epoch) -> Assigned {
    let topic = |partitions: std::collections::BTreeSet<i32>| partitions.into_iter().map(|p| (p, epoch)).collect();
    partitions.into_iter().map(|(id, partitions)| (id, topic(partitions))).collect()
}

/// The members of a group that is downgraded, with what each is to have.
fn staying<'g>(group: &'g ConsumerGroup, leaving: &'g Leaving<'_>) -> Vec<(&'g ConsumerMember, PartitionSet)> {
    let goes = |id: &MemberId| match leaving {
        Leaving::For(ids) => ids.contains(id),
        Leaving::To(heir) => heir.former == *id,
    };
    let others = group.members.values().filter(|member| !goes(&member.id));
    let mut members: Vec<_> = others.map(|member| (member, group.target_of(member))).collect();
    if let Leaving::To(heir) = leaving {
        let inherited = group.members.get(&heir.former).map(|former| group.target_of(former));
        members.push((&heir.member, inherited.unwrap_or_default()));
    }
    members
}

/// The generation that a consumer group becomes.
fn as_classic(
    group: &ConsumerGroup,
    members: &[(&ConsumerMember, PartitionSet)],
    topics: &Topics,
    now: Now,
) -> GroupMetadata {
    let protocol = common_protocol(members);
    let stored = |(member, target): &(&ConsumerMember, PartitionSet)| {
        let subscription = &member.subscription;
        let metadata = protocol.and_then(|name| metadata_of(member, name)).unwrap_or_default();
        MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: subscription.instance_id.clone(),
            client_id: subscription.client_id.clone(),
            client_host: subscription.client_host.clone(),
            rebalance_timeout_ms: subscription.rebalance_timeout_ms,
            session_timeout_ms: subscription.classic.as_ref().map_or(0, |classic| classic.session_timeout_ms),
            assignment: encode_assignment(target, &metadata, topics),
            subscription: metadata,
        }
    };
    GroupMetadata {
        protocol_type: PROTOCOL_TYPE.to_owned(),
        generation: GenerationId(group.group.epoch.0),
        protocol_name: protocol.map(str::to_owned),
        leader: members.first().map(|(member, _)| member.id.clone()),
        state_timestamp_ms: Some(now.wall_ms),
        members: members.iter().map(stored).collect(),
    }
}

fn protocols(member: &ConsumerMember) -> &[Protocol] {
    member.subscription.classic.as_ref().map(|classic| classic.protocols.as_slice()).unwrap_or_default()
}

fn metadata_of(member: &ConsumerMember, name: &str) -> Option<Bytes> {
    protocols(member).iter().find(|p| p.name == name).map(|p| p.metadata.clone())
}

/// A protocol that all these members support.
fn common_protocol<'a>(members: &[(&'a ConsumerMember, PartitionSet)]) -> Option<&'a str> {
    let supports = |member: &ConsumerMember, name: &str| protocols(member).iter().any(|p| p.name == name);
    let mut first = protocols(members.first()?.0).iter().map(|p| p.name.as_str());
    first.find(|name| members.iter().all(|(member, _)| supports(member, name)))
}

/// What a classic consumer says of itself; `None` if it cannot be read.
pub(super) fn subscription(metadata: &Bytes) -> Option<ConsumerProtocolSubscription> {
    let limits = DecodeLimits::default().with_decoded_bytes_max(EMBEDDED_BYTES_MAX);
    decode_versioned(metadata, &limits).ok().map(|(_, subscription)| subscription)
}

/// The partitions in topics that exist of what a leader assigned; `None` if it cannot be read.
fn assignment(bytes: &Bytes, topics: &Topics) -> Option<PartitionSet> {
    let limits = DecodeLimits::default().with_decoded_bytes_max(EMBEDDED_BYTES_MAX);
    let (_, assignment) = decode_versioned::<ConsumerProtocolAssignment>(bytes, &limits).ok()?;
    let mut partitions = PartitionSet::new();
    for assigned in assignment.assigned_partitions {
        if let Some(topic) = topics.topic(&assigned.topic) {
            partitions.entry(topic.id).or_default().extend(assigned.partitions);
        }
    }
    Some(partitions)
}

/// Partitions as a classic consumer reads them, in the version in which it wrote its `metadata`.
pub(super) fn encode_assignment(partitions: &PartitionSet, metadata: &Bytes, topics: &Topics) -> Bytes {
    let topic = |(id, partitions): (&crate::Uuid, &std::collections::BTreeSet<i32>)| {
        let topic = topics.name(*id)?.to_string();
        Some(AssignedPartitions { topic, partitions: partitions.iter().copied().collect() })
    };
    let assigned_partitions = partitions.iter().filter_map(topic).collect();
    let version = metadata.first_chunk::<2>().map_or(0, |version| i16::from_be_bytes(*version)).clamp(0, 3);
    let assignment = ConsumerProtocolAssignment { assigned_partitions, ..Default::default() };
    encode_versioned(&assignment, version).unwrap_or_default()
}
