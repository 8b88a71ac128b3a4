//! Who may store and read positions of a consumer group.
//!
//! A member says at which epoch it is. One that is behind may still store the position of a partition that it has had
//! since then: its answer with the new epoch is on the way. One that read at an older epoch than it got the partition
//! may not, as another had it in between.
//!
//! Source: Kafka `ConsumerGroup.{validateOffsetCommit, validateOffsetFetch}`; KIP-848, KIP-1251.

use super::{ConsumerGroup, ConsumerMember, Epoch};
use crate::{
    Uuid,
    group::{GenerationId, GroupError, MemberId, OffsetCommitRequest},
};

impl ConsumerGroup {
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
        if !is_transactional && !member.is_classic() && !request.tells_member_epoch {
            return Err(GroupError::OldCommitVersion);
        }
        let told = request.generation.map_or(Epoch::LEAVING, |generation| Epoch(generation.0));
        if told < member.epoch() && request.offsets.iter().all(|offset| has_had(member, offset.topic_id, offset, told))
        {
            return Ok(());
        }
        check_epoch(member, told)
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
        check_epoch(self.member(member_id)?, generation.map_or(Epoch::LEAVING, |generation| Epoch(generation.0)))
    }
}

/// Whether the member has had the partition since `told`.
fn has_had(
    member: &ConsumerMember,
    topic_id: Option<Uuid>,
    offset: &crate::group::OffsetToCommit,
    told: Epoch,
) -> bool {
    let partition = offset.topic_partition.partition;
    let maps = [&member.current.assigned, &member.current.revoking];
    let got = topic_id.and_then(|id| maps.iter().find_map(|map| map.get(&id)?.get(&partition)));
    got.is_some_and(|got| *got <= told)
}

fn check_epoch(member: &ConsumerMember, told: Epoch) -> Result<(), GroupError> {
    let known = member.epoch();
    if told == known {
        Ok(())
    } else if member.is_classic() {
        Err(GroupError::IllegalGeneration { current: GenerationId(known.0) })
    } else {
        Err(GroupError::StaleMemberEpoch { known, told })
    }
}
