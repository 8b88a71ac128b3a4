//! Who waits for a partition's high watermark: appends for their offset to be committed, fetches for anything new.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::{Notify, oneshot};

use super::{Partition, gathering::Crowd};

/// The partition takes no part any more: its disk failed, it was deleted, or the broker stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log is offline")]
pub(crate) struct LogOffline;

/// Resolves when an offset is committed, or will never be.
pub(crate) type Committed = BoxFuture<'static, Result<(), LogOffline>>;

/// Called, without any lock held, when an offset is committed or will never be. Must not block.
pub(crate) type OnCommitted = Box<dyn FnOnce(Result<(), LogOffline>) + Send>;

/// Resolves when an offset that was not committed yet is, or will never be: [`Committed`] for the data path, which has
/// one for every append.
#[derive(Debug)]
pub(crate) struct CommitWait(oneshot::Receiver<Result<(), LogOffline>>);

impl Future for CommitWait {
    type Output = Result<(), LogOffline>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_unpin(context).map(|outcome| outcome.unwrap_or(Err(LogOffline)))
    }
}

/// Who is told of a commit.
pub(super) enum Waiter {
    /// A future.
    Future(oneshot::Sender<Result<(), LogOffline>>),
    /// A function.
    Call(OnCommitted),
}

impl Waiter {
    pub(super) fn tell(self, outcome: Result<(), LogOffline>) {
        match self {
            // Whoever waited may have gone.
            Self::Future(sender) => drop(sender.send(outcome)),
            Self::Call(then) => then(outcome),
        }
    }
}

/// Tells all who waited.
pub(super) fn tell_all(waiting: Vec<Waiter>, outcome: Result<(), LogOffline>) {
    waiting.into_iter().for_each(|waiter| waiter.tell(outcome));
}

/// Appends that wait, each for the high watermark to reach the end of its records.
pub(super) struct CommitWaiters {
    /// By rising offset, as appends come.
    waiting: Vec<(i64, Waiter)>,
    /// All of the data directory.
    crowd: Arc<Crowd>,
}

impl std::fmt::Debug for CommitWaiters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitWaiters").field("count", &self.waiting.len()).finish()
    }
}

impl CommitWaiters {
    pub(super) fn new(crowd: Arc<Crowd>) -> Self {
        Self { waiting: Vec::new(), crowd }
    }

    pub(super) fn add(&mut self, end: i64, then: Waiter) {
        // Nearly always at the back: appends come in the order of their offsets.
        let position = self.waiting.partition_point(|(other, _)| *other <= end);
        self.waiting.insert(position, (end, then));
        self.crowd.joined();
    }

    /// Takes those out that the high watermark has reached.
    pub(super) fn take_reached(&mut self, high_watermark: i64) -> Vec<Waiter> {
        let reached = self.waiting.partition_point(|(end, _)| *end <= high_watermark);
        self.take(reached)
    }

    /// Takes all out.
    pub(super) fn take_all(&mut self) -> Vec<Waiter> {
        self.take(self.waiting.len())
    }

    fn take(&mut self, count: usize) -> Vec<Waiter> {
        if count > 0 {
            self.crowd.left(count);
        }
        self.waiting.drain(..count).map(|(_, then)| then).collect()
    }
}

impl Drop for CommitWaiters {
    fn drop(&mut self) {
        self.take_all();
    }
}

/// A waiter that resolves a future.
pub(super) fn future() -> (Waiter, CommitWait) {
    let (sender, receiver) = oneshot::channel();
    (Waiter::Future(sender), CommitWait(receiver))
}

/// Who fetches from several partitions, for one request or for a session of them: told what became readable, and where.
#[derive(Debug)]
pub(crate) struct FetchWaiter {
    /// Bytes that became readable since the last [`Self::begin`].
    grown: AtomicUsize,
    /// How many are waited for; more than there can be while nobody waits.
    needed: AtomicUsize,
    /// Tokens of the partitions to which something happened, each once until its [`Watch::rearm`].
    changed: Mutex<Vec<u64>>,
    notify: Notify,
}

impl Default for FetchWaiter {
    fn default() -> Self {
        let (grown, needed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        Self { grown, needed, changed: Mutex::default(), notify: Notify::new() }
    }
}

impl FetchWaiter {
    /// Counts from here on: to be called before looking at the partitions.
    pub(crate) fn begin(&self) {
        self.grown.store(0, Ordering::Release);
    }

