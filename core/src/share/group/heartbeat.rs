//! A member says that it is alive, joins or leaves, and is told what it is to fetch from.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
};

use super::{
    Partitions, ShareGroupError, ShareGroupRecord, ShareGroups,
    assignor::assign,
    state::{Current, Group, Member, Named},
};
use crate::{
    Uuid,
    group::{GroupId, MemberId, Now},
    metadata::Image,
    protocol::records::{
        ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue, ShareGroupMemberMetadataKey,
        ShareGroupMemberMetadataValue, ShareGroupMetadataKey, ShareGroupMetadataValue,
        ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue,
        ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue,
        share_group::{TopicPartition, TopicPartitions},
    },
};

const JOINS: i32 = 0;
const LEAVES: i32 = -1;
/// The epoch of a group before its first change.
const FIRST_EPOCH: i32 = 1;

/// A heartbeat as it came.
#[derive(Clone, Debug)]
pub struct ShareHeartbeat {
    /// The group.
    pub group_id: GroupId,
    /// The id the member has chosen.
    pub member_id: String,
    /// 0 to join, -1 to leave, else where the member is.
    pub member_epoch: i32,
    /// Where it is.
    pub rack_id: Option<String>,
    /// What it subscribes to, if that has changed.
    pub topics: Option<Vec<String>>,
    /// The name of its client.
    pub client_id: String,
    /// Its address.
    pub client_host: String,
    /// The group's own session timeout, if it has one.
    pub session_timeout_ms: Option<i32>,
    /// The group's own interval of heartbeats, if it has one.
    pub heartbeat_interval_ms: Option<i32>,
    /// The group's own time between two assignments, if it has one.
    pub assignment_interval_ms: Option<i32>,
}

/// What the member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareHeartbeatReply {
    /// Where it is now.
    pub member_epoch: i32,
    /// When to come again.
    pub heartbeat_interval_ms: i32,
    /// What to fetch from, if it must be told.
    pub assignment: Option<Partitions>,
    /// Partitions the share coordinator is to initialize before they can be assigned, for the group at `state_epoch`.
    pub initialize: Partitions,
    /// The epoch for that.
    pub state_epoch: i32,
}

