//! Reading records, alone or as a member of a group.
//!
//! Everything happens within the calls: [`Consumer::poll`] and [`poll_event`](Consumer::poll_event) drive what is under
//! way (rounds of joining, questions about offsets, fetches), and what is under way stays with the consumer between
//! calls, so a call may be dropped at any await without losing anything. While the application works, the next fetch
//! of each broker is on its way already. The one background task sends heartbeats.
//!
//! Files: `membership.rs` (the member as a machine), `group.rs` and `heartbeat.rs` (its drivers), `assignment.rs`
//! (positions), `places.rs` (where to begin), `fetch.rs`, `fetched.rs` and `fetching.rs` (requests, records, both in
//! turn), `offsets.rs` (calls about offsets), `rebalance.rs` (its steps), `poll.rs` (the loop).
//!
//! Source: Kafka's `ClassicKafkaConsumer`, `ConsumerCoordinator`, `Fetcher`.

mod assignment;
pub mod assignor;
mod embedded;
mod error;
mod fetch;
mod fetched;
mod fetching;
mod group;
mod heartbeat;
mod membership;
mod offsets;
mod places;
mod poll;
mod rebalance;
mod record;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::Stream;
use riverrun_core::TopicPartition;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use embedded::{assigned, by_topic};
pub use error::{CommitError, ConsumeError, ConsumerConfigError, ProtocolProblem};
pub(crate) use offsets::{EARLIEST, LATEST, check, list_offsets};
pub use record::{
    ConsumerEvent, ConsumerGroupMetadata, ConsumerRecord, ConsumerRecords, IntoRecords, OffsetAndMetadata,
    OffsetAndTimestamp,
};
pub use settings::{AutoCommit, AutoOffsetReset, ConsumerBuilder, IsolationLevel};

use assignment::{Assignment, Place, Subscription, at};
use group::Group;
use poll::Work;
use settings::Settings;

use crate::{
    Client,
    cluster::{Cluster, Topic},
};

/// Reads records. Made by [`Client::consumer`].
///
/// Dropping it never waits: heartbeats stop, and the group notices when the session ends;
/// [`close`](Self::close) commits and leaves.
#[derive(Debug)]
pub struct Consumer {
    name: String,
    settings: Arc<Settings>,
    cluster: Arc<Cluster>,
    group: Option<Arc<Group>>,
    heartbeat: Option<AbortOnDropHandle<()>>,
    subscription: Subscription,
    assignment: Assignment,
    work: Work,
}

/// What a partition is like, as [`Consumer::partitions_for`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The node that leads it, if any does.
    pub leader: Option<i32>,
    /// The nodes that have it.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync_replicas: Vec<i32>,
}

impl PartitionInfo {
    pub(crate) fn all_of(topic: &Topic) -> Vec<Self> {
        let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| Self {
            topic_partition: TopicPartition { topic: Arc::clone(&topic.name), partition: index },
            leader: partition.leader,
            replicas: partition.replicas.clone(),
            in_sync_replicas: partition.in_sync.clone(),
        });
        partitions.collect()
    }
}

impl Consumer {
    fn start(client: &Client, settings: Settings, name: String) -> Self {
        let settings = Arc::new(settings);
        let cluster = Arc::clone(client.cluster());
        let group = settings
            .group
            .as_ref()
            .map(|id| Arc::new(Group::new(Arc::clone(id), Arc::clone(&settings), Arc::clone(&cluster))));
        let work = Work::new(&cluster, settings.auto_commit);
        Self {
            name,
            settings,
            cluster,
            group,
            heartbeat: None,
            subscription: Subscription::None,
            assignment: Assignment::default(),
            work,
        }
    }

    /// Subscribes to topics: their partitions are shared with the other members of the group. Replaces an earlier
    /// subscription; takes effect at the next poll. Without a group polling then fails.
    pub fn subscribe<T: AsRef<str>>(&mut self, topics: &[T]) {
        let mut topics: Vec<Arc<str>> = topics.iter().map(|topic| Arc::from(topic.as_ref())).collect();
        topics.sort_unstable();
        topics.dedup();
        self.work.topics.clone_from(&topics);
        self.set_subscription(Subscription::Topics(topics));
    }

    /// Subscribes to all topics whose names `accept` accepts, those to come included.
    pub fn subscribe_matching(&mut self, accept: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.work.topics.clear();
        self.set_subscription(Subscription::Matching(Arc::new(accept)));
    }

