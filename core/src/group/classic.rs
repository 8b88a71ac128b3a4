//! One classic group: its members, its generation, its offsets, and the questions asked of them. What happens to it
//! over time is in [`rebalance`](super::rebalance) and in one file per command.
//!
//! Invariants:
//! - the leader is a member, and there is one exactly if there are members;
//! - `static_members` maps each instance id to the member that carries it;
//! - tickets are parked on members only: a join in PreparingRebalance, a sync in CompletingRebalance.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    CommittedOffset, Decision, GenerationId, GroupConfig, GroupError, GroupId, GroupMetadata, GroupState, InstanceId,
    JoinRequest, MemberId, Now, Protocol, Ticket,
    member::Member,
    subscription,
    timer::{Timer, Timers},
};

/// What a command needs beside the group it works on.
pub(super) struct Context<'a> {
    pub(super) config: &'a GroupConfig,
    pub(super) timers: &'a mut Timers,
    pub(super) now: Now,
    pub(super) out: &'a mut Decision,
}

impl Context<'_> {
    /// Sets `timer` to fire in `delay_ms`.
    pub(super) fn set(&mut self, timer: Timer, delay_ms: i64) {
        self.timers.set(timer, self.now.monotonic_ms.saturating_add(delay_ms.max(0)));
    }
}

/// How long an empty group still waits for further members.
#[derive(Debug, Clone, Copy)]
pub(super) struct InitialWait {
    pub(super) delay_ms: i64,
    pub(super) remaining_ms: i64,
    pub(super) member_arrived: bool,
}

/// A classic group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) state: GroupState,
    /// Since when it is in `state`, by the wall clock; `None` if a stored record does not tell.
    pub(super) state_since_ms: Option<i64>,
    /// The kind of group; `None` for one that only stores offsets.
    pub(super) protocol_type: Option<String>,
    /// The protocol of the current generation.
    pub(super) protocol_name: Option<String>,
    pub(super) generation: GenerationId,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) static_members: BTreeMap<InstanceId, MemberId>,
    /// Ids given out with MEMBER_ID_REQUIRED whose members have not come back.
    pub(super) pending: BTreeSet<MemberId>,
    /// Members of the current generation that have not asked for their assignment.
    pub(super) pending_sync: BTreeSet<MemberId>,
    /// Set from the first join of an empty group until its first generation.
    pub(super) initial_wait: Option<InitialWait>,
    /// A static member that takes the place of its predecessor when the record that says so is replayed.
    pub(super) heir: Option<Member>,
    /// Topic, then partition: positions of one topic lie together.
    pub(super) offsets: BTreeMap<Arc<str>, BTreeMap<i32, CommittedOffset>>,
}

impl Group {
    /// A group nobody has joined.
    pub(super) fn new(id: GroupId) -> Self {
        Self {
            id,
            state: GroupState::Empty,
            state_since_ms: None,
            protocol_type: None,
            protocol_name: None,
            generation: GenerationId::default(),
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            initial_wait: None,
            heir: None,
            offsets: BTreeMap::new(),
        }
    }

    /// Whether nothing is known of it that is worth keeping.
    pub(super) fn is_unused(&self) -> bool {
        self.offsets.is_empty() && self.members.is_empty() && self.pending.is_empty() && self.state == GroupState::Empty
    }

    pub(super) fn transition(&mut self, state: GroupState, now: Now) {
        self.state = state;
        self.state_since_ms = Some(now.wall_ms);
    }

    pub(super) fn is_leader(&self, member_id: &MemberId) -> bool {
        self.leader.as_ref() == Some(member_id)
    }

    pub(super) fn session_timer(&self, member_id: &MemberId) -> Timer {
        Timer::Session(self.id.clone(), member_id.clone())
    }

