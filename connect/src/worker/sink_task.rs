//! One run of a sink task: read, convert, put, flush, and commit what is flushed.
//!
//! Rule C2: an offset is committed only after a `flush` that came after the `put` of all records before it, and after
//! the dead letter topic has acknowledged those that were not put. Partitions that are taken away are flushed and
//! committed before the group goes on.
//!
//! A batch whose `put` failed and may be repeated is kept; the partitions are paused and the member goes on polling, so
//! that it stays in its group however long that takes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use riverrun_client::ConsumerRecord;
use riverrun_core::TopicPartition;
use tokio::time::{Instant, timeout};

use super::{
    cluster::{Cluster, Input, InputEvent},
    dead_letters::{DeadLetters, Stage},
    task::{Retry, TaskSetup},
};
use crate::{
    Data, SinkRecord, TaskError,
    connector::{Rejections, SinkTask, error_chain},
};

/// A run, from start to stop or failure.
pub(super) struct SinkRun<C: Cluster> {
    pub(super) setup: Arc<TaskSetup>,
    pub(super) input: C::Input,
    pub(super) dead_letters: Option<DeadLetters<C>>,
    pub(super) rejections: Rejections,
}

impl<C: Cluster> SinkRun<C> {
    /// Runs `task` until it is stopped or fails.
    pub(super) async fn run(self, task: Box<dyn SinkTask>) -> Result<(), TaskError> {
        let period = self.setup.worker.offset_flush_interval;
        let (retry, read_retry) = (self.setup.retry("put failed"), self.setup.retry("reading failed"));
        let mut work = Work {
            run: self,
            task,
            backlog: VecDeque::new(),
            retry,
            read_retry,
            put_at: None,
            read: HashMap::new(),
            dirty: false,
            flush_at: Instant::now() + period,
        };
        let result = work.run_loop().await;
        let result = match result {
            Ok(()) => work.flush().await,
            Err(error) => Err(error),
        };
        let Work { run, task, .. } = work;
        if result.is_ok()
            && let Err(error) = task.stop().await
        {
            tracing::warn!(connector = %run.setup.connector, "stop failed: {}", error_chain(&error));
        }
        let deadline = run.setup.worker.offset_flush_timeout;
        let _ = timeout(deadline, run.input.close()).await;
        if let Some(dead_letters) = run.dead_letters {
            let _ = timeout(deadline, dead_letters.close()).await;
        }
        result
    }
}

/// What one poll brought.
#[derive(Debug, Default)]
struct Batch {
    records: Vec<SinkRecord>,
    /// By partition the offset behind its last record, also of those that were skipped.
    ends: HashMap<TopicPartition, i64>,
}

struct Work<C: Cluster> {
    run: SinkRun<C>,
    task: Box<dyn SinkTask>,
    /// Batches read and not put; the first may have been tried. More than one only while paused.
    backlog: VecDeque<Batch>,
    retry: Retry,
    read_retry: Retry,
    /// When to try the first batch again.
    put_at: Option<Instant>,
    /// By partition the offset of the next record to put.
    read: HashMap<TopicPartition, i64>,
    /// `read` has moved since the last commit.
    dirty: bool,
    flush_at: Instant,
}

