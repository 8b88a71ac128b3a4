//! StreamsGroupHeartbeat: the one call of the streams protocol. A member joins with its topology, says which tasks it
//! owns, is told which to have, and leaves.
//!
//! | member epoch | meaning |
//! |---|---|
//! | 0 | joins, or begins anew with what it has; makes the group if there is none |
//! | the one it has reached | stays |
//! | the one before, owning no more than it has | stays: it has missed the answer |
//! | any other | is fenced, gives everything up and joins again |
//! | -1 | leaves |
//!
//! Static members (-2), warm-up tasks, patterns of topics and offsets of tasks are in the protocol; as in Kafka 4.3,
//! who comes with one is refused.
//!
//! Source: Kafka `GroupMetadataManager.streamsGroupHeartbeat`, `GroupCoordinatorService`; KIP-1071.

use std::sync::Arc;

use super::{
    GroupStatus, StatusCode, StreamsHeartbeat, StreamsHeartbeatResponse, StreamsRecord, TaskSet, Tasks, Topology,
    endpoints::endpoints,
    group::{StreamsGroup, StreamsMember},
    has_task,
    target::{Assigning, assignment_configs},
    update::Update,
};
use crate::group::{
    Decision, Epoch, GroupError, GroupId, GroupRecord, GroupShard, GroupState, MemberState, Now, classic::Context,
    timer::Timer,
};

const SESSION_TIMEOUT: &str = "streams.session.timeout.ms";
const HEARTBEAT_INTERVAL: &str = "streams.heartbeat.interval.ms";
const INITIAL_DELAY: &str = "streams.initial.rebalance.delay.ms";

impl GroupShard {
    /// A member of the streams protocol calls.
    pub fn streams_heartbeat(
        &mut self,
        request: &StreamsHeartbeat,
        now: Now,
    ) -> Decision<Result<StreamsHeartbeatResponse, GroupError>> {
        let mut out = Decision::empty();
        let response = match request.validate() {
            Err(error) => Err(error),
            Ok(_) if request.member_epoch < Epoch::JOINING => self.streams_leave(request, &mut out),
            Ok(topology) => self.streams_join_or_stay(request, topology, now, &mut out),
        };
        if response.is_err() {
            out.records.clear();
        }
        out.with(response)
    }