impl ShareGroups {
    /// Handles a heartbeat. `topics` is what there is.
    ///
    /// # Errors
    /// If the member is not who it believes to be, or cannot join.
    pub fn heartbeat(
        &mut self,
        request: &ShareHeartbeat,
        topics: &Image,
        now: Now,
    ) -> Result<(Vec<ShareGroupRecord>, ShareHeartbeatReply), ShareGroupError> {
        check(request)?;
        let group_id = &request.group_id;
        let member_id = MemberId::from(request.member_id.as_str());
        let interval_ms = request.heartbeat_interval_ms.unwrap_or(self.config.heartbeat_interval_ms);
        let not_found = || ShareGroupError::GroupNotFound { group: group_id.to_string() };
        let is_new_group = !self.groups.contains_key(group_id);
        if is_new_group && request.member_epoch != JOINS {
            return Err(not_found());
        }
        if is_new_group && self.groups.len() >= self.config.groups_max {
            return Err(ShareGroupError::Full { limit: self.config.groups_max });
        }
        let mut group = self.groups.get(group_id).cloned().unwrap_or_default();
        if group.epoch == 0 {
            group.epoch = FIRST_EPOCH;
        }
        let known = group.members.get(&member_id);
        if request.member_epoch == LEAVES {
            if known.is_none() {
                return Err(ShareGroupError::UnknownMember { member: request.member_id.clone() });
            }
            let reply = ShareHeartbeatReply {
                member_epoch: LEAVES,
                heartbeat_interval_ms: 0,
                assignment: None,
                initialize: Partitions::new(),
                state_epoch: group.epoch,
            };
            return Ok((self.removal(group_id, &member_id), reply));
        }
        if known.is_none() && request.member_epoch != JOINS {
            return Err(ShareGroupError::UnknownMember { member: request.member_id.clone() });
        }
        if known.is_none() && group.members.len() >= self.config.members_max {
            return Err(ShareGroupError::Full { limit: self.config.members_max });
        }
        let current = group.current.get(&member_id).cloned().unwrap_or_default();
        let (epoch, believed) = (current.epoch, request.member_epoch);
        if believed > epoch || (believed != JOINS && believed < epoch && believed != current.previous_epoch) {
            return Err(ShareGroupError::FencedMemberEpoch { current: epoch });
        }
        let mut out = Changes { group_id, records: Vec::new() };
        let updated = updated(known, request);
        let mut is_changed = known != Some(&updated);
        if is_changed {
            out.member(&member_id, &updated);
            group.members.insert(member_id.clone(), updated);
        }
        let hash = metadata_hash(&group, topics);
        let is_pending = group.epoch > group.assignment_epoch;
        is_changed |= hash != group.metadata_hash || (!is_pending && group.has_unassigned(topics));
        if is_changed {
            group.epoch = group.epoch.saturating_add(1);
            group.metadata_hash = hash;
            out.epoch(group.epoch, hash);
        }
        let distance_ms = request.assignment_interval_ms.unwrap_or(self.config.assignment_interval_ms);
        if (is_changed || is_pending) && group.may_assign(distance_ms, now) {
            let target = group.assign(topics);
            for (member, assigned) in &target {
                if group.target.get(member) != Some(assigned) {
                    out.target(member, assigned);
                }
            }
            out.assigned(group.epoch, now.wall_ms);
            group.target = target;
            (group.assignment_epoch, group.assigned_ms) = (group.epoch, now.wall_ms);
        }
        let assigned = group.target.get(&member_id).cloned().unwrap_or_default();
        let is_told = request.member_epoch == JOINS || request.topics.is_some() || assigned != current.assigned;
        let new = Current { epoch: group.assignment_epoch, previous_epoch: current.epoch, assigned };
        if new.epoch != current.epoch || new.assigned != current.assigned {
            out.current(&member_id, &new);
        }
        if group.add_initializing(topics) {
            out.records.push(group.partitions.to_record(group_id));
        }
        let initialize = group.partitions.initializing.iter();
        let reply = ShareHeartbeatReply {
            member_epoch: new.epoch,
            heartbeat_interval_ms: interval_ms,
            assignment: is_told.then_some(new.assigned),
            initialize: initialize.map(|(id, (_, partitions))| (*id, partitions.clone())).collect(),
            state_epoch: group.epoch,
        };
        let records = out.records;
        self.touch(group_id, &member_id, request.session_timeout_ms.unwrap_or(self.config.session_timeout_ms), now);
        Ok((records, reply))
    }

    /// Partitions have got their state.
    pub fn initialized(&self, group_id: &GroupId, partitions: &Partitions) -> Vec<ShareGroupRecord> {
        let Some(group) = self.groups.get(group_id) else { return Vec::new() };
        let mut state = group.partitions.clone();
        for (id, indexes) in partitions {
            let Some((name, waiting)) = state.initializing.get_mut(id) else { continue };
            let done: BTreeSet<i32> = waiting.intersection(indexes).copied().collect();
            waiting.retain(|index| !done.contains(index));
            let name = name.clone();
            state.initialized.entry(*id).or_insert_with(|| (name, BTreeSet::new())).1.extend(done);
        }
        state.initializing.retain(|_, (_, waiting)| !waiting.is_empty());
        if state == group.partitions { Vec::new() } else { vec![state.to_record(group_id)] }
    }