    /// Checks that `member_id` is a member, and the one `instance_id` belongs to.
    pub(super) fn validate_member(
        &self,
        member_id: &MemberId,
        instance_id: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            let owner = self.static_members.get(instance_id).ok_or(GroupError::UnknownMember)?;
            if owner != member_id {
                return Err(GroupError::FencedInstance { instance_id: instance_id.clone() });
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(GroupError::UnknownMember) }
    }

    pub(super) fn validate_generation(&self, generation: GenerationId) -> Result<(), GroupError> {
        if generation == self.generation {
            Ok(())
        } else {
            Err(GroupError::IllegalGeneration { current: self.generation })
        }
    }

    /// Whether a member with these protocols can work with the others.
    pub(super) fn accepts_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if protocol_type.is_empty() || protocols.is_empty() {
            return false;
        }
        self.members.is_empty()
            || (self.protocol_type.as_deref() == Some(protocol_type)
                && protocols.iter().any(|p| self.members.values().all(|m| m.supports(&p.name))))
    }

    /// The protocol of the next generation.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id))?;
        elect_protocol(leader, &self.members.values().collect::<Vec<_>>())
    }

    /// The longest any member needs to come back.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|m| i64::from(m.rebalance_timeout_ms)).max().unwrap_or(0)
    }

    pub(super) fn awaiting_join_count(&self) -> usize {
        self.members.values().filter(|m| m.join.is_some()).count()
    }

    /// Whether nobody is missing for the next generation.
    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|m| m.join.is_some())
    }

    pub(super) fn add(&mut self, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        self.pending.remove(&member.id);
        self.leader.get_or_insert_with(|| member.id.clone());
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.id.clone());
        }
        self.members.insert(member.id.clone(), member);
    }

    /// Removes a member and all that hangs on it; whoever waits on its behalf is told that it is unknown.
    pub(super) fn remove(&mut self, member_id: &MemberId, cx: &mut Context<'_>) {
        cx.timers.cancel(&self.session_timer(member_id));
        self.pending.remove(member_id);
        self.pending_sync.remove(member_id);
        let Some(mut member) = self.members.remove(member_id) else { return };
        release(&mut member, &GroupError::UnknownMember, cx.out);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id) == Some(member_id)
        {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Parks a join on a member; an older call of the same member is told to join again.
    pub(super) fn park_join(&mut self, member_id: &MemberId, ticket: Ticket, out: &mut Decision) {
        if let Some(member) = self.members.get_mut(member_id)
            && let Some(older) = member.join.replace(ticket)
        {
            out.reply_join(older, Err(GroupError::RebalanceInProgress));
        }
    }

    /// Starts the session of a member anew.
    pub(super) fn touch(&self, member_id: &MemberId, cx: &mut Context<'_>) {
        if let Some(member) = self.members.get(member_id) {
            cx.set(self.session_timer(member_id), i64::from(member.session_timeout_ms));
        }
    }

    /// The topics the members subscribe to; `None` if that cannot be told.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.is_consumer_group() {
            return None;
        }
        let name = self.protocol_name.as_deref();
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription::topics(&member.metadata(name))?);
        }
        Some(topics)
    }

    /// Whether its members speak the embedded consumer protocol.
    pub(super) fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref() == Some(subscription::PROTOCOL_TYPE)
    }

    /// The generation as it is to be stored, with the assignment `share` gives to each member.
    pub(super) fn as_stored(&self, share: impl Fn(&Member) -> bytes::Bytes, now: Now) -> GroupMetadata {
        let name = self.protocol_name.as_deref();
        GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_timestamp_ms: Some(now.wall_ms),
            members: self.members.values().map(|m| m.as_stored(name, share(m))).collect(),
        }
    }

    /// Takes over a stored generation: the only way into Stable. Live, the members are known and keep what is not
    /// stored, above all the other protocols they support; when loading, they are as this record says and not as an
    /// earlier one did.
    pub(super) fn replay(&mut self, stored: &GroupMetadata) {
        self.protocol_type = (!stored.protocol_type.is_empty()).then(|| stored.protocol_type.clone());
        self.protocol_name.clone_from(&stored.protocol_name);
        self.generation = stored.generation;
        self.leader.clone_from(&stored.leader);
        self.state_since_ms = stored.state_timestamp_ms;
        self.initial_wait = None;
        self.state = if stored.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        let mut known = std::mem::take(&mut self.members);
        if let Some(heir) = self.heir.take() {
            known.insert(heir.id.clone(), heir);
        }
        self.static_members.clear();
        for member in &stored.members {
            let name = stored.protocol_name.as_deref();
            let is_as_stored = |m: &Member| m.as_stored(name, member.assignment.clone()) == *member;
            let mut live =
                known.remove(&member.member_id).filter(is_as_stored).unwrap_or_else(|| Member::replayed(member, name));
            live.assignment = member.assignment.clone();
            if let Some(instance_id) = &live.instance_id {
                self.static_members.insert(instance_id.clone(), live.id.clone());
            }
            self.members.insert(live.id.clone(), live);
        }
        self.pending_sync.retain(|id| self.members.contains_key(id));
        debug_assert!(known.values().all(|m| m.join.is_none() && m.sync.is_none()), "replay drops a parked caller");
    }

    /// Answers whoever is parked with `error`.
    pub(super) fn release_all(&mut self, error: &GroupError, out: &mut Decision) {
        for member in self.members.values_mut() {
            release(member, error, out);
        }
    }

    /// Panics if an invariant in the file's header does not hold.
    #[cfg(test)]
    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.leader.is_none(), self.members.is_empty(), "{self:?}");
        assert!(self.leader.as_ref().is_none_or(|leader| self.members.contains_key(leader)), "{self:?}");
        for (instance_id, member_id) in &self.static_members {
            assert_eq!(self.members[member_id].instance_id.as_ref(), Some(instance_id), "{self:?}");
        }
        let static_count = self.members.values().filter(|m| m.instance_id.is_some()).count();
        assert_eq!(static_count, self.static_members.len(), "{self:?}");
        for (member_id, member) in &self.members {
            assert_eq!(member_id, &member.id, "{self:?}");
            assert!(member.join.is_none() || self.state == GroupState::PreparingRebalance, "{self:?}");
            assert!(member.sync.is_none() || self.state == GroupState::CompletingRebalance, "{self:?}");
        }
        assert!(self.pending_sync.iter().all(|id| self.members.contains_key(id)), "{self:?}");
    }

    /// Whether `request` is the very subscription the member already has.
    pub(super) fn is_unchanged(&self, member_id: &MemberId, request: &JoinRequest) -> bool {
        self.members.get(member_id).is_some_and(|m| m.protocols == request.protocols)
    }
}

/// Each member votes for the first protocol on its list that all support; most votes win, and among equals the one the
/// leader likes best.
pub(super) fn elect_protocol(leader: &Member, members: &[&Member]) -> Option<String> {
    let names = leader.protocols.iter().map(|p| p.name.as_str());
    let candidates: Vec<&str> = names.filter(|name| members.iter().all(|m| m.supports(name))).collect();
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for member in members {
        if let Some(choice) = member.protocols.iter().find(|p| candidates.contains(&p.name.as_str())) {
            *votes.entry(&choice.name).or_default() += 1;
        }
    }
    let most = votes.values().copied().max()?;
    candidates.into_iter().find(|name| votes.get(name) == Some(&most)).map(str::to_owned)
}

/// Answers the parked calls of one member with `error`.
pub(super) fn release(member: &mut Member, error: &GroupError, out: &mut Decision) {
    if let Some(ticket) = member.join.take() {
        out.reply_join(ticket, Err(error.clone()));
    }
    if let Some(ticket) = member.sync.take() {
        out.reply_sync(ticket, Err(error.clone()));
    }
}
