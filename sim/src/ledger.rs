//! What a story knows that the log must hold: every record it tried to append, at which offset, and how far it was told
//! that all is durable. Attempts that failed are kept as "unknown": they may have happened, or not.

use std::collections::BTreeMap;

/// A record, or the marker of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) timestamp: i64,
    pub(crate) producer: (i64, i16),
    /// -1 for a record without, and for markers.
    pub(crate) sequence: i32,
    pub(crate) kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain(String),
    Transactional(String),
    Marker { commit: bool },
}

/// The book of one log.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By offset, also those that were deleted since.
    pub(crate) entries: BTreeMap<i64, Entry>,
    /// Attempts that failed, by the offset they would have had.
    pub(crate) unknown: BTreeMap<i64, Vec<Entry>>,
    /// The offset after the last append that was accepted.
    pub(crate) end: i64,
    /// The offset before which all was acknowledged.
    pub(crate) durable: i64,
    /// The start of the log that was acknowledged, and the highest that was tried.
    pub(crate) start: i64,
    pub(crate) start_tried: i64,
}

/// The transactions among the entries: those open, by producer with first offset, and those aborted.
pub(crate) type Transactions = (BTreeMap<i64, i64>, Vec<(i64, i64, i64)>);

impl Ledger {
    /// Takes note of entries that were appended from `base` on.
    pub(crate) fn appended(&mut self, base: i64, entries: Vec<Entry>) {
        for (offset, entry) in (base..).zip(entries) {
            self.unknown.remove(&offset);
            self.entries.insert(offset, entry);
            self.end = offset + 1;
        }
    }

    /// Takes note of entries whose append failed.
    pub(crate) fn failed(&mut self, base: i64, entries: Vec<Entry>) {
        for (offset, entry) in (base..).zip(entries) {
            self.unknown.entry(offset).or_default().push(entry);
        }
    }

    /// Whether the log may hold this at `offset`.
    pub(crate) fn allows(&self, offset: i64, entry: &Entry) -> bool {
        match self.entries.get(&offset) {
            Some(known) => known == entry,
            None => self.unknown.get(&offset).is_some_and(|tried| tried.contains(entry)),
        }
    }

    /// After a restart: what was found is what there is.
    pub(crate) fn settle(&mut self, found: BTreeMap<i64, Entry>, start: i64, end: i64) {
        self.entries.split_off(&end);
        self.entries.extend(found);
        self.unknown.clear();
        (self.end, self.start, self.start_tried) = (end, start, start);
    }

    /// The transactions below the end of the log.
    pub(crate) fn transactions(&self) -> Transactions {
        let (mut open, mut aborted) = (BTreeMap::new(), Vec::new());
        for (offset, entry) in &self.entries {
            match entry.kind {
                Kind::Plain(_) => {}
                Kind::Transactional(_) => {
                    open.entry(entry.producer.0).or_insert(*offset);
                }
                Kind::Marker { commit } => {
                    if let Some(first) = open.remove(&entry.producer.0)
                        && !commit
                    {
                        aborted.push((entry.producer.0, first, *offset));
                    }
                }
            }
        }
        aborted.sort_unstable_by_key(|(_, first, last)| (*first, *last));
        (open, aborted)
    }

    /// The last sequence number of a producer's epoch.
    pub(crate) fn last_sequence(&self, producer: (i64, i16)) -> Option<(i64, i32)> {
        let of_it = |(_, entry): &(&i64, &Entry)| entry.producer == producer && entry.sequence >= 0;
        self.entries.iter().rev().find(of_it).map(|(offset, entry)| (*offset, entry.sequence))
    }
}
