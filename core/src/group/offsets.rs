//! Committed positions: storing (OffsetCommit), reading (OffsetFetch), deleting (OffsetDelete).
//!
//! A consumer that assigns its partitions itself commits without member and generation, and may do so only while the
//! group has no members. Reading takes no check at all, except that it is one of a group: a group that does not exist
//! has no positions, which is no error.
//!
//! Source: Kafka `OffsetMetadataManager`, `ClassicGroup.validateOffsetCommit`; KIP-211 (expiry), KIP-496 (deletion).

use super::{
    CommitOutcome, CommittedOffset, Decision, FetchedOffset, GenerationId, GroupError, GroupId, GroupRecord,
    GroupShard, GroupState, MemberId, Now, OffsetCommitRequest, OffsetSelection, OffsetToCommit,
    classic::{Context, Group},
    consumer::ConsumerGroup,
    streams::StreamsGroup,
};
use crate::TopicPartition;

impl GroupShard {
    /// Stores positions. The response is one outcome for each, or the reason why none was looked at.
    pub fn commit_offsets(
        &mut self,
        request: &OffsetCommitRequest,
        now: Now,
    ) -> Decision<Result<Vec<CommitOutcome>, GroupError>> {
        let mut out = Decision::empty();
        let group_id = &request.group_id;
        let admitted = if let Some(group) = self.consumers.get(group_id) {
            group.admit_commit(request, false)
        } else if let Some(group) = self.streams.get(group_id) {
            group.admit_commit(request, false)
        } else if self.groups.contains_key(group_id) {
            self.admit_commit_to_classic(request, now, &mut out)
        } else {
            self.admit_commit_to_new(request)
        };
        let response = admitted.map(|()| {
            let offsets = request.offsets.iter();
            offsets.map(|offset| self.commit_one(request, offset, now, &mut out)).collect()
        });
        out.with(response)
    }

    fn admit_commit_to_classic(
        &mut self,
        request: &OffsetCommitRequest,
        now: Now,
        out: &mut Decision,
    ) -> Result<(), GroupError> {
        match self.split(&request.group_id, now, out) {
            Some((group, mut cx)) => group.admit_commit(request, &mut cx),
            None => Err(GroupError::UnknownMember),
        }
    }

    /// Whether a commit may make a group: only one without a generation, from a consumer that no group manages.
    pub(super) fn admit_commit_to_new(&self, request: &OffsetCommitRequest) -> Result<(), GroupError> {
        if request.generation.is_some() {
            return Err(if request.tells_member_epoch {
                GroupError::GroupNotFound { group: request.group_id.clone() }
            } else {
                GroupError::IllegalGeneration { current: GenerationId::default() }
            });
        }
        if self.groups.len() >= self.config.groups_max {
            return Err(GroupError::TooManyGroups { limit: self.config.groups_max });
        }
        Ok(())
    }

    pub(super) fn commit_one(
        &self,
        request: &OffsetCommitRequest,
        offset: &OffsetToCommit,
        now: Now,
        out: &mut Decision,
    ) -> CommitOutcome {
        let (length, limit) = (offset.metadata.len(), self.config.offset_metadata_bytes_max);
        if length > limit {
            return Err(GroupError::OffsetMetadataTooLarge { length, limit });
        }
        let value = CommittedOffset {
            offset: offset.offset,
            leader_epoch: offset.leader_epoch,
            metadata: offset.metadata.clone(),
            commit_timestamp_ms: now.wall_ms,
            expire_timestamp_ms: request.retention_ms.map(|retention| now.wall_ms.saturating_add(retention)),
            topic_id: offset.topic_id,
        };
        out.records.push(GroupRecord::Offset {
            group_id: request.group_id.clone(),
            topic_partition: offset.topic_partition.clone(),
            value: Some(value),
        });
        Ok(())
    }

    /// Checks that a member may read positions of a group of the consumer or the streams protocol; of any other group
    /// anybody may.
    ///
    /// # Errors
    /// [`GroupError::UnknownMember`] or [`GroupError::StaleMemberEpoch`].
    pub fn admit_fetch(
        &self,
        group_id: &GroupId,
        member_id: Option<&MemberId>,
        generation: Option<GenerationId>,
    ) -> Result<(), GroupError> {
        match (self.consumers.get(group_id), self.streams.get(group_id)) {
            (Some(group), _) => group.admit_fetch(member_id, generation),
            (None, Some(group)) => group.admit_fetch(member_id, generation),
            (None, None) => Ok(()),
        }
    }

