//! A member's side of the classic group protocol, as a machine: which request comes next, and what its response means.
//! No I/O and no clock: `now` comes in. `group.rs` carries requests out, `heartbeat.rs` keeps the member alive.
//!
//! ```text
//!         join sent            response             sync sent      response
//!  Out ------------> Joining ----------> (leader: shares out) ---> Syncing --------> Stable
//!   ^                   |                                             |                |
//!   +-------------------+---------------------------------------------+----------------+
//!      error; or the coordinator says that the group is in a rebalance, or does not know us any more
//! ```
//!
//! It forgets its partitions' generation when the coordinator does not know it any more: what it owned is then
//! [lost](Membership::is_lost), not revoked.
//!
//! Source: Kafka's `AbstractCoordinator`, `ConsumerCoordinator`; KIP-62 (heartbeats apart from polls), KIP-345 (static
//! members), KIP-394 (member id required), KIP-429, KIP-792.

use std::sync::Arc;

use bytes::Bytes;
use riverrun_core::{
    TopicPartition,
    protocol::{
        EncodeError, ErrorCode,
        messages::{
            HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
            SyncGroupResponse, join_group::JoinGroupRequestProtocol, leave_group::MemberIdentity,
            sync_group::SyncGroupRequestAssignment,
        },
    },
};
use tokio::time::Instant;

use super::{embedded, settings::Settings};

/// The protocol type of consumers.
const PROTOCOL_TYPE: &str = "consumer";

/// A member of a group.
#[derive(Debug)]
pub(super) struct Membership {
    settings: Arc<Settings>,
    group: Arc<str>,
    state: State,
    member_id: Option<Arc<str>>,
    generation_id: Option<i32>,
    protocol_name: Option<String>,
    /// Why a new round is wanted.
    rejoin: Option<&'static str>,
    lost: bool,
    heartbeat_due: Instant,
    /// Since when the application has not polled; nothing while it does.
    idle_since: Option<Instant>,
}

/// See the diagram above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Out,
    Joining,
    Syncing,
    Stable,
}

/// What follows a response to JoinGroup.
#[derive(Debug)]
pub(super) enum Joined {
    /// Ask for the assignment.
    Follow,
    /// Share out among these members first.
    Lead(JoinGroupResponse),
    Failed(Failed),
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// Join again at once.
    Again,
    /// Join again after a pause.
    Later,
    /// Find the coordinator, then join again after a pause.
    NewCoordinator,
    /// What was owned is lost; say so before joining again.
    Lost,
    /// The group does not want this member.
    Fatal(ErrorCode),
}

/// What follows a response to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Alive,
    /// The consumer has to look at the membership.
    Notify,
    /// Find the coordinator and try again.
    NewCoordinator,
}

/// What a heartbeat task has to do.
#[derive(Debug)]
pub(super) enum Duty {
    /// Nothing until something changes.
    Rest,
    /// Nothing before then.
    Until(Instant),
    Beat(HeartbeatRequest),
    /// The application has not polled for too long.
    Leave,
}

