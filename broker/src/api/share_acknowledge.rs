//! ShareAcknowledge (API key 79): what became of records that a member of a share group was given (KIP-932). v2: renewal
//! of locks (KIP-1222).

use std::{collections::BTreeMap, sync::Arc};

use riverrun_core::{
    Uuid,
    group::{GroupId, MemberId},
    metadata::GroupSettings,
    protocol::{
        ErrorCode,
        messages::{
            ShareAcknowledgeRequest, ShareAcknowledgeResponse,
            share_acknowledge::{PartitionData, ShareAcknowledgeTopicResponse},
        },
    },
    share::{
        partition::{AcknowledgeType, Acknowledgement},
        session::{SessionKey, SessionStep},
        state::SharePartitionKey,
    },
};

use crate::{Reply, RequestContext, node::Node, share::Refused, storage::Committed};

/// First and last offset, and the types.
pub(super) type Wire = (i64, i64, Vec<i8>);

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: ShareAcknowledgeRequest) -> Reply {
    match begin(node, context, request) {
        Ok((outcomes, lock_ms)) => Reply::later(async move {
            let mut responses: Vec<ShareAcknowledgeTopicResponse> = Vec::new();
            for ((topic_id, partition_index), outcome) in outcomes.settled().await {
                let (error_code, error_message) = to_wire(outcome);
                let part = PartitionData { partition_index, error_code, error_message, ..Default::default() };
                match responses.last_mut() {
                    Some(last) if last.topic_id == topic_id => last.partitions.push(part),
                    _ => responses.push(ShareAcknowledgeTopicResponse { topic_id, partitions: vec![part] }),
                }
            }
            ShareAcknowledgeResponse { acquisition_lock_timeout_ms: lock_ms, responses, ..Default::default() }
        }),
        Err(code) => Reply::now(ShareAcknowledgeResponse {
            error_code: code.code(),
            error_message: Some(code.name().to_owned()),
            ..Default::default()
        }),
    }
}

fn begin(
    node: &Arc<Node>,
    context: &RequestContext,
    request: ShareAcknowledgeRequest,
) -> Result<(Outcomes, i32), ErrorCode> {
    let key = names(request.group_id.as_deref(), request.member_id.as_deref())?;
    let step = SessionStep::from_epoch(request.share_session_epoch);
    if step == SessionStep::Begin {
        // What was acknowledged would be of another session.
        return Err(ErrorCode::InvalidShareSessionEpoch);
    }
    node.shares.sessions().enter(&key, step, context.connection_id).map_err(|error| ErrorCode::from(&error))?;
    let partitions = request.topics.into_iter().flat_map(|topic| {
        let id = topic.topic_id;
        topic.partitions.into_iter().map(move |partition| {
            let batches = partition.acknowledgement_batches.into_iter();
            let batches = batches.map(|b| (b.first_offset, b.last_offset, b.acknowledge_types)).collect();
            ((id, partition.partition_index), batches)
        })
    });
    let settings = node.group_configs.get(&key.0);
    let outcomes = run(node, &settings, &key, partitions.collect(), request.is_renew_ack);
    if step == SessionStep::End {
        node.shares.end_session(&key);
    }
    Ok((outcomes, settings.share_record_lock_duration_ms))
}

/// Who asks.
pub(super) fn names(group: Option<&str>, member: Option<&str>) -> Result<SessionKey, ErrorCode> {
    let group = group.and_then(GroupId::from_wire).ok_or(ErrorCode::InvalidRequest)?;
    let member = member.and_then(MemberId::from_wire).ok_or(ErrorCode::InvalidRequest)?;
    Ok((group, member))
}

pub(super) fn key(group: &GroupId, topic_id: Uuid, partition: i32) -> SharePartitionKey {
    SharePartitionKey { group_id: group.as_str().into(), topic_id, partition }
}

/// Code and message of one outcome.
pub(super) fn to_wire(outcome: Result<(), Refused>) -> (i16, Option<String>) {
    match outcome {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(Refused { code, message }) => (code.code(), message),
    }
}

/// What became of acknowledgements, by partition.
#[derive(Default)]
pub(super) struct Outcomes(BTreeMap<(Uuid, i32), Result<Option<Committed>, Refused>>);

impl Outcomes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What to answer, when what it rests on is durable.
    pub(super) async fn settled(self) -> Vec<((Uuid, i32), Result<(), Refused>)> {
        let mut settled = Vec::with_capacity(self.0.len());
        for (slot, outcome) in self.0 {
            let outcome = match outcome {
                Ok(None) => Ok(()),
                Ok(Some(committed)) => committed.await.map_err(|_| ErrorCode::CoordinatorNotAvailable.into()),
                Err(refused) => Err(refused),
            };
            settled.push((slot, outcome));
        }
        settled
    }
}

/// Acknowledges, partition by partition.
pub(super) fn run(
    node: &Node,
    settings: &GroupSettings,
    (group, member): &SessionKey,
    partitions: BTreeMap<(Uuid, i32), Vec<Wire>>,
    may_renew: bool,
) -> Outcomes {
    let (now_ms, wall_ms) = (node.clock.monotonic_ms(), node.clock.wall_ms());
    let mut outcomes = BTreeMap::new();
    for ((topic_id, partition), batches) in partitions {
        let outcome = checked(batches, may_renew).map_err(Refused::from).and_then(|acknowledgements| {
            let held = node.shares.hold(node, &key(group, topic_id, partition))?;
            let outcome = held.acknowledge(settings, member, &acknowledgements, now_ms, wall_ms);
            node.shares.set_timer(&held);
            outcome
        });
        outcomes.insert((topic_id, partition), outcome);
    }
    if outcomes.values().any(Result::is_ok) {
        // Some may have been given back, and others make room.
        node.shares.has_released();
    }
    Outcomes(outcomes)
}

/// Reads what came: ranges that rise, with one type for all records or one for each.
fn checked(batches: Vec<Wire>, may_renew: bool) -> Result<Vec<Acknowledgement>, ErrorCode> {
    let mut next = 0;
    let mut acknowledgements = Vec::with_capacity(batches.len());
    for (first_offset, last_offset, types) in batches {
        let size = last_offset.checked_sub(first_offset).and_then(|size| usize::try_from(size).ok());
        let fits = size.is_some_and(|size| types.len() == 1 || size.checked_add(1) == Some(types.len()));
        if first_offset < next || !fits || last_offset == i64::MAX {
            return Err(ErrorCode::InvalidRequest);
        }
        next = last_offset + 1;
        let types = types.into_iter().map(AcknowledgeType::from_wire);
        let types = types.collect::<Option<Vec<_>>>().ok_or(ErrorCode::InvalidRequest)?;
        if !may_renew && types.contains(&AcknowledgeType::Renew) {
            return Err(ErrorCode::InvalidRequest);
        }
        acknowledgements.push(Acknowledgement { first_offset, last_offset, types });
    }
    Ok(acknowledgements)
}
