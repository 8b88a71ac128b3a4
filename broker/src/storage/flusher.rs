//! Group commit: one thread per data directory that has the logs synced that were written to, several at a time if there
//! are several ([`SyncPool`]). All appends that arrive while the disk works share the next sync.
//!
//! A failed sync takes the whole directory offline, for good: what the disk holds is unknown, and a second sync would
//! report success without telling. The metadata log goes first in every round, so that records in a topic are never
//! durable before the topic is.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use riverrun_core::log::StorageError;

use super::{
    METADATA_TOPIC, Partition,
    gathering::{Crowd, Gathering},
    sync_pool::SyncPool,
};

/// The queue of logs to sync, and whether the directory is in order.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    queue: Mutex<Queue>,
    changed: Condvar,
    crowd: Arc<Crowd>,
    offline: OnceLock<String>,
}

#[derive(Debug, Default)]
struct Queue {
    partitions: VecDeque<Arc<Partition>>,
    /// Those to be synced at a time, by it; the number tells those of one time apart.
    later: BTreeMap<(Instant, u64), Arc<Partition>>,
    next_later: u64,
    stopped: bool,
}

impl Flusher {
    /// Starts the thread. It ends after [`Self::stop`], when the queue is empty.
    pub(super) fn start(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let flusher = Arc::clone(self);
        std::thread::Builder::new().name("riverrun-flush".to_owned()).spawn(move || flusher.run())
    }

    /// Who waits for its syncs.
    pub(super) fn crowd(&self) -> &Arc<Crowd> {
        &self.crowd
    }

    /// Why the directory takes no appends any more, if so.
    pub(crate) fn offline_reason(&self) -> Option<String> {
        self.offline.get().cloned()
    }

    /// Has a partition synced.
    pub(super) fn push(&self, partition: Arc<Partition>) {
        let mut queue = self.lock();
        let was_empty = queue.partitions.is_empty();
        if &*partition.topic_partition().topic == METADATA_TOPIC {
            queue.partitions.push_front(partition);
        } else {
            queue.partitions.push_back(partition);
        }
        drop(queue);
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Has a partition synced after a while, unless the broker stops before.
    pub(super) fn push_later(&self, partition: Arc<Partition>, wait: Duration) {
        // A time so far away that the clock cannot tell it never comes.
        let Some(at) = Instant::now().checked_add(wait) else { return };
        let mut queue = self.lock();
        if queue.stopped {
            return;
        }
        let number = queue.next_later;
        queue.next_later += 1;
        let is_next = queue.later.first_key_value().is_none_or(|((next, _), _)| at < *next);
        queue.later.insert((at, number), partition);
        drop(queue);
        if is_next {
            self.changed.notify_one();
        }
    }

    /// Syncs a partition on the calling thread.
    pub(super) fn sync_now(&self, partition: &Partition) {
        if self.offline.get().is_none()
            && let Err(error) = flush(partition)
        {
            self.fail(partition, &error);
        }
    }

    /// Lets the thread end.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_one();
    }

    fn run(self: &Arc<Self>) {
        let flusher = Arc::clone(self);
        let mut pool = SyncPool::new(move |partition: Arc<Partition>| flusher.sync(&partition));
        let mut gathering = Gathering::default();
        loop {
            let mut queue = self.lock();
            queue.take_due();
            while queue.partitions.is_empty() && !queue.stopped {
                let next = queue.later.first_key_value().map(|((at, _), _)| *at);
                queue = match next.map(|at| at.saturating_duration_since(Instant::now())) {
                    None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                    Some(wait) => self.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0,
                };
                queue.take_due();
            }
            if queue.partitions.is_empty() {
                // Partitions hold the flusher, too.
                let nobody_waits_for = std::mem::take(&mut queue.later);
                drop(queue);
                drop(nobody_waits_for);
                return;
            }
            if let Some(hold) = gathering.hold(&self.crowd).filter(|_| !queue.stopped) {
                // To be woken sooner, to stop for example, does no harm.
                queue = self.changed.wait_timeout(queue, hold).unwrap_or_else(PoisonError::into_inner).0;
            }
            let round = std::mem::take(&mut queue.partitions);
            drop(queue);
            let began = Instant::now();
            let (metadata, others): (Vec<_>, Vec<_>) =
                round.into_iter().partition(|partition| &*partition.topic_partition().topic == METADATA_TOPIC);
            metadata.iter().for_each(|partition| self.sync(partition));
            pool.run(others);
            gathering.ended(&self.crowd, began.elapsed());
        }
    }

    fn sync(&self, partition: &Arc<Partition>) {
        if self.offline.get().is_some() {
            partition.fail_waiting();
            return;
        }
        match flush(partition) {
            Ok(None) => {}
            Ok(Some(wait)) => self.push_later(Arc::clone(partition), wait),
            Err(error) => self.fail(partition, &error),
        }
    }

    fn fail(&self, partition: &Partition, error: &StorageError) {
        self.fail_for(partition, &format!("{error}: {}", error.source));
    }

    /// Takes the directory offline after a failed sync of a partition's files.
    pub(super) fn fail_for(&self, partition: &Partition, reason: &str) {
        tracing::error!(
            partition = %partition.topic_partition(),
            reason,
            "the data directory is offline: no more records are taken; restart the broker once the disk is sound",
        );
        let _ = self.offline.set(reason.to_owned());
        partition.fail_waiting();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Lines up what is to be synced by now.
    fn take_due(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            self.partitions.push_back(entry.remove());
        }
    }
}

/// Syncs a partition. Returns after how long to do so again, though nobody asks for it.
fn flush(partition: &Partition) -> Result<Option<Duration>, StorageError> {
    let _one_at_a_time = partition.flush_turn();
    match partition.begin_flush()? {
        ControlFlow::Continue(ticket) => partition.complete_flush(&ticket, ticket.run()),
        ControlFlow::Break(again) => Ok(again),
    }
}
