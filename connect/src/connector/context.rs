//! What a task is given when it starts.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::record::{SinkRecord, SourceOffset, SourcePartition};

/// Who a source task is and where it was left.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The connector's name.
    pub connector: Arc<str>,
    /// This task's number, from 0.
    pub task: usize,
    /// How many tasks there are.
    pub tasks: usize,
    /// The connector's stored offsets, those of all its tasks, as they were when this task started.
    pub offsets: StoredOffsets,
}

/// Stored offsets of one connector; never changes.
#[derive(Clone, Debug, Default)]
pub struct StoredOffsets(Arc<BTreeMap<SourcePartition, SourceOffset>>);

impl StoredOffsets {
    /// How far `partition` has been read.
    pub fn get(&self, partition: &SourcePartition) -> Option<&SourceOffset> {
        self.0.get(partition)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&SourcePartition, &SourceOffset)> {
        self.0.iter()
    }
}

impl FromIterator<(SourcePartition, SourceOffset)> for StoredOffsets {
    fn from_iter<I: IntoIterator<Item = (SourcePartition, SourceOffset)>>(offsets: I) -> Self {
        Self(Arc::new(offsets.into_iter().collect()))
    }
}

/// Who a sink task is, and where it can put records that it will never take.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The connector's name.
    pub connector: Arc<str>,
    /// This task's number, from 0.
    pub task: usize,
    /// How many tasks there are.
    pub tasks: usize,
    /// Takes records that can never be delivered (Kafka Connect's `ErrantRecordReporter`, KIP-610).
    pub rejections: Rejections,
}

/// Takes records out of a batch that can never be delivered. With `errors.tolerance=all` they are skipped, counted and
/// sent to the dead letter topic before any offset beyond them is committed; otherwise the task fails when `put`
/// returns.
#[derive(Clone, Debug, Default)]
pub struct Rejections {
    /// Holds at most what one call of `put` rejects: the runtime empties it after each. A short critical section.
    rejected: Arc<Mutex<Vec<(SinkRecord, String)>>>,
}

impl Rejections {
    /// Rejects `record` of the batch in hand.
    pub fn reject(&self, record: &SinkRecord, reason: impl Into<String>) {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner).push((record.clone(), reason.into()));
    }

    pub(crate) fn take(&self) -> Vec<(SinkRecord, String)> {
        std::mem::take(&mut self.rejected.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
