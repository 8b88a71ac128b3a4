//! From one generation to the next: when a rebalance starts, when its join phase ends, and what ends with it.
//!
//! Source: Kafka `GroupMetadataManager.prepareRebalance`, `completeClassicGroupJoin`,
//! `tryCompleteInitialRebalanceElseSchedule`, `expirePendingSync`.

use bytes::Bytes;

use super::{
    GroupError, GroupRecord, GroupState, JoinResponse, MemberId,
    classic::{Context, Group, InitialWait},
    timer::Timer,
};

impl Group {
    fn join_timer(&self) -> Timer {
        Timer::Join(self.id.clone())
    }

    pub(super) fn sync_timer(&self) -> Timer {
        Timer::Sync(self.id.clone())
    }

    /// Something changed that needs a new generation: starts a rebalance, or moves on the one that runs.
    pub(super) fn rebalance(&mut self, cx: &mut Context<'_>) {
        match self.state {
            GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable => self.prepare_rebalance(cx),
            GroupState::PreparingRebalance => self.complete_join_if_ready(cx),
            GroupState::NotReady | GroupState::Assigning | GroupState::Reconciling | GroupState::Dead => {}
        }
    }

    /// Calls all members to join. An empty group first waits a while, so that members that start together end up in
    /// one generation.
    fn prepare_rebalance(&mut self, cx: &mut Context<'_>) {
        for member in self.members.values_mut() {
            if let Some(ticket) = member.sync.take() {
                cx.out.reply_sync(ticket, Err(GroupError::RebalanceInProgress));
                let timer = Timer::Session(self.id.clone(), member.id.clone());
                cx.set(timer, i64::from(member.session_timeout_ms));
            }
        }
        cx.timers.cancel(&self.sync_timer());
        self.pending_sync.clear();
        let was_empty = self.state == GroupState::Empty;
        self.transition(GroupState::PreparingRebalance, cx.now);
        if was_empty {
            let delay_ms = cx.config.initial_rebalance_delay_ms;
            let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            if delay_ms <= 0 {
                return self.complete_join(cx);
            }
            self.initial_wait = Some(InitialWait { delay_ms, remaining_ms, member_arrived: false });
            cx.set(self.join_timer(), delay_ms);
        } else if self.all_joined() {
            self.complete_join(cx);
        } else {
            cx.set(self.join_timer(), self.rebalance_timeout_ms());
        }
    }

    /// Ends the join phase early if nobody is missing; an empty group's first wait always runs its time.
    pub(super) fn complete_join_if_ready(&mut self, cx: &mut Context<'_>) {
        if self.state == GroupState::PreparingRebalance && self.initial_wait.is_none() && self.all_joined() {
            self.complete_join(cx);
        }
    }

    /// The join timer fired.
    pub(super) fn on_join_timeout(&mut self, cx: &mut Context<'_>) {
        if self.state != GroupState::PreparingRebalance {
            return;
        }
        match self.initial_wait {
            Some(wait) if wait.member_arrived && wait.remaining_ms > 0 => {
                let delay_ms = cx.config.initial_rebalance_delay_ms.min(wait.remaining_ms);
                let remaining_ms = (wait.remaining_ms - wait.delay_ms).max(0);
                self.initial_wait = Some(InitialWait { delay_ms, remaining_ms, member_arrived: false });
                cx.set(self.join_timer(), delay_ms);
            }
            Some(_) | None => self.complete_join(cx),
        }
    }

    /// Ends the join phase: who did not come is out, unless it is static; who came is in the next generation.
    fn complete_join(&mut self, cx: &mut Context<'_>) {
        cx.timers.cancel(&self.join_timer());
        let missing: Vec<MemberId> = self
            .members
            .values()
            .filter(|m| m.join.is_none() && m.instance_id.is_none())
            .map(|m| m.id.clone())
            .collect();
        for member_id in &missing {
            self.remove(member_id, cx);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only silent static members are left: they stay until their sessions end.
            cx.set(self.join_timer(), self.rebalance_timeout_ms());
            return;
        }
        self.initial_wait = None;
        self.generation = self.generation.next();
        self.pending_sync.clear();
        self.protocol_name = self.select_protocol();
        if self.members.is_empty() {
            self.transition(GroupState::Empty, cx.now);
            let value = Some(self.as_stored(|_| Bytes::new(), cx.now));
            cx.out.records.push(GroupRecord::Group { group_id: self.id.clone(), value });
        } else {
            self.transition(GroupState::CompletingRebalance, cx.now);
            self.answer_joins(cx);
        }
    }

    /// Keeps the leader if it has joined, else makes the first member that has joined the leader; false if none has.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &MemberId| self.members.get(id).is_some_and(|m| m.join.is_some());
        if !self.leader.as_ref().is_some_and(has_joined) {
            let Some(first) = self.members.values().find(|m| m.join.is_some()) else { return false };
            self.leader = Some(first.id.clone());
        }
        true
    }

    /// Tells every member of the new generation, and gives each its time to sync.
    fn answer_joins(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for member_id in ids {
            let response = self.join_response(&member_id);
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            member.is_new = false;
            if let Some(ticket) = member.join.take() {
                cx.out.reply_join(ticket, Ok(response));
                self.touch(&member_id, cx);
            }
            self.pending_sync.insert(member_id);
        }
        cx.set(self.sync_timer(), self.rebalance_timeout_ms());
    }

    /// What a member of the current generation is told; the leader gets the list of members.
    pub(super) fn join_response(&self, member_id: &MemberId) -> JoinResponse {
        let protocol_name = self.protocol_name.as_deref();
        let members = if self.is_leader(member_id) {
            self.members.values().map(|m| m.as_joined(protocol_name)).collect()
        } else {
            Vec::new()
        };
        JoinResponse {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_else(|| member_id.clone()),
            member_id: member_id.clone(),
            members,
            skip_assignment: false,
        }
    }

    /// A member has asked for its assignment; if it was the last, nobody is late any more.
    pub(super) fn synced(&mut self, member_id: &MemberId, cx: &mut Context<'_>) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            cx.timers.cancel(&self.sync_timer());
        }
    }

    /// The sync timer fired: who never asked for its assignment is out.
    pub(super) fn on_sync_timeout(&mut self, cx: &mut Context<'_>) {
        let late = std::mem::take(&mut self.pending_sync);
        if late.is_empty() || !matches!(self.state, GroupState::CompletingRebalance | GroupState::Stable) {
            return;
        }
        for member_id in &late {
            self.remove(member_id, cx);
        }
        self.rebalance(cx);
    }

    /// The session timer of a member, or of an id given out, fired.
    pub(super) fn on_session_timeout(&mut self, member_id: &MemberId, cx: &mut Context<'_>) {
        if self.pending.remove(member_id) {
            self.complete_join_if_ready(cx);
        } else if self.members.get(member_id).is_some_and(|m| m.may_expire()) {
            self.remove(member_id, cx);
            self.rebalance(cx);
        }
    }
}
