//! LeaveGroup: members go of their own will, or an administrator removes static ones by instance id (KIP-345). All
//! removals of one request cause one rebalance.
//!
//! Source: Kafka `GroupMetadataManager.classicGroupLeaveToClassicGroup`.

use super::{
    GroupError, LeaveOutcome, LeaveRequest, LeavingMember,
    classic::{Context, Group},
};

impl Group {
    /// Decides on one LeaveGroup.
    pub(super) fn leave(&mut self, request: &LeaveRequest, cx: &mut Context<'_>) -> Vec<LeaveOutcome> {
        let member_count = self.members.len();
        let outcomes = request.members.iter().map(|member| self.leave_one(member, cx)).collect();
        if self.members.len() < member_count {
            self.rebalance(cx);
        } else {
            // Only ids that were given out have gone, which may have been all a rebalance waited for.
            self.complete_join_if_ready(cx);
        }
        outcomes
    }

    fn leave_one(&mut self, leaving: &LeavingMember, cx: &mut Context<'_>) -> LeaveOutcome {
        let member_id = match (&leaving.member_id, &leaving.group_instance_id) {
            (Some(member_id), instance_id) => {
                if !self.pending.contains(member_id) {
                    self.validate_member(member_id, instance_id.as_ref())?;
                }
                member_id.clone()
            }
            (None, Some(instance_id)) => {
                self.static_members.get(instance_id).cloned().ok_or(GroupError::UnknownMember)?
            }
            (None, None) => return Err(GroupError::UnknownMember),
        };
        self.remove(&member_id, cx);
        Ok(())
    }
}
