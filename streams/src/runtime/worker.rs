//! A worker: one member of the application's group, with its tasks.
//!
//! The loop reads, lets the tasks process, sends what they made, and commits when it is time. A commit is, in this
//! order (E4): changed store entries to the changelogs, everything sent acknowledged, offsets. So what is committed
//! was processed with all its effects written; a crash repeats what came after, at least once.
//!
//! In a rebalance tasks are committed before their partitions are given up, and kept, suspended: those that come back
//! go on as they are, the others are dropped. A task that is new here is restored before the next poll. If the group
//! has gone on without this member, its tasks are dropped as they are.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError},
    time::Duration,
};

use riverrun_client::{
    CommitError, Consumer, ConsumerEvent, ConsumerRecord, ConsumerRecords, OffsetAndMetadata, TopicPartition,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{assignor::HeldTasks, error::StreamsError, outbox::Outbox, plan::Readers, purge::Purge, restore};
use crate::{
    engine::{Task, TaskId},
    metrics::Metrics,
    record::RawRecord,
    topology::{Topology, changelog_topic},
};

/// What a worker is made of.
pub(super) struct Worker {
    pub(super) client: riverrun_client::Client,
    pub(super) topology: Topology,
    pub(super) readers: Arc<Readers>,
    pub(super) consumer: Consumer,
    pub(super) outbox: Outbox,
    pub(super) held: HeldTasks,
    pub(super) metrics: Metrics,
    pub(super) commit_interval: Duration,
    pub(super) purge: Purge,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    /// Tasks given up in the rebalance under way.
    pub(super) suspended: BTreeMap<TaskId, Task>,
    /// Offsets committed last, to leave out what has not moved.
    pub(super) committed: HashMap<TopicPartition, i64>,
}

impl Worker {
    /// Runs until `shutdown`, then commits and leaves the group; or until something fails, and then leaves without
    /// committing.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), StreamsError> {
        let topics = self.readers.all_topics();
        self.consumer.subscribe(&topics.iter().map(|topic| &**topic).collect::<Vec<_>>());
        let result = self.work(&shutdown).await;
        self.tasks.clear();
        if let Err(error) = self.consumer.close().await {
            tracing::warn!(%error, "the consumer did not leave its group cleanly");
        }
        self.outbox.close().await;
        result
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), StreamsError> {
        let mut commit_at = Instant::now() + self.commit_interval;
        loop {
            let wait = commit_at.saturating_duration_since(Instant::now());
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.commit().await,
                event = self.consumer.poll_event(wait) => event,
            };
            match event {
                Ok(event) => self.handle(event).await?,
                Err(error) if error.is_retriable() => tracing::debug!(%error, "polling goes on"),
                Err(error) => return Err(error.into()),
            }
            if Instant::now() >= commit_at {
                self.commit().await?;
                commit_at = Instant::now() + self.commit_interval;
            }
        }
    }

    async fn handle(&mut self, event: ConsumerEvent) -> Result<(), StreamsError> {
        match event {
            ConsumerEvent::Records(records) => self.process(records).await,
            ConsumerEvent::Revoked(partitions) => {
                self.commit().await?;
                self.suspend(&partitions);
                Ok(())
            }
            ConsumerEvent::Lost(_) => {
                self.drop_all();
                Ok(())
            }
            ConsumerEvent::Assigned(partitions) => self.open(&partitions).await,
            _ => Ok(()),
        }
    }

    async fn process(&mut self, records: ConsumerRecords) -> Result<(), StreamsError> {
        let mut touched = Vec::new();
        for (partition, records) in records.into_partitions() {
            let Some(id) = self.readers.task(&partition.topic, partition.partition) else { continue };
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            let records = records.into_iter().map(raw).collect();
            task.buffer(&partition.topic, records).map_err(|source| failed(id, source))?;
            if !touched.contains(&id) {
                touched.push(id);
            }
        }
        for id in touched {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            task.process().map_err(|source| failed(id, source))?;
            for output in task.take_outputs() {
                self.outbox.send(output).await?;
            }
        }
        Ok(())
    }

    /// Writes what changed, waits for every acknowledgement, then commits the offsets that moved.
    async fn commit(&mut self) -> Result<(), StreamsError> {
        let mut offsets = HashMap::new();
        for (id, task) in &mut self.tasks {
            let mut changes = Vec::new();
            task.drain_changelogs(&mut |store, record| {
                changes.push((changelog_topic(self.topology.app_id(), store), record));
            })
            .map_err(|source| StreamsError::Store { task: id.to_string(), source })?;
            for (changelog, record) in changes {
                self.outbox.send_change(changelog, id.partition, record).await?;
            }
            for offset in task.committable() {
                let partition = TopicPartition { topic: offset.topic, partition: id.partition };
                if self.committed.get(&partition) != Some(&offset.offset) {
                    let (offset, metadata) = (offset.offset, offset.metadata);
                    offsets.insert(partition, OffsetAndMetadata { offset, leader_epoch: None, metadata });
                }
            }
        }
        self.outbox.flush().await?;
        if offsets.is_empty() {
            return Ok(());
        }
        let moved: Vec<_> = offsets.iter().map(|(partition, offset)| (partition.clone(), offset.offset)).collect();
        match self.consumer.commit(offsets).await {
            Ok(()) => {
                self.committed.extend(moved.iter().cloned());
                self.purge.after_commit(&moved).await;
                Ok(())
            }
            Err(CommitError::Fenced { code }) => {
                tracing::warn!(%code, "the group has gone on without this member; its tasks are dropped");
                self.drop_all();
                Ok(())
            }
            // The next poll brings the rebalance; these offsets are committed again with it.
            Err(error) if error.is_retriable() => {
                tracing::info!(%error, "offsets are committed later");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stops the tasks of these partitions, but keeps them until it is known who gets them.
    fn suspend(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(id) = self.readers.task(&partition.topic, partition.partition)
                && let Some(task) = self.tasks.remove(&id)
            {
                self.suspended.insert(id, task);
            }
        }
    }

    fn drop_all(&mut self) {
        self.tasks.clear();
        self.suspended.clear();
        self.committed.clear();
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Starts the tasks of these partitions: resumes those that were here before, restores the others.
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), StreamsError> {
        let (mut fresh, mut resumed) = (BTreeMap::new(), BTreeMap::new());
        for partition in partitions {
            let Some(id) = self.readers.task(&partition.topic, partition.partition) else { continue };
            if let Some(task) = self.suspended.remove(&id) {
                resumed.insert(id, task);
            } else if !self.tasks.contains_key(&id) {
                fresh.entry(id).or_insert_with(|| self.topology.task(id, &self.metrics));
            }
        }
        self.suspended.clear();
        for (id, task) in &resumed {
            // Where the task stands, even if that could not be committed before it was suspended.
            for offset in task.committable() {
                let partition = TopicPartition { topic: offset.topic, partition: id.partition };
                self.consumer.seek(&partition, offset.offset)?;
            }
        }
        self.tasks.append(&mut resumed);
        self.restore_metadata(partitions, &mut fresh).await?;
        restore::restore(&self.client, self.topology.app_id(), &mut fresh).await?;
        self.tasks.append(&mut fresh);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = self.tasks.keys().copied().collect();
        tracing::info!(tasks = self.tasks.len(), "tasks are running");
        Ok(())
    }

    /// Gives new tasks what was committed with the offsets they begin at.
    async fn restore_metadata(
        &mut self,
        partitions: &[TopicPartition],
        fresh: &mut BTreeMap<TaskId, Task>,
    ) -> Result<(), StreamsError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let committed = self.consumer.committed(partitions).await?;
        self.committed.retain(|partition, _| !partitions.contains(partition));
        for (partition, offset) in committed {
            let Some(id) = self.readers.task(&partition.topic, partition.partition) else { continue };
            if let Some(task) = fresh.get_mut(&id) {
                task.restore_metadata(&partition.topic, &offset.metadata).map_err(|source| failed(id, source))?;
            }
        }
        Ok(())
    }
}

fn failed(id: TaskId, source: crate::ProcessError) -> StreamsError {
    StreamsError::Process { task: id.to_string(), source }
}

fn raw(record: ConsumerRecord) -> RawRecord {
    let ConsumerRecord { offset, timestamp, key, value, headers, .. } = record;
    RawRecord { offset, timestamp, key, value, headers: headers.into_iter().collect() }
}
