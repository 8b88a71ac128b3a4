//! Produce (API key 0): batches into logs. acks=0 is not answered, acks=1 after the write, acks=all once the records are
//! committed: durable, where `riverrun.durability` says so.
//!
//! v7: zstd (KIP-110); v8: error messages (KIP-467); v10: leader hints (KIP-951), never needed by a single node;
//! v13: topic ids. Transactional produce is not served: InitProducerId hands out no transactional session.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use riverrun_core::{
    metadata::Topic,
    protocol::{
        ErrorCode,
        messages::{
            ProduceRequest, ProduceResponse,
            produce::{PartitionProduceResponse, TopicProduceResponse},
        },
    },
    record::{BatchHeader, Compression},
};

use super::produce_code;
use crate::{
    Reply, RequestContext,
    groups::OFFSETS_TOPIC,
    node::Node,
    storage::{Acks, Committed, ProduceError},
};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: ProduceRequest) -> Reply {
    let Some(acks) = Acks::from_wire(request.acks) else {
        return Reply::now(all_refused(request, ErrorCode::InvalidRequiredAcks, None));
    };
    if request.transactional_id.is_some() {
        let message = "transactions are not supported";
        return finish(acks, all_refused(request, ErrorCode::InvalidRequest, Some(message)), Vec::new(), 0);
    }
    let by_id = context.api_version >= 13;
    let image = node.image();
    let mut waiting = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let known = if by_id { image.topic_by_id(topic.topic_id) } else { image.topic(&topic.name) };
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for partition in topic.partition_data {
            let produced = match known {
                Some(known) => append(node, context, known, partition.index, partition.records, acks),
                None if by_id => Err(Refusal::code(ErrorCode::UnknownTopicId)),
                None => Err(Refusal::code(ErrorCode::UnknownTopicOrPartition)),
            };
            let (response, committed) = match produced {
                Ok((response, committed)) => (response, committed),
                Err(refusal) => (refusal.into_response(partition.index), None),
            };
            waiting.extend(committed.map(|committed| (responses.len(), partition_responses.len(), committed)));
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

impl From<ProduceError> for Refusal {
    fn from(error: ProduceError) -> Self {
        Self { code: produce_code(&error), message: Some(error.to_string()) }
    }
}

type Produced = (PartitionProduceResponse, Option<Committed>);

fn append(
    node: &Node,
    context: &RequestContext,
    topic: &Topic,
    index: i32,
    records: Option<Bytes>,
    acks: Acks,
) -> Result<Produced, Refusal> {
    let unknown = || Refusal::code(ErrorCode::UnknownTopicOrPartition);
    if &*topic.name == OFFSETS_TOPIC {
        // Whoever could write here could forge any group.
        return Err(Refusal::code(ErrorCode::InvalidTopicException));
    }
    let partition = node.storage.partition(topic.id, index).ok_or_else(unknown)?;
    let records = records.ok_or_else(|| Refusal::code(ErrorCode::InvalidRecord))?;
    if context.api_version < 7 && is_zstd(&records) {
        return Err(Refusal::code(ErrorCode::UnsupportedCompressionType));
    }
    let appended = partition.produce(records, acks)?;
    let response = PartitionProduceResponse {
        index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time.unwrap_or(-1),
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    };
    let committed = (acks == Acks::All).then(|| partition.committed(appended.last_offset + 1));
    Ok((response, committed))
}

fn is_zstd(records: &Bytes) -> bool {
    BatchHeader::parse(records).is_ok_and(|header| header.attributes.compression() == Compression::Zstd)
}

/// The reply to a request whose appends are done.
fn finish(
    acks: Acks,
    mut response: ProduceResponse,
    waiting: Vec<(usize, usize, Committed)>,
    timeout_ms: i32,
) -> Reply {
    if acks == Acks::None {
        let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        return if partitions.any(|p| p.error_code != ErrorCode::None.code()) { Reply::Close } else { Reply::Never };
    }
    if waiting.is_empty() {
        return Reply::now(response);
    }
    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let deadline = tokio::time::Instant::now() + timeout;
    Reply::later(async move {
        let outcomes = waiting.into_iter().map(async |(topic, partition, committed)| {
            let code = match tokio::time::timeout_at(deadline, committed).await {
                Ok(Ok(())) => ErrorCode::None,
                Ok(Err(_)) => ErrorCode::KafkaStorageError,
                Err(_) => ErrorCode::RequestTimedOut,
            };
            (topic, partition, code)
        });
        for (topic, partition, code) in join_all(outcomes).await {
            let found = response.responses.get_mut(topic).and_then(|t| t.partition_responses.get_mut(partition));
            if code != ErrorCode::None
                && let Some(partition) = found
            {
                *partition = Refusal::code(code).into_response(partition.index);
            }
        }
        response
    })
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
