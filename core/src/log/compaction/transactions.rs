//! What a walk through a log has to know of transactions in order to compact it: whose records are void, and whether a
//! marker is still needed by records that stand before it.
//!
//! Source: Kafka's `CleanedTransactionMetadata`.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    log::{AbortedTransaction, marker::EndMarker},
    record::BatchHeader,
};

/// The state of a walk, fed with every batch in the order of offsets.
#[derive(Debug, Default)]
pub(super) struct WalkedTransactions {
    /// Aborted ones that lie ahead: first offset, then producer.
    ahead: BTreeMap<(i64, i64), AbortedTransaction>,
    /// Aborted ones the walk is within, by producer, and whether a batch of theirs is still in the log.
    aborted: HashMap<i64, Open>,
    /// Producers of which a batch was passed that belongs to no aborted transaction, and no marker since.
    committed: HashSet<i64>,
}

#[derive(Debug)]
struct Open {
    transaction: AbortedTransaction,
    seen: bool,
}

/// What a marker means for the records before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// No batch of its transaction is left: once the delete horizon has passed, it may go.
    Unneeded,
    /// Records of a committed transaction are before it.
    Needed,
    /// Batches of this aborted transaction were before it in this walk.
    Aborts(AbortedTransaction),
}

impl WalkedTransactions {
    /// A walk from `from` on. Of the aborted transactions, those that end before do not concern it.
    pub(super) fn new(aborted: &[AbortedTransaction], from: i64) -> Self {
        let ahead = aborted.iter().filter(|transaction| transaction.last_offset >= from);
        Self { ahead: ahead.map(|each| ((each.first_offset, each.producer_id), *each)).collect(), ..Self::default() }
    }

    /// Passes a batch of records. True if they are void.
    pub(super) fn pass_records(&mut self, header: &BatchHeader) -> bool {
        self.enter_up_to(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        if let Some(open) = self.aborted.get_mut(&header.producer_id) {
            open.seen = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// Passes a control batch, with the marker in it if there is one.
    pub(super) fn pass_control(&mut self, header: &BatchHeader, marker: Option<EndMarker>) -> Marker {
        self.enter_up_to(header.last_offset());
        match marker {
            Some(marker) if marker.commit => {
                if self.committed.remove(&header.producer_id) {
                    Marker::Needed
                } else {
                    Marker::Unneeded
                }
            }
            Some(_) => match self.aborted.remove(&header.producer_id) {
                Some(open) if open.seen => Marker::Aborts(open.transaction),
                _ => Marker::Unneeded,
            },
            // One that was emptied is of no use; one of another kind is not this walk's to judge.
            None if header.record_count == 0 => Marker::Unneeded,
            None => Marker::Needed,
        }
    }

    fn enter_up_to(&mut self, offset: i64) {
        while let Some(entry) = self.ahead.first_entry().filter(|entry| entry.key().0 <= offset) {
            let transaction = entry.remove();
            self.aborted.entry(transaction.producer_id).or_insert(Open { transaction, seen: false });
        }
    }
}