    /// Reads positions: those asked for in the order asked, stored or not, or all that are stored, by topic. If they are
    /// to be stable, one that an open transaction may replace is told as such.
    pub fn fetch_offsets(
        &self,
        group_id: &GroupId,
        selection: &OffsetSelection,
        require_stable: bool,
    ) -> Vec<FetchedOffset> {
        let group = self.groups.get(group_id);
        let mut fetched = match selection {
            OffsetSelection::All => group.map(Group::all_offsets).unwrap_or_default(),
            OffsetSelection::Partitions(partitions) => partitions
                .iter()
                .map(|tp| {
                    let committed = group.and_then(|g| g.offsets.get(&tp.topic)?.get(&tp.partition)).cloned();
                    FetchedOffset { topic_partition: tp.clone(), committed, is_unstable: false }
                })
                .collect(),
        };
        for offset in fetched.iter_mut().filter(|_| require_stable) {
            offset.is_unstable = self.pending.is_pending(group_id, &offset.topic_partition);
        }
        fetched
    }

    /// Deletes positions. The response is one outcome for each, or the reason why none was looked at; a position that
    /// is not stored is deleted without a record.
    pub fn delete_offsets(
        &self,
        group_id: &GroupId,
        partitions: &[TopicPartition],
    ) -> Decision<Result<Vec<CommitOutcome>, GroupError>> {
        let mut out = Decision::empty();
        let response = self.try_delete_offsets(group_id, partitions, &mut out);
        out.with(response)
    }

    fn try_delete_offsets(
        &self,
        group_id: &GroupId,
        partitions: &[TopicPartition],
        out: &mut Decision,
    ) -> Result<Vec<CommitOutcome>, GroupError> {
        let (consumer, group) = (self.consumers.get(group_id), self.groups.get(group_id));
        let streams = self.streams.get(group_id);
        if consumer.is_none() && streams.is_none() && group.is_none() {
            return Err(GroupError::GroupNotFound { group: group_id.clone() });
        }
        if group.is_some_and(|group| group.state != GroupState::Empty && !group.is_consumer_group()) {
            return Err(GroupError::GroupNotEmpty { group: group_id.clone() });
        }
        let subscribed = group.and_then(Group::subscribed_topics);
        let mut to_members = consumer.map(ConsumerGroup::subscribed_topics).unwrap_or_default();
        to_members.extend(streams.into_iter().flat_map(StreamsGroup::subscribed_topics));
        let is_subscribed = |topic: &str| {
            let has_members = group.is_some_and(|group| !group.members.is_empty());
            let by_classic = has_members && subscribed.as_ref().is_none_or(|topics| topics.contains(topic));
            by_classic || to_members.contains(topic)
        };
        let mut delete = |tp: &TopicPartition| {
            if is_subscribed(&tp.topic) {
                return Err(GroupError::SubscribedToTopic { group: group_id.clone(), topic: tp.topic.to_string() });
            }
            let of_topic = group.and_then(|group| group.offsets.get(&tp.topic));
            let is_stored = of_topic.is_some_and(|partitions| partitions.contains_key(&tp.partition));
            if is_stored || self.pending.is_pending(group_id, tp) {
                out.records.push(tombstone(group_id, tp.clone()));
            }
            Ok(())
        };
        Ok(partitions.iter().map(&mut delete).collect())
    }
}

impl Group {
    /// Whether the commit comes from who may commit now. A commit is a sign of life too.
    fn admit_commit(&self, request: &OffsetCommitRequest, cx: &mut Context<'_>) -> Result<(), GroupError> {
        let unmanaged =
            request.generation.is_none() && request.member_id.is_none() && request.group_instance_id.is_none();
        if self.state == GroupState::Empty && request.generation.is_none() {
            return Ok(());
        }
        if unmanaged {
            return Err(GroupError::UnknownMember);
        }
        let member_id = request.member_id.as_ref().ok_or(GroupError::UnknownMember)?;
        self.validate_member(member_id, request.group_instance_id.as_ref())?;
        let illegal = GroupError::IllegalGeneration { current: self.generation };
        self.validate_generation(request.generation.ok_or(illegal)?)?;
        match self.state {
            // It has the generation, but not yet its share: it must not commit for partitions of another.
            GroupState::CompletingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::Stable | GroupState::PreparingRebalance => {
                self.touch(member_id, cx);
                Ok(())
            }
            GroupState::Empty
            | GroupState::NotReady
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Dead => Err(GroupError::UnknownMember),
        }
    }

    fn all_offsets(&self) -> Vec<FetchedOffset> {
        let of_topic = |(topic, partitions): (&std::sync::Arc<str>, &std::collections::BTreeMap<i32, _>)| {
            let topic = topic.clone();
            let fetched = move |(partition, committed): (&i32, &CommittedOffset)| FetchedOffset {
                topic_partition: TopicPartition::new(topic.clone(), *partition),
                committed: Some(committed.clone()),
                is_unstable: false,
            };
            partitions.iter().map(fetched).collect::<Vec<_>>()
        };
        self.offsets.iter().flat_map(of_topic).collect()
    }
}

/// The record that removes a position.
pub(super) fn tombstone(group_id: &GroupId, topic_partition: TopicPartition) -> GroupRecord {
    GroupRecord::Offset { group_id: group_id.clone(), topic_partition, value: None }
}
