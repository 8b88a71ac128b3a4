//! A broker in miniature: one shard, its log, a clock that moves only when told, and the answers by ticket. It keeps
//! the calling contract, so every test checks that too: no ticket is answered twice, and the durable state a restart
//! finds is compared with the live one on demand.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    TopicPartition, Uuid,
    group::{
        CommitOutcome, Decision, GenerationId, GroupConfig, GroupError, GroupRecord, GroupShard, GroupState,
        HeartbeatRequest, JoinRequest, JoinResponse, LeaveOutcome, LeaveRequest, LeavingMember, MemberId, Now,
        OffsetCommitRequest, OffsetSelection, OffsetToCommit, Protocol, Reply, Response, SyncRequest, SyncResponse,
        Ticket, decode_record, encode_record, subscription,
    },
};

pub(super) const GROUP: &str = "g";
pub(super) const SESSION_MS: i32 = 10_000;
pub(super) const REBALANCE_MS: i32 = 60_000;
/// Long enough for a first generation of members that join at the same moment, shorter than a session.
pub(super) const FIRST_WAIT_MS: i64 = 6_000;

pub(super) struct Broker {
    pub(super) shard: GroupShard,
    pub(super) log: Vec<GroupRecord>,
    pub(super) now_ms: i64,
    pub(super) answers: BTreeMap<Ticket, Response>,
    pub(super) parked: Vec<Ticket>,
    pub(super) append_fails: bool,
    config: GroupConfig,
    next_ticket: u64,
}

impl Broker {
    pub(super) fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub(super) fn with(config: GroupConfig) -> Self {
        let mut broker = Self {
            shard: GroupShard::new(config.clone()),
            log: Vec::new(),
            now_ms: 1_000_000,
            answers: BTreeMap::new(),
            parked: Vec::new(),
            append_fails: false,
            config,
            next_ticket: 0,
        };
        let decision = broker.shard.start(broker.now());
        broker.carry_out(decision);
        broker
    }

    /// The wall clock runs ahead of the monotonic one, so that mixing them up shows.
    pub(super) fn now(&self) -> Now {
        Now { monotonic_ms: self.now_ms, wall_ms: self.now_ms + 1_700_000_000_000 }
    }

    /// Steps 2 and 3 of the calling contract. False if the append failed.
    pub(super) fn carry_out<T>(&mut self, decision: Decision<T>) -> Option<T> {
        let (replies, response) = if self.append_fails && !decision.records.is_empty() {
            (decision.fail(&GroupError::LogUnavailable), None)
        } else {
            for record in &decision.records {
                let encoded = encode_record(record).unwrap();
                let decoded = decode_record(&encoded.key, encoded.value.as_ref()).unwrap().unwrap();
                assert_eq!(&decoded, record, "the codec must not lose anything");
                self.shard.replay(&decoded);
                self.log.push(decoded);
            }
            (decision.replies, Some(decision.response))
        };
        for Reply { ticket, response } in replies {
            let place = self.parked.iter().position(|parked| *parked == ticket);
            self.parked.swap_remove(place.unwrap_or_else(|| panic!("{ticket:?} is not parked")));
            assert!(self.answers.insert(ticket, response).is_none(), "{ticket:?} is answered twice");
        }
        response
    }

