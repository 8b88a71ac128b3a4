//! Share groups as the broker runs them: the share coordinator's shards, the share partitions in use, the members'
//! sessions, and one timer for the locks of all records. What they decide is in `riverrun_core::share`.
//!
//! A single node leads all partitions and coordinates all groups, so what Kafka's brokers ask each other is a call here.
//! Lock order: sessions; the table of share partitions; one share partition; a shard of the coordinator; a log. The first
//! two are let go before the others are taken.

mod held;
mod state_shard;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use riverrun_core::{
    Uuid,
    budget::StateBudget,
    protocol::ErrorCode,
    share::{
        session::{SessionKey, ShareSessions},
        state::{SharePartitionKey, ShareStateConfig, ShareStateShard},
    },
};
use tokio::sync::{Notify, futures::Notified};

use crate::{config::BrokerConfig, node::Node, storage::Partition};
pub(crate) use held::{Held, Refused, Taken, Wanted};
pub(crate) use state_shard::{StateShard, StateShardError};

/// The topic that holds the states of share partitions.
pub(crate) const SHARE_STATE_TOPIC: &str = "__share_group_state";

/// All share partitions and sessions of this broker.
#[derive(Debug)]
pub(crate) struct Shares {
    config: ShareStateConfig,
    state: Arc<StateBudget>,
    /// By partition of the state topic; empty until the topic exists.
    shards: RwLock<Arc<Vec<Arc<StateShard>>>>,
    held: Mutex<HashMap<SharePartitionKey, Arc<Held>>>,
    sessions: Mutex<ShareSessions>,
    /// Records can be taken that could not be before.
    released: Notify,
    /// The monotonic time for which the timer is set.
    timer_set_for: AtomicI64,
    timer_changed: Notify,
}

impl Shares {
    /// Nothing yet; [`open`](Self::open) brings the states.
    pub(crate) fn new(config: &BrokerConfig, state: Arc<StateBudget>) -> Self {
        let updates = config.share_coordinator_snapshot_update_records_per_snapshot;
        let updates_per_snapshot = u32::try_from(updates).unwrap_or(0);
        let sessions_max = usize::try_from(config.group_share_max_share_sessions).unwrap_or(0);
        Self {
            config: ShareStateConfig { updates_per_snapshot, ..ShareStateConfig::default() },
            shards: RwLock::default(),
            held: Mutex::default(),
            sessions: Mutex::new(ShareSessions::new(sessions_max).within(Arc::clone(&state))),
            state,
            released: Notify::new(),
            timer_set_for: AtomicI64::new(i64::MAX),
            timer_changed: Notify::new(),
        }
    }

