//! The memory that requests of all connections may take together (`queued.max.request.bytes`).
//!
//! A connection asks once it knows how long its next request is, and gets memory for all of it if there is any left: the
//! last one may exceed the budget, so that a request larger than what is left, or than all of it, still gets through. Who gets none
//! reads nothing and waits. A request gives its memory back when it has been handled; one that brings records, when it
//! is answered.
//!
//! # No deadlock
//! Who has memory needs none of others to go on: its request is read to the end, handled, and answered by the disk or a
//! deadline. One whose client sends slowly, or takes no answers, gives up its connection after
//! `riverrun.request.receive.timeout.ms` as soon as others wait.
//!
//! Source: Kafka `SimpleMemoryPool`, `SocketServer`; KIP-72.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use tokio::sync::{Notify, futures::Notified};

/// The budget of a broker.
#[derive(Debug)]
pub(crate) struct RequestMemory {
    is_bounded: bool,
    /// Negative if the last one took more than there was.
    free: AtomicI64,
    waiting: AtomicUsize,
    freed: Notify,
}

/// The memory of one request; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    memory: Option<Arc<RequestMemory>>,
    bytes: i64,
}

/// A connection that waits for memory; while there is one, those that have some must hurry.
#[derive(Debug)]
pub(super) struct Waiting(Arc<RequestMemory>);

impl RequestMemory {
    /// A budget of so many bytes; any number of them if it is not positive.
    pub(crate) fn new(bytes_max: i64) -> Self {
        Self {
            is_bounded: bytes_max > 0,
            free: AtomicI64::new(bytes_max),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// Memory for a request, if there is any left.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        if !self.is_bounded {
            return Some(Reserved { memory: None, bytes: 0 });
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let left = |free: i64| (free > 0).then(|| free.saturating_sub(bytes));
        self.free.fetch_update(Ordering::AcqRel, Ordering::Relaxed, left).ok()?;
        Some(Reserved { memory: Some(Arc::clone(self)), bytes })
    }

    /// Counts a connection among those that wait.
    pub(super) fn wait(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting(Arc::clone(self))
    }

    /// Whether anybody waits.
    pub(super) fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Whether there is any left.
    pub(super) fn is_free(&self) -> bool {
        !self.is_bounded || self.free.load(Ordering::Acquire) > 0
    }

    /// Resolves when some was given back and there was none.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// What requests hold now; for tests.
    #[cfg(test)]
    fn free_bytes(&self) -> i64 {
        self.free.load(Ordering::Acquire)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let Some(memory) = &self.memory else { return };
        let before = memory.free.fetch_add(self.bytes, Ordering::AcqRel);
        if before <= 0 && before.saturating_add(self.bytes) > 0 {
            memory.freed.notify_waiters();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_may_exceed_it_and_all_of_it_comes_back() {
        let memory = Arc::new(RequestMemory::new(100));
        let first = memory.reserve(99).unwrap();
        let second = memory.reserve(1_000).unwrap();
        assert!(memory.reserve(1).is_none());
        assert!(!memory.is_free());
        let waiting = memory.wait();
        assert!(memory.is_contended());
        drop(first);
        assert!(memory.reserve(1).is_none());
        drop((second, waiting));
        assert_eq!((memory.free_bytes(), memory.is_contended()), (100, false));
        assert!(memory.reserve(1).is_some());
    }

    #[test]
    fn without_a_bound_nothing_is_counted() {
        let memory = Arc::new(RequestMemory::new(-1));
        let _all = memory.reserve(usize::MAX).unwrap();
        assert!(memory.reserve(usize::MAX).is_some() && memory.is_free());
    }
}
