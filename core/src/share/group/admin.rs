//! What operators ask of share groups: which there are, what one looks like, that one be gone, or begin elsewhere.

use super::{Partitions, ShareGroupError, ShareGroupRecord, ShareGroups, state::Group};
use crate::{
    Uuid,
    group::{GroupId, MemberId},
    metadata::Image,
    protocol::records::{
        ShareGroupMetadataKey, ShareGroupMetadataValue, ShareGroupStatePartitionMetadataKey,
        ShareGroupTargetAssignmentMetadataKey,
    },
};

/// Where a share group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareGroupState {
    /// It has no members.
    Empty,
    /// It has members.
    Stable,
}

impl ShareGroupState {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Stable => "Stable",
        }
    }
}

/// A share group in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedShareGroup {
    /// Where it stands.
    pub state: ShareGroupState,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch its partitions were assigned for.
    pub assignment_epoch: i32,
    /// Who is in it.
    pub members: Vec<DescribedShareMember>,
}

/// A member of a share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedShareMember {
    /// Its id.
    pub member_id: MemberId,
    /// Where it is.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub epoch: i32,
    /// The name of its client.
    pub client_id: String,
    /// Its address.
    pub client_host: String,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// What it fetches from.
    pub assigned: Partitions,
}

impl Group {
    fn state(&self) -> ShareGroupState {
        if self.members.is_empty() { ShareGroupState::Empty } else { ShareGroupState::Stable }
    }
}

impl ShareGroups {
    /// All groups with their states.
    pub fn list(&self) -> impl Iterator<Item = (&GroupId, ShareGroupState)> {
        self.groups.iter().map(|(id, group)| (id, group.state()))
    }

    fn get(&self, group_id: &str) -> Result<&Group, ShareGroupError> {
        self.groups.get(group_id).ok_or_else(|| ShareGroupError::GroupNotFound { group: group_id.to_owned() })
    }

    /// One group in full.
    ///
    /// # Errors
    /// If there is no such share group.
    pub fn describe(&self, group_id: &str) -> Result<DescribedShareGroup, ShareGroupError> {
        let group = self.get(group_id)?;
        let members = group.members.iter().map(|(id, member)| {
            let current = group.current.get(id).cloned().unwrap_or_default();
            DescribedShareMember {
                member_id: id.clone(),
                rack_id: member.rack_id.clone(),
                epoch: current.epoch,
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                topics: member.topics.clone(),
                assigned: current.assigned,
            }
        });
        Ok(DescribedShareGroup {
            state: group.state(),
            epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            members: members.collect(),
        })
    }

    /// The partitions that have a state, or are about to get one.
    ///
    /// # Errors
    /// If there is no such share group.
    pub fn partitions(&self, group_id: &str) -> Result<Partitions, ShareGroupError> {
        let state = &self.get(group_id)?.partitions;
        let mut all = Partitions::new();
        for (id, (_, indexes)) in state.initialized.iter().chain(&state.initializing) {
            all.entry(*id).or_default().extend(indexes);
        }
        Ok(all)
    }

    /// The partitions that have a state, if nobody is in the group.
    ///
    /// # Errors
    /// If there is no such share group, or it has members.
    pub fn partitions_of_empty(&self, group_id: &str) -> Result<Partitions, ShareGroupError> {
        if !self.get(group_id)?.members.is_empty() {
            return Err(ShareGroupError::NotEmpty);
        }
        self.partitions(group_id)
    }

    /// The records that delete a group.
    ///
    /// # Errors
    /// If there is no such share group, or it has members.
    pub fn delete(&self, group_id: &str) -> Result<Vec<ShareGroupRecord>, ShareGroupError> {
        self.partitions_of_empty(group_id)?;
        let group_id = group_id.to_owned();
        let partitions = ShareGroupStatePartitionMetadataKey { group_id: group_id.clone() };
        let target = ShareGroupTargetAssignmentMetadataKey { group_id: group_id.clone() };
        Ok(vec![
            ShareGroupRecord::Partitions(partitions, None),
            ShareGroupRecord::Target(target, None),
            ShareGroupRecord::Group(ShareGroupMetadataKey { group_id }, None),
        ])
    }

    /// The records after which a group knows nothing of some topics, and where their states are to be deleted.
    pub fn forget_topics(&self, group_id: &GroupId, topics: &[Uuid]) -> Vec<ShareGroupRecord> {
        let Some(group) = self.groups.get(group_id) else { return Vec::new() };
        let mut state = group.partitions.clone();
        state.initialized.retain(|id, _| !topics.contains(id));
        state.initializing.retain(|id, _| !topics.contains(id));
        state.deleting.retain(|id, _| !topics.contains(id));
        if state == group.partitions { Vec::new() } else { vec![state.to_record(group_id)] }
    }

    /// The groups that know one of some topics.
    pub fn groups_with(&self, topics: &[Uuid]) -> Vec<GroupId> {
        let knows = |group: &Group| {
            let state = &group.partitions;
            topics.iter().any(|id| state.initialized.contains_key(id) || state.initializing.contains_key(id))
        };
        self.groups.iter().filter(|(_, group)| knows(group)).map(|(id, _)| id.clone()).collect()
    }

    /// A new epoch for states that are set by hand, with the records that make it so and count the partitions in. A group
    /// that does not exist is made.
    ///
    /// # Errors
    /// If the group has members.
    pub fn begin_alteration(
        &self,
        group_id: &GroupId,
        partitions: &Partitions,
        topics: &Image,
    ) -> Result<(Vec<ShareGroupRecord>, i32), ShareGroupError> {
        let group = self.groups.get(group_id).cloned().unwrap_or_default();
        if !group.members.is_empty() {
            return Err(ShareGroupError::NotEmpty);
        }
        let epoch = group.epoch.saturating_add(1);
        let key = ShareGroupMetadataKey { group_id: group_id.to_string() };
        let value = ShareGroupMetadataValue { epoch, metadata_hash: group.metadata_hash };
        let mut state = group.partitions;
        for (id, indexes) in partitions {
            let Some(topic) = topics.topic_by_id(*id) else { continue };
            let named = || (topic.name.to_string(), std::collections::BTreeSet::new());
            state.initialized.entry(*id).or_insert_with(named).1.extend(indexes);
            if let Some((_, waiting)) = state.initializing.get_mut(id) {
                waiting.retain(|index| !indexes.contains(index));
            }
        }
        state.initializing.retain(|_, (_, waiting)| !waiting.is_empty());
        Ok((vec![ShareGroupRecord::Group(key, Some(value)), state.to_record(group_id)], epoch))
    }
}
