//! Heartbeat: a member is alive; the answer tells it whether to go on, to join again, or that it is out.
//!
//! Source: Kafka `GroupMetadataManager.classicGroupHeartbeatToClassicGroup`.

use super::{
    GroupError, GroupState, HeartbeatRequest,
    classic::{Context, Group},
};

impl Group {
    /// Decides on one Heartbeat.
    pub(super) fn heartbeat(&self, request: &HeartbeatRequest, cx: &mut Context<'_>) -> Result<(), GroupError> {
        self.validate_member(&request.member_id, request.group_instance_id.as_ref())?;
        self.validate_generation(request.generation)?;
        match self.state {
            GroupState::Empty
            | GroupState::NotReady
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Dead => Err(GroupError::UnknownMember),
            GroupState::PreparingRebalance => {
                self.touch(&request.member_id, cx);
                Err(GroupError::RebalanceInProgress)
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.touch(&request.member_id, cx);
                Ok(())
            }
        }
    }
}
