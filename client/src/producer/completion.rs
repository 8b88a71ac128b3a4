//! The outcome of a batch, shared by all its records: one allocation and one lock per batch instead of a channel per
//! record. A batch that had to be split has several parts, which may end differently; each record finds its part by
//! its index.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use riverrun_core::TopicPartition;

use super::error::ProduceError;

/// Where the broker put a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) offset: i64,
    pub(super) log_append_time: Option<i64>,
}

/// How a batch, or a part of it, ended: the first record's place, or the error of all.
pub(super) type Outcome = Result<Written, ProduceError>;

/// How a part of a batch ended.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The records it is about, by index in the batch as it was filled.
    pub(super) records: Range<u32>,
    pub(super) outcome: Outcome,
}

/// The outcome of a batch, of which each [`Delivery`](super::Delivery) holds a reference.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) topic_partition: TopicPartition,
    /// Guards the outcome and the wakers of those who wait; held for a few instructions, never with another lock.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parts: Vec<Part>,
    wakers: Vec<Waker>,
}

impl Completion {
    pub(super) fn new(topic_partition: TopicPartition) -> Self {
        Self { topic_partition, state: Mutex::default() }
    }

    /// Records how a part ended and wakes who waits.
    pub(super) fn finish(&self, records: Range<u32>, outcome: Outcome) {
        let wakers = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.parts.push(Part { records, outcome });
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The outcome of the record at `index`, once it is there. `slot` is where the caller's waker lies.
    pub(super) fn poll(&self, index: u32, slot: &mut Option<usize>, context: &Context<'_>) -> Poll<Outcome> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = state.parts.iter().find(|part| part.records.contains(&index)) {
            let first = i64::from(part.records.start);
            return Poll::Ready(part.outcome.clone().map(|written| Written {
                offset: if written.offset < 0 { -1 } else { written.offset + i64::from(index) - first },
                ..written
            }));
        }
        match slot.and_then(|slot| state.wakers.get_mut(slot)) {
            // After a part has ended the list starts anew, and the slot may be another's: then waking one too many
            // is all that comes of it, since the other's is kept too.
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => {
                *slot = Some(state.wakers.len());
                state.wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}
