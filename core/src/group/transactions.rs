//! Positions that are committed within a producer's transaction (TxnOffsetCommit): stored at once, but pending until the
//! transaction's marker tells whether they count.
//!
//! Invariants:
//! - a pending position becomes the group's position when its transaction is committed, unless a later record of the log
//!   stored or removed that position meanwhile: the order of the log decides;
//! - whoever asks for stable positions is not told one that a pending one may replace.
//!
//! Source: Kafka `OffsetMetadataManager` (`pendingTransactionalOffsets`, `openTransactions`); KIP-98, KIP-447.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CommitOutcome, CommittedOffset, Decision, GroupError, GroupId, GroupRecord, GroupShard, GroupState, Now,
    OffsetCommitRequest, classic::Group, weight::pending_weight,
};
use crate::{ProducerId, TopicPartition};

/// The pending positions of a shard.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct PendingOffsets {
    /// What each open transaction has stored; `None` where a later record has settled the position.
    by_producer: BTreeMap<ProducerId, BTreeMap<GroupId, BTreeMap<TopicPartition, Option<CommittedOffset>>>>,
    /// The producers with something pending, by group and partition.
    by_group: BTreeMap<GroupId, BTreeMap<TopicPartition, BTreeSet<ProducerId>>>,
    /// What all of them weigh.
    weight: usize,
}

impl PendingOffsets {
    fn add(&mut self, producer: ProducerId, group: &GroupId, tp: &TopicPartition, value: CommittedOffset) {
        let of_producer = self.by_producer.entry(producer).or_default().entry(group.clone()).or_default();
        self.weight += pending_weight(tp, Some(&value));
        if let Some(replaced) = of_producer.insert(tp.clone(), Some(value)) {
            self.weight -= pending_weight(tp, replaced.as_ref());
        }
        let of_group = self.by_group.entry(group.clone()).or_default();
        of_group.entry(tp.clone()).or_default().insert(producer);
    }

    /// A later record has stored the position: what is pending will not replace it.
    pub(super) fn supersede(&mut self, group: &GroupId, tp: &TopicPartition) {
        for producer in self.by_group.get(group).and_then(|partitions| partitions.get(tp)).into_iter().flatten() {
            let of_group = self.by_producer.get_mut(producer).and_then(|groups| groups.get_mut(group));
            if let Some(value) = of_group.and_then(|partitions| partitions.get_mut(tp)) {
                self.weight = self.weight + pending_weight(tp, None) - pending_weight(tp, value.as_ref());
                *value = None;
            }
        }
    }

    /// A later record has removed the position, and all that is pending with it.
    pub(super) fn remove(&mut self, group: &GroupId, tp: &TopicPartition) {
        let Some(partitions) = self.by_group.get_mut(group) else { return };
        let producers = partitions.remove(tp).unwrap_or_default();
        if partitions.is_empty() {
            self.by_group.remove(group);
        }
        for producer in producers {
            let Some(groups) = self.by_producer.get_mut(&producer) else { continue };
            if let Some(partitions) = groups.get_mut(group) {
                if let Some(removed) = partitions.remove(tp) {
                    self.weight -= pending_weight(tp, removed.as_ref());
                }
                if partitions.is_empty() {
                    groups.remove(group);
                }
            }
            if groups.is_empty() {
                self.by_producer.remove(&producer);
            }
        }
    }

    /// Takes out all that the producer's transaction has stored.
    fn take(&mut self, producer: ProducerId) -> Vec<(GroupId, TopicPartition, CommittedOffset)> {
        let mut stored = Vec::new();
        for (group, partitions) in self.by_producer.remove(&producer).unwrap_or_default() {
            for (tp, value) in partitions {
                self.weight -= pending_weight(&tp, value.as_ref());
                self.forget_producer(producer, &group, &tp);
                stored.extend(value.map(|value| (group.clone(), tp, value)));
            }
        }
        stored
    }

    fn forget_producer(&mut self, producer: ProducerId, group: &GroupId, tp: &TopicPartition) {
        let Some(partitions) = self.by_group.get_mut(group) else { return };
        if let Some(producers) = partitions.get_mut(tp) {
            producers.remove(&producer);
            if producers.is_empty() {
                partitions.remove(tp);
            }
        }
        if partitions.is_empty() {
            self.by_group.remove(group);
        }
    }

