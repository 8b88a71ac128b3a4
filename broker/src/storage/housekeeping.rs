//! The thread that does what nobody waits for: retention, forgetting producers, checkpoints, removing the folders of
//! deleted topics.

use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::Storage;

/// Between two writes of the checkpoints, as `log.flush.offset.checkpoint.interval.ms` has it in Kafka.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// How often the thread looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckIntervals {
    /// For segments that retention removes.
    pub(crate) retention: Duration,
    /// For producers that are to be forgotten.
    pub(crate) producers: Duration,
}

/// What the thread is told.
#[derive(Debug)]
pub(super) struct Housekeeping {
    intervals: CheckIntervals,
    /// How long a silent producer is remembered.
    producer_expiration_ms: AtomicI64,
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    doomed: Vec<PathBuf>,
    hurry: bool,
    stopped: bool,
}

impl Housekeeping {
    pub(super) fn new(intervals: CheckIntervals) -> Self {
        let never = AtomicI64::new(i64::MAX);
        Self { intervals, producer_expiration_ms: never, orders: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts another time in force for which silent producers are remembered; it counts from the next look on.
    pub(super) fn set_producer_expiration_ms(&self, expiration_ms: i64) {
        self.producer_expiration_ms.store(expiration_ms, Ordering::Relaxed);
    }

    /// The time at or before which a producer must have written last to be forgotten now.
    pub(super) fn producers_expire_at(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.producer_expiration_ms.load(Ordering::Relaxed))
    }

    /// Starts the thread. It ends after [`Self::stop`], or when the storage is gone.
    pub(super) fn start(self: &Arc<Self>, storage: Weak<Storage>) -> std::io::Result<JoinHandle<()>> {
        let own = Arc::clone(self);
        std::thread::Builder::new().name("riverrun-house".to_owned()).spawn(move || own.run(&storage))
    }

    /// Has a folder removed.
    pub(super) fn remove_folder(&self, folder: PathBuf) {
        self.lock().doomed.push(folder);
        self.changed.notify_one();
    }

    /// Has retention look now.
    pub(super) fn hurry(&self) {
        self.lock().hurry = true;
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_one();
    }

    fn run(&self, storage: &Weak<Storage>) {
        let mut next_check = Instant::now() + self.intervals.retention;
        let mut next_producers = Instant::now() + self.intervals.producers;
        let mut next_checkpoint = Instant::now() + CHECKPOINT_INTERVAL;
        loop {
            let orders = self.next_orders(next_check.min(next_producers).min(next_checkpoint));
            let Some(storage) = storage.upgrade() else { return };
            for folder in &orders.doomed {
                if let Err(error) = storage.place.vfs.remove_dir_all(folder) {
                    tracing::warn!(folder = %folder.display(), %error, "cannot remove a deleted partition; will try at the next start");
                }
            }
            if orders.stopped {
                return;
            }
            let now = Instant::now();
            if orders.hurry || now >= next_check {
                check(&storage);
                next_check = now + self.intervals.retention;
            }
            if now >= next_producers {
                storage.expire_producers();
                next_producers = now + self.intervals.producers;
            }
            if now >= next_checkpoint {
                settle(&storage);
                if let Err(error) = storage.write_checkpoints() {
                    tracing::warn!(%error, "cannot write the checkpoints");
                }
                next_checkpoint = now + CHECKPOINT_INTERVAL;
            }
        }
    }

    /// Waits for orders, or for the time.
    fn next_orders(&self, until: Instant) -> Orders {
        let mut orders = self.lock();
        while orders.doomed.is_empty() && !orders.hurry && !orders.stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            orders = self.changed.wait_timeout(orders, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let stopped = orders.stopped;
        Orders { stopped, ..std::mem::take(&mut *orders) }
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets retention work on every partition.
fn check(storage: &Storage) {
    let now_ms = storage.clock.wall_ms();
    for partition in storage.all() {
        match partition.keep_house(now_ms) {
            Ok(0) => {}
            Ok(segments) => tracing::info!(partition = %partition.topic_partition(), segments, "old segments removed"),
            Err(error) => {
                let source = &error.source;
                tracing::error!(partition = %partition.topic_partition(), %error, %source, "retention failed");
            }
        }
    }
}

/// Has every partition that was written to put down what a start after a crash would have to read it for.
pub(super) fn settle(storage: &Storage) {
    for partition in storage.all() {
        partition.sync_what_waits();
        if let Err(error) = partition.settle() {
            let source = &error.source;
            tracing::warn!(partition = %partition.topic_partition(), %error, %source, "the next start may take longer");
        }
    }
}
