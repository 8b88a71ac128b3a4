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

use std::collections::BTreeSet;

use super::{
    GroupError, GroupRecord, GroupState, JoinRequest, JoinResponse, MemberId, Ticket,
    classic::{Context, Group, elect_protocol, release},
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
                    Some(former) => self.replace(&former, member_id, request, ticket, cx),
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
            GroupState::Empty
            | GroupState::NotReady
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Dead => self.pending.len() < members_max,
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
            GroupState::Empty
            | GroupState::NotReady
            | GroupState::Assigning
            | GroupState::Reconciling
            | GroupState::Dead => {
                return Err(GroupError::UnknownMember);
            }
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
        former: &MemberId,
        member_id: MemberId,
        request: &JoinRequest,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Result<JoinStep, GroupError> {
        let predecessor = self.members.get(former).ok_or(GroupError::UnknownMember)?;
        let mut heir = Member { assignment: predecessor.assignment.clone(), ..Member::joining(member_id, request) };
        heir.is_new = false;
        cx.set(self.session_timer(&heir.id), i64::from(heir.session_timeout_ms));
        if self.state == GroupState::Stable && self.generation_suits(predecessor, &heir) {
            let response = self.inherit(former, heir, request, cx);
            return Ok(JoinStep::Answered(response));
        }
        self.displace(former, heir, ticket, cx);
        self.rebalance(cx);
        Ok(JoinStep::Parked)
    }

    /// Whether the standing generation is right for `heir` as it was for its predecessor: the same protocol would be
    /// chosen, and it reads the same topics.
    fn generation_suits<'a>(&'a self, predecessor: &'a Member, heir: &'a Member) -> bool {
        let swap = |member: &'a Member| if member.id == predecessor.id { heir } else { member };
        let members: Vec<&Member> = self.members.values().map(swap).collect();
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id)).map(swap);
        let name = self.protocol_name.as_deref();
        let same_protocol = leader.and_then(|leader| elect_protocol(leader, &members)).as_deref() == name;
        let (before, after) = (predecessor.metadata(name), heir.metadata(name));
        let same_topics = match (subscription::topics(&before), subscription::topics(&after)) {
            (Some(before), Some(after)) => BTreeSet::from_iter(before) == BTreeSet::from_iter(after),
            (None, _) | (_, None) => before == after,
        };
        same_protocol && (same_topics || !self.is_consumer_group())
    }

    /// Writes the generation with `heir` in the place of `former`; replay makes it so.
    fn inherit(
        &mut self,
        former: &MemberId,
        heir: Member,
        request: &JoinRequest,
        cx: &mut Context<'_>,
    ) -> JoinResponse {
        let name = self.protocol_name.as_deref();
        let mut stored = self.as_stored(|m| m.assignment.clone(), cx.now);
        stored.members.retain(|m| m.member_id != *former);
        stored.members.push(heir.as_stored(name, heir.assignment.clone()));
        stored.members.sort_unstable_by(|a, b| a.member_id.cmp(&b.member_id));
        let was_leader = self.is_leader(former);
        if was_leader {
            stored.leader = Some(heir.id.clone());
        }
        let mut response = self.join_response(former);
        response.member_id = heir.id.clone();
        if was_leader && request.supports_skip_assignment {
            response.leader = heir.id.clone();
            response.skip_assignment = true;
            response.members.retain(|m| m.member_id != *former);
            response.members.push(heir.as_joined(name));
            response.members.sort_unstable_by(|a, b| a.member_id.cmp(&b.member_id));
        } else {
            // A leader too old to skip the assignment is told its former id, so that it does not take itself for the
            // leader: nobody would get what it assigned.
            response.members.clear();
        }
        self.heir = Some(heir);
        cx.out.records.push(GroupRecord::Group { group_id: self.id.clone(), value: Some(stored) });
        response
    }

    /// Puts `former` out of its place, tells its parked calls so, and parks `heir` there.
    fn displace(&mut self, former: &MemberId, heir: Member, ticket: Ticket, cx: &mut Context<'_>) {
        cx.timers.cancel(&self.session_timer(former));
        self.pending_sync.remove(former);
        let was_leader = self.is_leader(former);
        let heir_id = heir.id.clone();
        if let Some(mut member) = self.members.remove(former)
            && let Some(instance_id) = member.instance_id.clone()
        {
            self.static_members.insert(instance_id.clone(), heir_id.clone());
            release(&mut member, &GroupError::FencedInstance { instance_id }, cx.out);
        }
        if was_leader {
            self.leader = Some(heir_id.clone());
        }
        self.members.insert(heir_id.clone(), heir);
        self.park_join(&heir_id, ticket, cx.out);
    }
}
