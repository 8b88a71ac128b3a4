//! A member has called with what it wants now: the records that follow, from what it told to the tasks it has next.
//!
//! Source: Kafka `GroupMetadataManager.{streamsGroupHeartbeat, maybeUpdateTopology, maybeUpdateStreamsTargetAssignment}`.

use std::sync::Arc;

use super::{
    ConfiguredTopology, GroupStatus, StatusCode, StreamsEpoch, StreamsHeartbeat, StreamsRecord, TaskSet, Tasks,
    Topology,
    group::{StreamsGroup, StreamsMember},
    reconciliation::next_step,
    target::{Assigning, assignment_configs, may_assign},
};
use crate::group::{GroupError, GroupRecord, Now, Topics, config::StreamsConfig};

/// A group in the state before the records of this call.
pub(super) struct Update<'a> {
    pub(super) group: &'a StreamsGroup,
    pub(super) topics: &'a Topics,
    pub(super) config: &'a StreamsConfig,
    pub(super) now: Now,
    /// Whether the group still waits for its first members.
    pub(super) is_delayed: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Updated {
    /// The member as it is now.
    pub(super) member: StreamsMember,
    /// The topology on the topics of now.
    pub(super) configured: Arc<ConfiguredTopology>,
    /// Whether the group's topics were found to be what they were.
    pub(super) is_checked: bool,
    /// What the member should know.
    pub(super) status: Vec<GroupStatus>,
}

impl Update<'_> {
    /// Leads `member`, which was `before`, as far as it can come now.
    pub(super) fn apply(
        &self,
        before: &StreamsMember,
        mut member: StreamsMember,
        request: &StreamsHeartbeat,
        told: Option<Arc<Topology>>,
        records: &mut Vec<GroupRecord>,
    ) -> Result<Updated, GroupError> {
        let group = self.group;
        let mut status = Vec::new();
        let mut bumps = member.info != before.info || !group.members.contains_key(&member.id);
        if bumps {
            let info = Some(Box::new(member.info.clone()));
            records.push(group.record(StreamsRecord::Member(member.id.clone(), info)));
        }
        let topology = self.topology(told, records)?;
        if group.topology.as_ref().is_some_and(|topology| member.info.topology_epoch < topology.epoch) {
            let (own, known) = (member.info.topology_epoch.0, topology.epoch.0);
            let detail = format!("the member's topology is of epoch {own}, that of the group of epoch {known}");
            status.push(GroupStatus { code: StatusCode::StaleTopology, detail });
        }
        let (metadata_hash, configured) = self.configured(&topology)?;
        bumps |= metadata_hash != group.group.metadata_hash;
        if configured.is_ready() {
            for tasks in [&request.active, &request.standby, &request.warmup].into_iter().flatten() {
                check_tasks(tasks, &configured)?;
            }
        }
        let validated_topology = configured.is_ready().then_some(topology.epoch);
        bumps |= validated_topology != group.group.validated_topology;
        let assignment_configs = assignment_configs(self.topics, self.config, &group.id);
        let stored = &group.group.assignment_configs;
        bumps |= !stored.is_empty() && *stored != assignment_configs;

        let mut epoch = group.group.epoch;
        if bumps {
            epoch = epoch.next();
            let assignment_configs = assignment_configs.clone();
            let value = StreamsEpoch { epoch, metadata_hash, validated_topology, assignment_configs };
            records.push(group.record(StreamsRecord::Group(Some(value))));
        }
        let delayed = |detail: &str| GroupStatus { code: StatusCode::AssignmentDelayed, detail: detail.to_owned() };
        let last_target = || group.targets.get(&member.id).cloned().unwrap_or_default();
        let (target_epoch, target) = if self.is_delayed {
            status.push(delayed("the first assignment waits for more members (streams.initial.rebalance.delay.ms)"));
            (group.target.epoch, Tasks::default())
        } else if epoch <= group.target.epoch {
            (group.target.epoch, last_target())
        } else if !may_assign(group, self.topics, self.config, self.now) {
            status.push(delayed("the last assignment is too recent (streams.assignment.interval.ms)"));
            (group.target.epoch, last_target())
        } else {
            let assigning = Assigning { group, epoch, updated: Some(&member), configured: &configured };
            let mut targets = assigning.assign(&assignment_configs, self.now, records);
            (epoch, targets.remove(&member.id).unwrap_or_default())
        };
        if !member.is_reconciled_to(target_epoch) {
            let next = next_step(group, &member, (target_epoch, &target), request.owned().as_ref())?;
            if next != member.current {
                records.push(group.record(StreamsRecord::Current(member.id.clone(), Some(next.clone()))));
                member.current = next;
            }
        }
        let is_checked = metadata_hash == group.group.metadata_hash;
        Ok(Updated { member, configured, is_checked, status })
    }

    /// The topology of the group: the one its first member brought.
    fn topology(
        &self,
        told: Option<Arc<Topology>>,
        records: &mut Vec<GroupRecord>,
    ) -> Result<Arc<Topology>, GroupError> {
        let invalid = |reason| Err(GroupError::InvalidRequest { reason });
        match (told, &self.group.topology) {
            (Some(told), None) => {
                records.push(self.group.record(StreamsRecord::Topology(Some(Arc::clone(&told)))));
                Ok(told)
            }
            (Some(told), Some(known)) if told.epoch >= known.epoch && told != *known => {
                invalid("Topology updates are not supported yet.")
            }
            (_, Some(known)) => Ok(Arc::clone(known)),
            (None, None) => invalid("The group has no topology: the member must join again with its own."),
        }
    }

    /// The topology on the topics of now, with the hash of those.
    fn configured(&self, topology: &Topology) -> Result<(i64, Arc<ConfiguredTopology>), GroupError> {
        let group = self.group;
        let known = group.soft.configured.as_ref().filter(|_| group.topology.is_some());
        if let Some(configured) = known
            && group.soft.checked_version == Some(self.topics.version())
        {
            return Ok((group.group.metadata_hash, Arc::clone(configured)));
        }
        let metadata_hash = topology.metadata_hash(self.topics);
        match known {
            Some(configured) if metadata_hash == group.group.metadata_hash => {
                Ok((metadata_hash, Arc::clone(configured)))
            }
            _ => Ok((metadata_hash, Arc::new(ConfiguredTopology::on_topics(topology, self.topics)?))),
        }
    }
}

/// Checks that there are such tasks.
fn check_tasks(tasks: &TaskSet, configured: &ConfiguredTopology) -> Result<(), GroupError> {
    for (part, partitions) in tasks {
        let Some((_, known)) = configured.assignable().find(|(id, _)| *id == part) else {
            return Err(GroupError::UnknownSubtopology { subtopology: Arc::clone(part) });
        };
        if let Some(partition) = partitions.iter().find(|partition| !(0..known.task_count).contains(*partition)) {
            let (subtopology, count) = (Arc::clone(part), known.task_count);
            return Err(GroupError::UnknownTask { subtopology, partition: *partition, count });
        }
    }
    Ok(())
}