    fn set_subscription(&mut self, subscription: Subscription) {
        if matches!(self.subscription, Subscription::Manual) {
            self.assignment.clear();
        }
        self.subscription = subscription;
        self.work.metadata_due = Instant::now();
        if let Some(group) = &self.group {
            group.membership().request_rejoin("the subscription has changed");
            self.heartbeat
                .get_or_insert_with(|| AbortOnDropHandle::new(tokio::spawn(heartbeat::run(Arc::clone(group)))));
        }
    }

    /// Gives up subscription and assignment. Partitions of a group are given back without an event.
    ///
    /// # Errors
    /// If the last commit, which automatic commits bring, fails; the group is left all the same.
    pub async fn unsubscribe(&mut self) -> Result<(), CommitError> {
        let mut committed = Ok(());
        if self.is_member() {
            committed = self.commit_before_end().await;
            if let Some(group) = &self.group {
                group.leave("the consumer unsubscribed", false).await;
            }
        }
        self.subscription = Subscription::None;
        self.assignment.clear();
        self.work.forget();
        committed
    }

    /// Reads these partitions, without sharing them with anyone. Replaces an earlier assignment; what stays keeps its
    /// position. With a group, positions begin where it has committed.
    pub fn assign(&mut self, partitions: &[TopicPartition]) {
        if !matches!(self.subscription, Subscription::Manual) {
            self.assignment.clear();
            self.work.forget();
            self.subscription = Subscription::Manual;
        }
        for partition in self.assignment.all() {
            if !partitions.contains(&partition) {
                self.assignment.remove(&partition);
            }
        }
        for partition in partitions {
            self.assignment.add(partition.clone(), Place::Committed);
        }
        let mut topics: Vec<_> = partitions.iter().map(|partition| Arc::clone(&partition.topic)).collect();
        topics.sort_unstable();
        topics.dedup();
        self.work.topics = topics;
    }

