//! Fetch (API key 1): batches out of logs, waiting for more if there are too few (KIP-74 for the size limits).
//!
//! v7: sessions (KIP-227), see [`riverrun_core::fetch_session`]; v9, v12: leader epochs and divergence (KIP-320, KIP-595);
//! v10: zstd; v13: topic ids (KIP-516).
//!
//! A request that finds less than `min_bytes` waits for high watermarks to move: those count the bytes that become
//! readable, nothing is read again before there are enough. Within a session only partitions to which something happened
//! are looked at.

mod partitions;
mod read;

use std::{sync::Arc, time::Duration};

use riverrun_core::{
    fetch_session::{FINAL_EPOCH, INITIAL_EPOCH, SessionError},
    protocol::{
        ErrorCode,
        messages::{FetchRequest, FetchResponse},
    },
};
use tokio::time::Instant;

pub(crate) use partitions::Sessions;
use partitions::{Names, Partitions};
use read::{Answer, Limits};

use crate::{
    Reply, RequestContext,
    node::Node,
    quotas::FetchQuota,
    reply::Stored,
    storage::{FetchWaiter, ReadIsolation},
};

const READ_COMMITTED: i8 = 1;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: FetchRequest) -> Reply {
    let replica_id = if context.api_version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    if replica_id >= 0 {
        // Nobody replicates this broker, and a client that claims to could read above the high watermark.
        return whole(ErrorCode::InvalidRequest);
    }
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let mut fetch = match Fetch::begin(node, context, request) {
        Ok(fetch) => fetch,
        Err(error) => return whole(session_code(error)),
    };
    let answer = fetch.read();
    if answer.complete || max_wait.is_zero() {
        return fetch.finish(answer).into();
    }
    let answer = if fetch.partitions.are_watched() {
        answer
    } else {
        // Looked at again, so that nothing that came in between is missed.
        fetch.watch();
        fetch.read()
    };
    if answer.complete {
        return fetch.finish(answer).into();
    }
    let deadline = Instant::now() + max_wait;
    if fetch.limits.takes_files {
        Reply::stored_later(fetch.wait(answer, deadline))
    } else {
        Reply::later(async move { fetch.wait(answer, deadline).await.body })
    }
}

/// An answer without partitions.
fn whole(code: ErrorCode) -> Reply {
    Reply::now(FetchResponse { error_code: code.code(), ..Default::default() })
}

fn session_code(error: SessionError) -> ErrorCode {
    match error {
        SessionError::NotFound { .. } => ErrorCode::FetchSessionIdNotFound,
        SessionError::InvalidEpoch { .. } => ErrorCode::InvalidFetchSessionEpoch,
        SessionError::TopicIdMismatch => ErrorCode::FetchSessionTopicIdError,
    }
}

/// A fetch request under way.
struct Fetch {
    node: Arc<Node>,
    limits: Limits,
    min_bytes: usize,
    /// The id that the answer has.
    session_id: i32,
    partitions: Partitions,
    waiter: Arc<FetchWaiter>,
    /// Absent if the client has none.
    quota: Option<FetchQuota>,
}

impl Fetch {
    /// Looks up what is wanted: in the request, or in the session it belongs to.
    fn begin(node: &Arc<Node>, context: &RequestContext, request: FetchRequest) -> Result<Self, SessionError> {
        let by_id = context.api_version >= 13;
        let to_size = |value: i32| usize::try_from(value).unwrap_or(0);
        let isolation = match request.isolation_level {
            READ_COMMITTED => ReadIsolation::Committed,
            _ => ReadIsolation::HighWatermark,
        };
        let quota = FetchQuota::of(&node.quotas, context);
        let burst_max = quota.as_ref().map_or(usize::MAX, |quota| quota.burst_max);
        let limits = Limits {
            max_bytes: to_size(request.max_bytes.min(node.start_config.fetch_max_bytes)).min(burst_max),
            isolation,
            reads_zstd: context.api_version >= 10,
            takes_files: context.takes_files && context.api_version >= 10,
        };
        let min_bytes = to_size(request.min_bytes);
        let image = node.image();
        let names = Names { node, image: &image, by_id };
        let (id, epoch) = (request.session_id, request.session_epoch);
        let (session_id, partitions, waiter) = if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if id != 0 {
                node.fetch_sessions.end(id);
            }
            if epoch == FINAL_EPOCH {
                (0, Partitions::plain(&names, request.topics), Arc::default())
            } else {
                node.fetch_sessions.create(&names, request.topics)
            }
        } else {
            node.fetch_sessions.go_on(&names, (id, epoch), request.topics, request.forgotten_topics_data, isolation)?
        };
        Ok(Self { node: Arc::clone(node), limits, min_bytes, session_id, partitions, waiter, quota })
    }

    /// Has the partitions tell of what becomes readable.
    fn watch(&mut self) {
        self.partitions.watch(&self.waiter);
    }

    fn read(&mut self) -> Answer {
        self.waiter.begin();
        // Clients that do not take what they asked for must not fill the memory; the others go on, in smaller steps.
        let unsent_max = usize::try_from(self.node.start_config.riverrun_responses_max_bytes).unwrap_or(0);
        let memory_max = unsent_max.saturating_sub(self.node.connections.unsent_bytes());
        let mut answer = self.partitions.read(&self.waiter, &self.limits, memory_max);
        let enough = self.min_bytes.min(self.limits.max_bytes.min(memory_max).max(1));
        answer.complete |= answer.bytes >= enough || self.partitions.is_empty();
        answer
    }

    async fn wait(mut self, mut answer: Answer, deadline: Instant) -> Stored {
        let stopping = self.node.stopping.clone();
        let mut is_last = false;
        while !answer.complete && !is_last {
            let missing = self.min_bytes.saturating_sub(answer.bytes);
            tokio::select! {
                biased;
                () = self.waiter.grown(missing) => {}
                () = tokio::time::sleep_until(deadline) => is_last = true,
                () = stopping.cancelled() => is_last = true,
            }
            answer = self.read();
        }
        self.finish(answer)
    }

    fn finish(mut self, answer: Answer) -> Stored {
        let mut throttle_time_ms = 0;
        if let Some(quota) = &self.quota {
            let charge = quota.charge(answer.wire_bytes());
            throttle_time_ms = charge.throttle_time_ms;
            if charge.withheld {
                return self.withheld(throttle_time_ms);
            }
        }
        let (responses, files) = self.partitions.finish(answer);
        let message = FetchResponse { throttle_time_ms, session_id: self.session_id, responses, ..Default::default() };
        Stored { body: message.into(), files }
    }

    /// The answer to a client that is beyond its quota: nothing, and no session that would begin with it. One that goes
    /// on has not been told anything.
    fn withheld(self, throttle_time_ms: i32) -> Stored {
        let begins = self.partitions.begin_session();
        if begins {
            self.node.fetch_sessions.end(self.session_id);
        }
        let session_id = if begins { 0 } else { self.session_id };
        let message = FetchResponse { throttle_time_ms, session_id, ..Default::default() };
        Stored { body: message.into(), files: Vec::new() }
    }
}