    fn streams_join_or_stay(
        &mut self,
        request: &StreamsHeartbeat,
        told: Option<Arc<Topology>>,
        now: Now,
        out: &mut Decision,
    ) -> Result<StreamsHeartbeatResponse, GroupError> {
        let group_id = &request.group_id;
        let made = match self.streams.contains_key(group_id) {
            true => None,
            false if request.joins() => Some(self.new_streams_group(group_id, &mut out.records)?),
            false => return Err(self.no_streams_group(group_id)),
        };
        let Some(group) = made.as_ref().or_else(|| self.streams.get(group_id)) else {
            return Err(self.no_streams_group(group_id));
        };
        let limit = self.config.streams.members_max;
        if request.joins() && group.members.len() >= limit {
            return Err(GroupError::GroupFull { group: group_id.clone(), limit });
        }
        let before = group.caller(request)?;
        let initial_delay = Timer::StreamsInitialDelay(group_id.clone());
        let initial_delay_ms = self.initial_delay_ms(group_id);
        let begins_delay = group.is_empty() && initial_delay_ms > 0 && !self.timers.is_set(&initial_delay);
        let update = Update {
            group,
            topics: &self.topics,
            config: &self.config.streams,
            now,
            is_delayed: begins_delay || self.timers.is_set(&initial_delay),
        };
        let mut updated = update.apply(&before, with_changes(&before, request), request, told, &mut out.records)?;
        let member = updated.member;
        let assigned = member.current.assigned.tasks();
        let is_told = request.joins() || assigned != before.current.assigned.tasks();
        let endpoint_epoch =
            group.soft.endpoint_epoch.wrapping_add(i32::from(is_told && member.info.user_endpoint.is_some()));
        let served = (endpoint_epoch != request.endpoint_epoch)
            .then(|| endpoints(group, &member, &updated.configured, &self.topics));
        let mut topics_to_create = Default::default();
        if let Some(problem) = &updated.configured.problem {
            updated.status.push(GroupStatus { code: problem.status(), detail: problem.to_string() });
            topics_to_create = updated.configured.topics_to_create.clone();
        }
        let shutdown_by = group.soft.shutdown_by.clone();
        let shutdown_by = shutdown_by.or_else(|| request.shutdown_application.then(|| member.id.clone()));
        if let Some(member_id) = &shutdown_by {
            let detail = format!("member {member_id} met a fatal error and asked the whole application to shut down");
            updated.status.push(GroupStatus { code: StatusCode::ShutdownApplication, detail });
        }
        let is_new_group = made.is_some();
        if let Some(group) = self.streams.get_mut(group_id) {
            group.soft.checked_version = updated.is_checked.then_some(self.topics.version());
            group.soft.configured = Some(updated.configured);
            group.soft.endpoint_epoch = endpoint_epoch;
            group.soft.shutdown_by = shutdown_by;
        }
        let session_ms = self.streams_session_ms(group_id);
        let heartbeat_interval_ms = self.topics.group_setting(group_id, HEARTBEAT_INTERVAL);
        let Self { config, timers, .. } = self;
        let mut cx = Context { config, timers, now, out };
        if begins_delay {
            cx.set(initial_delay, initial_delay_ms);
        }
        cx.set(Timer::StreamsSession(group_id.clone(), member.id.clone()), session_ms);
        if member.current != before.current {
            await_revocation(group_id, &member, &mut cx);
        }
        Ok(StreamsHeartbeatResponse {
            member_id: member.id.clone(),
            member_epoch: member.epoch(),
            heartbeat_interval_ms: heartbeat_interval_ms.unwrap_or(config.streams.heartbeat_interval_ms),
            status: updated.status,
            tasks: is_told.then_some(assigned),
            // What is known of a group that has just been made is gone with the call.
            endpoint_epoch: if is_new_group { 0 } else { endpoint_epoch },
            endpoints: served,
            topics_to_create,
        })
    }

    /// A group for a member that joins where there is none, or only positions.
    fn new_streams_group(
        &self,
        group_id: &GroupId,
        records: &mut Vec<GroupRecord>,
    ) -> Result<StreamsGroup, GroupError> {
        let wrong_type = || GroupError::WrongType { group: group_id.clone(), expected: "streams" };
        if self.consumers.contains_key(group_id) || self.share.contains(group_id) {
            return Err(wrong_type());
        }
        match self.groups.get(group_id) {
            Some(classic) if classic.state != GroupState::Empty => return Err(wrong_type()),
            Some(_) => records.push(GroupRecord::Group { group_id: group_id.clone(), value: None }),
            None if self.group_count() >= self.config.groups_max => {
                return Err(GroupError::TooManyGroups { limit: self.config.groups_max });
            }
            None => {}
        }
        Ok(StreamsGroup::new(group_id.clone()))
    }

    fn streams_leave(
        &mut self,
        request: &StreamsHeartbeat,
        out: &mut Decision,
    ) -> Result<StreamsHeartbeatResponse, GroupError> {
        let group_id = &request.group_id;
        let missing = self.no_streams_group(group_id);
        let group = self.streams.get_mut(group_id).ok_or(missing)?;
        if request.shutdown_application {
            group.soft.shutdown_by.get_or_insert_with(|| request.member_id.clone());
        }
        group.member(&request.member_id)?;
        self.fence_streams_member(group_id, &request.member_id, out);
        Ok(StreamsHeartbeatResponse {
            member_id: request.member_id.clone(),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            status: Vec::new(),
            tasks: None,
            endpoint_epoch: 0,
            endpoints: None,
            topics_to_create: Default::default(),
        })
    }

    /// Why there is no streams group of that id.
    pub(super) fn no_streams_group(&self, group_id: &GroupId) -> GroupError {
        match self.groups.contains_key(group_id) || self.consumers.contains_key(group_id) {
            true => GroupError::WrongType { group: group_id.clone(), expected: "streams" },
            false => GroupError::GroupNotFound { group: group_id.clone() },
        }
    }

