//! The driver of the group coordinator: one shard per partition of `__consumer_offsets`, loaded at start, and one timer
//! for all of them. What the coordinator decides is in `riverrun_core::group`.

mod configs;
mod shard;

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicI64, Ordering},
};

use riverrun_core::{
    TopicPartition, Uuid,
    budget::StateBudget,
    group::{
        Assignor, Decision, GroupConfig, GroupError, GroupRecord, GroupShard, Now, Response, Ticket,
        partition_for_group,
    },
    share::group::{ShareGroupError, ShareGroupRecord},
    transaction::ProducerIdAndEpoch,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, config::BrokerConfig, metadata::MetadataStore, storage::Partition};
pub(crate) use configs::{GroupConfigs, broker_bound, check_group_defaults, group_defaults};
pub(crate) use shard::{CoordinatorError, Pending, Shard};

/// The topic that holds groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// All groups of this broker.
#[derive(Debug)]
pub(crate) struct Groups {
    config: GroupConfig,
    clock: Clock,
    metadata: Arc<MetadataStore>,
    state: Arc<StateBudget>,
    /// By partition of the offsets topic; empty until the topic exists.
    shards: RwLock<Arc<Vec<Arc<Shard>>>>,
    /// The monotonic time for which the timer is set.
    timer_set_for: AtomicI64,
    timer_changed: Notify,
}

impl Groups {
    /// No groups; [`open`](Self::open) brings them.
    pub(crate) fn new(
        config: &BrokerConfig,
        clock: Clock,
        metadata: Arc<MetadataStore>,
        state: Arc<StateBudget>,
    ) -> Self {
        Self {
            config: group_config(config),
            clock,
            metadata,
            state,
            shards: RwLock::default(),
            timer_set_for: AtomicI64::new(i64::MAX),
            timer_changed: Notify::new(),
        }
    }

    /// Takes the partitions of the offsets topic on, in their order. They answer "loading" until [`Self::load`].
    /// Gives the shards to load.
    pub(crate) fn open(&self, partitions: Vec<Arc<Partition>>) -> Vec<Arc<Shard>> {
        let shards: Vec<_> = partitions.into_iter().map(|partition| Arc::new(Shard::loading(partition))).collect();
        *self.shards.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shards.clone());
        shards
    }

    /// Reads shards in. Blocks on the disk.
    pub(crate) fn load(&self, shards: &[Arc<Shard>]) {
        for shard in shards {
            let machine = GroupShard::new(self.config.clone()).within(Arc::clone(&self.state));
            shard.load(machine, self.metadata.topics(), self.clock.now());
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

    /// The partition of the offsets topic that holds a group.
    pub(crate) fn partition_of(&self, group: &str) -> Option<TopicPartition> {
        let count = u32::try_from(self.shards().len()).ok().filter(|count| *count > 0)?;
        let index = i32::try_from(partition_for_group(group, count)).ok()?;
        Some(TopicPartition::new(OFFSETS_TOPIC, index))
    }

    /// The shard of a group; none as long as the offsets topic does not exist.
    pub(crate) fn shard_of(&self, group: &str) -> Option<Arc<Shard>> {
        let shards = self.shards();
        let count = u32::try_from(shards.len()).ok().filter(|count| *count > 0)?;
        shards.get(usize::try_from(partition_for_group(group, count)).ok()?).cloned()
    }

    /// Runs a command on the shard of a group; see [`Shard::command`].
    pub(crate) fn command<T: Send + 'static>(
        &self,
        shard: &Arc<Shard>,
        run: impl FnOnce(&mut GroupShard, Now) -> Decision<Result<T, GroupError>>,
    ) -> Pending<T> {
        let topics = self.metadata.topics();
        let answer = shard.command(self.clock.now(), |machine, now| {
            machine.set_topics(topics);
            run(machine, now)
        });
        self.set_timer(shard);
        answer
    }

    /// Runs a command whose records belong to a producer's transaction; see [`Shard::command_in_transaction`].
    pub(crate) fn command_in_transaction<T: Send + 'static>(
        &self,
        shard: &Arc<Shard>,
        producer: ProducerIdAndEpoch,
        run: impl FnOnce(&mut GroupShard, Now) -> Decision<Result<T, GroupError>>,
    ) -> Pending<T> {
        shard.command_in_transaction(self.clock.now(), producer, run)
    }

    /// Parks a caller in the shard of a group; see [`Shard::park`].
    pub(crate) fn park(
        &self,
        shard: &Arc<Shard>,
        run: impl FnOnce(&mut GroupShard, Ticket, Now) -> Decision,
    ) -> Pending<Response> {
        let topics = self.metadata.topics();
        let answer = shard.park(self.clock.now(), |machine, ticket, now| {
            machine.set_topics(topics);
            run(machine, ticket, now)
        });
        self.set_timer(shard);
        answer
    }

    /// Forgets the positions in partitions that are gone.
    pub(crate) fn forget_partitions(&self, is_gone: impl Fn(&TopicPartition) -> bool) {
        for shard in self.shards().iter() {
            // Nobody waits for this: the tombstones are written at leisure.
            drop(shard.command(self.clock.now(), |machine, _| {
                let Decision { records, replies, response: () } = machine.forget_partitions(&is_gone);
                Decision { records, replies, response: Ok(()) }
            }));
        }
    }

    /// Has share groups forget topics that are gone.
    pub(crate) fn forget_shared_topics(&self, topics: &[Uuid]) {
        for shard in self.shards().iter() {
            drop(shard.command(self.clock.now(), |machine, _| {
                let groups = machine.share().groups_with(topics);
                let share = machine.share();
                let records = groups.iter().flat_map(|group| share.forget_topics(group, topics));
                let records = records.map(GroupRecord::Share).collect();
                Decision { records, replies: Vec::new(), response: Ok(()) }
            }));
        }
    }

    /// Runs a command on the share groups of a shard.
    pub(crate) fn share_command<T: Send + 'static>(
        &self,
        shard: &Arc<Shard>,
        run: impl FnOnce(&mut GroupShard, Now) -> Result<(Vec<ShareGroupRecord>, T), ShareGroupError>,
    ) -> Pending<Result<T, ShareGroupError>> {
        self.command(shard, |machine, now| {
            let (records, response) = match run(machine, now) {
                Ok((records, response)) => (records, Ok(response)),
                Err(error) => (Vec::new(), Err(error)),
            };
            let records = records.into_iter().map(GroupRecord::Share).collect();
            Decision { records, replies: Vec::new(), response: Ok(response) }
        })
    }

    fn set_timer(&self, shard: &Shard) {
        if shard.next_timeout().is_some_and(|next| next < self.timer_set_for.load(Ordering::Acquire)) {
            self.timer_changed.notify_one();
        }
    }

    /// Runs timeouts when they are due, until the broker stops.
    pub(crate) async fn run_timers(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            let now = self.clock.now();
            let shards = self.shards();
            for shard in shards.iter() {
                shard.on_timeouts(&self.metadata, now);
            }
            let next = shards.iter().filter_map(|shard| shard.next_timeout()).min();
            self.timer_set_for.store(next.unwrap_or(i64::MAX), Ordering::Release);
            // A command between reading and storing may have set an earlier one.
            let earliest = shards.iter().filter_map(|shard| shard.next_timeout()).min();
            if earliest != next {
                continue;
            }
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(self.clock.instant_of(next)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.timer_changed.notified() => {}
                () = stopping.cancelled() => break,
            }
        }
    }

    /// Ends all shards; parked callers are told that the coordinator has gone.
    pub(crate) fn close(&self) {
        for shard in self.shards().iter() {
            shard.close();
        }
    }
}

