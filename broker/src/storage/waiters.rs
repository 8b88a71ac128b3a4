//! Who waits for a partition's high watermark: appends for their offset to be committed, fetches for anything new.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

use super::Partition;

/// The partition takes no part any more: its disk failed, it was deleted, or the broker stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log is offline")]
pub(crate) struct LogOffline;

/// Resolves when an offset is committed, or will never be.
pub(crate) type Committed = BoxFuture<'static, Result<(), LogOffline>>;

/// Called, without any lock held, when an offset is committed or will never be. Must not block.
pub(crate) type OnCommitted = Box<dyn FnOnce(Result<(), LogOffline>) + Send>;

/// Appends that wait, each for the high watermark to reach the end of its records.
#[derive(Default)]
pub(super) struct CommitWaiters {
    /// By rising offset, as appends come.
    waiting: Vec<(i64, OnCommitted)>,
}

impl std::fmt::Debug for CommitWaiters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitWaiters").field("count", &self.waiting.len()).finish()
    }
}

impl CommitWaiters {
    pub(super) fn add(&mut self, end: i64, then: OnCommitted) {
        // Nearly always at the back: appends come in the order of their offsets.
        let position = self.waiting.partition_point(|(other, _)| *other <= end);
        self.waiting.insert(position, (end, then));
    }

    /// Takes those out that the high watermark has reached.
    pub(super) fn take_reached(&mut self, high_watermark: i64) -> Vec<OnCommitted> {
        let reached = self.waiting.partition_point(|(end, _)| *end <= high_watermark);
        self.waiting.drain(..reached).map(|(_, then)| then).collect()
    }

    /// Takes all out.
    pub(super) fn take_all(&mut self) -> Vec<OnCommitted> {
        self.waiting.drain(..).map(|(_, then)| then).collect()
    }
}

/// A callback that resolves a future.
pub(super) fn callback() -> (OnCommitted, Committed) {
    let (sender, receiver) = oneshot::channel();
    let then: OnCommitted = Box::new(move |outcome| {
        // Whoever waited may have gone.
        let _ = sender.send(outcome);
    });
    (then, Box::pin(async move { receiver.await.unwrap_or(Err(LogOffline)) }))
}

/// A fetch that waits for more bytes in any of its partitions.
#[derive(Debug, Default)]
pub(crate) struct FetchWaiter {
    /// Bytes that became readable since the last look.
    grown: AtomicUsize,
    notify: Notify,
}

impl FetchWaiter {
    /// Bytes became readable; 0 wakes the fetch whatever it waits for.
    pub(super) fn add(&self, bytes: usize) {
        let bytes = if bytes == 0 { usize::MAX / 2 } else { bytes };
        let _ = self.grown.fetch_update(Ordering::AcqRel, Ordering::Acquire, |grown| Some(grown.saturating_add(bytes)));
        self.notify.notify_one();
    }

    /// Waits until `needed` bytes have become readable, counted from the last time this returned.
    pub(crate) async fn grown(&self, needed: usize) {
        while self.grown.load(Ordering::Acquire) < needed.max(1) {
            self.notify.notified().await;
        }
        self.grown.store(0, Ordering::Release);
    }
}

/// A fetch's place among the watchers of a partition; left when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) partition: Arc<Partition>,
    pub(super) id: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.partition.unwatch(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_are_called_in_the_order_of_offsets() {
        let mut waiters = CommitWaiters::default();
        let called = Arc::new(std::sync::Mutex::new(Vec::new()));
        for end in [3, 5, 4, 9] {
            let called = Arc::clone(&called);
            waiters.add(end, Box::new(move |outcome| called.lock().unwrap().push((end, outcome.is_ok()))));
        }
        waiters.take_reached(5).into_iter().for_each(|then| then(Ok(())));
        assert_eq!(*called.lock().unwrap(), [(3, true), (4, true), (5, true)]);
        waiters.take_all().into_iter().for_each(|then| then(Err(LogOffline)));
        assert_eq!(called.lock().unwrap().last(), Some(&(9, false)));
    }

    #[tokio::test]
    async fn a_fetch_wakes_when_enough_has_come() {
        let waiter = FetchWaiter::default();
        waiter.add(10);
        assert!(futures::FutureExt::now_or_never(waiter.grown(11)).is_none());
        waiter.add(1);
        waiter.grown(11).await;
        assert!(futures::FutureExt::now_or_never(waiter.grown(1)).is_none());
        waiter.add(0);
        waiter.grown(1_000_000).await;
    }
}
