//! ShareFetch (API key 78): records for a member of a share group, and with the same request what became of those it had
//! before (KIP-932). v2: acquire mode (KIP-1206) and renewal of locks (KIP-1222).
//!
//! Waits for records to come, or to be given back by others, as long as there are fewer bytes than asked for; what is
//! taken is taken at the end of that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use riverrun_core::{
    Uuid,
    group::{GroupId, MemberId},
    metadata::GroupSettings,
    protocol::{
        ErrorCode,
        messages::{
            ShareFetchRequest, ShareFetchResponse,
            share_fetch::{AcquiredRecords, LeaderIdAndEpoch, PartitionData, ShareFetchableTopicResponse},
        },
    },
    share::{partition::AcquireMode, session::SessionStep},
};
use tokio::time::Instant;

use super::share_acknowledge::{self as acknowledge, Outcomes, Wire};
use crate::{
    Reply, RequestContext,
    node::Node,
    share::{Held, Taken, Wanted},
    storage::{FetchWaiter, Watch},
};

type Slot = (Uuid, i32);

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: ShareFetchRequest) -> Reply {
    match begin(node, context, request) {
        Ok(fetch) => Reply::later(fetch.run()),
        Err(code) => Reply::now(ShareFetchResponse {
            error_code: code.code(),
            error_message: Some(code.name().to_owned()),
            ..Default::default()
        }),
    }
}

/// A request under way.
struct ShareFetch {
    node: Arc<Node>,
    group: GroupId,
    member: MemberId,
    settings: Arc<GroupSettings>,
    mode: AcquireMode,
    records_max: i64,
    batch_size: i64,
    bytes_max: usize,
    bytes_min: usize,
    max_wait: Duration,
    acknowledged: Outcomes,
    /// What to take from, in this order; none if nothing is to be taken.
    slots: Vec<Slot>,
}

fn begin(node: &Arc<Node>, context: &RequestContext, request: ShareFetchRequest) -> Result<ShareFetch, ErrorCode> {
    let (group, member) = acknowledge::names(request.group_id.as_deref(), request.member_id.as_deref())?;
    let mode = AcquireMode::from_wire(request.share_acquire_mode).ok_or(ErrorCode::InvalidRequest)?;
    let renews = request.is_renew_ack;
    let takes_any =
        request.max_bytes > 0 || request.min_bytes > 0 || request.max_records > 0 || request.max_wait_ms > 0;
    if renews && takes_any {
        return Err(ErrorCode::InvalidRequest);
    }
    let wanted: Vec<Slot> = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, partition.partition_index)))
        .collect();
    let forgotten = request.forgotten_topics_data.iter();
    let forgotten: Vec<Slot> =
        forgotten.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index))).collect();
    let partitions = request.topics.into_iter().flat_map(|topic| {
        let id = topic.topic_id;
        topic.partitions.into_iter().map(move |partition| {
            let batches = partition.acknowledgement_batches.into_iter();
            let batches = batches.map(|b| (b.first_offset, b.last_offset, b.acknowledge_types)).collect();
            ((id, partition.partition_index), batches)
        })
    });
    let acknowledgements: BTreeMap<Slot, Vec<Wire>> =
        partitions.filter(|(_, batches): &(Slot, Vec<Wire>)| !batches.is_empty()).collect();
    let step = SessionStep::from_epoch(request.share_session_epoch);
    if step == SessionStep::Begin && !acknowledgements.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let key = (group.clone(), member.clone());
    let slots = {
        let mut sessions = node.shares.sessions();
        let session = sessions.enter(&key, step, context.connection_id).map_err(|error| ErrorCode::from(&error))?;
        session.update(&wanted, &forgotten);
        if step == SessionStep::End || renews { Vec::new() } else { session.partitions() }
    };
    let settings = node.group_configs.get(&group);
    let acknowledged = acknowledge::run(node, &settings, &key, acknowledgements, renews);
    if step == SessionStep::End {
        node.shares.end_session(&key);
    }
    let to_size = |value: i32| usize::try_from(value).unwrap_or(0);
    Ok(ShareFetch {
        node: Arc::clone(node),
        group,
        member,
        settings,
        mode,
        records_max: i64::from(request.max_records),
        batch_size: i64::from(request.batch_size),
        bytes_max: to_size(request.max_bytes.min(node.start_config.fetch_max_bytes)),
        bytes_min: to_size(request.min_bytes),
        max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        acknowledged,
        slots,
    })
}

/// What was found in one partition.
type Found = (Slot, Result<Taken, ErrorCode>);

