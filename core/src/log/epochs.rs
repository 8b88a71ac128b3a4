//! Which leader epoch began at which offset (KIP-101): what followers, and consumers after a truncation, ask in order to
//! find where two logs part. Kept from the first version on, though a single node is always the leader.
//! Source: Kafka's `LeaderEpochFileCache`.

use crate::LeaderEpoch;

/// The epochs of a log, by rising epoch and start offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<(i32, i64)>,
}

impl LeaderEpochs {
    /// Takes pairs of epoch and start offset; whatever does not rise in both is dropped, as is a negative epoch.
    pub(super) fn new(entries: impl IntoIterator<Item = (i32, i64)>) -> Self {
        let mut epochs = Self::default();
        for (epoch, start) in entries {
            epochs.assign(epoch, start);
        }
        epochs
    }

    /// The pairs of epoch and start offset.
    pub(super) fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    /// Notes that a batch of `epoch` stands at `offset`. True if that began a new epoch.
    pub(super) fn assign(&mut self, epoch: i32, offset: i64) -> bool {
        let begins = epoch >= 0 && self.entries.last().is_none_or(|(last, start)| epoch > *last && offset >= *start);
        if begins {
            // An epoch in which nothing was written has no use.
            self.entries.retain(|(_, start)| *start < offset);
            self.entries.push((epoch, offset));
        }
        begins
    }

    /// The latest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| LeaderEpoch(*epoch))
    }

    /// The epoch in which the record at `offset` was written.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<LeaderEpoch> {
        self.entries.iter().rev().find(|(_, start)| *start <= offset).map(|(epoch, _)| LeaderEpoch(*epoch))
    }

    /// The largest epoch up to `epoch` that this log knows, with the offset at which it ended.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end_offset: i64) -> Option<(LeaderEpoch, i64)> {
        let index = self.entries.iter().rposition(|(known, _)| *known <= epoch.0)?;
        let (known, _) = self.entries.get(index)?;
        let end = self.entries.get(index + 1).map_or(log_end_offset, |(_, start)| *start);
        Some((LeaderEpoch(*known), end))
    }

    /// Forgets what lies at or after `offset`.
    pub(super) fn truncate_to(&mut self, offset: i64) {
        self.entries.retain(|(_, start)| *start < offset);
    }

    /// Moves the start of the log to `offset`: the epoch in force there begins there.
    pub(super) fn start_at(&mut self, offset: i64) {
        let Some(in_force) = self.entries.iter().rposition(|(_, start)| *start <= offset) else { return };
        self.entries.drain(..in_force);
        if let Some(first) = self.entries.first_mut() {
            first.1 = first.1.max(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_answer_where_they_end() {
        let mut epochs = LeaderEpochs::new([(0, 0), (2, 10), (5, 30)]);
        assert!(!epochs.assign(5, 40));
        assert_eq!(epochs.end_offset_for(LeaderEpoch(1), 50), Some((LeaderEpoch(0), 10)));
        assert_eq!(epochs.end_offset_for(LeaderEpoch(2), 50), Some((LeaderEpoch(2), 30)));
        assert_eq!(epochs.end_offset_for(LeaderEpoch(9), 50), Some((LeaderEpoch(5), 50)));
        assert_eq!(epochs.epoch_for_offset(29), Some(LeaderEpoch(2)));
        epochs.start_at(12);
        assert_eq!(epochs.entries(), [(2, 12), (5, 30)]);
        epochs.truncate_to(30);
        assert_eq!(epochs.latest(), Some(LeaderEpoch(2)));
    }
}
