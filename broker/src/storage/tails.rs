//! The memory that all partitions together spend on their latest batches (see [`Log::set_tail_bytes_max`]): one budget,
//! and the oldest batch of all goes first.
//!
//! Lock order: the queue here is never held together with a partition's state.
//!
//! [`Log::set_tail_bytes_max`]: riverrun_core::log::Log::set_tail_bytes_max

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::Partition;

/// The budget, and whose batches it is spent on, in the order in which they came.
#[derive(Debug)]
pub(super) struct Tails {
    bytes_max: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    held: VecDeque<(Weak<Partition>, usize)>,
    bytes: usize,
}

impl Tails {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, queue: Mutex::default() }
    }

    /// The most that all may have.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Takes note that a partition holds `bytes` more, and has the oldest make room.
    pub(super) fn grown(&self, partition: &Arc<Partition>, bytes: usize) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.bytes += bytes;
        queue.held.push_back((Arc::downgrade(partition), bytes));
        while queue.bytes > self.bytes_max
            && let Some((oldest, bytes)) = queue.held.pop_front()
        {
            queue.bytes -= bytes;
            drop(queue);
            if let Some(oldest) = oldest.upgrade() {
                oldest.evict_from_tail();
            }
            queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}