impl Membership {
    pub(super) fn new(settings: Arc<Settings>, group: Arc<str>, now: Instant) -> Self {
        Self {
            settings,
            group,
            state: State::Out,
            member_id: None,
            generation_id: None,
            protocol_name: None,
            rejoin: None,
            lost: false,
            heartbeat_due: now,
            idle_since: Some(now),
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn member_id(&self) -> Option<&Arc<str>> {
        self.member_id.as_ref()
    }

    pub(super) fn generation_id(&self) -> Option<i32> {
        self.generation_id
    }

    /// Generation and member id as requests state them.
    pub(super) fn identity(&self) -> (i32, String) {
        (self.generation_id.unwrap_or(-1), self.member_id.as_deref().unwrap_or_default().to_owned())
    }

    /// Whether what was owned belongs to others by now.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The application has been told of the loss.
    pub(super) fn loss_is_told(&mut self) {
        self.lost = false;
    }

    /// Asks for a new round.
    pub(super) fn request_rejoin(&mut self, reason: &'static str) {
        self.rejoin.get_or_insert(reason);
    }

    /// Whether a round is due.
    pub(super) fn wants_to_join(&self) -> bool {
        self.lost || self.rejoin.is_some() || self.state == State::Out
    }

    /// The application polls, or has stopped to.
    pub(super) fn set_polling(&mut self, polling: bool, now: Instant) {
        self.idle_since = (!polling).then_some(now);
    }

    /// The request that starts a round.
    pub(super) fn join(
        &mut self,
        topics: &[Arc<str>],
        owned: &[TopicPartition],
        version: i16,
    ) -> Result<JoinGroupRequest, EncodeError> {
        let reason = self.rejoin.take();
        self.state = State::Joining;
        let protocols = self.settings.assignors.iter().map(|assignor| {
            let user_data = assignor.user_data(owned, self.generation_id);
            let metadata = embedded::subscription(topics, owned, self.generation_id, user_data)?;
            Ok(JoinGroupRequestProtocol { name: assignor.name().to_owned(), metadata })
        });
        Ok(JoinGroupRequest {
            group_id: self.group.to_string(),
            session_timeout_ms: millis(self.settings.session_timeout),
            rebalance_timeout_ms: millis(self.settings.max_poll_interval),
            member_id: self.identity().1,
            group_instance_id: self.instance(version >= 5),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: protocols.collect::<Result<_, EncodeError>>()?,
            reason: reason.filter(|_| version >= 8).map(str::to_owned),
        })
    }

    pub(super) fn joined(&mut self, response: JoinGroupResponse) -> Joined {
        let code = ErrorCode::from_code(response.error_code);
        match code {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                self.member_id = Some(response.member_id.into());
                return Joined::Failed(Failed::Again);
            }
            code => return Joined::Failed(self.failed(code)),
        }
        self.member_id = Some(response.member_id.as_str().into());
        self.generation_id = Some(response.generation_id);
        self.protocol_name.clone_from(&response.protocol_name);
        self.state = State::Syncing;
        if response.leader == response.member_id && !response.skip_assignment {
            Joined::Lead(response)
        } else {
            Joined::Follow
        }
    }

    /// The request for the assignment; the leader's carries everybody's.
    pub(super) fn sync(&self, assignments: Vec<(String, Bytes)>, version: i16) -> SyncGroupRequest {
        let (generation_id, member_id) = self.identity();
        let assignments =
            assignments.into_iter().map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment });
        SyncGroupRequest {
            group_id: self.group.to_string(),
            generation_id,
            member_id,
            group_instance_id: self.instance(version >= 3),
            protocol_type: (version >= 5).then(|| PROTOCOL_TYPE.to_owned()),
            protocol_name: self.protocol_name.clone().filter(|_| version >= 5),
            assignments: assignments.collect(),
        }
    }

    /// The assignment, in wire form.
    pub(super) fn synced(&mut self, response: SyncGroupResponse, now: Instant) -> Result<Bytes, Failed> {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                self.state = State::Stable;
                self.heartbeat_due = now + self.settings.heartbeat_interval;
                Ok(response.assignment)
            }
            code => Err(self.failed(code)),
        }
    }

    /// The round could not be finished for reasons outside the protocol.
    pub(super) fn round_failed(&mut self) {
        self.state = State::Out;
    }

    fn failed(&mut self, code: ErrorCode) -> Failed {
        self.state = State::Out;
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                let had_generation = self.generation_id.is_some();
                self.forget(code == ErrorCode::UnknownMemberId);
                if had_generation {
                    self.lost = true;
                    Failed::Lost
                } else {
                    Failed::Again
                }
            }
            ErrorCode::RebalanceInProgress => Failed::Again,
            ErrorCode::CoordinatorLoadInProgress => Failed::Later,
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => Failed::NewCoordinator,
            code if code.is_retriable() => Failed::Later,
            code => {
                self.forget(true);
                self.lost = true;
                Failed::Fatal(code)
            }
        }
    }

    fn forget(&mut self, member_id_too: bool) {
        self.generation_id = None;
        if member_id_too {
            self.member_id = None;
        }
    }

    /// What is to be done to stay alive.
    pub(super) fn duty(&self, now: Instant) -> Duty {
        if self.state != State::Stable {
            return Duty::Rest;
        }
        let overdue = self.idle_since.map(|since| since + self.settings.max_poll_interval);
        if overdue.is_some_and(|then| then <= now) {
            return Duty::Leave;
        }
        if self.heartbeat_due > now {
            let then = overdue.map_or(self.heartbeat_due, |overdue| overdue.min(self.heartbeat_due));
            return Duty::Until(then);
        }
        let (generation_id, member_id) = self.identity();
        let group_instance_id = self.instance(true);
        Duty::Beat(HeartbeatRequest { group_id: self.group.to_string(), generation_id, member_id, group_instance_id })
    }

    /// A response to the heartbeat sent for `generation_id`, or none.
    pub(super) fn beaten(&mut self, generation_id: i32, code: Option<ErrorCode>, now: Instant) -> Beat {
        self.heartbeat_due = now + self.settings.heartbeat_interval;
        if self.state != State::Stable || self.generation_id != Some(generation_id) {
            // A round has begun meanwhile: this answer is about the past.
            return Beat::Alive;
        }
        match code {
            Some(ErrorCode::None) => Beat::Alive,
            Some(ErrorCode::RebalanceInProgress) => {
                self.request_rejoin("the group is in a rebalance");
                Beat::Notify
            }
            Some(ErrorCode::CoordinatorLoadInProgress) => Beat::Alive,
            Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) | None => Beat::NewCoordinator,
            Some(code) if code.is_retriable() => Beat::Alive,
            // Unknown, fenced, of an older generation: whatever it is, the partitions are gone.
            Some(code) => {
                self.state = State::Out;
                self.forget(code != ErrorCode::IllegalGeneration);
                self.lost = true;
                Beat::Notify
            }
        }
    }

    /// The request to leave, if there is anything to leave. A static member keeps its place until its session ends.
    pub(super) fn leave(&mut self, reason: &str, version: i16) -> Option<LeaveGroupRequest> {
        if self.settings.group_instance_id.is_some() {
            return None;
        }
        let member_id = self.member_id.as_deref()?.to_owned();
        let mut request = LeaveGroupRequest { group_id: self.group.to_string(), ..Default::default() };
        if version >= 3 {
            let reason = (version >= 5).then(|| reason.to_owned());
            request.members = vec![MemberIdentity { member_id, group_instance_id: None, reason }];
        } else {
            request.member_id = member_id;
        }
        Some(request)
    }

    /// The member has left. With `lost` what it owned is somebody else's before the application knows.
    pub(super) fn left(&mut self, lost: bool) {
        self.state = State::Out;
        self.forget(true);
        self.lost |= lost;
    }

    fn instance(&self, known_to_version: bool) -> Option<String> {
        self.settings.group_instance_id.as_deref().filter(|_| known_to_version).map(str::to_owned)
    }
}

fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