fn group_config(config: &BrokerConfig) -> GroupConfig {
    let mut group = GroupConfig::default();
    group.session_timeout_ms_min = config.group_min_session_timeout_ms;
    group.session_timeout_ms_max = config.group_max_session_timeout_ms;
    group.members_max = usize::try_from(config.group_max_size).unwrap_or(usize::MAX).min(group.members_max);
    group.groups_max = usize::try_from(config.riverrun_groups_per_partition_max).unwrap_or(usize::MAX);
    group.share.groups_max = group.groups_max;
    group.initial_rebalance_delay_ms = i64::from(config.group_initial_rebalance_delay_ms);
    group.offsets_retention_ms = i64::from(config.offsets_retention_minutes) * 60_000;
    group.offsets_retention_check_interval_ms = config.offsets_retention_check_interval_ms;
    group.share.session_timeout_ms = config.group_share_session_timeout_ms;
    group.share.heartbeat_interval_ms = config.group_share_heartbeat_interval_ms;
    group.share.assignment_interval_ms = config.group_share_assignment_interval_ms;
    group.share.members_max = usize::try_from(config.group_share_max_size).unwrap_or(usize::MAX);
    group.offset_metadata_bytes_max = usize::try_from(config.offset_metadata_max_bytes).unwrap_or(usize::MAX);
    let streams = &mut group.streams;
    streams.session_timeout_ms = config.group_streams_session_timeout_ms;
    streams.heartbeat_interval_ms = config.group_streams_heartbeat_interval_ms;
    streams.assignment_interval_ms = config.group_streams_assignment_interval_ms;
    streams.initial_rebalance_delay_ms = config.group_streams_initial_rebalance_delay_ms;
    streams.standby_replicas = config.group_streams_num_standby_replicas;
    streams.members_max = usize::try_from(config.group_streams_max_size).unwrap_or(usize::MAX).min(streams.members_max);
    let consumer = &mut group.consumer;
    consumer.session_timeout_ms = config.group_consumer_session_timeout_ms;
    consumer.heartbeat_interval_ms = config.group_consumer_heartbeat_interval_ms;
    consumer.assignment_interval_ms = config.group_consumer_assignment_interval_ms;
    consumer.members_max =
        usize::try_from(config.group_consumer_max_size).unwrap_or(usize::MAX).min(consumer.members_max);
    consumer.assignors = config.group_consumer_assignors.iter().filter_map(|name| Assignor::from_name(name)).collect();
    consumer.migration = config.group_consumer_migration_policy.parse().unwrap_or_default();
    group
}