    /// Whether the position may change when a transaction ends.
    pub(super) fn is_pending(&self, group: &GroupId, tp: &TopicPartition) -> bool {
        self.by_group.get(group).is_some_and(|partitions| partitions.contains_key(tp))
    }

    /// What all of them weigh; see [`weight`](super::weight).
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether anything of the group is pending.
    pub(super) fn has_group(&self, group: &GroupId) -> bool {
        self.by_group.contains_key(group)
    }

    /// The partitions with something pending.
    pub(super) fn partitions(&self, group: &GroupId) -> impl Iterator<Item = &TopicPartition> {
        self.by_group.get(group).into_iter().flat_map(BTreeMap::keys)
    }
}

impl GroupShard {
    /// Stores positions within a transaction, which the caller has made sure the group is part of. The records go into a
    /// transactional batch of the producer, and are replayed with [`replay_pending`](Self::replay_pending).
    pub fn commit_pending_offsets(
        &mut self,
        request: &OffsetCommitRequest,
        now: Now,
    ) -> Decision<Result<Vec<CommitOutcome>, GroupError>> {
        let mut out = Decision::empty();
        let admitted = match self.groups.get(&request.group_id) {
            _ if request.group_id.is_empty() => Err(GroupError::InvalidGroupId),
            _ if self.consumers.contains_key(&request.group_id) => {
                let group = self.consumers.get(&request.group_id);
                group.map_or(Ok(()), |group| group.admit_commit(request, true))
            }
            _ if self.streams.contains_key(&request.group_id) => {
                let group = self.streams.get(&request.group_id);
                group.map_or(Ok(()), |group| group.admit_commit(request, true))
            }
            Some(group) => group.admit_pending_commit(request),
            None => self.admit_commit_to_new(request),
        };
        let response = admitted.map(|()| {
            let offsets = request.offsets.iter();
            offsets.map(|offset| self.commit_one(request, offset, now, &mut out)).collect()
        });
        out.with(response)
    }

    /// Applies one record of a transactional batch, live and when loading.
    pub fn replay_pending(&mut self, producer: ProducerId, record: &GroupRecord) {
        match record {
            GroupRecord::Offset { group_id, topic_partition, value: Some(value) } => {
                let before = self.weight_at(record) + self.pending.weight();
                self.group_or_new(group_id);
                self.pending.add(producer, group_id, topic_partition, value.clone());
                self.charge.change(before, self.weight_at(record) + self.pending.weight());
            }
            GroupRecord::Offset { value: None, .. }
            | GroupRecord::Group { .. }
            | GroupRecord::Consumer { .. }
            | GroupRecord::Streams { .. }
            | GroupRecord::Share(_) => {
                self.replay(record);
            }
        }
    }

    /// Applies the marker that ends a producer's transaction, live and when loading.
    pub fn replay_marker(&mut self, producer: ProducerId, commit: bool) {
        let before = self.pending.weight();
        let stored = self.pending.take(producer);
        self.charge.change(before, self.pending.weight());
        for (group_id, topic_partition, value) in stored.into_iter().filter(|_| commit) {
            self.replay(&GroupRecord::Offset { group_id, topic_partition, value: Some(value) });
        }
    }
}

impl Group {
    /// Whether the commit comes from who may commit now. Producers of the time before KIP-447 tell neither member nor
    /// generation, and are believed; a group between two generations does not refuse, as the transaction will be fenced.
    fn admit_pending_commit(&self, request: &OffsetCommitRequest) -> Result<(), GroupError> {
        if self.state == GroupState::Empty && request.generation.is_none() {
            return Ok(());
        }
        let is_told =
            request.generation.is_some() || request.member_id.is_some() || request.group_instance_id.is_some();
        if !is_told {
            return Ok(());
        }
        let member_id = request.member_id.as_ref().ok_or(GroupError::UnknownMember)?;
        self.validate_member(member_id, request.group_instance_id.as_ref())?;
        let illegal = GroupError::IllegalGeneration { current: self.generation };
        self.validate_generation(request.generation.ok_or(illegal)?)
    }
}
