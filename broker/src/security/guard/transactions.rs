//! Producers' ids and transactions.

use riverrun_core::{
    metadata::{
        AclOperation::{Alter, ClusterAction, Describe, IdempotentWrite, Read, Write},
        ResourceType,
    },
    protocol::{
        ErrorCode,
        messages::{
            AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
            DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
            DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
            ListTransactionsRequest, ListTransactionsResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
            WriteTxnMarkersRequest, WriteTxnMarkersResponse,
            add_partitions_to_txn::{AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult},
            describe_producers::PartitionResponse,
            describe_transactions::TransactionState,
            txn_offset_commit::{
                TxnOffsetCommitRequestTopic, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
            },
            write_txn_markers::{
                WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
            },
        },
    },
};

use super::{CLUSTER_DENIED, Decision, GROUP_DENIED, Permissions, TOPIC_DENIED, TRANSACTIONAL_ID_DENIED, part};

/// Write on the transactional id; without one IdempotentWrite, or Write on any topic at all.
pub(super) fn init_producer_id(may: &Permissions, request: InitProducerIdRequest) -> Decision {
    let error_code = match &request.transactional_id {
        Some(id) if !may.transactional_id(Write, id) => TRANSACTIONAL_ID_DENIED,
        None if !may.cluster(IdempotentWrite) && !may.allow_some(Write, ResourceType::Topic) => CLUSTER_DENIED,
        _ => return Decision::Pass(request.into()),
    };
    Decision::answer(InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() })
}

/// Write on the transactional id and on each topic, all or none of a transaction. What brokers ask for several
/// transactions at once needs ClusterAction.
pub(super) fn add_partitions(may: &Permissions, request: AddPartitionsToTxnRequest) -> Decision {
    if !request.transactions.is_empty() {
        if may.cluster(ClusterAction) {
            return Decision::Pass(request.into());
        }
        return Decision::answer(AddPartitionsToTxnResponse { error_code: CLUSTER_DENIED, ..Default::default() });
    }
    let transactional = may.transactional_id(Write, &request.v3_and_below_transactional_id);
    let topics = &request.v3_and_below_topics;
    if transactional && topics.iter().all(|topic| may.topic(Write, &topic.name)) {
        return Decision::Pass(request.into());
    }
    let result = |topic: &riverrun_core::protocol::messages::add_partitions_to_txn::AddPartitionsToTxnTopic| {
        let partition_error_code = match (transactional, may.topic(Write, &topic.name)) {
            (false, _) => TRANSACTIONAL_ID_DENIED,
            (true, false) => TOPIC_DENIED,
            (true, true) => ErrorCode::OperationNotAttempted.code(),
        };
        let result =
            |partition: &i32| AddPartitionsToTxnPartitionResult { partition_index: *partition, partition_error_code };
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: topic.partitions.iter().map(result).collect(),
        }
    };
    let results_by_topic_v3_and_below = topics.iter().map(result).collect();
    Decision::answer(AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() })
}

/// Write on the transactional id, Read on the group.
pub(super) fn add_offsets(may: &Permissions, request: AddOffsetsToTxnRequest) -> Decision {
    let error_code = if !may.transactional_id(Write, &request.transactional_id) {
        TRANSACTIONAL_ID_DENIED
    } else if !may.group(Read, &request.group_id) {
        GROUP_DENIED
    } else {
        return Decision::Pass(request.into());
    };
    Decision::answer(AddOffsetsToTxnResponse { error_code, ..Default::default() })
}

/// Write on the transactional id.
pub(super) fn end(may: &Permissions, request: EndTxnRequest) -> Decision {
    if may.transactional_id(Write, &request.transactional_id) {
        return Decision::Pass(request.into());
    }
    Decision::answer(EndTxnResponse {
        error_code: TRANSACTIONAL_ID_DENIED,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    })
}

/// Write on the transactional id, Read on the group and on each topic.
pub(super) fn offset_commit(may: &Permissions, mut request: TxnOffsetCommitRequest) -> Decision {
    let refuse = |topics: Vec<TxnOffsetCommitRequestTopic>, error_code: i16| {
        let refuse = |topic: TxnOffsetCommitRequestTopic| TxnOffsetCommitResponseTopic {
            name: topic.name,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| TxnOffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code,
                })
                .collect(),
        };
        topics.into_iter().map(refuse).collect::<Vec<_>>()
    };
    let error_code = if !may.transactional_id(Write, &request.transactional_id) {
        Some(TRANSACTIONAL_ID_DENIED)
    } else {
        (!may.group(Read, &request.group_id)).then_some(GROUP_DENIED)
    };
    if let Some(error_code) = error_code {
        let topics = refuse(request.topics, error_code);
        return Decision::answer(TxnOffsetCommitResponse { topics, ..Default::default() });
    }
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| may.topic(Read, &topic.name));
    request.topics = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    let denied = refuse(denied, TOPIC_DENIED);
    Decision::amend(request, move |response: &mut TxnOffsetCommitResponse| response.topics.extend(denied))
}

/// Alter or ClusterAction on the cluster: markers are the brokers' own business.
pub(super) fn write_markers(may: &Permissions, request: WriteTxnMarkersRequest) -> Decision {
    if may.cluster(Alter) || may.cluster(ClusterAction) {
        return Decision::Pass(request.into());
    }
    let markers = request.markers.into_iter().map(|marker| WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: marker
            .topics
            .into_iter()
            .map(|topic| WritableTxnMarkerTopicResult {
                name: topic.name,
                partitions: topic
                    .partition_indexes
                    .iter()
                    .map(|partition| WritableTxnMarkerPartitionResult {
                        partition_index: *partition,
                        error_code: CLUSTER_DENIED,
                    })
                    .collect(),
            })
            .collect(),
    });
    Decision::answer(WriteTxnMarkersResponse { markers: markers.collect() })
}

/// Read on each topic.
pub(super) fn describe_producers(may: Permissions, request: DescribeProducersRequest) -> Decision {
    Decision::amend(request, move |response: &mut DescribeProducersResponse| {
        for topic in response.topics.iter_mut().filter(|topic| !may.topic(Read, &topic.name)) {
            for partition in &mut topic.partitions {
                *partition = PartitionResponse {
                    partition_index: partition.partition_index,
                    error_code: TOPIC_DENIED,
                    ..Default::default()
                };
            }
        }
    })
}

/// Describe on each transactional id; of its topics those are shown on which the client has Describe.
pub(super) fn describe(may: Permissions, request: DescribeTransactionsRequest) -> Decision {
    Decision::amend(request, move |response: &mut DescribeTransactionsResponse| {
        for state in &mut response.transaction_states {
            if may.transactional_id(Describe, &state.transactional_id) {
                state.topics.retain(|topic| may.topic(Describe, &topic.topic));
            } else {
                *state = TransactionState {
                    error_code: TRANSACTIONAL_ID_DENIED,
                    transactional_id: std::mem::take(&mut state.transactional_id),
                    ..Default::default()
                };
            }
        }
    })
}

/// Those are shown on which the client has Describe.
pub(super) fn list(may: Permissions, request: ListTransactionsRequest) -> Decision {
    Decision::amend(request, move |response: &mut ListTransactionsResponse| {
        response.transaction_states.retain(|state| may.transactional_id(Describe, &state.transactional_id));
    })
}
