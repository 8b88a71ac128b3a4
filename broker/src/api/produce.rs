//! Produce (API key 0): batches into logs. acks=0 is not answered, acks=1 after the write, acks=all once the records are
//! committed: durable, where `riverrun.durability` says so.
//!
//! v7: zstd (KIP-110); v8: error messages (KIP-467); v10: leader hints (KIP-951), never needed by a single node;
//! v13: topic ids. Transactions: v3 names the producer's transactional id; v11: TRANSACTION_ABORTABLE (KIP-890); from v12 on
//! a partition joins the transaction when it is written to, before that it must have been added.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use riverrun_core::{
    ProducerEpoch, ProducerId,
    log::AppendInfo,
    metadata::Topic,
    protocol::{
        ErrorCode,
        messages::{
            ProduceRequest, ProduceResponse,
            produce::{PartitionProduceResponse, TopicProduceResponse},
        },
    },
    record::{BatchHeader, Compression},
    transaction::{ProducerIdAndEpoch, TransactionError, TransactionalId},
};

use super::produce_code;
use crate::{
    Reply, RequestContext,
    node::Node,
    storage::{Acks, CommitWait, LogOffline, Partition, ProduceError},
    topics::is_internal,
    transactions::{self, CoordinatorError, Outcome, TransactionalError, Verification},
};

/// The first version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE: i16 = 11;
/// The first version in which partitions join a transaction without being added before (KIP-890).
const ADDS_PARTITIONS: i16 = 12;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: ProduceRequest) -> Reply {
    let Some(acks) = Acks::from_wire(request.acks) else {
        return Reply::now(all_refused(request, ErrorCode::InvalidRequiredAcks, None));
    };
    let transactional_id = request.transactional_id.as_deref().map(TransactionalId::from);
    let by_id = context.api_version >= 13;
    let image = node.image();
    let mut waiting = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let known = if by_id { image.topic_by_id(topic.topic_id) } else { image.topic(&topic.name) };
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for partition in topic.partition_data {
            let produced = match known {
                Some(known) => {
                    let batch = Batch { index: partition.index, records: partition.records, acks };
                    append(node, context, transactional_id.as_ref(), known, batch)
                }
                None if by_id => Err(Refusal::code(ErrorCode::UnknownTopicId)),
                None => Err(Refusal::code(ErrorCode::UnknownTopicOrPartition)),
            };
            let (response, still) = match produced {
                Ok((response, still)) => (response, still),
                Err(refusal) => (refusal.into_response(partition.index), None),
            };
            waiting.extend(still.map(|still| (responses.len(), partition_responses.len(), still)));
            partition_responses.push(response);
        }
        responses.push(TopicProduceResponse { name: topic.name, topic_id: topic.topic_id, partition_responses });
    }
    finish(acks, ProduceResponse { responses, ..Default::default() }, waiting, request.timeout_ms)
}

/// Why a partition's batch was not taken.
struct Refusal {
    code: ErrorCode,
    message: Option<String>,
}

