//! Sends each record to the first branch whose predicate takes it.
//!
//! One virtual call per batch and branch: a branch takes its records out of what earlier branches left. Where the
//! branches meet again further down, records go one at a time, so that their order is kept.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Context, Instantiation, Next, Push};
use crate::{error::ProcessError, record::Batch};

/// One branch of a running split.
trait Branch<K, V>: Send {
    /// Moves the records this branch takes out of `batch`, and pushes them.
    fn take(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError>;
}

struct Predicated<K, V, F> {
    takes: F,
    taken: Batch<K, V>,
    next: Next<K, V>,
}

impl<K: Send, V: Send, F: FnMut(&K, &V) -> bool + Send> Branch<K, V> for Predicated<K, V, F> {
    fn take(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        let takes = &mut self.takes;
        self.taken.clear();
        self.taken.extend(batch.extract_if(.., |record| takes(&record.key, &record.value)));
        if self.taken.is_empty() { Ok(()) } else { self.next.push(&mut self.taken, cx) }
    }
}

type BranchFactory<K, V> = Box<dyn FnMut(&mut Instantiation) -> Box<dyn Branch<K, V>> + Send>;

/// The branches of a split in the description of a topology; filled while they are named.
pub(crate) struct Branches<K, V>(Arc<Mutex<Vec<BranchFactory<K, V>>>>);

impl<K, V> Clone for Branches<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Send + 'static, V: Send + 'static> Branches<K, V> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Adds a branch for the records `takes` accepts and no earlier branch has.
    pub(crate) fn add<F>(&self, takes: F, outlet: super::Outlet<K, V>)
    where
        F: FnMut(&K, &V) -> bool + Clone + Send + 'static,
    {
        let factory = move |into: &mut Instantiation| -> Box<dyn Branch<K, V>> {
            Box::new(Predicated { takes: takes.clone(), taken: Vec::new(), next: outlet.instantiate(into) })
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(factory));
    }

    pub(crate) fn instantiate(&self, node: usize, into: &mut Instantiation) -> Next<K, V> {
        let mut factories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let branches = factories.iter_mut().map(|factory| factory(into)).collect();
        Box::new(Split { branches, by_record: into.reconverges(node) })
    }
}

/// The running operator. Records no branch takes are dropped, as in Kafka.
struct Split<K, V> {
    branches: Vec<Box<dyn Branch<K, V>>>,
    by_record: bool,
}

impl<K, V> Split<K, V> {
    fn split(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        for branch in &mut self.branches {
            if batch.is_empty() {
                break;
            }
            branch.take(batch, cx)?;
        }
        Ok(())
    }
}

impl<K: Send, V: Send> Push<K, V> for Split<K, V> {
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        if !self.by_record {
            return self.split(batch, cx);
        }
        let mut single = Vec::with_capacity(1);
        for record in batch.drain(..) {
            single.clear();
            single.push(record);
            self.split(&mut single, cx)?;
        }
        Ok(())
    }
}
