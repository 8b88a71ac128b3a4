//! Sending records.
//!
//! [`Producer::send`] puts a record into the open batch of its partition and returns a light [`Delivery`]; a task per
//! producer sends batches, several at a time per broker, and sends them again where that can help. The deciding is in
//! `accumulator.rs` and the files around it and touches neither socket nor clock; `sender.rs` is the loop around it.
//!
//! Source: Kafka's `KafkaProducer`, `RecordAccumulator`, `Sender`; KIP-98 (idempotence), KIP-480 and KIP-794 (sticky
//! partitioning), KIP-91 (`delivery.timeout.ms`).

mod accumulator;
mod batch;
mod completion;
mod error;
mod murmur2;
mod outcome;
mod partitioner;
mod queue;
mod record;
mod request;
mod sender;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use riverrun_core::record::record_size;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, TryAcquireError},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use error::{ProduceError, ProducerConfigError, SendError};
pub use murmur2::murmur2;
pub(crate) use outcome::concerns_metadata;
pub use partitioner::{KeyPartitioner, Partitioner, partition_for_key};
pub use record::{Delivery, ProducerRecord, RecordMetadata};
pub use settings::{Acks, ProducerBuilder};

use accumulator::{Accumulator, Appended};
use settings::Settings;

use crate::{Client, cluster::Cluster};

/// Sends records to topics. Made by [`Client::producer`]. Clones share buffer, connections and producer id.
///
/// Dropping the last clone gives up what has not been sent and never waits; [`close`](Self::close) sends it first.
#[derive(Debug, Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    /// Ends the sending task once the last clone is gone.
    _end: Arc<DropGuard>,
    end: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the producer's handles and its task have in common.
#[derive(Debug)]
struct Shared {
    settings: Arc<Settings>,
    cluster: Arc<Cluster>,
    /// Guards the machine, for as long as one record is appended or one look taken. No other lock is taken within but
    /// that of a batch's completion.
    accumulator: Mutex<Accumulator>,
    /// Room in the buffer, in bytes.
    room: Semaphore,
    /// Tells the task that there is something to look at.
    wake: Notify,
    /// Tells those who flush that batches have ended.
    finished: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Accumulator> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that `freed` bytes of the buffer are free again, and that batches have ended.
    fn free(&self, freed: usize) {
        if freed > 0 {
            self.room.add_permits(freed);
            self.finished.notify_waiters();
        }
    }
}

/// As long as it lives, batches do not wait for more records.
struct Hurry<'a>(&'a Shared);

impl<'a> Hurry<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.lock().hurried_by += 1;
        shared.wake.notify_one();
        Self(shared)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.lock().hurried_by -= 1;
    }
}

impl Producer {
    fn start(client: &Client, settings: Settings, name: String) -> Self {
        let settings = Arc::new(settings);
        let shared = Arc::new(Shared {
            room: Semaphore::new(settings.buffer_memory),
            accumulator: Mutex::new(Accumulator::new(Arc::clone(&settings))),
            cluster: Arc::clone(client.cluster()),
            settings,
            wake: Notify::new(),
            finished: Notify::new(),
        });
        let end = CancellationToken::new();
        let task = tokio::spawn(sender::run(Arc::clone(&shared), end.clone(), name));
        Self { shared, _end: Arc::new(end.clone().drop_guard()), end, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Accepts a record for sending. Waits only for room in the buffer, and, with a topic's first record, for its
    /// metadata; the [`Delivery`] tells when the record is written. Records for one partition are written in the order
    /// in which they were accepted.
    ///
    /// Cancel-safe: a call that is dropped before it returns has accepted nothing.
    ///
    /// # Errors
    /// If the topic is unknown, the record too large, or there is no room for too long.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        let headers = record.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let size = record_size(record.key.as_deref(), record.value.as_deref(), headers);
        let room = self.reserve(size).await?;
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let is_sticky = record.partition.is_none() && record.key.is_none();
        let random = if is_sticky { rand::random() } else { 0 };
        loop {
            let appended = self.shared.lock().append(&record, size, timestamp, Instant::now(), random)?;
            match appended {
                Appended::Accepted { delivery, wake } => {
                    // The batch gives it back when it ends.
                    room.forget();
                    if wake {
                        self.shared.wake.notify_one();
                    }
                    return Ok(delivery);
                }
                Appended::UnknownTopic => self.learn(&record.topic).await?,
            }
        }
    }

    async fn reserve(&self, size: usize) -> Result<SemaphorePermit<'_>, SendError> {
        let Settings { max_request_size, buffer_memory, max_block, .. } = *self.shared.settings;
        let limit = max_request_size.min(buffer_memory);
        let too_large = SendError::TooLarge { size, limit };
        let permits = u32::try_from(size).ok().filter(|_| size <= limit).ok_or(too_large)?;
        match self.shared.room.try_acquire_many(permits) {
            Ok(permit) => return Ok(permit),
            Err(TryAcquireError::Closed) => return Err(SendError::Closed),
            Err(TryAcquireError::NoPermits) => {}
        }
        let _hurry = Hurry::new(&self.shared);
        let permit = timeout(max_block, self.shared.room.acquire_many(permits)).await;
        permit.map_err(|_| SendError::BufferFull { after: max_block })?.map_err(|_| SendError::Closed)
    }

    async fn learn(&self, topic: &Arc<str>) -> Result<(), SendError> {
        let found = self.shared.cluster.topic(topic, true, self.shared.settings.max_block).await;
        let found = found.map_err(|source| SendError::Metadata { topic: Arc::clone(topic), source })?;
        self.shared.lock().set_topic(&found);
        Ok(())
    }

    /// Sends everything accepted so far without waiting for batches to fill, and waits until each record has been
    /// written or given up; which of the two its [`Delivery`] tells. Cancel-safe.
    pub async fn flush(&self) {
        let _hurry = Hurry::new(&self.shared);
        let mark = self.shared.lock().mark();
        loop {
            let finished = self.shared.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            if self.shared.lock().is_finished_before(mark) {
                return;
            }
            finished.await;
        }
    }

    /// The number of partitions of a topic, asked for if it is not known.
    ///
    /// # Errors
    /// If the topic does not exist, or no broker answers.
    pub async fn partition_count(&self, topic: &str) -> Result<i32, crate::ClientError> {
        let topic = self.shared.cluster.topic(&topic.into(), false, self.shared.settings.max_block).await?;
        Ok(topic.partition_count())
    }

    /// Refuses further records, sends those accepted, and ends. Other clones are closed too. Takes
    /// `delivery_timeout` at most.
    pub async fn close(&self) {
        self.shared.lock().closed = true;
        self.flush().await;
        self.end.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself; a panic in it has been reported already.
            let _ = task.await;
        }
    }
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
