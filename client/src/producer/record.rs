//! What goes into a producer and what comes back for it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use riverrun_core::TopicPartition;

use super::{completion::Completion, error::ProduceError};

/// A record to be sent.
///
/// ```
/// use riverrun_client::ProducerRecord;
///
/// let record = ProducerRecord::to("orders").key("customer-7").value("3 apples").header("trace", "af01");
/// assert_eq!(record.headers.len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; `None` leaves it to the partitioner.
    pub partition: Option<i32>,
    /// The key; records with equal keys go to the same partition.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// Headers, in order, duplicates allowed.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since the Unix epoch; `None` is the time of the call.
    pub timestamp: Option<i64>,
}

impl ProducerRecord {
    /// Starts a record for `topic`, with neither key nor value.
    pub fn to(topic: impl Into<Arc<str>>) -> Self {
        Self { topic: topic.into(), partition: None, key: None, value: None, headers: Vec::new(), timestamp: None }
    }

    /// Names the partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Adds a header after those already there.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push((key.into(), Some(value.into())));
        self
    }

    /// Sets the timestamp, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The partition it was written to.
    pub topic_partition: TopicPartition,
    /// Its offset; -1 if the broker does not say: with [`Acks::None`](super::Acks::None), and for a batch that was
    /// a duplicate older than the broker remembers.
    pub offset: i64,
    /// Its timestamp: the record's own, or the broker's in a topic with `LogAppendTime`.
    pub timestamp: i64,
}

/// The outcome of one sent record, as a future. It need not be awaited: the record is sent all the same.
///
/// Light: a reference to the batch and a number. Cancel-safe: dropping it takes nothing back.
#[must_use = "the record is sent in any case, but only this tells whether it arrived"]
pub struct Delivery {
    pub(super) completion: Arc<Completion>,
    pub(super) index: u32,
    pub(super) timestamp: i64,
    pub(super) waker_slot: Option<usize>,
}

impl Delivery {
    /// The partition that was chosen for the record.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.completion.topic_partition
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outcome = std::task::ready!(this.completion.poll(this.index, &mut this.waker_slot, context));
        Poll::Ready(outcome.map(|written| RecordMetadata {
            topic_partition: this.completion.topic_partition.clone(),
            offset: written.offset,
            timestamp: written.log_append_time.unwrap_or(this.timestamp),
        }))
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("topic_partition", &self.completion.topic_partition)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
