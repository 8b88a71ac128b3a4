//! Tasks: the units of work of a streams group. A task is one partition of a subtopology; an active one processes, a
//! standby one keeps a copy of the state, a warm-up one is on its way to become active.
//!
//! Source: KIP-1071; Kafka `TaskId`, `TasksTuple`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Tasks of one kind: the partitions by the id of their subtopology. A subtopology without partitions is left out.
pub type TaskSet = BTreeMap<Arc<str>, BTreeSet<i32>>;

/// The tasks of a member by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tasks {
    /// The tasks it processes.
    pub active: TaskSet,
    /// The tasks whose state it keeps a copy of.
    pub standby: TaskSet,
    /// The tasks whose state it builds up so that it can take them over.
    pub warmup: TaskSet,
}

impl Tasks {
    /// Whether there is no task at all.
    pub fn is_empty(&self) -> bool {
        [&self.active, &self.standby, &self.warmup].into_iter().all(|tasks| task_count(tasks) == 0)
    }
}

/// How many tasks there are in a set.
pub fn task_count(tasks: &TaskSet) -> usize {
    tasks.values().map(BTreeSet::len).sum()
}

/// Whether a set has a task.
pub fn has_task(tasks: &TaskSet, subtopology: &str, partition: i32) -> bool {
    tasks.get(subtopology).is_some_and(|partitions| partitions.contains(&partition))
}