    /// How long a member of the streams protocol may be silent.
    pub(super) fn streams_session_ms(&self, group_id: &GroupId) -> i64 {
        let own = self.topics.group_setting(group_id, SESSION_TIMEOUT);
        i64::from(own.unwrap_or(self.config.streams.session_timeout_ms))
    }

    fn initial_delay_ms(&self, group_id: &GroupId) -> i64 {
        let own = self.topics.group_setting(group_id, INITIAL_DELAY);
        i64::from(own.unwrap_or(self.config.streams.initial_rebalance_delay_ms))
    }

    /// The members have been waited for: the group gets its first assignment.
    pub(super) fn on_streams_initial_delay(&mut self, group_id: &GroupId, now: Now, out: &mut Decision) {
        let Some(group) = self.streams.get(group_id) else { return };
        if group.is_empty() || group.group.epoch <= group.target.epoch {
            return;
        }
        // The topics of a group that has had one call only have not been looked at; the next call assigns then.
        let Some(configured) = group.soft.configured.clone() else { return };
        let configs = assignment_configs(&self.topics, &self.config.streams, group_id);
        let assigning = Assigning { group, epoch: group.group.epoch, updated: None, configured: &configured };
        assigning.assign(&configs, now, &mut out.records);
    }
}

/// Gives a member that is to give tasks back its time for that, and takes it from one that is not.
pub(super) fn await_revocation(group_id: &GroupId, member: &StreamsMember, cx: &mut Context<'_>) {
    let timer = Timer::StreamsRebalance(group_id.clone(), member.id.clone());
    if member.current.state == MemberState::UnrevokedPartitions {
        cx.set(timer, i64::from(member.info.rebalance_timeout_ms));
    } else {
        cx.timers.cancel(&timer);
    }
}

/// The member with what the call changes.
fn with_changes(before: &StreamsMember, request: &StreamsHeartbeat) -> StreamsMember {
    let mut member = before.clone();
    let info = &mut member.info;
    info.rack_id = request.rack_id.clone().or(info.rack_id.take());
    info.user_endpoint = request.user_endpoint.clone().or(info.user_endpoint.take());
    if let Some(timeout_ms) = request.rebalance_timeout_ms {
        info.rebalance_timeout_ms = timeout_ms;
    }
    if let Some(topology) = &request.topology {
        info.topology_epoch = topology.epoch;
    }
    if let Some(process_id) = &request.process_id {
        info.process_id.clone_from(process_id);
    }
    if let Some(tags) = &request.client_tags {
        info.client_tags.clone_from(tags);
    }
    info.client_id.clone_from(&request.client_id);
    info.client_host.clone_from(&request.client_host);
    member
}

impl StreamsGroup {
    /// The member that calls, as it was.
    fn caller(&self, request: &StreamsHeartbeat) -> Result<StreamsMember, GroupError> {
        let Some(member) = self.members.get(&request.member_id) else {
            return match request.joins() {
                true => Ok(StreamsMember::new(request.member_id.clone())),
                false => Err(GroupError::UnknownMember),
            };
        };
        let (known, told) = (member.epoch(), request.member_epoch);
        let missed_answer = || {
            told < known
                && told == member.current.previous_epoch
                && request.owned().is_some_and(|owned| owns_no_more(member, &owned))
        };
        if told == known || request.joins() || missed_answer() {
            Ok(member.clone())
        } else {
            Err(GroupError::FencedMemberEpoch { known, told })
        }
    }
}

fn owns_no_more(member: &StreamsMember, owned: &Tasks) -> bool {
    let assigned = member.current.assigned.tasks();
    let within = |owned: &TaskSet, assigned: &TaskSet| {
        owned.iter().all(|(part, partitions)| partitions.iter().all(|p| has_task(assigned, part, *p)))
    };
    within(&owned.active, &assigned.active)
        && within(&owned.standby, &assigned.standby)
        && within(&owned.warmup, &assigned.warmup)
}

/// The record that brings a group to its next epoch when a member goes.
pub(super) fn next_epoch(group: &StreamsGroup) -> GroupRecord {
    let mut value = group.group.clone();
    value.epoch = value.epoch.next();
    group.record(StreamsRecord::Group(Some(value)))
}
