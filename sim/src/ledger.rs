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
    /// Empty for markers.
    pub(crate) key: String,
    pub(crate) kind: Kind,
}

/// What an entry is. A value that is empty stands for none: a tombstone.
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
    /// The offsets before which compaction was tried, and when.
    pub(crate) compacted: Vec<(i64, i64)>,
    /// How coordinators have decided about transactions: by producer and first offset.
    pub(crate) decided: BTreeMap<(i64, i64), bool>,
}

/// How long tombstones stay.
pub(crate) const DELETE_RETENTION_MS: i64 = 400;

impl Entry {
    fn is_tombstone(&self) -> bool {
        matches!(&self.kind, Kind::Plain(value) | Kind::Transactional(value) if value.is_empty())
    }

    pub(crate) fn is_transactional_of(&self, producer: i64) -> bool {
        self.producer.0 == producer && matches!(self.kind, Kind::Transactional(_))
    }
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

    /// Whether this was appended, wherever.
    pub(crate) fn has_somewhere(&self, entry: &Entry) -> bool {
        self.entries.values().any(|known| known == entry)
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

    /// The transactions that are open, or have their marker at or behind the high watermark: producer, first offset.
    pub(crate) fn unstable(&self, high_watermark: i64) -> Vec<(i64, i64)> {
        let (mut open, mut held) = (BTreeMap::new(), Vec::new());
        for (offset, entry) in &self.entries {
            match entry.kind {
                Kind::Transactional(_) => {
                    open.entry(entry.producer.0).or_insert(*offset);
                }
                Kind::Marker { .. } => {
                    let first = open.remove(&entry.producer.0).filter(|_| *offset >= high_watermark);
                    held.extend(first.map(|first| (entry.producer.0, first)));
                }
                Kind::Plain(_) => {}
            }
        }
        held.extend(open);
        held
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

    /// L10: whether compaction may have taken the entry at `offset` away, when the time is `now`; `found` is what is left.
    pub(crate) fn may_be_compacted(&self, offset: i64, found: &BTreeMap<i64, Entry>, now: i64) -> bool {
        let tried = || self.compacted.iter().filter(|(end, _)| offset < *end);
        let (Some(entry), Some(end)) = (self.entries.get(&offset), tried().map(|(end, _)| *end).max()) else {
            return false;
        };
        let horizon_has_passed = tried().any(|(_, at)| now >= at + DELETE_RETENTION_MS);
        let (open, mut aborted) = self.transactions();
        // The marker may be lost, and comes again.
        let is_decided = |(producer, first): &(&i64, &i64)| self.decided.get(&(**producer, **first)) == Some(&false);
        aborted.extend(open.iter().filter(is_decided).map(|(producer, first)| (*producer, *first, i64::MAX)));
        let is_void = |offset: i64, entry: &Entry| {
            let of_it = |(_, first, last): &(i64, i64, i64)| *first <= offset && offset < *last;
            aborted.iter().any(|each| of_it(each) && entry.is_transactional_of(each.0))
        };
        if let Kind::Marker { .. } = entry.kind {
            let began = self.entries.range(..offset).rev().take_while(|(_, other)| {
                !(other.producer.0 == entry.producer.0 && matches!(other.kind, Kind::Marker { .. }))
            });
            let has_records =
                began.clone().any(|(at, other)| other.is_transactional_of(entry.producer.0) && found.contains_key(at));
            return horizon_has_passed && !has_records;
        }
        let mut later = self.entries.range(offset + 1..end);
        is_void(offset, entry)
            || later.any(|(at, other)| other.key == entry.key && !is_void(*at, other))
            || (entry.is_tombstone() && horizon_has_passed)
    }

    /// The last sequence number of a producer's epoch.
    pub(crate) fn last_sequence(&self, producer: (i64, i16)) -> Option<(i64, i32)> {
        let of_it = |(_, entry): &(&i64, &Entry)| entry.producer == producer && entry.sequence >= 0;
        self.entries.iter().rev().find(of_it).map(|(offset, entry)| (*offset, entry.sequence))
    }
}
