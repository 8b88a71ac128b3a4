//! JoinGroup: a member asks to be in the next generation, and is parked until there is one.
//!
//! - A dynamic member without an id is given one and sent away to come back with it, so that clients that time out do
//!   not pile up as members (KIP-394).
//! - A static member without an id takes over the place of its predecessor, which is fenced; if nothing changed the
//!   group does not rebalance (KIP-345), and a returning leader is told to leave the assignment alone (KIP-814).
//!
//! One rule goes beyond Kafka's: a static consumer that comes back with other topics starts a rebalance, where Kafka
//! looks at the protocol name only and hands it an assignment it did not ask for.
//!
//! Source: Kafka `GroupMetadataManager.classicGroupJoinToClassicGroup`.

use super::{
    GroupError, GroupRecord, GroupState, InstanceId, JoinRequest, JoinResponse, MemberId, Ticket,
    classic::{Context, Group, release},
    member::Member,
    subscription,
};

/// What happens to a join.
pub(super) enum JoinStep {
    /// The caller is parked on its member; its answer comes with the next generation.
    Parked,
    /// The caller has its answer.
    Answered(JoinResponse),
}

impl Group {
    /// Decides on one JoinGroup.
    pub(super) fn join(
        &mut self,
        request: &JoinRequest,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Result<JoinStep, GroupError> {
        if !self.has_room(request, cx.config.members_max) {
            if let Some(member_id) = &request.member_id {
                self.remove(member_id, cx);
                self.complete_join_if_ready(cx);
            }
            return Err(GroupError::GroupFull { group: self.id.clone(), limit: cx.config.members_max });
        }
        if !self.accepts_protocols(&request.protocol_type, &request.protocols) {
            return Err(GroupError::InconsistentProtocol);
        }
        match (&request.member_id, &request.group_instance_id) {
            (Some(member_id), _) => self.join_again(member_id, request, ticket, cx),
            (None, Some(instance_id)) => {
                let member_id = MemberId::new(instance_id, request.new_member_uuid);
                match self.static_members.get(instance_id).cloned() {
                    Some(former) => self.replace(instance_id, &former, member_id, request, ticket, cx),
                    None => Ok(self.add_and_rebalance(member_id, request, ticket, cx)),
                }
            }
            (None, None) => {
                let member_id = MemberId::new(&request.client_id, request.new_member_uuid);
                if request.requires_known_member_id {
                    self.pending.insert(member_id.clone());
                    cx.set(self.session_timer(&member_id), i64::from(request.session_timeout_ms));
                    return Err(GroupError::MemberIdRequired { member_id });
                }
                Ok(self.add_and_rebalance(member_id, request, ticket, cx))
            }
        }
    }

    /// Whether the member may take a place. During a rebalance it is the members waiting that count, so that those
    /// who are slow to come back do not keep others out. Ids given out count, or they would be without bound; who has
    /// one holds its place already.
    fn has_room(&self, request: &JoinRequest, members_max: usize) -> bool {
        if let Some(member_id) = &request.member_id
            && self.pending.contains(member_id)
        {
            return true;
        }
        if request.group_instance_id.as_ref().is_some_and(|id| self.static_members.contains_key(id)) {
            return true;
        }
        let known = request.member_id.as_ref().and_then(|id| self.members.get(id));
        match self.state {
            GroupState::PreparingRebalance => {
                known.is_some_and(|m| m.join.is_some()) || self.awaiting_join_count() + self.pending.len() < members_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                known.is_some() || self.members.len() + self.pending.len() < members_max
            }
            GroupState::Empty | GroupState::Dead => self.pending.len() < members_max,
        }
    }

    fn add_and_rebalance(
        &mut self,
        member_id: MemberId,
        request: &JoinRequest,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> JoinStep {
        if let Some(wait) = &mut self.initial_wait {
            wait.member_arrived = true;
        }
        self.add(Member::joining(member_id.clone(), request), &request.protocol_type);
        self.park_join(&member_id, ticket, cx.out);
        cx.set(self.session_timer(&member_id), cx.config.new_member_join_timeout_ms);
        self.rebalance(cx);
        JoinStep::Parked
    }

    fn update_and_rebalance(
        &mut self,
        member_id: &MemberId,
        request: &JoinRequest,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> JoinStep {
        if let Some(member) = self.members.get_mut(member_id) {
            member.update(request);
        }
        self.park_join(member_id, ticket, cx.out);
        self.rebalance(cx);
        JoinStep::Parked
    }

    /// A join with a member id: of a member, or of one that was given its id and comes back with it.
    fn join_again(
        &mut self,
        member_id: &MemberId,
        request: &JoinRequest,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Result<JoinStep, GroupError> {
        if request.group_instance_id.is_none() && self.pending.contains(member_id) {
            return Ok(self.add_and_rebalance(member_id.clone(), request, ticket, cx));
        }
        self.validate_member(member_id, request.group_instance_id.as_ref())?;
        let unchanged = self.is_unchanged(member_id, request);
        let must_rebalance = match self.state {
            GroupState::PreparingRebalance => true,
            // It may have missed the answer; the generation is still young.
            GroupState::CompletingRebalance => !unchanged,
            // A leader that joins knows of something the coordinator cannot see, such as a topic that has grown.
            GroupState::Stable => !unchanged || self.is_leader(member_id),
            GroupState::Empty | GroupState::Dead => return Err(GroupError::UnknownMember),
        };
        if must_rebalance {
            return Ok(self.update_and_rebalance(member_id, request, ticket, cx));
        }
        self.touch(member_id, cx);
        Ok(JoinStep::Answered(self.join_response(member_id)))
    }

    /// A static member returns under a new member id and takes the place of `former`.
    fn replace(
        &mut self,
        instance_id: &InstanceId,
        former: &MemberId,
        member_id: MemberId,
        request: &JoinRequest,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Result<JoinStep, GroupError> {
        cx.timers.cancel(&self.session_timer(former));
        let was_leader = self.is_leader(former);
        let Some(mut member) = self.members.remove(former) else { return Err(GroupError::UnknownMember) };
        release(&mut member, &GroupError::FencedInstance { instance_id: instance_id.clone() }, cx.out);
        let former_metadata = member.metadata(self.protocol_name.as_deref());
        member.id = member_id.clone();
        member.is_new = false;
        member.update(request);
        let metadata = member.metadata(self.protocol_name.as_deref());
        self.members.insert(member_id.clone(), member);
        self.static_members.insert(instance_id.clone(), member_id.clone());
        if self.pending_sync.remove(former) {
            self.pending_sync.insert(member_id.clone());
        }
        if was_leader {
            self.leader = Some(member_id.clone());
        }
        self.touch(&member_id, cx);
        let same_topics = !self.is_consumer_group()
            || match (subscription::topics(&former_metadata), subscription::topics(&metadata)) {
                (Some(mut before), Some(mut after)) => {
                    before.sort_unstable();
                    after.sort_unstable();
                    before == after
                }
                (None, _) | (_, None) => former_metadata == metadata,
            };
        let keeps_generation = self.state == GroupState::Stable
            && same_topics
            && self.select_protocol().as_deref() == self.protocol_name.as_deref();
        if !keeps_generation {
            self.park_join(&member_id, ticket, cx.out);
            self.rebalance(cx);
            return Ok(JoinStep::Parked);
        }
        let value = Some(self.as_stored(|m| m.assignment.clone(), cx.now));
        cx.out.records.push(GroupRecord::Group { group_id: self.id.clone(), value });
        Ok(JoinStep::Answered(self.replacement_response(former, &member_id, was_leader, request)))
    }

    /// What a static member that took over a place without a rebalance is told. A leader whose client cannot skip the
    /// assignment is told the leader's former id: it will not assign then, and must not, as nobody would get the
    /// result.
    fn replacement_response(
        &self,
        former: &MemberId,
        member_id: &MemberId,
        was_leader: bool,
        request: &JoinRequest,
    ) -> JoinResponse {
        let mut response = self.join_response(member_id);
        if was_leader && request.supports_skip_assignment {
            response.skip_assignment = true;
        } else if was_leader {
            response.leader = former.clone();
            response.members.clear();
        }
        response
    }
}
