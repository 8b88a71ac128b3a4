//! The driver of the transaction coordinator: one shard per partition of `__transaction_state`, loaded at start, and one
//! timer for all of them. What the coordinator decides is in `riverrun_core::transaction`.
//!
//! A single node coordinates all transactions and leads all partitions, so what Kafka's brokers ask each other is a call
//! here: a leader asks the shard whether a batch belongs to a transaction ([`Shard::verified`]), or has the partition
//! added to it (KIP-890), and the shard appends its markers to the partitions itself.

mod markers;
mod ordered;
mod shard;
mod verify;

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use riverrun_core::{
    ProducerId,
    budget::StateBudget,
    transaction::{TransactionConfig, TransactionError, TransactionShard, partition_for_transactional_id},
};
use tokio::sync::Notify;

use crate::{config::BrokerConfig, node::Node, storage::Partition};
pub(crate) use markers::MarkerError;
pub(crate) use shard::{CoordinatorError, Shard};
pub(crate) use verify::{Batch, Outcome, TransactionalError, Verification};

use ordered::Ordered;

/// The topic that holds transactional ids and their transactions.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// How long the timer sleeps at most: deadlines lie on the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// All transactional ids of this broker.
#[derive(Debug)]
pub(crate) struct Transactions {
    config: TransactionConfig,
    state: Arc<StateBudget>,
    /// By partition of the transactions topic; empty until the topic exists.
    shards: RwLock<Arc<Vec<Arc<Shard>>>>,
    /// Batches that wait for their partition to be in the transaction.
    batches: Ordered,
    /// The wall-clock time for which the timer is set.
    timer_set_for: AtomicI64,
    timer_changed: Notify,
}

impl Transactions {
    /// No transactions; [`open`](Self::open) brings them.
    pub(crate) fn new(config: &BrokerConfig, state: Arc<StateBudget>) -> Self {
        Self {
            config: transaction_config(config),
            state,
            shards: RwLock::default(),
            batches: Ordered::default(),
            timer_set_for: AtomicI64::new(i64::MAX),
            timer_changed: Notify::new(),
        }
    }

    /// Takes the partitions of the transactions topic on, in their order. They answer "loading" until [`Self::load`].
    pub(crate) fn open(&self, partitions: Vec<Arc<Partition>>) -> Vec<Arc<Shard>> {
        let shards: Vec<_> = partitions.into_iter().map(|partition| Arc::new(Shard::loading(partition))).collect();
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shards.clone());
        shards
    }

    /// Reads shards in, and has the markers of prepared transactions written. Blocks on the disk. The groups must have
    /// been loaded before, as some of the markers are theirs.
    pub(crate) fn load(&self, node: &Arc<Node>, shards: &[Arc<Shard>]) {
        for shard in shards {
            let machine = TransactionShard::new(self.config.clone()).within(Arc::clone(&self.state));
            shard.load(node, machine);
        }
        self.timer_changed.notify_one();
    }

    /// Every shard.
    pub(crate) fn shards(&self) -> Arc<Vec<Arc<Shard>>> {
        Arc::clone(&self.shards.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there are shards.
    pub(crate) fn is_open(&self) -> bool {
        !self.shards().is_empty()
    }

    /// The shard of a transactional id.
    pub(crate) fn shard_of(&self, transactional_id: &str) -> Result<Arc<Shard>, CoordinatorError> {
        let shards = self.shards();
        let count = u32::try_from(shards.len()).ok().filter(|count| *count > 0);
        let index = count.map(|count| partition_for_transactional_id(transactional_id, count));
        let shard = index.and_then(|index| shards.get(usize::try_from(index).ok()?));
        shard.cloned().ok_or(CoordinatorError::Refused(TransactionError::NotCoordinator))
    }

    fn set_timer(&self, shard: &Shard) {
        if shard.next_deadline().is_some_and(|next| next < self.timer_set_for.load(Ordering::Acquire)) {
            self.timer_changed.notify_one();
        }
    }

    /// Lets happen what is due, until the broker stops.
    pub(crate) async fn run_timers(node: Arc<Node>) {
        let transactions = &node.transactions;
        loop {
            let shards = transactions.shards();
            for shard in shards.iter() {
                while shard.is_due(node.clock.wall_ms()) {
                    let fresh = match shard.deadline_needs_producer_id() {
                        true => node.fresh_producer_id().await.ok(),
                        false => None,
                    };
                    if !shard.on_deadline(&node, fresh) {
                        break;
                    }
                }
            }
            let next = shards.iter().filter_map(|shard| shard.next_deadline()).min();
            transactions.timer_set_for.store(next.unwrap_or(i64::MAX), Ordering::Release);
            // A command between reading and storing may have set an earlier one.
            if shards.iter().filter_map(|shard| shard.next_deadline()).min() != next {
                continue;
            }
            let wait_ms = next.map_or(i64::MAX, |next| next.saturating_sub(node.clock.wall_ms()).max(1));
            let wait = Duration::from_millis(wait_ms.unsigned_abs()).min(LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep_until(tokio::time::Instant::now() + wait) => {}
                () = transactions.timer_changed.notified() => {}
                () = node.stopping.cancelled() => break,
            }
        }
    }

    /// Ends all shards.
    pub(crate) fn close(&self) {
        for shard in self.shards().iter() {
            shard.close();
        }
    }
}

impl Node {
    /// A producer id that was never given out, durably so.
    pub(crate) async fn fresh_producer_id(&self) -> Result<ProducerId, CoordinatorError> {
        let (id, committed) = self.next_producer_id().map_err(|error| {
            tracing::error!(%error, "no producer id");
            CoordinatorError::NotAvailable
        })?;
        committed.await.map_err(|_| CoordinatorError::NotAvailable)?;
        Ok(id)
    }
}

fn transaction_config(config: &BrokerConfig) -> TransactionConfig {
    let mut transaction = TransactionConfig::default();
    transaction.transactions_max =
        usize::try_from(config.riverrun_transactional_ids_per_partition_max).unwrap_or(usize::MAX);
    transaction.timeout_ms_max = config.transaction_max_timeout_ms;
    transaction.expiration_ms = i64::from(config.transactional_id_expiration_ms);
    transaction
}
