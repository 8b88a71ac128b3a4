//! A task: one partition of every topic a sub-topology reads, its operators, and its stores.
//!
//! Records are processed in the order of their timestamps across partitions and of their offsets within one (T3). To
//! keep batches whole, a run is taken from the partition with the smallest head timestamp, up to the head timestamp of
//! any other partition; equal timestamps go in the order of the sources in the topology. A task never waits for a
//! partition without buffered records (`max.task.idle.ms` = -1).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};

use super::{Context, MetadataSlot, commit_metadata::CommitMetadata, source::SourceNode};
use crate::{
    error::{ProcessError, StoreError},
    metrics::Metrics,
    record::{Output, RawRecord},
    store::{ChangelogRecord, EncodedEntry, StateStore, lock},
};

/// A task's name, `<subtopology>_<partition>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(crate) subtopology: usize,
    pub(crate) partition: i32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

/// Most records pushed at once.
pub(crate) const MAX_BATCH: usize = 256;

/// An offset to commit for a topic's partition of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committable {
    pub(crate) topic: Arc<str>,
    /// Where to go on reading.
    pub(crate) offset: i64,
    /// Partition time and operators' numbers, encoded.
    pub(crate) metadata: String,
}

/// Which queue a topic's records go to.
#[derive(Clone, Copy, Debug)]
struct Input {
    source: usize,
    queue: usize,
}

/// A running task.
pub(crate) struct Task {
    id: TaskId,
    sources: Vec<Box<dyn SourceNode>>,
    inputs: Vec<Input>,
    by_topic: HashMap<Arc<str>, Input>,
    stores: Vec<Arc<Mutex<dyn StateStore>>>,
    metadata: Vec<(String, MetadataSlot)>,
    cx: Context,
    max_batch: usize,
}

impl Task {
    pub(crate) fn new(
        id: TaskId,
        sources: Vec<Box<dyn SourceNode>>,
        stores: Vec<Arc<Mutex<dyn StateStore>>>,
        metadata: Vec<(String, MetadataSlot)>,
        metrics: Metrics,
    ) -> Self {
        let mut inputs = Vec::new();
        let mut by_topic = HashMap::new();
        for (source, node) in sources.iter().enumerate() {
            for (queue, topic) in node.topics().iter().enumerate() {
                inputs.push(Input { source, queue });
                by_topic.insert(topic.clone(), Input { source, queue });
            }
        }
        let cx = Context {
            outputs: Vec::new(),
            buffer: BytesMut::new(),
            metrics,
            topic: Arc::from(""),
            partition: id.partition,
        };
        Self { id, sources, inputs, by_topic, stores, metadata, cx, max_batch: MAX_BATCH }
    }

    /// Limits batches to `records`; results do not depend on it.
    pub(crate) fn set_max_batch(&mut self, records: usize) {
        self.max_batch = records.max(1);
    }

    fn input(&self, topic: &str) -> Result<Input, ProcessError> {
        self.by_topic
            .get(topic)
            .copied()
            .ok_or_else(|| ProcessError::UnknownTopic { task: self.id.to_string(), topic: topic.to_owned() })
    }

    /// Decodes and queues records of the task's partition of `topic`.
    pub(crate) fn buffer(&mut self, topic: &str, records: Vec<RawRecord>) -> Result<(), ProcessError> {
        let Input { source, queue } = self.input(topic)?;
        self.sources[source].buffer(queue, records, &mut self.cx)?;
        Ok(())
    }

    /// Processes everything queued.
    pub(crate) fn process(&mut self) -> Result<(), ProcessError> {
        while let Some((input, until)) = self.next_run() {
            let source = &mut self.sources[input.source];
            let taken = source.run(input.queue, until, self.max_batch, &mut self.cx)?;
            self.cx.metrics.count_in(taken);
        }
        Ok(())
    }

    /// The queue whose head is due, and the last timestamp it may go on to.
    fn next_run(&self) -> Option<(Input, i64)> {
        let head = |input: &Input| self.sources[input.source].head_timestamp(input.queue);
        let heads = || self.inputs.iter().enumerate().filter_map(|(n, input)| Some((head(input)?, n)));
        let (first, chosen) = heads().min()?;
        let until = heads()
            .filter(|(_, n)| *n != chosen)
            // At equal timestamps the earlier source goes first.
            .map(|(timestamp, n)| if chosen < n { timestamp } else { timestamp - 1 })
            .min();
        debug_assert!(until.is_none_or(|until| first <= until));
        Some((self.inputs[chosen], until.unwrap_or(i64::MAX)))
    }

    /// What processing made for topics since the last call.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        self.cx.metrics.count_out(self.cx.outputs.len());
        std::mem::take(&mut self.cx.outputs)
    }

    /// Hands over, per store, what changed since the last call.
    pub(crate) fn drain_changelogs(
        &mut self,
        sink: &mut dyn FnMut(&Arc<str>, ChangelogRecord),
    ) -> Result<(), StoreError> {
        for store in &self.stores {
            let mut store = lock(store);
            let name = store.name().clone();
            store.drain_dirty(&mut self.cx.buffer, &mut |record| sink(&name, record))?;
        }
        Ok(())
    }

    /// The offsets that cover everything processed. The same operator numbers go to every partition.
    pub(crate) fn committable(&self) -> Vec<Committable> {
        let entries: Vec<_> =
            self.metadata.iter().filter_map(|(name, slot)| Some((name.clone(), slot.get()?))).collect();
        let mut all = Vec::new();
        for Input { source, queue } in &self.inputs {
            let source = &self.sources[*source];
            let Some(offset) = source.commit_offset(*queue) else { continue };
            let partition_time = source.partition_time(*queue);
            let metadata = CommitMetadata { partition_time, entries: entries.clone() }.encode();
            all.push(Committable { topic: source.topics()[*queue].clone(), offset, metadata });
        }
        all
    }

    /// Takes over what was committed with an offset of `topic`.
    pub(crate) fn restore_metadata(&mut self, topic: &str, metadata: &str) -> Result<(), ProcessError> {
        let Input { source, queue } = self.input(topic)?;
        let CommitMetadata { partition_time, entries } = CommitMetadata::decode(metadata);
        if let Some(time) = partition_time {
            self.sources[source].restore_partition_time(queue, time);
        }
        for (name, value) in entries {
            // Partitions may have been committed at different times: the newest knowledge counts.
            if let Some((_, slot)) = self.metadata.iter().find(|(known, _)| *known == name)
                && slot.get().is_none_or(|known| known < value)
            {
                slot.set(value);
            }
        }
        Ok(())
    }

    /// The stores' names.
    pub(crate) fn stores(&self) -> Vec<Arc<str>> {
        self.stores.iter().map(|store| lock(store).name().clone()).collect()
    }

    fn store(&self, name: &str) -> Option<&Arc<Mutex<dyn StateStore>>> {
        self.stores.iter().find(|store| &**lock(store).name() == name)
    }

    /// Applies one record of a store's changelog. A store the task has not is ignored.
    pub(crate) fn restore(
        &mut self,
        store: &str,
        key: Option<&Bytes>,
        value: Option<&Bytes>,
        timestamp: i64,
    ) -> Result<(), StoreError> {
        match self.store(store) {
            Some(store) => lock(store).restore(key, value, timestamp),
            None => Ok(()),
        }
    }

    /// A store's entries, if the task has it.
    pub(crate) fn entries(&self, store: &str) -> Option<Result<Vec<EncodedEntry>, StoreError>> {
        Some(lock(self.store(store)?).entries())
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).finish_non_exhaustive()
    }
}
