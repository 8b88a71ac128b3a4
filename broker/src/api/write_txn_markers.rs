//! WriteTxnMarkers (API key 27): a coordinator ends transactions on partitions (KIP-98). Answered once every marker is
//! committed.
//!
//! v2: `transaction_version`, by which a marker is held against the producer's epoch (KIP-890, KIP-1228).

use std::sync::Arc;

use futures::future::join_all;
use riverrun_core::{
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

use super::produce_code;
use crate::{Reply, node::Node, storage::Committed};

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
    let image = node.image();
    let order = TransactionMarker {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
        transaction_version: marker.transaction_version,
    };
    let append = |topic: &str, index: i32| {
        let partition = image.topic(topic).and_then(|known| node.storage.partition(known.id, index));
        let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let appended = partition.append_marker(&order).map_err(|error| produce_code(&error))?;
        Ok(partition.committed(appended.last_offset + 1))
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
