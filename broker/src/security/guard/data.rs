//! Records: Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use bytes::Bytes;
use riverrun_core::{
    metadata::AclOperation::{ClusterAction, Delete, Describe, Read, Write},
    protocol::{
        ErrorCode, ResponseBody,
        messages::{
            DeleteRecordsRequest, DeleteRecordsResponse, FetchRequest, ListOffsetsRequest, ListOffsetsResponse,
            OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceRequest, ProduceResponse,
            delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
            fetch::PartitionData,
            list_offsets::ListOffsetsPartitionResponse,
            offset_for_leader_epoch::EpochEndOffset,
            produce::{PartitionProduceResponse, TopicProduceResponse},
        },
    },
};

use crate::reply::Stored;

use super::{Decision, Permissions, TOPIC_DENIED, TRANSACTIONAL_ID_DENIED, part};

/// Write on each topic, and on the transactional id.
pub(super) fn produce(may: &Permissions, mut request: ProduceRequest) -> Decision {
    let transactional = request.transactional_id.as_deref().is_none_or(|id| may.transactional_id(Write, id));
    let (allowed, denied) = part(std::mem::take(&mut request.topic_data), |topic| {
        // An id that is not known is the handler's to answer.
        transactional && may.topic_name(&topic.name, topic.topic_id).is_none_or(|name| may.topic(Write, name))
    });
    request.topic_data = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    if request.acks == 0 {
        return Decision::PassAndClose(request.into());
    }
    let error_code = if transactional { TOPIC_DENIED } else { TRANSACTIONAL_ID_DENIED };
    let denied: Vec<_> = denied
        .into_iter()
        .map(|topic| TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses: topic
                .partition_data
                .iter()
                .map(|partition| PartitionProduceResponse { index: partition.index, error_code, ..Default::default() })
                .collect(),
        })
        .collect();
    Decision::amend(request, |response: &mut ProduceResponse| response.responses.extend(denied))
}

/// Read on each topic; who comes as a broker needs ClusterAction instead.
pub(super) fn fetch(may: Permissions, mut request: FetchRequest) -> Decision {
    let as_broker =
        Permissions::is_broker(request.replica_id) || Permissions::is_broker(request.replica_state.replica_id);
    let as_broker = as_broker.then(|| may.cluster(ClusterAction));
    let allowed = move |may: &Permissions, name: &str| as_broker.unwrap_or_else(|| may.topic(Read, name));
    let denied = |name: &str| !allowed(&may, name);
    if request.topics.iter().any(|topic| may.topic_name(&topic.topic, topic.topic_id).is_some_and(denied)) {
        // A refusal is not worth waiting for records.
        request.max_wait_ms = 0;
    }
    if !may.is_checked() && as_broker.is_none() {
        return Decision::Pass(request.into());
    }
    let amend = move |stored: &mut Stored| {
        let ResponseBody::Fetch(response) = &mut stored.body else { return };
        // One for each partition, if there are any.
        let mut files = stored.files.iter_mut();
        for topic in &mut response.responses {
            let name = may.topic_name(&topic.topic, topic.topic_id);
            let is_denied = name.is_some_and(|name| !allowed(&may, name));
            for partition in &mut topic.partitions {
                let file = files.next();
                if !is_denied {
                    continue;
                }
                if let Some(file) = file {
                    *file = None;
                }
                *partition = PartitionData {
                    partition_index: partition.partition_index,
                    error_code: TOPIC_DENIED,
                    high_watermark: -1,
                    records: Some(Bytes::new()),
                    ..Default::default()
                };
            }
        }
    };
    Decision::AmendStored(request.into(), Box::new(amend))
}

/// Describe on each topic.
pub(super) fn list_offsets(may: Permissions, request: ListOffsetsRequest) -> Decision {
    Decision::amend(request, move |response: &mut ListOffsetsResponse| {
        for topic in response.topics.iter_mut().filter(|topic| !may.topic(Describe, &topic.name)) {
            for partition in &mut topic.partitions {
                *partition = ListOffsetsPartitionResponse {
                    partition_index: partition.partition_index,
                    error_code: TOPIC_DENIED,
                    timestamp: -1,
                    offset: -1,
                    leader_epoch: -1,
                };
            }
        }
    })
}

/// ClusterAction, or Describe on each topic.
pub(super) fn offset_for_leader_epoch(may: Permissions, request: OffsetForLeaderEpochRequest) -> Decision {
    if may.cluster(ClusterAction) {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut OffsetForLeaderEpochResponse| {
        for topic in response.topics.iter_mut().filter(|topic| !may.topic(Describe, &topic.topic)) {
            for end in &mut topic.partitions {
                *end = EpochEndOffset { partition: end.partition, error_code: TOPIC_DENIED, ..Default::default() };
            }
        }
    })
}

/// Delete on each topic.
pub(super) fn delete_records(may: &Permissions, mut request: DeleteRecordsRequest) -> Decision {
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| may.topic(Delete, &topic.name));
    request.topics = allowed;
    Decision::amend(request, move |response: &mut DeleteRecordsResponse| {
        response.topics.extend(denied.into_iter().map(|topic| {
            DeleteRecordsTopicResult {
                name: topic.name,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| DeleteRecordsPartitionResult {
                        partition_index: partition.partition_index,
                        low_watermark: -1,
                        error_code: ErrorCode::TopicAuthorizationFailed.code(),
                    })
                    .collect(),
            }
        }));
    })
}
