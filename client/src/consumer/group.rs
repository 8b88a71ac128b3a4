//! A group as seen from one consumer: the way to its coordinator, and one round of joining as a driver of the
//! [`Membership`] machine.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use riverrun_core::{
    TopicPartition,
    protocol::{DecodeError, Request, messages::JoinGroupResponse},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{
    assignor::ClusterTopics,
    embedded,
    error::{ConsumeError, ProtocolProblem},
    membership::{Failed, Joined, Membership},
    settings::Settings,
};
use crate::{
    backoff::Backoff,
    cluster::{Cluster, Coordinator, Image, Pool, REQUEST_TIMEOUT, Wanted},
    error::{CallError, ClientError},
};

/// The group and this consumer's place in it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: Arc<str>,
    pub(super) settings: Arc<Settings>,
    pub(super) cluster: Arc<Cluster>,
    /// For join, sync, heartbeat and leave.
    control: Pool,
    /// For offsets and for leaving, which must not wait behind a join.
    offsets: Pool,
    /// Guards the machine, for the length of one step.
    membership: Mutex<Membership>,
    /// Guards what was found; the search runs without it.
    coordinator: Mutex<Option<Coordinator>>,
    /// Tells the consumer to look at the membership.
    pub(super) changed: Notify,
    /// Tells the heartbeat task to.
    pub(super) duty_changed: Notify,
}

/// Which connection to the coordinator.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane {
    Control,
    Offsets,
}

/// What a leader shared out, to see later whether that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedOut {
    /// The topics that any member subscribes to, existing or not.
    pub(super) names: Vec<Arc<str>>,
    /// Those that existed.
    pub(super) topics: ClusterTopics,
}

impl SharedOut {
    /// The same topics as they are in `image`.
    pub(super) fn now(names: Vec<Arc<str>>, image: &Image) -> Self {
        let exists = |name: &Arc<str>| {
            let topic = image.topic(name).filter(|topic| topic.error.is_none() && !topic.partitions.is_empty())?;
            Some((Arc::clone(name), topic.partition_count()))
        };
        Self { topics: names.iter().filter_map(exists).collect(), names }
    }
}

/// The end of a round.
#[derive(Debug)]
pub(super) enum Round {
    Assigned {
        partitions: Vec<TopicPartition>,
        /// What this member shared out, if it leads.
        shared_out: Option<SharedOut>,
    },
    /// What was owned is lost.
    Lost,
}

impl Group {
    pub(super) fn new(id: Arc<str>, settings: Arc<Settings>, cluster: Arc<Cluster>) -> Self {
        let pool = || Pool::new(Arc::clone(cluster.transport()));
        let membership = Membership::new(Arc::clone(&settings), Arc::clone(&id), Instant::now());
        Self {
            control: pool(),
            offsets: pool(),
            id,
            settings,
            cluster,
            membership: Mutex::new(membership),
            coordinator: Mutex::default(),
            changed: Notify::new(),
            duty_changed: Notify::new(),
        }
    }