    /// Takes the partitions of the state topic on, in their order. They answer "loading" until [`Self::load`].
    pub(crate) fn open(&self, partitions: Vec<Arc<Partition>>) -> Vec<Arc<StateShard>> {
        let shards: Vec<_> = partitions.into_iter().map(|partition| Arc::new(StateShard::loading(partition))).collect();
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shards.clone());
        shards
    }

    /// Reads shards in. Blocks on the disk.
    pub(crate) fn load(&self, shards: &[Arc<StateShard>]) {
        for shard in shards {
            shard.load(ShareStateShard::new(self.config).within(Arc::clone(&self.state)));
        }
        self.released.notify_waiters();
    }

    /// Whether there are shards.
    pub(crate) fn is_open(&self) -> bool {
        !self.shards().is_empty()
    }

    fn shards(&self) -> Arc<Vec<Arc<StateShard>>> {
        Arc::clone(&self.shards.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shard that keeps the state of a share partition.
    pub(crate) fn shard_of(&self, key: &SharePartitionKey) -> Result<Arc<StateShard>, StateShardError> {
        let shards = self.shards();
        let count = u32::try_from(shards.len()).ok().filter(|count| *count > 0);
        let index = count.and_then(|count| usize::try_from(key.state_partition(count)).ok());
        index.and_then(|index| shards.get(index)).cloned().ok_or(StateShardError::NotAvailable)
    }

    /// A share partition, put to use if it is not.
    pub(crate) fn hold(&self, node: &Node, key: &SharePartitionKey) -> Result<Arc<Held>, ErrorCode> {
        let mut held = self.lock_held();
        if let Some(held) = held.get(key) {
            return Ok(Arc::clone(held));
        }
        let unknown = || match node.image().topic_by_id(key.topic_id) {
            Some(_) => ErrorCode::UnknownTopicOrPartition,
            None => ErrorCode::UnknownTopicId,
        };
        let partition = node.storage.partition(key.topic_id, key.partition).ok_or_else(unknown)?;
        let shard = self.shard_of(key).map_err(|error| state_code(&error))?;
        let new = Arc::new(Held::new(key.clone(), partition, shard, Arc::clone(&self.state)));
        held.insert(key.clone(), Arc::clone(&new));
        Ok(new)
    }

    fn all_held(&self, which: impl Fn(&SharePartitionKey) -> bool) -> Vec<Arc<Held>> {
        self.lock_held().iter().filter(|(key, _)| which(key)).map(|(_, held)| Arc::clone(held)).collect()
    }

    /// A share partition's state was changed by others, or is gone.
    pub(crate) fn reload(&self, key: &SharePartitionKey) {
        if let Some(held) = self.lock_held().remove(key) {
            // Whoever has it already reads it anew too.
            held.reload();
        }
    }

    /// Topics are gone: so are their share partitions, and what is known of them.
    pub(crate) fn forget_topics(&self, topics: &[Uuid]) {
        let of_topics = |key: &SharePartitionKey| topics.contains(&key.topic_id);
        self.lock_held().retain(|key, _| !of_topics(key));
        for shard in self.shards().iter() {
            let keys = shard.ask(|machine| machine.keys().filter(|key| of_topics(key)).cloned().collect::<Vec<_>>());
            for key in keys.unwrap_or_default() {
                // Nobody waits for this: the tombstone is written at leisure.
                drop(shard.change(|machine, _| machine.delete(&key)));
            }
        }
    }

    /// The sessions, for a short look.
    pub(crate) fn sessions(&self) -> MutexGuard<'_, ShareSessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a member's session, and gives back what it holds.
    pub(crate) fn end_session(&self, key: &SessionKey) {
        drop(self.sessions().remove(key));
        self.release(key);
    }

    /// Ends the sessions of a connection that is gone.
    pub(crate) fn connection_closed(&self, connection_id: u64) {
        let ended = self.sessions().remove_connection(connection_id);
        for (key, _) in &ended {
            self.release(key);
        }
    }

    fn release(&self, (group, member): &SessionKey) {
        let mut any = false;
        for held in self.all_held(|key| *key.group_id == **group) {
            any |= held.release(member);
        }
        if any {
            self.has_released();
        }
    }

    /// Tells waiting fetches that records may be there that were not before.
    pub(crate) fn has_released(&self) {
        self.released.notify_waiters();
    }

    /// Resolves when records may be there that were not before.
    pub(crate) fn until_released(&self) -> Notified<'_> {
        self.released.notified()
    }

    /// A share partition has new locks.
    pub(crate) fn set_timer(&self, held: &Held) {
        if held.next_deadline().is_some_and(|next| next < self.timer_set_for.load(Ordering::Acquire)) {
            self.timer_changed.notify_one();
        }
    }

    /// Ends locks when their time has come, until the broker stops.
    pub(crate) async fn run_timers(node: Arc<Node>) {
        let shares = &node.shares;
        loop {
            let now_ms = node.clock.monotonic_ms();
            let mut any = false;
            let earliest =
                |shares: &Self| shares.all_held(|_| true).iter().filter_map(|held| held.next_deadline()).min();
            for held in shares.all_held(|_| true) {
                if held.next_deadline().is_some_and(|deadline| deadline <= now_ms) {
                    any |= held.expire(now_ms);
                }
            }
            if any {
                shares.has_released();
            }
            let next = earliest(shares);
            shares.timer_set_for.store(next.unwrap_or(i64::MAX), Ordering::Release);
            // A fetch between reading and storing may have set an earlier one.
            if earliest(shares) != next {
                continue;
            }
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(node.clock.instant_of(next)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = shares.timer_changed.notified() => {}
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

    fn lock_held(&self) -> MutexGuard<'_, HashMap<SharePartitionKey, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The code for what the share coordinator refused.
pub(crate) fn state_code(error: &StateShardError) -> ErrorCode {
    match error {
        StateShardError::Loading => ErrorCode::CoordinatorLoadInProgress,
        StateShardError::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        StateShardError::Refused(error) => ErrorCode::from(error),
    }
}
