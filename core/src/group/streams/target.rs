//! The target assignment: what every member is to have at the group's epoch. Only what changes is written. Without a
//! topology that fits its topics nobody has anything.
//!
//! A new one is not decided sooner than an interval after the last, so that members that start together cost one
//! assignment (KIP-1263).
//!
//! Source: Kafka `streams.TargetAssignmentBuilder`, `GroupMetadataManager.streamsGroupAssignmentConfigs`.

use std::collections::BTreeMap;

use super::{
    AssignorInput, AssignorMember, ConfiguredTopology, StreamsRecord, SubtopologyTasks, Tasks, assign,
    group::{StreamsGroup, StreamsMember},
};
use crate::group::{Epoch, GroupId, GroupRecord, MemberId, Now, TargetEpoch, Topics, config::StreamsConfig};

/// The setting of a group for the time between two assignments.
const ASSIGNMENT_INTERVAL: &str = "streams.assignment.interval.ms";
/// The setting of a group for the copies of its state.
const STANDBY_REPLICAS: &str = "streams.num.standby.replicas";
/// What that is called where it is stored with the group.
const STANDBY_REPLICAS_CONFIG: &str = "num.standby.replicas";

/// The settings that go into an assignment.
pub(super) fn assignment_configs(
    topics: &Topics,
    config: &StreamsConfig,
    group_id: &GroupId,
) -> BTreeMap<String, String> {
    let replicas = topics.group_setting(group_id, STANDBY_REPLICAS).unwrap_or(config.standby_replicas);
    BTreeMap::from([(STANDBY_REPLICAS_CONFIG.to_owned(), replicas.to_string())])
}

/// Whether the last assignment is old enough for the next.
pub(super) fn may_assign(group: &StreamsGroup, topics: &Topics, config: &StreamsConfig, now: Now) -> bool {
    let interval_ms = topics.group_setting(&group.id, ASSIGNMENT_INTERVAL).unwrap_or(config.assignment_interval_ms);
    let since_ms = now.wall_ms.saturating_sub(group.target.timestamp_ms);
    // A clock that was set back must not hold the group up.
    !(0..i64::from(interval_ms)).contains(&since_ms)
}

/// The group as it is to be assigned: some of it is not replayed yet.
pub(super) struct Assigning<'a> {
    pub(super) group: &'a StreamsGroup,
    /// The group's epoch.
    pub(super) epoch: Epoch,
    /// The member that calls, as it is now.
    pub(super) updated: Option<&'a StreamsMember>,
    pub(super) configured: &'a ConfiguredTopology,
}

impl Assigning<'_> {
    /// Decides the targets.
    pub(super) fn assign(
        &self,
        configs: &BTreeMap<String, String>,
        now: Now,
        records: &mut Vec<GroupRecord>,
    ) -> BTreeMap<MemberId, Tasks> {
        let group = self.group;
        let none = Tasks::default();
        let mut input = AssignorInput::default();
        let others = group.members.values().filter(|member| self.updated.is_none_or(|updated| updated.id != member.id));
        for member in others.chain(self.updated) {
            let target = group.targets.get(&member.id).unwrap_or(&none);
            input.members.insert(&member.id, AssignorMember { process_id: &member.info.process_id, target });
        }
        for (id, part) in self.configured.assignable() {
            let tasks = SubtopologyTasks { task_count: part.task_count, stateful: part.is_stateful() };
            input.subtopologies.insert(id, tasks);
        }
        let replicas = configs.get(STANDBY_REPLICAS_CONFIG).and_then(|replicas| replicas.parse().ok());
        input.standby_replicas = replicas.unwrap_or(0);
        let targets = assign(&input);
        for (member_id, target) in &targets {
            if group.targets.get(member_id) != Some(target) {
                records.push(group.record(StreamsRecord::Target(member_id.clone(), Some(target.clone()))));
            }
        }
        let value = TargetEpoch { epoch: self.epoch, timestamp_ms: now.wall_ms };
        records.push(group.record(StreamsRecord::TargetEpoch(Some(value))));
        targets
    }
}
