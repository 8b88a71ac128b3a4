//! The engine: operators that push batches to one another, and the task that feeds them.
//!
//! Nothing here does I/O or reads a clock. A [`Task`] takes records from its queues in timestamp order, pushes them
//! through its operators and collects what came out; whoever drives it (the test driver or the runtime) moves bytes.

mod aggregate;
mod commit_metadata;
mod outlet;
mod queue;
mod sink;
mod source;
mod split;
mod stateless;
mod task;
mod window_aggregate;

pub(crate) use aggregate::{Aggregate, Aggregator, Count, Fold, Reduce};
pub(crate) use outlet::{Instantiation, MergePoint, Outlet};
pub(crate) use sink::Sink;
pub(crate) use source::{SourceNode, SourceSettings, SourceSpec};
pub(crate) use split::Branches;
pub(crate) use stateless::{InPlace, Transform};
pub(crate) use task::{Task, TaskId};
pub(crate) use window_aggregate::{Emit, LateOutput, WindowAggregate};

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use bytes::BytesMut;

use crate::{
    error::ProcessError,
    metrics::{DropReason, Metrics},
    record::{Batch, Output},
};

/// Whatever takes batches of `K` and `V`: an operator together with all that is below it.
pub(crate) trait Push<K, V>: Send {
    /// Processes the batch in order. May drain it; what it leaves behind is dropped by the sender.
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError>;
}

/// A child operator, by its input types only.
pub(crate) type Next<K, V> = Box<dyn Push<K, V>>;

/// What operators share while a task processes: where results go, and where the current records come from.
#[derive(Debug)]
pub(crate) struct Context {
    /// Records for topics, in the order they were made.
    pub(crate) outputs: Vec<Output>,
    /// Scratch space for encoding.
    pub(crate) buffer: BytesMut,
    pub(crate) metrics: Metrics,
    /// Topic of the records being processed.
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

impl Context {
    pub(crate) fn dropped(&self, reason: DropReason) {
        self.metrics.count_dropped(reason, 1);
    }
}

/// A number an operator keeps across restarts in the task's offset-commit metadata (Kafka's processor metadata).
/// Starts unknown.
#[derive(Clone, Debug)]
pub(crate) struct MetadataSlot(Arc<AtomicI64>);

impl Default for MetadataSlot {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(Self::UNKNOWN)))
    }
}

impl MetadataSlot {
    const UNKNOWN: i64 = i64::MIN;

    pub(crate) fn get(&self) -> Option<i64> {
        let value = self.0.load(Relaxed);
        (value != Self::UNKNOWN).then_some(value)
    }

    pub(crate) fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }
}