impl Refusal {
    fn code(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    fn into_response(self, index: i32) -> PartitionProduceResponse {
        PartitionProduceResponse {
            index,
            error_code: self.code.code(),
            base_offset: -1,
            error_message: self.message,
            ..Default::default()
        }
    }
}

impl Refusal {
    /// The answer to a transactional batch: a leader says of the coordinator's refusals what old clients act on rightly.
    fn in_transaction(error: &TransactionalError, version: i16) -> Self {
        let code = match error {
            TransactionalError::Log(error) => produce_code(error),
            TransactionalError::Coordinator(CoordinatorError::Refused(error)) => match error {
                TransactionError::ProducerFenced { .. } => ErrorCode::InvalidProducerEpoch,
                TransactionError::PartitionNotInTransaction if version < ABORTABLE => ErrorCode::InvalidTxnState,
                TransactionError::ConcurrentTransactions if version < ADDS_PARTITIONS => ErrorCode::NotEnoughReplicas,
                TransactionError::NotCoordinator | TransactionError::LogUnavailable => ErrorCode::NotEnoughReplicas,
                error => ErrorCode::from(error),
            },
            // It makes a client ask again, and look for no other leader.
            TransactionalError::Coordinator(CoordinatorError::Loading | CoordinatorError::NotAvailable) => {
                ErrorCode::NotEnoughReplicas
            }
        };
        Self { code, message: Some(error.to_string()) }
    }
}

impl From<ProduceError> for Refusal {
    fn from(error: ProduceError) -> Self {
        Self { code: produce_code(&error), message: Some(error.to_string()) }
    }
}

/// What an answer still waits for.
enum Waiting {
    /// What was appended is to be committed.
    Committed(CommitWait),
    /// The batch's turn has not come; then this is the answer.
    Appended(BoxFuture<'static, PartitionProduceResponse>),
}

type Produced = (PartitionProduceResponse, Option<Waiting>);

/// A batch as the request brings it.
struct Batch {
    index: i32,
    records: Option<Bytes>,
    acks: Acks,
}

fn append(
    node: &Arc<Node>,
    context: &RequestContext,
    transactional_id: Option<&TransactionalId>,
    topic: &Topic,
    batch: Batch,
) -> Result<Produced, Refusal> {
    let Batch { index, records, acks } = batch;
    let unknown = || Refusal::code(ErrorCode::UnknownTopicOrPartition);
    if is_internal(&topic.name) {
        // Whoever could write here could forge any group, or any transaction.
        return Err(Refusal::code(ErrorCode::InvalidTopicException));
    }
    let partition = node.storage.partition(topic.id, index).ok_or_else(unknown)?;
    let records = records.ok_or_else(|| Refusal::code(ErrorCode::InvalidRecord))?;
    if context.api_version < 7 && is_zstd(&records) {
        return Err(Refusal::code(ErrorCode::UnsupportedCompressionType));
    }
    let appended = match transactional_producer(&records) {
        None => partition.produce(records, acks)?,
        // Nobody may write to a transaction without naming it, whatever the access rules are; as in Kafka.
        Some(producer) => match transactional_id {
            None => return Err(Refusal::code(ErrorCode::TransactionalIdAuthorizationFailed)),
            Some(id) => {
                let batch = transactions::Batch { records, acks };
                return append_in_transaction(node, context.api_version, id, producer, &partition, index, batch);
            }
        },
    };
    Ok((appended_at(index, &appended), commit_wait(&partition, &appended, acks)?))
}

/// What the answer to an append waits for.
fn commit_wait(partition: &Partition, appended: &AppendInfo, acks: Acks) -> Result<Option<Waiting>, Refusal> {
    if acks != Acks::All {
        return Ok(None);
    }
    let wait = partition.commit_wait(appended.last_offset + 1);
    Ok(wait.map_err(|LogOffline| Refusal::code(ErrorCode::KafkaStorageError))?.map(Waiting::Committed))
}

/// Who wrote a batch, if it belongs to a transaction.
fn transactional_producer(records: &Bytes) -> Option<ProducerIdAndEpoch> {
    let header = BatchHeader::parse(records).ok().filter(|header| header.attributes.is_transactional())?;
    let epoch = ProducerEpoch(header.producer_epoch);
    Some(ProducerIdAndEpoch { id: ProducerId(header.producer_id), epoch })
}

fn append_in_transaction(
    node: &Arc<Node>,
    version: i16,
    transactional_id: &TransactionalId,
    producer: ProducerIdAndEpoch,
    partition: &Arc<Partition>,
    index: i32,
    batch: transactions::Batch,
) -> Result<Produced, Refusal> {
    let transactional_id = transactional_id.clone();
    let verification = Verification { transactional_id, producer, adds: version >= ADDS_PARTITIONS };
    let acks = batch.acks;
    let (partition_of_later, waits) = (Arc::clone(partition), acks == Acks::All);
    match node.produce_in_transaction(&verification, partition, batch) {
        Outcome::Now(appended) => {
            let appended = appended.map_err(|error| Refusal::in_transaction(&error, version))?;
            Ok((appended_at(index, &appended), commit_wait(partition, &appended, acks)?))
        }
        Outcome::Later(appended) => {
            let answer = async move {
                let appended = match appended.await {
                    Ok(appended) => appended,
                    Err(error) => return Refusal::in_transaction(&error, version).into_response(index),
                };
                if waits && partition_of_later.committed(appended.last_offset + 1).await.is_err() {
                    return Refusal::code(ErrorCode::KafkaStorageError).into_response(index);
                }
                appended_at(index, &appended)
            };
            Ok((PartitionProduceResponse { index, ..Default::default() }, Some(Waiting::Appended(answer.boxed()))))
        }
    }
}

fn appended_at(index: i32, appended: &AppendInfo) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time.unwrap_or(-1),
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    }
}

