//! The share groups of one shard: their state, and how records change it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Partitions, ShareGroupConfig, ShareGroupRecord};
use crate::{
    Uuid,
    group::{GroupId, MemberId, Now},
    protocol::records::{self, share_group},
};

/// A member as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) rack_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    /// In no particular order, each once.
    pub(super) topics: Vec<String>,
}

/// What a member has been told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Current {
    pub(super) epoch: i32,
    pub(super) previous_epoch: i32,
    pub(super) assigned: Partitions,
}

/// Partitions of a topic, with its name at the time.
pub(super) type Named = BTreeMap<Uuid, (String, BTreeSet<i32>)>;

/// Which partitions have a state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StatePartitions {
    pub(super) initializing: Named,
    pub(super) initialized: Named,
    pub(super) deleting: BTreeMap<Uuid, String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    pub(super) assignment_epoch: i32,
    /// When that was, by the wall clock; 0 if not known.
    pub(super) assigned_ms: i64,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) target: BTreeMap<MemberId, Partitions>,
    pub(super) current: BTreeMap<MemberId, Current>,
    pub(super) partitions: StatePartitions,
}

/// The share groups of one partition of `__consumer_offsets`.
#[derive(Debug, Default)]
pub struct ShareGroups {
    pub(super) config: ShareGroupConfig,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// When each member is taken for dead.
    deadlines: BTreeMap<(GroupId, MemberId), i64>,
}

impl ShareGroups {
    /// No groups.
    pub fn new(config: ShareGroupConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Whether there is a share group of that name.
    pub fn contains(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Gives all members a session that begins now.
    pub fn start(&mut self, now: Now) {
        let deadline_ms = now.monotonic_ms.saturating_add(i64::from(self.config.session_timeout_ms));
        for (group_id, group) in &self.groups {
            for member in group.members.keys() {
                self.deadlines.insert((group_id.clone(), member.clone()), deadline_ms);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.deadlines.clear();
    }

    pub(super) fn touch(&mut self, group: &GroupId, member: &MemberId, timeout_ms: i32, now: Now) {
        let deadline_ms = now.monotonic_ms.saturating_add(i64::from(timeout_ms));
        self.deadlines.insert((group.clone(), member.clone()), deadline_ms);
    }

    /// When [`on_timeout`](Self::on_timeout) is to be called, in monotonic milliseconds.
    pub fn next_timeout(&self) -> Option<i64> {
        self.deadlines.values().min().copied()
    }

    /// Removes one member that was silent too long.
    pub fn on_timeout(&mut self, now: Now) -> Vec<ShareGroupRecord> {
        let due = self.deadlines.iter().find(|(_, deadline)| **deadline <= now.monotonic_ms);
        let Some(key) = due.map(|(key, _)| key.clone()) else { return Vec::new() };
        self.deadlines.remove(&key);
        let (group, member) = key;
        self.removal(&group, &member)
    }

    /// Applies one record: the only way in which durable state changes, live and when loading.
    pub fn replay(&mut self, record: &ShareGroupRecord) {
        match record {
            ShareGroupRecord::Group(key, None) => {
                self.groups.remove(key.group_id.as_str());
            }
            ShareGroupRecord::Group(key, Some(value)) => {
                let group = self.group(&key.group_id);
                group.epoch = value.epoch;
                group.metadata_hash = value.metadata_hash;
            }
            ShareGroupRecord::Member(key, Some(value)) => {
                let member = Member {
                    rack_id: value.rack_id.clone(),
                    client_id: value.client_id.clone(),
                    client_host: value.client_host.clone(),
                    topics: value.subscribed_topic_names.clone(),
                };
                self.group(&key.group_id).members.insert(key.member_id.as_str().into(), member);
            }
            ShareGroupRecord::Member(key, None) => {
                self.deadlines.remove(&(key.group_id.as_str().into(), key.member_id.as_str().into()));
                if let Some(group) = self.groups.get_mut(key.group_id.as_str()) {
                    group.members.remove(key.member_id.as_str());
                }
            }
            ShareGroupRecord::Target(key, value) => {
                if let Some(group) = self.known(&key.group_id, value.is_some()) {
                    let assigned = value.as_ref().map(|value| (value.assignment_epoch, value.assignment_timestamp));
                    (group.assignment_epoch, group.assigned_ms) = assigned.unwrap_or_default();
                }
            }
            ShareGroupRecord::TargetMember(key, value) => {
                let Some(group) = self.known(&key.group_id, value.is_some()) else { return };
                match value {
                    Some(value) => {
                        let topics = value.topic_partitions.iter();
                        let assigned = topics.map(|t| (t.topic_id, t.partitions.iter().copied().collect()));
                        group.target.insert(key.member_id.as_str().into(), assigned.collect());
                    }
                    None => drop(group.target.remove(key.member_id.as_str())),
                }
            }
            ShareGroupRecord::Current(key, value) => {
                let Some(group) = self.known(&key.group_id, value.is_some()) else { return };
                match value {
                    Some(value) => {
                        let topics = value.assigned_partitions.iter();
                        let assigned = topics.map(|t| (t.topic_id, t.partitions.iter().copied().collect()));
                        let current = Current {
                            epoch: value.member_epoch,
                            previous_epoch: value.previous_member_epoch,
                            assigned: assigned.collect(),
                        };
                        group.current.insert(key.member_id.as_str().into(), current);
                    }
                    None => drop(group.current.remove(key.member_id.as_str())),
                }
            }
            ShareGroupRecord::Partitions(key, value) => {
                if let Some(group) = self.known(&key.group_id, value.is_some()) {
                    group.partitions = value.as_ref().map(StatePartitions::from_record).unwrap_or_default();
                }
            }
        }
    }

    fn group(&mut self, group: &str) -> &mut Group {
        self.groups.entry(group.into()).or_default()
    }

    /// The group of a record; a tombstone makes none.
    fn known(&mut self, group: &str, has_value: bool) -> Option<&mut Group> {
        if has_value { Some(self.group(group)) } else { self.groups.get_mut(group) }
    }
}

impl StatePartitions {
    fn from_record(value: &records::ShareGroupStatePartitionMetadataValue) -> Self {
        let named = |topics: &[share_group::TopicPartitionsInfo]| {
            let topic = |topic: &share_group::TopicPartitionsInfo| {
                (topic.topic_id, (topic.topic_name.clone(), topic.partitions.iter().copied().collect()))
            };
            topics.iter().map(topic).collect()
        };
        Self {
            initializing: named(&value.initializing_topics),
            initialized: named(&value.initialized_topics),
            deleting: value.deleting_topics.iter().map(|t| (t.topic_id, t.topic_name.clone())).collect(),
        }
    }

    pub(super) fn to_record(&self, group: &GroupId) -> ShareGroupRecord {
        let wire = |named: &Named| {
            let topic =
                |(id, (name, partitions)): (&Uuid, &(String, BTreeSet<i32>))| share_group::TopicPartitionsInfo {
                    topic_id: *id,
                    topic_name: name.clone(),
                    partitions: partitions.iter().copied().collect(),
                };
            named.iter().map(topic).collect()
        };
        let deleting = self.deleting.iter();
        ShareGroupRecord::Partitions(
            records::ShareGroupStatePartitionMetadataKey { group_id: group.to_string() },
            Some(records::ShareGroupStatePartitionMetadataValue {
                initializing_topics: wire(&self.initializing),
                initialized_topics: wire(&self.initialized),
                deleting_topics: deleting
                    .map(|(id, name)| share_group::TopicInfo { topic_id: *id, topic_name: name.clone() })
                    .collect(),
            }),
        )
    }
}
