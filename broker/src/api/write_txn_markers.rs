//! WriteTxnMarkers (API key 27): a coordinator ends transactions on partitions (KIP-98). Answered once every marker is
//! committed.
//!
//! v2: `transaction_version`, by which a marker is held against the producer's epoch (KIP-890, KIP-1228).

use std::sync::Arc;

use futures::future::join_all;
use riverrun_core::{
    TopicPartition,
    log::TransactionMarker,
    protocol::{
        ErrorCode,
        messages::{
            WriteTxnMarkersRequest, WriteTxnMarkersResponse,
            write_txn_markers::{
                WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
                WritableTxnMarkerTopicResult,
            },
        },
    },
};

use super::{group_error, produce_code};
use crate::{Reply, node::Node, storage::Committed, transactions::MarkerError};

pub(super) fn handle(node: &Arc<Node>, request: &WriteTxnMarkersRequest) -> Reply {
    let mut waiting = Vec::new();
    let mut markers = Vec::with_capacity(request.markers.len());
    for (place, marker) in request.markers.iter().enumerate() {
        let (result, committed) = write(node, marker);
        waiting.extend(committed.into_iter().map(|(topic, partition, committed)| (place, topic, partition, committed)));
        markers.push(result);
    }
    let mut response = WriteTxnMarkersResponse { markers };
    if waiting.is_empty() {
        return Reply::now(response);
    }
    Reply::later(async move {
        let outcomes = waiting
            .into_iter()
            .map(async |(marker, topic, partition, committed)| (marker, topic, partition, committed.await.is_ok()));
        for (marker, topic, partition, is_committed) in join_all(outcomes).await {
            let topics = response.markers.get_mut(marker).and_then(|marker| marker.topics.get_mut(topic));
            if !is_committed && let Some(result) = topics.and_then(|topic| topic.partitions.get_mut(partition)) {
                result.error_code = ErrorCode::KafkaStorageError.code();
            }
        }
        response
    })
}

/// Appends a marker to its partitions. Returns what is known already, and by topic and partition what is to be awaited.
fn write(node: &Node, marker: &WritableTxnMarker) -> (WritableTxnMarkerResult, Vec<(usize, usize, Committed)>) {
    let order = TransactionMarker {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
        transaction_version: marker.transaction_version,
    };
    let append = |topic: &str, index: i32| {
        node.append_marker(&TopicPartition::new(topic, index), &order).map_err(|error| match error {
            MarkerError::NoPartition => ErrorCode::UnknownTopicOrPartition,
            MarkerError::Log(error) => produce_code(&error),
            MarkerError::Groups(error) => group_error(&error),
        })
    };
    let mut waiting = Vec::new();
    let topics = marker.topics.iter().enumerate().map(|(place, topic)| {
        let partitions = topic.partition_indexes.iter().enumerate().map(|(position, index)| {
            let code = match append(&topic.name, *index) {
                Ok(committed) => {
                    waiting.push((place, position, committed));
                    ErrorCode::None
                }
                Err(code) => code,
            };
            WritableTxnMarkerPartitionResult { partition_index: *index, error_code: code.code() }
        });
        WritableTxnMarkerTopicResult { name: topic.name.clone(), partitions: partitions.collect() }
    });
    let topics = topics.collect();
    (WritableTxnMarkerResult { producer_id: marker.producer_id, topics }, waiting)
}
