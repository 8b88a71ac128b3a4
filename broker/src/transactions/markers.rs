//! The second half of a transaction's end: its markers are appended to its partitions, and once all of them are durable it
//! is complete.
//!
//! A partition that was deleted needs no marker, one whose log has a newer epoch of the producer has had it. If a log
//! fails, the transaction stays prepared, and is ended after the next start.
//!
//! Source: Kafka `TransactionMarkerChannelManager`, `TransactionMarkerRequestCompletionHandler`.

use std::sync::Arc;

use riverrun_core::{
    TopicPartition,
    log::{AppendError, ProducerError, TransactionMarker},
    transaction::Markers,
};

use super::{CoordinatorError, Shard};
use crate::{
    groups::{self, OFFSETS_TOPIC},
    node::Node,
    storage::{Committed, ProduceError},
};

/// Why a marker was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MarkerError {
    /// There is no such partition.
    #[error("there is no such partition")]
    NoPartition,
    /// The partition's log refused.
    #[error(transparent)]
    Log(#[from] ProduceError),
    /// The partition holds groups, and their coordinator does not work.
    #[error(transparent)]
    Groups(#[from] groups::CoordinatorError),
}

impl Node {
    /// Appends a marker to a partition; in that of the groups, their coordinator learns of it. Gives what to wait for.
    pub(crate) fn append_marker(
        &self,
        partition: &TopicPartition,
        marker: &TransactionMarker,
    ) -> Result<Committed, MarkerError> {
        if &*partition.topic == OFFSETS_TOPIC {
            let shards = self.groups.shards();
            let shard = usize::try_from(partition.partition).ok().and_then(|index| shards.get(index));
            return shard.ok_or(MarkerError::NoPartition)?.end_transaction(marker);
        }
        let image = self.image();
        let known = image.topic(&partition.topic);
        let log = known.and_then(|topic| self.storage.partition(topic.id, partition.partition));
        let log = log.ok_or(MarkerError::NoPartition)?;
        let appended = log.append_marker(marker)?;
        Ok(log.committed(appended.last_offset + 1))
    }
}

/// Ends a transaction whose end is decided by the records before `decided_end` of the shard's partition.
pub(super) async fn end(node: Arc<Node>, shard: Arc<Shard>, decided_end: i64, markers: Markers) {
    if shard.partition.committed(decided_end).await.is_err() {
        return;
    }
    let marker = TransactionMarker {
        producer_id: markers.producer.id.0,
        producer_epoch: markers.producer.epoch.0,
        commit: markers.commit,
        coordinator_epoch: shard.partition.leader_epoch().0,
        transaction_version: if markers.bumped_epoch { 2 } else { 0 },
    };
    let id = &markers.transactional_id;
    let mut waiting = Vec::with_capacity(markers.partitions.len());
    for partition in &markers.partitions {
        match node.append_marker(partition, &marker) {
            Ok(committed) => waiting.push((partition, committed)),
            Err(MarkerError::NoPartition | MarkerError::Log(ProduceError::Gone)) => {
                tracing::debug!(%id, %partition, "a partition of the transaction is gone");
            }
            Err(MarkerError::Log(ProduceError::Append(AppendError::Producer(
                error @ (ProducerError::Fenced { .. } | ProducerError::CoordinatorFenced { .. }),
            )))) => tracing::warn!(%id, %partition, %error, "a marker is not needed any more"),
            Err(error) => {
                tracing::error!(%id, %partition, %error, "a marker cannot be written: the transaction ends after a restart");
                return;
            }
        }
    }
    for (partition, committed) in waiting {
        let is_there = || node.image().partition(&partition.topic, partition.partition).is_some();
        if committed.await.is_err() && is_there() {
            tracing::error!(%id, %partition, "a marker is not durable: the transaction ends after a restart");
            return;
        }
    }
    let completed = shard.command(&node, |machine, now_ms| machine.complete(id, markers.producer, now_ms));
    shard.completed.notify_waiters();
    match completed.await {
        Ok(()) | Err(CoordinatorError::NotAvailable | CoordinatorError::Loading) => {}
        Err(error) => tracing::error!(%id, %error, "a transaction whose markers are written cannot be completed"),
    }
}