    /// Waits until `needed` bytes have become readable since [`Self::begin`], or something else calls for another look.
    pub(crate) async fn grown(&self, needed: usize) {
        let needed = needed.clamp(1, WAKE);
        self.needed.store(needed, Ordering::SeqCst);
        while self.grown.load(Ordering::SeqCst) < needed {
            self.notify.notified().await;
        }
        self.needed.store(usize::MAX, Ordering::SeqCst);
    }

    /// Takes the tokens of the partitions to which something happened.
    pub(crate) fn take_changed(&self) -> Vec<u64> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, bytes: usize) {
        let before = self.grown.fetch_add(bytes, Ordering::SeqCst);
        // Whoever crosses the line wakes the fetch; those after need not.
        let needed = self.needed.load(Ordering::SeqCst);
        if before.saturating_add(bytes) >= needed {
            self.notify.notify_one();
        }
    }
}

/// As many bytes as anybody waits for. Far from the end of the counter, so that more can come on top.
const WAKE: usize = usize::MAX / 2;

/// One fetcher's interest in one partition, as the partition holds it.
#[derive(Debug)]
pub(super) struct Interest {
    waiter: Arc<FetchWaiter>,
    token: AtomicU64,
    /// Whether the waiter has the token already.
    told: AtomicBool,
}

impl Interest {
    pub(super) fn new(waiter: &Arc<FetchWaiter>, token: u64) -> Self {
        Self { waiter: Arc::clone(waiter), token: AtomicU64::new(token), told: AtomicBool::new(false) }
    }

    /// Bytes became readable.
    pub(super) fn grown(&self, bytes: usize) {
        self.changed();
        self.waiter.add(bytes);
    }

    /// Something happened that the fetcher is to see, but need not be woken for.
    pub(super) fn changed(&self) {
        if !self.told.swap(true, Ordering::SeqCst) {
            let mut changed = self.waiter.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.push(self.token.load(Ordering::SeqCst));
        }
    }

    /// Something happened that every fetcher is to see at once.
    pub(super) fn wake(&self) {
        self.changed();
        self.waiter.grown.store(WAKE, Ordering::SeqCst);
        self.waiter.notify.notify_one();
    }
}

/// A fetcher's place among the watchers of a partition; left when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) partition: Arc<Partition>,
    pub(super) interest: Arc<Interest>,
}

impl Watch {
    /// To be called before the partition is looked at: what happens from then on is told again.
    pub(crate) fn rearm(&self) {
        self.interest.told.store(false, Ordering::SeqCst);
    }

    /// Gives the partition another token.
    pub(crate) fn set_token(&self, token: u64) {
        self.interest.token.store(token, Ordering::SeqCst);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.partition.unwatch(&self.interest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_are_called_in_the_order_of_offsets() {
        let mut waiters = CommitWaiters::new(Arc::default());
        let called = Arc::new(std::sync::Mutex::new(Vec::new()));
        for end in [3, 5, 4, 9] {
            let called = Arc::clone(&called);
            let call: OnCommitted = Box::new(move |outcome| called.lock().unwrap().push((end, outcome.is_ok())));
            waiters.add(end, Waiter::Call(call));
        }
        waiters.take_reached(5).into_iter().for_each(|then| then.tell(Ok(())));
        assert_eq!(*called.lock().unwrap(), [(3, true), (4, true), (5, true)]);
        waiters.take_all().into_iter().for_each(|then| then.tell(Err(LogOffline)));
        assert_eq!(called.lock().unwrap().last(), Some(&(9, false)));
    }

    #[tokio::test]
    async fn a_fetch_wakes_when_enough_has_come() {
        let waiter = Arc::new(FetchWaiter::default());
        let interest = Interest::new(&waiter, 7);
        waiter.begin();
        interest.grown(10);
        assert!(futures::FutureExt::now_or_never(waiter.grown(11)).is_none());
        interest.grown(1);
        waiter.grown(11).await;
        assert_eq!(waiter.take_changed(), [7], "told once");
        waiter.begin();
        interest.changed();
        assert!(futures::FutureExt::now_or_never(waiter.grown(1)).is_none());
        assert!(waiter.take_changed().is_empty(), "nobody has looked since");
        interest.wake();
        waiter.grown(1_000_000).await;
    }
}