    /// The records with which a member goes.
    pub(super) fn removal(&self, group_id: &GroupId, member: &MemberId) -> Vec<ShareGroupRecord> {
        let Some(group) = self.groups.get(group_id).filter(|group| group.members.contains_key(member)) else {
            return Vec::new();
        };
        let (group_id, member_id) = (group_id.to_string(), member.to_string());
        let current = ShareGroupCurrentMemberAssignmentKey { group_id: group_id.clone(), member_id: member_id.clone() };
        let target = ShareGroupTargetAssignmentMemberKey { group_id: group_id.clone(), member_id: member_id.clone() };
        let metadata = ShareGroupMemberMetadataKey { group_id: group_id.clone(), member_id };
        // The others' topics are looked at with their next heartbeat.
        let value = ShareGroupMetadataValue { epoch: group.epoch.saturating_add(1), metadata_hash: 0 };
        vec![
            ShareGroupRecord::Current(current, None),
            ShareGroupRecord::TargetMember(target, None),
            ShareGroupRecord::Member(metadata, None),
            ShareGroupRecord::Group(ShareGroupMetadataKey { group_id }, Some(value)),
        ]
    }
}

impl Group {
    /// What somebody subscribes to and has a state.
    fn assignable(&self, topics: &Image) -> Partitions {
        let there = |(id, (_, partitions)): (&Uuid, &(String, BTreeSet<i32>))| {
            topics.topic_by_id(*id).map(|_| (*id, partitions.clone()))
        };
        self.partitions.initialized.iter().filter_map(there).collect()
    }

    /// The ids of what each member subscribes to.
    fn subscriptions(&self, topics: &Image) -> BTreeMap<&MemberId, BTreeSet<Uuid>> {
        let ids = |member: &Member| member.topics.iter().filter_map(|name| Some(topics.topic(name)?.id)).collect();
        self.members.iter().map(|(id, member)| (id, ids(member))).collect()
    }

    fn subscribed(&self) -> BTreeSet<&str> {
        self.members.values().flat_map(|member| member.topics.iter().map(String::as_str)).collect()
    }

    /// Whether partitions have a state that nobody fetches from.
    fn has_unassigned(&self, topics: &Image) -> bool {
        let subscribed = self.subscribed();
        let wanted = self.assignable(topics);
        let mut wanted = wanted
            .iter()
            .filter(|(id, _)| topics.topic_by_id(**id).is_some_and(|topic| subscribed.contains(&*topic.name)));
        wanted.any(|(id, indexes)| {
            let is_assigned = |index| {
                self.target
                    .values()
                    .any(|own| own.get(id).is_some_and(|indexes: &BTreeSet<i32>| indexes.contains(index)))
            };
            !indexes.iter().all(is_assigned)
        })
    }

    /// Whether the last assignment is old enough for the next, or nobody has anything by it.
    fn may_assign(&self, distance_ms: i32, now: Now) -> bool {
        let since_ms = now.wall_ms.saturating_sub(self.assigned_ms);
        let is_of_nothing = self.target.values().all(|own| own.values().all(BTreeSet::is_empty));
        // A clock that was set back must not hold the group up.
        is_of_nothing || !(0..i64::from(distance_ms)).contains(&since_ms)
    }

    fn assign(&self, topics: &Image) -> BTreeMap<MemberId, Partitions> {
        assign(&self.subscriptions(topics), &self.assignable(topics), &self.target)
    }

    /// Notes the partitions that have no state yet. Whether there are new ones.
    fn add_initializing(&mut self, topics: &Image) -> bool {
        let names: Vec<String> = self.subscribed().into_iter().map(str::to_owned).collect();
        let mut is_changed = false;
        let has = |named: &Named, id: &Uuid, index: &i32| named.get(id).is_some_and(|(_, have)| have.contains(index));
        for name in names {
            let Some(topic) = topics.topic(&name) else { continue };
            for index in topic.partitions.keys() {
                let state = &mut self.partitions;
                if has(&state.initializing, &topic.id, index) || has(&state.initialized, &topic.id, index) {
                    continue;
                }
                let waiting = state.initializing.entry(topic.id).or_insert_with(|| (name.clone(), BTreeSet::new()));
                waiting.1.insert(*index);
                is_changed = true;
            }
        }
        is_changed
    }
}

