//! Which source offsets may be stored: those that no unacknowledged record lies before. Plain data, no I/O: after
//! Kafka Connect's `SubmittedRecords`.
//!
//! Records of one source partition form a queue in the order they were sent; an offset is stored once its record and all
//! before it are acknowledged. Partitions do not wait for each other.

use std::collections::{HashMap, VecDeque};

use crate::record::{SourceOffset, SourcePartition, SourcePosition};

/// Names a record that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    partition: SourcePartition,
    sequence: u64,
}

#[derive(Debug, Default)]
struct Queue {
    /// Sequence number of the front.
    first: u64,
    records: VecDeque<Entry>,
    /// The newest offset whose record and all before it are acknowledged, since the last [`Submitted::take`].
    storable: Option<SourceOffset>,
    finished: bool,
}

#[derive(Debug)]
struct Entry {
    offset: SourceOffset,
    acknowledged: bool,
}

/// Records sent and not yet all acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Submitted {
    queues: HashMap<SourcePartition, Queue>,
}

impl Submitted {
    /// A record was sent, after all earlier ones of its partition.
    pub(crate) fn submit(&mut self, position: SourcePosition) -> Token {
        let queue = self.queues.entry(position.partition.clone()).or_default();
        queue.finished = false;
        queue.records.push_back(Entry { offset: position.offset, acknowledged: false });
        Token { partition: position.partition, sequence: queue.first + queue.records.len() as u64 - 1 }
    }

    /// A record was acknowledged, or skipped for good.
    pub(crate) fn acknowledge(&mut self, token: &Token) {
        let Some(queue) = self.queues.get_mut(&token.partition) else { return };
        let index = token.sequence.checked_sub(queue.first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| queue.records.get_mut(index)) {
            entry.acknowledged = true;
        }
        while queue.records.front().is_some_and(|entry| entry.acknowledged) {
            queue.storable = queue.records.pop_front().map(|entry| entry.offset);
            queue.first += 1;
        }
    }

    /// The partition's stored offset is to be deleted once nothing of it is left to acknowledge.
    pub(crate) fn finish(&mut self, partition: SourcePartition) {
        self.queues.entry(partition).or_default().finished = true;
    }

    /// What can be stored now and has not been taken yet; `None` as offset deletes what is stored.
    pub(crate) fn take(&mut self) -> Vec<(SourcePartition, Option<SourceOffset>)> {
        let mut taken = Vec::new();
        self.queues.retain(|partition, queue| {
            let settled = queue.records.is_empty();
            if settled && queue.finished {
                taken.push((partition.clone(), None));
            } else if let Some(offset) = queue.storable.take() {
                taken.push((partition.clone(), Some(offset)));
            }
            !settled
        });
        taken
    }

    /// Puts back what could not be stored; anything newer stays.
    pub(crate) fn put_back(&mut self, taken: Vec<(SourcePartition, Option<SourceOffset>)>) {
        for (partition, offset) in taken {
            let queue = self.queues.entry(partition).or_default();
            match offset {
                Some(offset) => drop(queue.storable.get_or_insert(offset)),
                None if queue.records.is_empty() && queue.storable.is_none() => queue.finished = true,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn position(partition: u8, offset: u64) -> SourcePosition {
        SourcePosition {
            partition: SourcePartition::of("p", u64::from(partition)),
            offset: SourceOffset::of("o", offset),
        }
    }

    #[test]
    fn an_offset_waits_for_all_before_it() {
        let mut submitted = Submitted::default();
        let [a, b, c] = [1, 2, 3].map(|offset| submitted.submit(position(0, offset)));
        submitted.acknowledge(&c);
        submitted.acknowledge(&b);
        assert!(submitted.take().is_empty());
        submitted.acknowledge(&a);
        assert_eq!(submitted.take(), [(SourcePartition::of("p", 0), Some(SourceOffset::of("o", 3)))]);
        assert!(submitted.take().is_empty());
    }

    #[test]
    fn a_finished_partition_is_forgotten_when_it_is_settled() {
        let mut submitted = Submitted::default();
        let token = submitted.submit(position(0, 1));
        submitted.finish(token.partition.clone());
        assert!(submitted.take().is_empty());
        submitted.acknowledge(&token);
        assert_eq!(submitted.take(), [(token.partition.clone(), None)]);
        submitted.put_back(vec![(token.partition.clone(), None)]);
        assert_eq!(submitted.take(), [(token.partition.clone(), None)]);
    }

    #[test]
    fn what_is_put_back_does_not_hide_what_is_newer() {
        let mut submitted = Submitted::default();
        let [a, b] = [1, 2].map(|offset| submitted.submit(position(0, offset)));
        submitted.acknowledge(&a);
        let taken = submitted.take();
        submitted.acknowledge(&b);
        submitted.put_back(taken);
        assert_eq!(submitted.take(), [(a.partition, Some(SourceOffset::of("o", 2)))]);
    }

    proptest! {
        /// Random sends, acknowledgements and takes against the rule itself, C1: a stored offset covers no record that
        /// is not acknowledged, and in the end everything is stored.
        #[test]
        fn no_offset_covers_an_unacknowledged_record(steps in proptest::collection::vec((0u8..4, any::<u16>()), 1..200)) {
            let mut submitted = Submitted::default();
            let mut open: Vec<(u8, u64, Token)> = Vec::new();
            let mut next = 0u64;
            let mut stored = BTreeMap::new();
            let store = |submitted: &mut Submitted, open: &[(u8, u64, Token)], stored: &mut BTreeMap<u64, u64>| {
                for (partition, offset) in submitted.take() {
                    let number = partition.get("p").and_then(|value| value.as_u64()).unwrap();
                    let offset = offset.unwrap().get("o").and_then(|value| value.as_u64()).unwrap();
                    assert!(!open.iter().any(|(p, o, _)| u64::from(*p) == number && *o <= offset));
                    assert!(stored.insert(number, offset).is_none_or(|old| old < offset));
                }
            };
            let mut last = BTreeMap::new();
            for (step, random) in steps {
                match step {
                    0 | 1 => {
                        let partition = (random % 3) as u8;
                        next += 1;
                        open.push((partition, next, submitted.submit(position(partition, next))));
                        last.insert(u64::from(partition), next);
                    }
                    2 if !open.is_empty() => {
                        let (_, _, token) = open.swap_remove(random as usize % open.len());
                        submitted.acknowledge(&token);
                    }
                    _ => store(&mut submitted, &open, &mut stored),
                }
            }
            for (_, _, token) in open.drain(..) {
                submitted.acknowledge(&token);
            }
            store(&mut submitted, &open, &mut stored);
            prop_assert_eq!(stored, last);
        }
    }
}
