//! What tasks write, on its way to the cluster: sends without waiting for acknowledgements, and knows at a commit
//! whether every one came.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use futures::FutureExt;
use riverrun_client::{Delivery, Producer, ProducerRecord, SendError, producer::partition_for_key};

use super::error::StreamsError;
use crate::{
    record::{Headers, Output},
    store::ChangelogRecord,
};

/// Most acknowledgements outstanding before the oldest is waited for.
const MAX_PENDING: usize = 50_000;

/// A worker's producer and what it is owed.
pub(super) struct Outbox {
    producer: Producer,
    pending: VecDeque<Delivery>,
    /// Partition counts of topics whose records name what chooses their partition.
    counts: HashMap<Arc<str>, i32>,
}

impl Outbox {
    pub(super) fn new(producer: Producer) -> Self {
        Self { producer, pending: VecDeque::new(), counts: HashMap::new() }
    }

    /// Sends a result. Waits only if the producer's buffer is full.
    pub(super) async fn send(&mut self, output: Output) -> Result<(), StreamsError> {
        let Output { topic, key, value, timestamp, headers, partition_key } = output;
        let partition = match partition_key {
            None => None,
            Some(bytes) => Some(partition_for_key(&bytes, self.partition_count(&topic).await?.max(1))),
        };
        let headers = owned(&headers);
        self.send_record(ProducerRecord { topic, partition, key, value, headers, timestamp: Some(timestamp) }).await
    }

    /// Sends a store's change to the task's partition of its changelog.
    pub(super) async fn send_change(
        &mut self,
        changelog: Arc<str>,
        partition: i32,
        record: ChangelogRecord,
    ) -> Result<(), StreamsError> {
        let ChangelogRecord { key, value, timestamp } = record;
        self.send_record(ProducerRecord {
            topic: changelog,
            partition: Some(partition),
            key: Some(key),
            value,
            headers: Vec::new(),
            timestamp: Some(timestamp),
        })
        .await
    }

    async fn send_record(&mut self, record: ProducerRecord) -> Result<(), StreamsError> {
        let topic = record.topic.clone();
        let delivery = self.producer.send(record).await.map_err(|source| StreamsError::Send { topic, source })?;
        self.pending.push_back(delivery);
        self.settle_done()?;
        if self.pending.len() > MAX_PENDING
            && let Some(oldest) = self.pending.pop_front()
        {
            oldest.await?;
        }
        Ok(())
    }

    /// Takes the acknowledgements that are there; fails on the first refusal.
    fn settle_done(&mut self) -> Result<(), StreamsError> {
        while let Some(oldest) = self.pending.front_mut() {
            let Some(outcome) = oldest.now_or_never() else { return Ok(()) };
            self.pending.pop_front();
            outcome?;
        }
        Ok(())
    }

    /// Waits until everything sent is acknowledged.
    pub(super) async fn flush(&mut self) -> Result<(), StreamsError> {
        self.producer.flush().await;
        for delivery in self.pending.drain(..) {
            delivery.await?;
        }
        Ok(())
    }

    pub(super) async fn close(self) {
        self.producer.close().await;
    }

    async fn partition_count(&mut self, topic: &Arc<str>) -> Result<i32, StreamsError> {
        if let Some(count) = self.counts.get(topic) {
            return Ok(*count);
        }
        let count = self.producer.partition_count(topic).await;
        let count = count.map_err(|source| {
            let topic = topic.clone();
            StreamsError::Send { topic: topic.clone(), source: SendError::Metadata { topic, source } }
        })?;
        self.counts.insert(topic.clone(), count);
        Ok(count)
    }
}

fn owned(headers: &Headers) -> Vec<(String, Option<bytes::Bytes>)> {
    headers.iter().map(|(name, value)| (name.to_owned(), value.cloned())).collect()
}
