//! The thread that does what nobody waits for: retention, checkpoints, removing the folders of deleted topics.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::Storage;

/// Between two writes of the checkpoints, as `log.flush.offset.checkpoint.interval.ms` has it in Kafka.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);
/// How long an idempotent producer is remembered, as `producer.id.expiration.ms` has it in Kafka.
const PRODUCER_MS: i64 = 86_400_000;

/// What the thread is told.
#[derive(Debug)]
pub(super) struct Housekeeping {
    check_interval: Duration,
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
    pub(super) fn new(check_interval: Duration) -> Self {
        Self { check_interval, orders: Mutex::default(), changed: Condvar::new() }
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
        let mut next_check = Instant::now() + self.check_interval;
        let mut next_checkpoint = Instant::now() + CHECKPOINT_INTERVAL;
        loop {
            let orders = self.next_orders(next_check.min(next_checkpoint));
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
                next_check = now + self.check_interval;
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
        match partition.keep_house(now_ms, now_ms.saturating_sub(PRODUCER_MS)) {
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