fn check(request: &ShareHeartbeat) -> Result<(), ShareGroupError> {
    let refuse = |reason| Err(ShareGroupError::InvalidRequest { reason });
    if request.group_id.trim().is_empty() {
        return refuse("GroupId can't be empty.");
    }
    if request.member_id.trim().is_empty() {
        return refuse("MemberId can't be empty.");
    }
    if request.member_epoch < LEAVES {
        return refuse("MemberEpoch is invalid.");
    }
    if request.rack_id.as_ref().is_some_and(|rack| rack.trim().is_empty()) {
        return refuse("RackId can't be empty.");
    }
    if request.member_epoch == JOINS && request.topics.as_ref().is_none_or(Vec::is_empty) {
        return refuse("SubscribedTopicNames must be set in first request.");
    }
    Ok(())
}

fn updated(known: Option<&Member>, request: &ShareHeartbeat) -> Member {
    let mut topics = match (&request.topics, known) {
        (Some(topics), _) => topics.clone(),
        (None, Some(known)) => known.topics.clone(),
        (None, None) => Vec::new(),
    };
    topics.sort();
    topics.dedup();
    Member {
        rack_id: request.rack_id.clone().or_else(|| known.and_then(|known| known.rack_id.clone())),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topics,
    }
}

/// Changes whenever a topic that somebody subscribes to does. Its value means nothing to others.
fn metadata_hash(group: &Group, topics: &Image) -> i64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    let mut any = false;
    for topic in group.subscribed().into_iter().filter_map(|name| topics.topic(name)) {
        any = true;
        topic.id.0.hash(&mut hasher);
        topic.partitions.len().hash(&mut hasher);
    }
    if any { i64::from_ne_bytes(hasher.finish().to_ne_bytes()) } else { 0 }
}

/// FNV-1a: the same in every run, as what is stored must be.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The records of one heartbeat.
struct Changes<'a> {
    group_id: &'a GroupId,
    records: Vec<ShareGroupRecord>,
}

impl Changes<'_> {
    fn member(&mut self, member: &MemberId, value: &Member) {
        let key = ShareGroupMemberMetadataKey { group_id: self.group_id.to_string(), member_id: member.to_string() };
        let value = ShareGroupMemberMetadataValue {
            rack_id: value.rack_id.clone(),
            client_id: value.client_id.clone(),
            client_host: value.client_host.clone(),
            subscribed_topic_names: value.topics.clone(),
        };
        self.records.push(ShareGroupRecord::Member(key, Some(value)));
    }

    fn epoch(&mut self, epoch: i32, metadata_hash: i64) {
        let key = ShareGroupMetadataKey { group_id: self.group_id.to_string() };
        self.records.push(ShareGroupRecord::Group(key, Some(ShareGroupMetadataValue { epoch, metadata_hash })));
    }

    fn target(&mut self, member: &MemberId, assigned: &Partitions) {
        let key =
            ShareGroupTargetAssignmentMemberKey { group_id: self.group_id.to_string(), member_id: member.to_string() };
        let topic = |(id, indexes): (&Uuid, &BTreeSet<i32>)| TopicPartition {
            topic_id: *id,
            partitions: indexes.iter().copied().collect(),
        };
        let value = ShareGroupTargetAssignmentMemberValue { topic_partitions: assigned.iter().map(topic).collect() };
        self.records.push(ShareGroupRecord::TargetMember(key, Some(value)));
    }

    fn assigned(&mut self, assignment_epoch: i32, assignment_timestamp: i64) {
        let key = ShareGroupTargetAssignmentMetadataKey { group_id: self.group_id.to_string() };
        let value = ShareGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
        self.records.push(ShareGroupRecord::Target(key, Some(value)));
    }

    fn current(&mut self, member: &MemberId, current: &Current) {
        let key =
            ShareGroupCurrentMemberAssignmentKey { group_id: self.group_id.to_string(), member_id: member.to_string() };
        let topic = |(id, indexes): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
            topic_id: *id,
            partitions: indexes.iter().copied().collect(),
        };
        let value = ShareGroupCurrentMemberAssignmentValue {
            member_epoch: current.epoch,
            previous_member_epoch: current.previous_epoch,
            state: 0,
            assigned_partitions: current.assigned.iter().map(topic).collect(),
        };
        self.records.push(ShareGroupRecord::Current(key, Some(value)));
    }
}