fn is_zstd(records: &Bytes) -> bool {
    BatchHeader::parse(records).is_ok_and(|header| header.attributes.compression() == Compression::Zstd)
}

/// The reply to a request whose appends are done.
fn finish(acks: Acks, mut response: ProduceResponse, waiting: Vec<(usize, usize, Waiting)>, timeout_ms: i32) -> Reply {
    if acks == Acks::None {
        let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        return if partitions.any(|p| p.error_code != ErrorCode::None.code()) { Reply::Close } else { Reply::Never };
    }
    if waiting.is_empty() {
        return Reply::now(response);
    }
    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let deadline = tokio::time::Instant::now() + timeout;
    // What is to be appended yet goes on only while it is asked; commits come by themselves.
    let (mut commits, mut appends) = (Vec::with_capacity(waiting.len()), Vec::new());
    for (topic, partition, still) in waiting {
        match still {
            Waiting::Committed(committed) => commits.push((topic, partition, committed)),
            Waiting::Appended(answer) => appends.push(async move {
                let answer = tokio::time::timeout_at(deadline, answer).await.map_err(|_| ErrorCode::RequestTimedOut);
                (topic, partition, answer)
            }),
        }
    }
    if appends.is_empty() {
        // Nearly always, so its future is no larger than it must be.
        return Reply::later(settle_commits(response, commits, deadline));
    }
    Reply::later(async move {
        for (topic, partition, answer) in join_all(appends).await {
            settle(&mut response, topic, partition, answer);
        }
        settle_commits(response, commits, deadline).await
    })
}

/// Waits for commits, until the deadline at most, and puts into the response what became of them.
async fn settle_commits(
    mut response: ProduceResponse,
    commits: Vec<(usize, usize, CommitWait)>,
    deadline: tokio::time::Instant,
) -> ProduceResponse {
    let mut timed_out = pin!(tokio::time::sleep_until(deadline));
    for (topic, partition, committed) in commits {
        let code = tokio::select! {
            biased;
            committed = committed => committed.err().map(|LogOffline| ErrorCode::KafkaStorageError),
            () = &mut timed_out => Some(ErrorCode::RequestTimedOut),
        };
        if let Some(code) = code {
            settle(&mut response, topic, partition, Err(code));
        }
    }
    response
}

/// Puts into the response what became of a partition.
fn settle(
    response: &mut ProduceResponse,
    topic: usize,
    partition: usize,
    answer: Result<PartitionProduceResponse, ErrorCode>,
) {
    let found = response.responses.get_mut(topic).and_then(|topic| topic.partition_responses.get_mut(partition));
    if let Some(partition) = found {
        *partition = answer.unwrap_or_else(|code| Refusal::code(code).into_response(partition.index));
    }
}

fn all_refused(request: ProduceRequest, code: ErrorCode, message: Option<&str>) -> ProduceResponse {
    let refuse = |index| {
        let message = message.map(str::to_owned);
        Refusal { code, message }.into_response(index)
    };
    let responses = request.topic_data.into_iter().map(|topic| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: topic.partition_data.iter().map(|partition| refuse(partition.index)).collect(),
    });
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}