impl ShareFetch {
    async fn run(mut self) -> ShareFetchResponse {
        let deadline = Instant::now() + self.max_wait;
        let node = Arc::clone(&self.node);
        let held: Vec<_> = self.slots.iter().map(|slot| (*slot, self.hold(*slot))).collect();
        let waiter = Arc::new(FetchWaiter::default());
        // What is to be read tells of itself from here on, so that nothing that comes in between is missed.
        let watches: Vec<Watch> = held
            .iter()
            .enumerate()
            .filter_map(|(index, (_, held))| {
                Some(held.as_ref().ok()?.partition.watch(&waiter, u64::try_from(index).unwrap_or(u64::MAX)))
            })
            .collect();
        let mut is_last = self.max_wait.is_zero() || self.slots.is_empty() || self.records_max <= 0;
        let mut found;
        loop {
            waiter.begin();
            let released = node.shares.until_released();
            tokio::pin!(released);
            released.as_mut().enable();
            let enough = is_last || self.bytes_min <= 1 || self.readable(&held) >= self.bytes_min;
            found = if enough { self.take(&held) } else { Vec::new() };
            // Acknowledgements are answered at once: their member waits for that.
            if !found.is_empty() || is_last || !self.acknowledged.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = waiter.grown(1) => {}
                () = &mut released => {}
                () = tokio::time::sleep_until(deadline) => is_last = true,
                () = node.stopping.cancelled() => is_last = true,
            }
        }
        drop(watches);
        self.finish(found).await
    }

    fn hold(&self, (topic_id, partition): Slot) -> Result<Arc<Held>, ErrorCode> {
        self.node.shares.hold(&self.node, &acknowledge::key(&self.group, topic_id, partition))
    }

    fn wanted(&self, records_max: i64, bytes_max: usize, at_least_one: bool) -> Wanted<'_> {
        Wanted {
            member: &self.member,
            records_max,
            bytes_max,
            at_least_one,
            batch_size: self.batch_size,
            mode: self.mode,
        }
    }

    fn readable(&self, held: &[(Slot, Result<Arc<Held>, ErrorCode>)]) -> usize {
        let wanted = self.wanted(self.records_max, self.bytes_max, true);
        let wall_ms = self.node.clock.wall_ms();
        let ready = held.iter().filter_map(|(_, held)| held.as_ref().ok());
        ready.map(|held| held.readable_bytes(&self.settings, &wanted, wall_ms)).sum()
    }

    fn take(&self, held: &[(Slot, Result<Arc<Held>, ErrorCode>)]) -> Vec<Found> {
        let (now_ms, wall_ms) = (self.node.clock.monotonic_ms(), self.node.clock.wall_ms());
        let (mut records_left, mut bytes_left) = (self.records_max, self.bytes_max);
        let mut found = Vec::new();
        let key = (self.group.clone(), self.member.clone());
        for (slot, held) in held {
            if records_left <= 0 {
                break;
            }
            let held = match held {
                Ok(held) => held,
                // It comes when the coordinator does.
                Err(ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress) => continue,
                Err(code) => {
                    found.push((*slot, Err(*code)));
                    continue;
                }
            };
            let wanted = self.wanted(records_left, bytes_left, found.is_empty());
            match held.take(&self.settings, &wanted, now_ms, wall_ms) {
                Ok(Some(taken)) => {
                    self.node.shares.set_timer(held);
                    records_left -= taken.acquired.iter().map(|a| a.last_offset - a.first_offset + 1).sum::<i64>();
                    bytes_left = bytes_left.saturating_sub(taken.records.len());
                    found.push((*slot, Ok(taken)));
                    if let Some(session) = self.node.shares.sessions().get(&key) {
                        session.served(*slot);
                    }
                }
                Ok(None) => {}
                Err(code) => found.push((*slot, Err(code))),
            }
        }
        found
    }

    async fn finish(&mut self, found: Vec<Found>) -> ShareFetchResponse {
        let mut parts: BTreeMap<Slot, PartitionData> = BTreeMap::new();
        for (slot, outcome) in std::mem::take(&mut self.acknowledged).settled().await {
            let part = parts.entry(slot).or_insert_with(|| empty(slot.1));
            (part.acknowledge_error_code, part.acknowledge_error_message) = acknowledge::to_wire(outcome);
        }
        for (slot, outcome) in found {
            let part = parts.entry(slot).or_insert_with(|| empty(slot.1));
            match outcome {
                Ok(Taken { records, acquired }) => {
                    let wire = acquired.iter().map(|a| AcquiredRecords {
                        first_offset: a.first_offset,
                        last_offset: a.last_offset,
                        delivery_count: a.delivery_count,
                    });
                    part.records = Some(records);
                    part.acquired_records = wire.collect();
                }
                Err(code) => {
                    part.error_code = code.code();
                    part.error_message = Some(code.name().to_owned());
                }
            }
        }
        let mut responses: Vec<ShareFetchableTopicResponse> = Vec::new();
        for ((topic_id, _), part) in parts {
            match responses.last_mut() {
                Some(last) if last.topic_id == topic_id => last.partitions.push(part),
                _ => responses.push(ShareFetchableTopicResponse { topic_id, partitions: vec![part] }),
            }
        }
        ShareFetchResponse {
            acquisition_lock_timeout_ms: self.settings.share_record_lock_duration_ms,
            responses,
            ..Default::default()
        }
    }
}

fn empty(partition_index: i32) -> PartitionData {
    PartitionData {
        partition_index,
        records: Some(bytes::Bytes::new()),
        current_leader: LeaderIdAndEpoch::default(),
        ..Default::default()
    }
}