impl<C: Cluster> Work<C> {
    async fn run_loop(&mut self) -> Result<(), TaskError> {
        let setup = Arc::clone(&self.run.setup);
        loop {
            let now = Instant::now();
            if self.put_at.is_some_and(|at| at <= now) {
                self.put().await?;
            }
            if self.flush_at <= now {
                self.flush().await?;
                self.flush_at = Instant::now() + setup.worker.offset_flush_interval;
            }
            let wait =
                self.put_at.unwrap_or(self.flush_at).min(self.flush_at).saturating_duration_since(Instant::now());
            // A pending poll is dropped only here, at the end: what it has read is not committed.
            let event = tokio::select! {
                biased;
                () = setup.stop.cancelled() => return Ok(()),
                event = self.run.input.poll(wait.max(Duration::from_millis(1))) => event,
            };
            if event.is_ok() {
                self.read_retry.succeeded(&setup.status);
            }
            match event {
                Ok(InputEvent::Records(records)) => {
                    let batch = self.convert(records).await?;
                    self.backlog.push_back(batch);
                    if self.put_at.is_none() {
                        self.put().await?;
                    }
                }
                Ok(InputEvent::Revoked(partitions)) => {
                    if let Err(error) = self.flush().await {
                        // Whoever gets the partitions reads what is not committed again.
                        tracing::warn!(connector = %setup.connector, "flush on revocation failed: {}", error_chain(&error));
                    }
                    self.forget(&partitions);
                }
                Ok(InputEvent::Lost(partitions)) => self.forget(&partitions),
                Ok(InputEvent::Idle) => {}
                Err(error) => {
                    let delay = self.read_retry.failed(error.into(), &setup.status)?;
                    tokio::select! {
                        () = setup.stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
    }

    /// Puts what was read, oldest first, until all is put or a batch has to be tried again later.
    async fn put(&mut self) -> Result<(), TaskError> {
        while let Some(batch) = self.backlog.front() {
            let result = if batch.records.is_empty() { Ok(()) } else { self.task.put(&batch.records).await };
            let status = &self.run.setup.status;
            if let Err(error) = result {
                self.run.rejections.take();
                let delay = self.retry.failed(error, status)?;
                if self.put_at.is_none() {
                    self.run.input.pause();
                }
                self.put_at = Some(Instant::now() + delay);
                return Ok(());
            }
            self.retry.succeeded(status);
            let rejected = self.run.rejections.take();
            let put = batch.records.len().saturating_sub(rejected.len()) as u64;
            status.update(|task| task.records += put);
            let batch = self.backlog.pop_front().unwrap_or_default();
            for (record, reason) in rejected {
                self.skip(&record, Stage::TaskPut, &reason).await?;
            }
            self.dirty |= !batch.ends.is_empty();
            self.read.extend(batch.ends);
        }
        if self.put_at.take().is_some() {
            self.run.input.resume();
        }
        Ok(())
    }

    /// Makes durable and commits what was put. What cannot be committed now is with a later flush.
    async fn flush(&mut self) -> Result<(), TaskError> {
        if !self.dirty {
            return Ok(());
        }
        let setup = &self.run.setup;
        if let Err(error) = self.task.flush().await {
            return if error.is_retriable() {
                tracing::warn!(connector = %setup.connector, "flush failed, trying again later: {}", error_chain(&error));
                Ok(())
            } else {
                Err(error)
            };
        }
        if let Some(dead_letters) = &mut self.run.dead_letters {
            dead_letters.flush().await?;
        }
        let commit = self.run.input.commit(self.read.clone());
        match timeout(setup.worker.offset_flush_timeout, commit).await {
            Ok(Ok(())) => {
                self.dirty = false;
                setup.status.update(|task| task.commits += 1);
            }
            Ok(Err(error)) => {
                tracing::warn!(connector = %setup.connector, "offsets not committed: {}", error_chain(&error));
            }
            Err(_) => tracing::warn!(connector = %setup.connector, "offsets not committed in time, trying again later"),
        }
        Ok(())
    }

    /// Drops everything of partitions that belong to others now.
    fn forget(&mut self, partitions: &[TopicPartition]) {
        for batch in &mut self.backlog {
            batch.records.retain(|record| !partitions.contains(&record.topic_partition));
            batch.ends.retain(|partition, _| !partitions.contains(partition));
        }
        self.read.retain(|partition, _| !partitions.contains(partition));
        self.task.revoked(partitions);
    }

    /// Converts records. Those that cannot be are dealt with here.
    async fn convert(&mut self, records: Vec<ConsumerRecord>) -> Result<Batch, TaskError> {
        let setup = Arc::clone(&self.run.setup);
        let mut batch = Batch { records: Vec::with_capacity(records.len()), ends: HashMap::new() };
        for record in records {
            let mut record = raw(record);
            match batch.ends.get_mut(&record.topic_partition) {
                Some(end) => *end = record.offset + 1,
                None => drop(batch.ends.insert(record.topic_partition.clone(), record.offset + 1)),
            }
            let key = setup.key_converter.decode(record.raw_key.clone());
            let value = setup.value_converter.decode(record.raw_value.clone());
            match (key, value) {
                (Ok(key), Ok(value)) => {
                    record.key = key;
                    record.value = value;
                    batch.records.push(record);
                }
                (Err(error), _) => self.skip(&record, Stage::KeyConverter, &error_chain(&error)).await?,
                (Ok(_), Err(error)) => self.skip(&record, Stage::ValueConverter, &error_chain(&error)).await?,
            }
        }
        Ok(batch)
    }

    async fn skip(&mut self, record: &SinkRecord, stage: Stage, reason: &str) -> Result<(), TaskError> {
        let setup = Arc::clone(&self.run.setup);
        let SinkRecord { topic_partition, offset, .. } = record;
        setup.tolerate(|| {
            format!("{topic_partition} offset {offset}: {reason}; to skip such records set `errors.tolerance` to `all`")
        })?;
        if let Some(dead_letters) = &mut self.run.dead_letters {
            dead_letters.send(&setup, record, stage, reason).await?;
        }
        Ok(())
    }
}

fn raw(record: ConsumerRecord) -> SinkRecord {
    SinkRecord {
        topic_partition: TopicPartition { topic: record.topic, partition: record.partition },
        offset: record.offset,
        timestamp: record.timestamp,
        key: Data::Null,
        value: Data::Null,
        headers: record.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
        raw_key: record.key,
        raw_value: record.value,
    }
}