    /// The partitions that are read at present.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.assignment.all()
    }

    /// The topics subscribed to.
    pub fn subscription(&self) -> Vec<Arc<str>> {
        match &self.subscription {
            Subscription::Topics(_) | Subscription::Matching(_) => self.work.topics.clone(),
            Subscription::None | Subscription::Manual => Vec::new(),
        }
    }

    /// Goes on reading `partition` at `offset`.
    ///
    /// # Errors
    /// If the partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ConsumeError> {
        self.assignment.set_place(partition, at(offset))
    }

    /// Goes on reading these partitions, or all if none is named, at the first record still there.
    ///
    /// # Errors
    /// If one is not assigned.
    pub fn seek_to_beginning(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        self.seek_to_time(partitions, EARLIEST)
    }

    /// Goes on reading these partitions, or all if none is named, after the last record there is at the next poll.
    ///
    /// # Errors
    /// If one is not assigned.
    pub fn seek_to_end(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        self.seek_to_time(partitions, LATEST)
    }

    fn seek_to_time(&mut self, partitions: &[TopicPartition], time: i64) -> Result<(), ConsumeError> {
        let all;
        let partitions = if partitions.is_empty() {
            all = self.assignment.all();
            &all
        } else {
            partitions
        };
        partitions.iter().try_for_each(|partition| self.assignment.set_place(partition, Place::Time(time)))
    }

    /// Stops reading these partitions until they are resumed; their position stays.
    ///
    /// # Errors
    /// If one is not assigned.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        self.set_paused(partitions, true)
    }

    /// Goes on reading paused partitions.
    ///
    /// # Errors
    /// If one is not assigned.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        self.set_paused(partitions, false)
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) -> Result<(), ConsumeError> {
        for partition in partitions {
            let missing = || ConsumeError::NotAssigned { topic_partition: partition.clone() };
            self.assignment.get_mut(partition).ok_or_else(missing)?.paused = paused;
        }
        Ok(())
    }

    /// The paused partitions.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.assignment.iter().filter(|(_, reading)| reading.paused).map(|(partition, _)| partition.clone()).collect()
    }

    /// The offset of the next record to be handed out; nothing while a poll has yet to find it.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.assignment.get(partition).and_then(assignment::Reading::position)
    }

    /// Commits these offsets for the group.
    ///
    /// # Errors
    /// If they are not committed: see [`CommitError`].
    pub async fn commit<O: Into<OffsetAndMetadata>>(
        &mut self,
        offsets: HashMap<TopicPartition, O>,
    ) -> Result<(), CommitError> {
        let offsets = offsets.into_iter().map(|(partition, offset)| (partition, offset.into())).collect();
        self.commit_all(offsets).await
    }

    /// Commits the position of every assigned partition: all that earlier polls have handed out counts as processed.
    ///
    /// # Errors
    /// If they are not committed: see [`CommitError`].
    pub async fn commit_consumed(&mut self) -> Result<(), CommitError> {
        self.commit_all(self.assignment.consumed(None)).await
    }

    async fn commit_all(&mut self, offsets: BTreeMap<TopicPartition, OffsetAndMetadata>) -> Result<(), CommitError> {
        let group = Arc::clone(self.group.as_ref().ok_or(CommitError::NoGroup)?);
        offsets::commit(group, offsets, self.settings.api_timeout).await
    }

    /// The group's committed offsets; partitions without are left out.
    ///
    /// # Errors
    /// If there is no group, or it cannot be asked.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, ConsumeError> {
        let group = Arc::clone(self.group.as_ref().ok_or(ConsumeError::NoGroup)?);
        Ok(offsets::committed(group, partitions.to_vec(), self.settings.api_timeout).await?)
    }

    /// The offset of the first record still there, by partition.
    ///
    /// # Errors
    /// If the leaders cannot be asked.
    pub async fn beginning_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, i64>, ConsumeError> {
        self.ends(partitions, EARLIEST).await
    }

    /// The offset after the last record, by partition; with
    /// [`ReadCommitted`](IsolationLevel::ReadCommitted) that of the first open transaction, if there is one.
    ///
    /// # Errors
    /// If the leaders cannot be asked.
    pub async fn end_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, i64>, ConsumeError> {
        self.ends(partitions, LATEST).await
    }

    async fn ends(
        &mut self,
        partitions: &[TopicPartition],
        time: i64,
    ) -> Result<HashMap<TopicPartition, i64>, ConsumeError> {
        let times = partitions.iter().map(|partition| (partition.clone(), time)).collect();
        let found = self.offsets_for_times(times).await?;
        Ok(found.into_iter().filter_map(|(partition, at)| Some((partition, at?.offset))).collect())
    }

    /// The first offset whose record's timestamp is at or after the one given (milliseconds since the Unix epoch), by
    /// partition; nothing where no record is that young.
    ///
    /// # Errors
    /// If the leaders cannot be asked.
    pub async fn offsets_for_times(
        &mut self,
        times: HashMap<TopicPartition, i64>,
    ) -> Result<HashMap<TopicPartition, Option<OffsetAndTimestamp>>, ConsumeError> {
        let isolation = self.settings.isolation.to_wire();
        Ok(list_offsets(Arc::clone(&self.cluster), times, isolation, self.settings.api_timeout).await?)
    }

    /// The partitions of a topic.
    ///
    /// # Errors
    /// If the topic does not exist, or no broker answers.
    pub async fn partitions_for(&mut self, topic: &str) -> Result<Vec<PartitionInfo>, ConsumeError> {
        let topic = self.cluster.topic(&topic.into(), false, self.settings.api_timeout).await?;
        Ok(PartitionInfo::all_of(&topic))
    }

    /// What this consumer is in its group at present, or nothing without a group.
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        let group = self.group.as_ref()?;
        let membership = group.membership();
        Some(ConsumerGroupMetadata {
            group_id: Arc::clone(&group.id),
            generation_id: membership.generation_id(),
            member_id: membership.member_id().cloned(),
            group_instance_id: self.settings.group_instance_id.clone(),
        })
    }

    /// All records as a stream that ends at the first error that polling on cannot help.
    pub fn into_stream(mut self) -> impl Stream<Item = Result<ConsumerRecord, ConsumeError>> + Send {
        async_stream::stream! {
            loop {
                match self.poll(Duration::from_secs(1)).await {
                    Ok(records) => {
                        for record in records {
                            yield Ok(record);
                        }
                    }
                    Err(error) => {
                        let ends = !error.is_retriable();
                        yield Err(error);
                        if ends {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Commits what was handed out, if that is the consumer's business, and leaves the group.
    ///
    /// # Errors
    /// If the last commit fails; the group is left all the same.
    pub async fn close(mut self) -> Result<(), CommitError> {
        let committed = self.commit_before_end().await;
        self.heartbeat = None;
        if self.is_member()
            && let Some(group) = &self.group
        {
            group.leave("the consumer was closed", false).await;
        }
        tracing::debug!(consumer = self.name, "closed");
        committed
    }

    async fn commit_before_end(&mut self) -> Result<(), CommitError> {
        if self.settings.auto_commit.is_none() || self.group.is_none() || self.assignment.is_empty() {
            return Ok(());
        }
        self.commit_consumed().await
    }

    fn is_member(&self) -> bool {
        matches!(self.subscription, Subscription::Topics(_) | Subscription::Matching(_))
    }
}