    pub(super) fn membership(&self) -> MutexGuard<'_, Membership> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coordinator, looked for if it is not known.
    async fn coordinator(&self) -> Result<Coordinator, ClientError> {
        let known = self.coordinator.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.cluster.find_coordinator(&self.id).await?;
        *self.coordinator.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    pub(super) fn forget_coordinator(&self) {
        *self.coordinator.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Asks the coordinator. If it cannot be reached it is looked for anew by the next call.
    pub(super) async fn call<R: Request>(
        &self,
        lane: Lane,
        limit: Duration,
        version_max: i16,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, ClientError> {
        let coordinator = self.coordinator().await?;
        let pool = match lane {
            Lane::Control => &self.control,
            Lane::Offsets => &self.offsets,
        };
        let result = pool.call_within(&coordinator.address, limit, version_max, build).await;
        match &result {
            Err(ClientError::Connect(_)) => self.forget_coordinator(),
            Err(ClientError::Call(error)) if error.breaks_connection() => self.forget_coordinator(),
            _ => {}
        }
        result
    }

    /// Joins until there is an assignment, or something that the application must hear of first.
    pub(super) async fn round(
        self: Arc<Self>,
        topics: Vec<Arc<str>>,
        owned: Vec<TopicPartition>,
    ) -> Result<Round, ConsumeError> {
        let mut failures = 0;
        loop {
            let failed = match self.attempt(&topics, &owned).await {
                Ok(Ok(round)) => return Ok(round),
                Ok(Err(failed)) => failed,
                Err(ConsumeError::Client(error)) if error.is_retriable() => {
                    tracing::debug!(group = %self.id, %error, "cannot join");
                    self.membership().round_failed();
                    Failed::Later
                }
                Err(error) => {
                    self.membership().round_failed();
                    return Err(error);
                }
            };
            match failed {
                Failed::Again => continue,
                Failed::Lost => return Ok(Round::Lost),
                Failed::Fatal(code) => return Err(ConsumeError::Group { group: Arc::clone(&self.id), code }),
                Failed::NewCoordinator => self.forget_coordinator(),
                Failed::Later => {}
            }
            failures += 1;
            sleep(Backoff::default().after(failures, rand::random())).await;
        }
    }

    async fn attempt(
        &self,
        topics: &[Arc<str>],
        owned: &[TopicPartition],
    ) -> Result<Result<Round, Failed>, ConsumeError> {
        // The coordinator answers once all members have joined, which may take as long as they may go without polling.
        let limit = self.settings.max_poll_interval + Duration::from_secs(5);
        let mut unencodable = None;
        let response = self.call(Lane::Control, limit.max(REQUEST_TIMEOUT), i16::MAX, |version| {
            self.membership().join(topics, owned, version).unwrap_or_else(|error| {
                unencodable = Some(error);
                Default::default()
            })
        });
        let response = response.await;
        if let Some(source) = unencodable {
            let api = riverrun_core::protocol::ApiKey::JoinGroup;
            return Err(ClientError::from(CallError::Encode { api, version: 0, source: Arc::new(source) }).into());
        }
        let joined = self.membership().joined(response?);
        let (assignments, shared_out) = match joined {
            Joined::Failed(failed) => return Ok(Err(failed)),
            Joined::Follow => (Vec::new(), None),
            Joined::Lead(response) => {
                let (assignments, shared_out) = self.share_out(&response).await?;
                (assignments, Some(shared_out))
            }
        };
        let sync = |version| self.membership().sync(assignments, version);
        let response = self.call(Lane::Control, limit.max(REQUEST_TIMEOUT), i16::MAX, sync).await?;
        let synced = self.membership().synced(response, Instant::now());
        self.duty_changed.notify_one();
        let assignment = match synced {
            Ok(assignment) => assignment,
            Err(failed) => return Ok(Err(failed)),
        };
        let partitions = embedded::assigned(&assignment).map_err(|error| self.malformed(error))?;
        Ok(Ok(Round::Assigned { partitions, shared_out }))
    }

    /// Shares out among all members; this one leads.
    async fn share_out(&self, response: &JoinGroupResponse) -> Result<(Vec<(String, Bytes)>, SharedOut), ConsumeError> {
        let name = response.protocol_name.as_deref().unwrap_or_default();
        let assignor = self.settings.assignors.iter().find(|assignor| assignor.name() == name);
        let unknown = || self.problem(ProtocolProblem::UnknownAssignor { name: name.to_owned() });
        let assignor = assignor.ok_or_else(unknown)?;
        let members = response.members.iter().map(embedded::member).collect::<Result<Vec<_>, _>>();
        let members = members.map_err(|error| self.malformed(error))?;
        let mut names: Vec<_> = members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let allow_auto_create = self.settings.allow_auto_create;
        let image = self.cluster.refresh(Wanted::Topics { names: &names, allow_auto_create }).await?;
        let shared_out = SharedOut::now(names, &image);
        let assignments = assignor.assign(&shared_out.topics, &members);
        let encoded = members.iter().map(|member| {
            let partitions = assignments.get(&member.member_id).map_or(&[][..], Vec::as_slice);
            Ok((member.member_id.to_string(), embedded::assignment(partitions)?))
        });
        let encoded = encoded.collect::<Result<_, _>>().map_err(|source| {
            let api = riverrun_core::protocol::ApiKey::SyncGroup;
            ClientError::from(CallError::Encode { api, version: 0, source: Arc::new(source) })
        })?;
        Ok((encoded, shared_out))
    }

    fn malformed(&self, error: DecodeError) -> ConsumeError {
        self.problem(ProtocolProblem::Malformed(Arc::new(error)))
    }

    fn problem(&self, problem: ProtocolProblem) -> ConsumeError {
        ConsumeError::Protocol { group: Arc::clone(&self.id), problem }
    }

    /// Leaves the group, if this is a member that can.
    pub(super) async fn leave(&self, reason: &str, lost: bool) {
        if self.membership().leave(reason, 0).is_some() {
            let build = |version| self.membership().leave(reason, version).unwrap_or_default();
            // Not behind a join that may still be waiting for other members.
            if let Err(error) = self.call(Lane::Offsets, Duration::from_secs(5), i16::MAX, build).await {
                tracing::debug!(group = %self.id, %error, "could not say that it leaves");
            }
        }
        self.membership().left(lost);
    }
}
