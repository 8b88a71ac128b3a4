//! What share groups weigh; see [`group`](crate::group).

use std::collections::BTreeSet;

use super::{
    Partitions, ShareGroupRecord, ShareGroups,
    state::{Current, Group, Member, Named, StatePartitions},
};
use crate::{
    Uuid,
    budget::{entry_bytes, heap_bytes, map_bytes, node_bytes},
    group::{GroupId, MemberId},
};

/// A group without members.
const GROUP: usize = entry_bytes::<GroupId, Group>()
    + node_bytes::<MemberId, Member>()
    + node_bytes::<MemberId, Partitions>()
    + node_bytes::<MemberId, Current>();
/// What a member takes, whatever it tells: itself and its deadline.
const MEMBER: usize = entry_bytes::<MemberId, Member>() + entry_bytes::<(GroupId, MemberId), i64>();

impl ShareGroups {
    /// The terms of the weight of all groups that a record can change.
    pub(crate) fn weight_at(&self, record: &ShareGroupRecord) -> usize {
        let id = group_id(record);
        let Some(group) = self.groups.get(id) else { return 0 };
        let part = match record {
            ShareGroupRecord::Group(_, None) => group.weight(),
            ShareGroupRecord::Group(_, Some(_)) | ShareGroupRecord::Target(..) => 0,
            ShareGroupRecord::Member(key, _) => {
                group.members.get(key.member_id.as_str()).map_or(0, |member| member_weight(&key.member_id, member))
            }
            ShareGroupRecord::TargetMember(key, _) => {
                group.target.get(key.member_id.as_str()).map_or(0, |target| target_weight(&key.member_id, target))
            }
            ShareGroupRecord::Current(key, _) => {
                group.current.get(key.member_id.as_str()).map_or(0, |current| current_weight(&key.member_id, current))
            }
            ShareGroupRecord::Partitions(..) => group.partitions.weight(),
        };
        GROUP + heap_bytes(id.len()) + part
    }

    /// The weight of all groups.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> usize {
        self.groups.iter().map(|(id, group)| GROUP + heap_bytes(id.len()) + group.weight()).sum()
    }

    /// By how much a record makes them grow with what a client has chosen.
    pub(crate) fn growth(&self, record: &ShareGroupRecord) -> usize {
        let ShareGroupRecord::Member(key, Some(value)) = record else { return 0 };
        let member = Member {
            rack_id: value.rack_id.clone(),
            client_id: value.client_id.clone(),
            client_host: value.client_host.clone(),
            topics: value.subscribed_topic_names.clone(),
        };
        let after = GROUP + heap_bytes(key.group_id.len()) + member_weight(&key.member_id, &member);
        after.saturating_sub(self.weight_at(record))
    }
}

fn group_id(record: &ShareGroupRecord) -> &str {
    match record {
        ShareGroupRecord::Member(key, _) => &key.group_id,
        ShareGroupRecord::Group(key, _) => &key.group_id,
        ShareGroupRecord::Target(key, _) => &key.group_id,
        ShareGroupRecord::TargetMember(key, _) => &key.group_id,
        ShareGroupRecord::Current(key, _) => &key.group_id,
        ShareGroupRecord::Partitions(key, _) => &key.group_id,
    }
}

impl Group {
    /// All in it, without itself.
    fn weight(&self) -> usize {
        let members = self.members.iter().map(|(id, member)| member_weight(id, member));
        let targets = self.target.iter().map(|(id, target)| target_weight(id, target));
        let current = self.current.iter().map(|(id, current)| current_weight(id, current));
        members.chain(targets).chain(current).sum::<usize>() + self.partitions.weight()
    }
}

fn member_weight(id: &str, member: &Member) -> usize {
    let topics: usize = member.topics.iter().map(|topic| size_of::<String>() + heap_bytes(topic.len())).sum();
    MEMBER
        + 2 * heap_bytes(id.len())
        + member.rack_id.as_ref().map_or(0, |rack| heap_bytes(rack.len()))
        + heap_bytes(member.client_id.len())
        + heap_bytes(member.client_host.len())
        + heap_bytes(0)
        + topics
}

fn partitions_weight(partitions: &Partitions) -> usize {
    let indexes: usize = partitions.values().map(|indexes| map_bytes::<i32, ()>(indexes.len())).sum();
    map_bytes::<Uuid, BTreeSet<i32>>(partitions.len()) + indexes
}

fn target_weight(id: &str, target: &Partitions) -> usize {
    entry_bytes::<MemberId, Partitions>() + heap_bytes(id.len()) + partitions_weight(target)
}

fn current_weight(id: &str, current: &Current) -> usize {
    entry_bytes::<MemberId, Current>() + heap_bytes(id.len()) + partitions_weight(&current.assigned)
}

impl StatePartitions {
    fn weight(&self) -> usize {
        let named = |topics: &Named| {
            let each =
                topics.values().map(|(name, indexes)| heap_bytes(name.len()) + map_bytes::<i32, ()>(indexes.len()));
            map_bytes::<Uuid, (String, BTreeSet<i32>)>(topics.len()) + each.sum::<usize>()
        };
        let deleting = self.deleting.values().map(|name| heap_bytes(name.len()));
        named(&self.initializing)
            + named(&self.initialized)
            + map_bytes::<Uuid, String>(self.deleting.len())
            + deleting.sum::<usize>()
    }
}
