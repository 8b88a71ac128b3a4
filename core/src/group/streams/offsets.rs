//! Who may store and read positions of a streams group.
//!
//! A member says at which epoch it is. One that is behind may still store the position of a partition whose task it has
//! had since then: its answer with the new epoch is on the way.
//!
//! Source: Kafka `StreamsGroup.{validateOffsetCommit, validateOffsetFetch}`; KIP-1071, KIP-1251.

use super::group::{StreamsGroup, StreamsMember};
use crate::{
    TopicPartition,
    group::{Epoch, GenerationId, GroupError, MemberId, OffsetCommitRequest},
};

impl StreamsGroup {
    /// Checks that the caller may store these positions.
    pub(in crate::group) fn admit_commit(
        &self,
        request: &OffsetCommitRequest,
        is_transactional: bool,
    ) -> Result<(), GroupError> {
        let is_told =
            request.generation.is_some() || request.member_id.is_some() || request.group_instance_id.is_some();
        // An administrator commits for a group without members, a producer from before KIP-447 for any.
        if (request.generation.is_none() && self.is_empty()) || (is_transactional && !is_told) {
            return Ok(());
        }
        let member = self.member(request.member_id.as_ref().ok_or(GroupError::UnknownMember)?)?;
        if !is_transactional && !request.tells_member_epoch {
            return Err(GroupError::OldCommitVersion);
        }
        let (known, told) = (member.epoch(), epoch_of(request.generation));
        let has_had = |tp: &TopicPartition| self.has_had(member, tp, told);
        if told == known || (told < known && request.offsets.iter().all(|offset| has_had(&offset.topic_partition))) {
            Ok(())
        } else {
            Err(GroupError::StaleMemberEpoch { known, told })
        }
    }

    /// Checks that the caller may read positions; one that names no member may.
    pub(in crate::group) fn admit_fetch(
        &self,
        member_id: Option<&MemberId>,
        generation: Option<GenerationId>,
    ) -> Result<(), GroupError> {
        let Some(member_id) = member_id else {
            return if generation.is_none() { Ok(()) } else { Err(GroupError::UnknownMember) };
        };
        let (known, told) = (self.member(member_id)?.epoch(), epoch_of(generation));
        if told == known { Ok(()) } else { Err(GroupError::StaleMemberEpoch { known, told }) }
    }

    /// Whether the member has had the task that reads the partition since `told`.
    fn has_had(&self, member: &StreamsMember, tp: &TopicPartition, told: Epoch) -> bool {
        let mut parts = self.topology.iter().flat_map(|topology| &topology.subtopologies);
        let Some((part, _)) = parts.find(|(_, part)| part.input_topics().any(|topic| **topic == *tp.topic)) else {
            return false;
        };
        let held = [&member.current.assigned.active, &member.current.revoking.active];
        let got = held.into_iter().find_map(|tasks| tasks.get(part)?.get(&tp.partition));
        got.is_some_and(|got| *got <= told)
    }
}

fn epoch_of(generation: Option<GenerationId>) -> Epoch {
    generation.map_or(Epoch::LEAVING, |generation| Epoch(generation.0))
}
