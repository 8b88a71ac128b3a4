//! Guards of transactions that are about to begin on a partition. Before a producer's first records of a transaction are
//! taken, the broker asks the coordinator whether it knows that transaction here; the guard makes sure that between the
//! question and the append no marker has ended it: else late records would hang in a transaction nobody ends (T6).
//!
//! ```text
//!  begin -> guard handed out -> (coordinator says yes) -> append with it -> the transaction is open, the guard is spent
//!                            -> a marker comes first                     -> the guard is spent, the append refused
//! ```
//! Requests of one producer that wait at the same time share a guard. The lowest sequence number among them must be
//! appended first: a later one that overtakes it must not be taken for the beginning.
//!
//! Source: KIP-890; Kafka's `VerificationGuard`, `VerificationStateEntry`.

use std::collections::BTreeMap;

use super::ProducerError;
use crate::record::BatchHeader;

/// How many producers may be under verification at a time on a partition. Beyond it the longest waiting loses its guard
/// and has to ask again.
const GUARDS_MAX: usize = 10_000;

/// Stands for one beginning of a transaction on one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerificationGuard(u64);

/// A producer that is about to begin a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionStart {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The first sequence number of its batch; -1 for a coordinator's batch, which is not numbered.
    pub base_sequence: i32,
    /// Whether its epoch is raised with every transaction (`transaction.version` 2): it then begins with sequence 0 where
    /// nothing is known of it.
    pub raises_epoch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pending {
    guard: VerificationGuard,
    epoch: i16,
    lowest_sequence: i32,
    raises_epoch: bool,
    since_ms: i64,
}

/// The guards of a log. Invariant: both maps hold the same guards.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    by_producer: BTreeMap<i64, Pending>,
    /// Who has each guard: the longest waiting comes first.
    by_guard: BTreeMap<VerificationGuard, i64>,
    last: u64,
}

impl Verifications {
    pub(super) fn begin(&mut self, start: &TransactionStart, now_ms: i64) -> VerificationGuard {
        let TransactionStart { producer_id, producer_epoch, base_sequence, raises_epoch } = *start;
        if let Some(pending) = self.by_producer.get_mut(&producer_id) {
            if producer_epoch > pending.epoch {
                (pending.epoch, pending.lowest_sequence) = (producer_epoch, base_sequence);
            } else if producer_epoch == pending.epoch {
                pending.lowest_sequence = pending.lowest_sequence.min(base_sequence);
            }
            return pending.guard;
        }
        if self.by_producer.len() >= GUARDS_MAX
            && let Some((_, oldest)) = self.by_guard.pop_first()
        {
            self.by_producer.remove(&oldest);
        }
        self.last += 1;
        let guard = VerificationGuard(self.last);
        let pending =
            Pending { guard, epoch: producer_epoch, lowest_sequence: base_sequence, raises_epoch, since_ms: now_ms };
        self.by_producer.insert(producer_id, pending);
        self.by_guard.insert(guard, producer_id);
        guard
    }

    /// Whether a batch that begins a transaction may be appended with `guard`.
    pub(super) fn check(
        &self,
        header: &BatchHeader,
        guard: Option<VerificationGuard>,
        has_written: bool,
    ) -> Result<(), ProducerError> {
        let BatchHeader { producer_id, base_sequence: got, .. } = *header;
        let pending = self.by_producer.get(&producer_id).filter(|pending| guard == Some(pending.guard));
        let Some(pending) = pending else { return Err(ProducerError::NotVerified { producer_id }) };
        let begins_late = pending.raises_epoch && got > 0 && !has_written;
        if begins_late || got > pending.lowest_sequence {
            return Err(ProducerError::OutOfOrderSequence { producer_id, got, expected_after: -1 });
        }
        Ok(())
    }

    /// A transactional batch or a marker of the producer was appended: its guard is spent.
    pub(super) fn spend(&mut self, producer_id: i64) {
        if let Some(pending) = self.by_producer.remove(&producer_id) {
            self.by_guard.remove(&pending.guard);
        }
    }

    pub(super) fn expire(&mut self, timestamp: i64) {
        self.by_producer.retain(|_, pending| pending.since_ms > timestamp);
        self.by_guard.retain(|_, producer_id| self.by_producer.contains_key(producer_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(guards: &mut Verifications, producer_id: i64, now_ms: i64) -> VerificationGuard {
        let start = TransactionStart { producer_id, producer_epoch: 0, base_sequence: 0, raises_epoch: true };
        guards.begin(&start, now_ms)
    }

    #[test]
    fn the_longest_waiting_makes_room() {
        let mut guards = Verifications::default();
        let count = i64::try_from(GUARDS_MAX).unwrap();
        // The ids fall while the guards rise.
        for id in (0..count).rev() {
            begin(&mut guards, id, count - id);
        }
        let kept = begin(&mut guards, count - 1, 0);
        assert_eq!(kept, VerificationGuard(1), "who has a guard shares it");
        guards.spend(count - 2);
        begin(&mut guards, count, count);
        assert!(guards.by_producer.contains_key(&(count - 1)), "there was room");
        begin(&mut guards, count + 1, count);
        assert!(!guards.by_producer.contains_key(&(count - 1)), "it waited longest");
        begin(&mut guards, count - 1, count);
        assert!(!guards.by_producer.contains_key(&(count - 3)), "it waited longest after that");
        for expired_ms in [count / 2, count] {
            guards.expire(expired_ms);
            let both = guards.by_guard.iter().map(|(guard, id)| (*id, *guard));
            let by_producer = guards.by_producer.iter().map(|(id, pending)| (*id, pending.guard));
            assert_eq!(both.collect::<BTreeMap<_, _>>(), by_producer.collect());
        }
        assert!(guards.by_producer.is_empty());
    }
}
