//! Where records enter a task: decoded once, when they are buffered, and pushed in batches.
//!
//! A record that is skipped (it does not decode, has no timestamp, or a null the serde has no value for) is counted
//! and never buffered; its offset still counts as read, so commits go past it (T1).

use std::sync::{Arc, Mutex, PoisonError};

use super::{Context, Instantiation, Next, Outlet, queue::Queue};
use crate::{
    dsl::OnError,
    error::{Part, ProcessError},
    metrics::DropReason,
    record::{Batch, RawRecord, Record},
    serde::{Serde, SerdeError, from_bytes},
};

/// Gives a record's time; `None` skips it.
pub(crate) trait Extract<K, V>: Send {
    fn timestamp(&mut self, key: &K, value: &V) -> Option<i64>;
    fn clone_box(&self) -> Box<dyn Extract<K, V>>;
}

impl<K, V, F: FnMut(&K, &V) -> Option<i64> + Clone + Send + 'static> Extract<K, V> for F {
    fn timestamp(&mut self, key: &K, value: &V) -> Option<i64> {
        self(key, value)
    }

    fn clone_box(&self) -> Box<dyn Extract<K, V>> {
        Box::new(self.clone())
    }
}

/// What may be set on a source after it was made.
pub(crate) struct SourceSettings<K, V> {
    pub(crate) extractor: Option<Box<dyn Extract<K, V>>>,
    pub(crate) on_error: OnError,
}

/// A source in the description of a topology.
pub(crate) struct SourceSpec<K, V, KS, VS> {
    pub(crate) operator: Arc<str>,
    /// Full names.
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) key_serde: KS,
    pub(crate) value_serde: VS,
    pub(crate) settings: Arc<Mutex<SourceSettings<K, V>>>,
    pub(crate) outlet: Outlet<K, V>,
}

impl<K, V, KS, VS> SourceSpec<K, V, KS, VS>
where
    K: Send + 'static,
    V: Send + 'static,
    KS: Serde<K>,
    VS: Serde<V>,
{
    pub(crate) fn instantiate(&self, into: &mut Instantiation) -> Box<dyn SourceNode> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let extractor = settings.extractor.as_ref().map(|extractor| extractor.clone_box());
        let queues = self.topics.iter().map(|_| Queue::default()).collect();
        Box::new(SourceInstance {
            operator: self.operator.clone(),
            topics: self.topics.clone(),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            extractor,
            on_error: settings.on_error,
            queues,
            batch: Vec::new(),
            next: self.outlet.instantiate(into),
        })
    }
}

/// A source as its task sees it; `queue` is an index into its topics.
pub(crate) trait SourceNode: Send {
    fn topics(&self) -> &[Arc<str>];
    /// Decodes records of the partition and queues them. Returns how many were queued.
    fn buffer(&mut self, queue: usize, records: Vec<RawRecord>, cx: &mut Context) -> Result<usize, ProcessError>;
    fn head_timestamp(&self, queue: usize) -> Option<i64>;
    /// Pushes up to `limit` records with timestamps of at most `until`; returns how many.
    fn run(&mut self, queue: usize, until: i64, limit: usize, cx: &mut Context) -> Result<usize, ProcessError>;
    fn commit_offset(&self, queue: usize) -> Option<i64>;
    fn partition_time(&self, queue: usize) -> Option<i64>;
    fn restore_partition_time(&mut self, queue: usize, time: i64);
}

struct SourceInstance<K, V, KS, VS> {
    operator: Arc<str>,
    topics: Vec<Arc<str>>,
    key_serde: KS,
    value_serde: VS,
    extractor: Option<Box<dyn Extract<K, V>>>,
    on_error: OnError,
    queues: Vec<Queue<K, V>>,
    batch: Batch<K, V>,
    next: Next<K, V>,
}

impl<K, V, KS: Serde<K>, VS: Serde<V>> SourceInstance<K, V, KS, VS> {
    /// A typed record, or `None` if it is to be skipped, which is counted here.
    fn decode(&mut self, raw: RawRecord, cx: &Context) -> Result<Option<Record<K, V>>, ProcessError> {
        let key = match from_bytes(&self.key_serde, raw.key.as_ref()) {
            Ok(key) => key,
            Err(source) => return self.undecodable(Part::Key, raw.offset, source, cx),
        };
        let Some(key) = key else {
            cx.dropped(DropReason::NullKey);
            return Ok(None);
        };
        let value = match from_bytes(&self.value_serde, raw.value.as_ref()) {
            Ok(value) => value,
            Err(source) => return self.undecodable(Part::Value, raw.offset, source, cx),
        };
        let Some(value) = value else {
            cx.dropped(DropReason::NullValue);
            return Ok(None);
        };
        let timestamp = match &mut self.extractor {
            None => Some(raw.timestamp),
            Some(extractor) => extractor.timestamp(&key, &value),
        };
        let Some(timestamp) = timestamp else {
            cx.dropped(DropReason::InvalidTimestamp);
            return Ok(None);
        };
        if timestamp < 0 {
            return Err(ProcessError::InvalidTimestamp {
                operator: self.operator.clone(),
                topic: cx.topic.clone(),
                partition: cx.partition,
                offset: raw.offset,
                timestamp,
            });
        }
        Ok(Some(Record { key, value, timestamp, offset: raw.offset, headers: raw.headers }))
    }

    fn undecodable(
        &self,
        part: Part,
        offset: i64,
        source: SerdeError,
        cx: &Context,
    ) -> Result<Option<Record<K, V>>, ProcessError> {
        match self.on_error {
            OnError::Skip => {
                cx.dropped(DropReason::Deserialization);
                Ok(None)
            }
            OnError::Fail => Err(ProcessError::Deserialize {
                operator: self.operator.clone(),
                topic: cx.topic.clone(),
                partition: cx.partition,
                offset,
                part,
                source,
            }),
        }
    }
}

impl<K: Send, V: Send, KS: Serde<K>, VS: Serde<V>> SourceNode for SourceInstance<K, V, KS, VS> {
    fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    fn buffer(&mut self, queue: usize, records: Vec<RawRecord>, cx: &mut Context) -> Result<usize, ProcessError> {
        cx.topic = self.topics[queue].clone();
        let mut queued = 0;
        for raw in records {
            let offset = raw.offset;
            let record = self.decode(raw, cx)?;
            let queue = &mut self.queues[queue];
            queue.reached(offset);
            if let Some(record) = record {
                queue.push(record);
                queued += 1;
            }
        }
        Ok(queued)
    }

    fn head_timestamp(&self, queue: usize) -> Option<i64> {
        self.queues[queue].head_timestamp()
    }

    fn run(&mut self, queue: usize, until: i64, limit: usize, cx: &mut Context) -> Result<usize, ProcessError> {
        cx.topic = self.topics[queue].clone();
        self.batch.clear();
        self.queues[queue].take(until, limit, &mut self.batch);
        let taken = self.batch.len();
        if taken > 0 {
            self.next.push(&mut self.batch, cx)?;
        }
        Ok(taken)
    }

    fn commit_offset(&self, queue: usize) -> Option<i64> {
        self.queues[queue].commit_offset()
    }

    fn partition_time(&self, queue: usize) -> Option<i64> {
        self.queues[queue].partition_time()
    }

    fn restore_partition_time(&mut self, queue: usize, time: i64) {
        self.queues[queue].restore_partition_time(time);
    }
}