    pub(super) fn new_ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.parked.push(Ticket(self.next_ticket));
        Ticket(self.next_ticket)
    }

    /// Random bytes that are not.
    pub(super) fn new_uuid(&mut self) -> Uuid {
        self.next_ticket += 1;
        Uuid(u128::from(self.next_ticket).to_be_bytes())
    }

    /// Lets `delay_ms` pass, with all that comes due on the way.
    pub(super) fn pass(&mut self, delay_ms: i64) {
        let end_ms = self.now_ms + delay_ms;
        while let Some(due_ms) = self.shard.next_timeout().filter(|due_ms| *due_ms <= end_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            let decision = self.shard.on_timeout(self.now());
            self.carry_out(decision);
        }
        self.now_ms = end_ms;
    }

    /// A restart: what was written is read, what was parked is told so.
    pub(super) fn restart(&mut self) {
        for reply in self.shard.unload() {
            let place = self.parked.iter().position(|parked| *parked == reply.ticket).unwrap();
            self.parked.swap_remove(place);
            self.answers.insert(reply.ticket, reply.response);
        }
        assert!(self.parked.is_empty(), "unload forgot {:?}", self.parked);
        self.shard = self.recovered();
        let decision = self.shard.start(self.now());
        self.carry_out(decision);
    }

    /// What a restart would find.
    pub(super) fn recovered(&self) -> GroupShard {
        let mut shard = GroupShard::new(self.config.clone());
        self.log.iter().for_each(|record| shard.replay(record));
        shard
    }

    pub(super) fn state(&self) -> GroupState {
        self.shard.describe(&GROUP.into()).map_or(GroupState::Dead, |group| group.state)
    }

    pub(super) fn join(&mut self, request: &JoinRequest) -> Ticket {
        let ticket = self.new_ticket();
        let decision = self.shard.join(request, ticket, self.now());
        self.carry_out(decision);
        ticket
    }

    pub(super) fn sync(&mut self, member: &JoinResponse, assignments: &[(&MemberId, &str)]) -> Ticket {
        let assignments =
            assignments.iter().map(|(id, share)| ((*id).clone(), Bytes::copy_from_slice(share.as_bytes()))).collect();
        self.sync_with(&SyncRequest {
            group_id: GROUP.into(),
            generation: member.generation,
            member_id: member.member_id.clone(),
            group_instance_id: None,
            protocol_type: None,
            protocol_name: None,
            assignments,
        })
    }

    pub(super) fn sync_with(&mut self, request: &SyncRequest) -> Ticket {
        let ticket = self.new_ticket();
        let decision = self.shard.sync(request, ticket, self.now());
        self.carry_out(decision);
        ticket
    }

    pub(super) fn heartbeat(&mut self, member: &JoinResponse) -> Result<(), GroupError> {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation: member.generation,
            member_id: member.member_id.clone(),
            group_instance_id: None,
        };
        self.shard.heartbeat(&request, self.now())
    }

    pub(super) fn leave(&mut self, members: &[LeavingMember]) -> Result<Vec<LeaveOutcome>, GroupError> {
        let request = LeaveRequest { group_id: GROUP.into(), members: members.to_vec() };
        let decision = self.shard.leave(&request, self.now());
        self.carry_out(decision).unwrap_or(Err(GroupError::LogUnavailable))
    }

    pub(super) fn leave_dynamic(&mut self, member: &JoinResponse) -> LeaveOutcome {
        let leaving = LeavingMember { member_id: Some(member.member_id.clone()), group_instance_id: None };
        self.leave(&[leaving]).unwrap().remove(0)
    }

    pub(super) fn commit_with(&mut self, request: &OffsetCommitRequest) -> Result<Vec<CommitOutcome>, GroupError> {
        let decision = self.shard.commit_offsets(request, self.now());
        self.carry_out(decision).unwrap_or(Err(GroupError::LogUnavailable))
    }

    pub(super) fn commit(&mut self, member: Option<&JoinResponse>, offset: i64) -> Result<(), GroupError> {
        let outcomes = self.commit_with(&commit_request(member, &[("t", 0, offset)]))?;
        outcomes.into_iter().next().unwrap()
    }

    pub(super) fn committed(&self, topic: &str) -> Option<i64> {
        let selection = OffsetSelection::Partitions(vec![TopicPartition::new(topic, 0)]);
        let fetched = self.shard.fetch_offsets(&GROUP.into(), &selection, false).remove(0);
        fetched.committed.map(|committed| committed.offset)
    }

    pub(super) fn joined(&mut self, ticket: Ticket) -> JoinResponse {
        match self.answers.remove(&ticket) {
            Some(Response::Join(Ok(response))) => response,
            other => panic!("{ticket:?} got {other:?}, not a generation"),
        }
    }

    pub(super) fn join_error(&mut self, ticket: Ticket) -> GroupError {
        match self.answers.remove(&ticket) {
            Some(Response::Join(Err(error))) => error,
            other => panic!("{ticket:?} got {other:?}, not a refusal"),
        }
    }

    pub(super) fn synced(&mut self, ticket: Ticket) -> SyncResponse {
        match self.answers.remove(&ticket) {
            Some(Response::Sync(Ok(response))) => response,
            other => panic!("{ticket:?} got {other:?}, not an assignment"),
        }
    }

    pub(super) fn sync_error(&mut self, ticket: Ticket) -> GroupError {
        match self.answers.remove(&ticket) {
            Some(Response::Sync(Err(error))) => error,
            other => panic!("{ticket:?} got {other:?}, not a refusal"),
        }
    }

    /// A request of a new dynamic member that needs no id first.
    pub(super) fn newcomer(&mut self) -> JoinRequest {
        JoinRequest {
            group_id: GROUP.into(),
            member_id: None,
            group_instance_id: None,
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".to_owned(),
            protocols: vec![subscribing("range", &["t"])],
            requires_known_member_id: false,
            supports_skip_assignment: true,
            new_member_uuid: self.new_uuid(),
        }
    }

    pub(super) fn newcomer_as(&mut self, instance_id: &str) -> JoinRequest {
        JoinRequest { group_instance_id: Some(instance_id.into()), ..self.newcomer() }
    }

    pub(super) fn rejoin(&mut self, member: &JoinResponse) -> JoinRequest {
        JoinRequest { member_id: Some(member.member_id.clone()), ..self.newcomer() }
    }

    /// Takes `requests` into one stable generation: each member is assigned its own id. Leader first.
    pub(super) fn stable(&mut self, requests: &[JoinRequest]) -> Vec<JoinResponse> {
        let tickets: Vec<Ticket> = requests.iter().map(|request| self.join(request)).collect();
        self.pass(FIRST_WAIT_MS);
        let mut members: Vec<JoinResponse> = tickets.into_iter().map(|ticket| self.joined(ticket)).collect();
        self.assign(&members);
        members.sort_by_key(|member| member.member_id != member.leader);
        members
    }

    /// Syncs all members of a generation.
    pub(super) fn assign(&mut self, members: &[JoinResponse]) {
        let shares: Vec<_> = members.iter().map(|m| (&m.member_id, m.member_id.as_str())).collect();
        let mut tickets = Vec::new();
        for member in members {
            let is_leader = member.member_id == member.leader;
            tickets.push((member, self.sync(member, if is_leader { &shares } else { &[] })));
        }
        for (member, ticket) in tickets {
            assert_eq!(self.synced(ticket).assignment, member.member_id.as_bytes());
        }
        assert_eq!(self.state(), GroupState::Stable);
    }
}

pub(super) fn subscribing(protocol: &str, topics: &[&str]) -> Protocol {
    Protocol { name: protocol.to_owned(), metadata: subscription::encode(topics) }
}

pub(super) fn commit_request(member: Option<&JoinResponse>, offsets: &[(&str, i32, i64)]) -> OffsetCommitRequest {
    let to_commit = |(topic, partition, offset): &(&str, i32, i64)| OffsetToCommit {
        topic_partition: TopicPartition::new(*topic, *partition),
        topic_id: None,
        offset: *offset,
        leader_epoch: None,
        metadata: String::new(),
    };
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation: member.map(|m| m.generation),
        member_id: member.map(|m| m.member_id.clone()),
        group_instance_id: None,
        tells_member_epoch: false,
        retention_ms: None,
        offsets: offsets.iter().map(to_commit).collect(),
    }
}

/// The same member, as if it believed in another generation.
pub(super) fn in_generation(member: &JoinResponse, generation: i32) -> JoinResponse {
    JoinResponse { generation: GenerationId(generation), ..member.clone() }
}
