//! SyncGroup: members ask for their assignment, the leader brings it.
//!
//! The leader's call writes the generation; the group becomes Stable when that record is replayed, and everybody
//! parked is answered in the same decision, so after the record is durable. A member whose share the leader left out
//! gets an empty one.
//!
//! Source: Kafka `GroupMetadataManager.classicGroupSyncToClassicGroup`.

use bytes::Bytes;

use super::{
    GroupError, GroupRecord, GroupState, MemberId, SyncRequest, SyncResponse, Ticket,
    classic::{Context, Group},
};

/// What happens to a sync.
pub(super) enum SyncStep {
    /// The caller is parked on its member, or answered together with the others.
    Parked,
    /// The caller has its answer.
    Answered(SyncResponse),
}

impl Group {
    /// Decides on one SyncGroup.
    pub(super) fn sync(
        &mut self,
        request: &SyncRequest,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Result<SyncStep, GroupError> {
        let member_id = &request.member_id;
        self.validate_member(member_id, request.group_instance_id.as_ref())?;
        self.validate_generation(request.generation)?;
        let differs = |told: &Option<String>, known: &Option<String>| told.is_some() && told != known;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.state {
            GroupState::Empty
            | GroupState::NotReady
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Dead => Err(GroupError::UnknownMember),
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::CompletingRebalance => {
                self.park_sync(member_id, ticket, cx);
                self.synced(member_id, cx);
                if self.is_leader(member_id) {
                    self.accept_assignment(request, cx);
                }
                Ok(SyncStep::Parked)
            }
            GroupState::Stable => {
                self.synced(member_id, cx);
                self.touch(member_id, cx);
                let assignment = self.members.get(member_id).map(|m| m.assignment.clone()).unwrap_or_default();
                Ok(SyncStep::Answered(self.sync_response(assignment)))
            }
        }
    }

    fn park_sync(&mut self, member_id: &MemberId, ticket: Ticket, cx: &mut Context<'_>) {
        if let Some(member) = self.members.get_mut(member_id)
            && let Some(older) = member.sync.replace(ticket)
        {
            cx.out.reply_sync(older, Err(GroupError::RebalanceInProgress));
        }
    }

    /// Writes the leader's assignment and answers all who wait for it.
    fn accept_assignment(&mut self, request: &SyncRequest, cx: &mut Context<'_>) {
        let share = |id: &MemberId| request.assignments.get(id).cloned().unwrap_or_default();
        let value = Some(self.as_stored(|m| share(&m.id), cx.now));
        cx.out.records.push(GroupRecord::Group { group_id: self.id.clone(), value });
        let parked: Vec<(MemberId, Ticket)> =
            self.members.values_mut().filter_map(|m| Some((m.id.clone(), m.sync.take()?))).collect();
        for (member_id, ticket) in parked {
            self.touch(&member_id, cx);
            cx.out.reply_sync(ticket, Ok(self.sync_response(share(&member_id))));
        }
    }

    fn sync_response(&self, assignment: Bytes) -> SyncResponse {
        SyncResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
        }
    }
}
