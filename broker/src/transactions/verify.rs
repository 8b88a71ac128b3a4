//! Whether what a producer writes belongs to its transaction (KIP-890), asked at the first batch of a transaction on a
//! partition; afterwards the log knows that the transaction is open.
//!
//! | client | first batch on a partition | first positions of a group |
//! |---|---|---|
//! | Produce below 12, TxnOffsetCommit below 5 | must have been added before | the same |
//! | from these on | is added now | the same |
//!
//! The check and the append are one step for the coordinator: a transaction cannot end between them, so that nothing is
//! written behind its marker. If a transaction of the producer is still being ended, the next one waits for it a moment.
//!
//! Source: Kafka `AddPartitionsToTxnManager`, `ReplicaManager.maybeSendPartitionsToTransactionCoordinator`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use riverrun_core::{
    TopicPartition,
    log::{AppendError, AppendInfo, ProducerError},
    transaction::{AddPartitionsRequest, ProducerIdAndEpoch, TransactionError, TransactionVersion, TransactionalId},
};
use tokio::{sync::oneshot, time::Instant};

use super::{CoordinatorError, Shard};
use crate::{
    node::Node,
    storage::{Acks, Partition, ProduceError},
};

/// How long the next transaction waits for the one before, as Kafka's brokers do; then the client is to ask again.
const WAIT_FOR_COMPLETION: Duration = Duration::from_millis(100);

/// Whose transaction it is, and how its producer lets partitions join.
#[derive(Debug, Clone)]
pub(crate) struct Verification {
    pub(crate) transactional_id: TransactionalId,
    pub(crate) producer: ProducerIdAndEpoch,
    /// Whether partitions join when they are written to; otherwise they have joined before.
    pub(crate) adds: bool,
}

/// A transactional batch on its way to a partition.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) records: Bytes,
    pub(crate) acks: Acks,
}

/// Why a transactional batch was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransactionalError {
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    #[error(transparent)]
    Log(#[from] ProduceError),
}

/// What becomes of a transactional batch.
pub(crate) type Appended = Result<AppendInfo, TransactionalError>;

/// A batch that was appended or refused, or that will be.
pub(crate) enum Outcome {
    Now(Appended),
    Later(BoxFuture<'static, Appended>),
}

impl Node {
    /// Appends a transactional batch, if it belongs to its producer's transaction.
    pub(crate) fn produce_in_transaction(
        self: &Arc<Self>,
        verification: &Verification,
        partition: &Arc<Partition>,
        batch: Batch,
    ) -> Outcome {
        let key = (verification.producer.id, partition.topic_partition().clone());
        let batches = &self.transactions.batches;
        if !batches.is_waiting(&key) {
            let appended = partition.produce_in_open_transaction(batch.records.clone(), batch.acks);
            match appended {
                Err(ProduceError::Append(AppendError::Producer(ProducerError::NotVerified { .. }))) => {}
                appended => return Outcome::Now(appended.map_err(TransactionalError::from)),
            }
            if !verification.adds {
                return Outcome::Now(self.append_verified(verification, partition, batch));
            }
        }
        let (sender, receiver) = oneshot::channel();
        let job = {
            let (node, verification, partition) = (Arc::clone(self), verification.clone(), Arc::clone(partition));
            // A caller that is gone is not told; its batch is in the log all the same.
            Box::new(move || drop(sender.send(node.append_verified(&verification, &partition, batch))))
        };
        if batches.enter(key.clone(), job) {
            let (node, verification) = (Arc::clone(self), verification.clone());
            let joining = async move {
                // If it cannot join, that is what each batch finds out in its turn.
                let _ = node.join_transaction(&verification, vec![key.1.clone()]).await;
                node.transactions.batches.drain(&key);
            };
            self.tasks.spawn_on(joining, &self.runtime);
        }
        let gone = |_| Err(TransactionalError::Coordinator(CoordinatorError::NotAvailable));
        Outcome::Later(receiver.map(move |appended| appended.unwrap_or_else(gone)).boxed())
    }

    fn append_verified(&self, verification: &Verification, partition: &Arc<Partition>, batch: Batch) -> Appended {
        let tp = partition.topic_partition();
        let appended = self.in_transaction(verification, tp, || partition.produce(batch.records, batch.acks));
        let appended = appended.map_err(|error| match error {
            // It could not join just now, which is no fault of the producer's.
            CoordinatorError::Refused(TransactionError::PartitionNotInTransaction) if verification.adds => {
                CoordinatorError::Refused(TransactionError::ConcurrentTransactions)
            }
            error => error,
        })?;
        Ok(appended?)
    }

    /// Runs `append` if the partition is in the producer's transaction, which stays open meanwhile.
    pub(crate) fn in_transaction<T>(
        &self,
        verification: &Verification,
        partition: &TopicPartition,
        append: impl FnOnce() -> T,
    ) -> Result<T, CoordinatorError> {
        let Verification { transactional_id, producer, .. } = verification;
        let shard = self.transactions.shard_of(transactional_id.as_str())?;
        shard.verified(|machine| machine.verify(transactional_id, *producer, partition), append)
    }

    /// Has partitions join a transaction, durably so.
    pub(crate) async fn join_transaction(
        self: &Arc<Self>,
        verification: &Verification,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), CoordinatorError> {
        let shard = self.transactions.shard_of(verification.transactional_id.as_str())?;
        let request = AddPartitionsRequest {
            transactional_id: verification.transactional_id.clone(),
            producer: verification.producer,
            partitions,
            client_version: TransactionVersion::V2,
        };
        let deadline = Instant::now() + WAIT_FOR_COMPLETION;
        loop {
            // Before the look at the state: a completion in between is not missed.
            let mut completed = std::pin::pin!(shard.completed.notified());
            completed.as_mut().enable();
            match add(self, &shard, &request).await {
                Err(CoordinatorError::Refused(TransactionError::ConcurrentTransactions)) => {
                    if tokio::time::timeout_at(deadline, completed).await.is_err() {
                        return Err(TransactionError::ConcurrentTransactions.into());
                    }
                }
                outcome => return outcome,
            }
        }
    }
}

async fn add(node: &Arc<Node>, shard: &Arc<Shard>, request: &AddPartitionsRequest) -> Result<(), CoordinatorError> {
    shard.command(node, |machine, now_ms| machine.add_partitions(request, now_ms)).await
}
