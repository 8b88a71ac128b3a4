//! Transactions as a log sees them: where they are still open, how a marker ends them, which were aborted. Which
//! transactions there are is the coordinator's to know; here only what the batches and markers in this partition say.
//!
//! Invariants: the last stable offset never passes the first record of an open transaction, nor of one whose marker is
//! not below the high watermark (T1); log start ≤ last stable offset ≤ high watermark (L6); what
//! [`Log::aborted_transactions`] answers does not change if index files are deleted (L8).
//!
//! Source: Kafka's `UnifiedLog` (`firstUnstableOffset`, `collectAbortedTransactions`), `LogSegment.collectAbortedTxns`.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use super::{
    AbortedTransaction, ActiveProducer, AppendError, AppendInfo, Log, ProducerError, ReadError, StorageError,
    TransactionMarker, TransactionStart, VerificationGuard,
    marker::EndMarker,
    producers::Producers,
    read::{searched, segment_read_error},
    segment::{Segment, SegmentError, file_name},
    txn_index::{self, AbortedEntry, FileState, TransactionIndex},
    vfs,
};
use crate::{
    LeaderEpoch,
    record::{BatchHeader, RecordBatch},
};

impl Log {
    /// The offset before which every transaction has ended, at most the high watermark: what readers of committed records
    /// may see. Never before the log's start, even if an open transaction began there.
    pub fn last_stable_offset(&self) -> i64 {
        let unstable = self.producers.first_unstable_offset().unwrap_or(i64::MAX);
        unstable.max(self.log_start_offset).min(self.high_watermark)
    }

    /// Ends a transaction with a marker. A marker for a producer without an open transaction is appended all the same, as
    /// a coordinator that repeats itself expects.
    ///
    /// # Errors
    /// [`AppendError`]; the log is then as before.
    pub fn append_marker(
        &mut self,
        marker: &TransactionMarker,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        if marker.producer_id < 0 || marker.producer_epoch < 0 {
            return Err(AppendError::InvalidRecord { reason: "a marker has a producer id and an epoch" });
        }
        self.producers.check_marker(marker)?;
        let batch = RecordBatch::parse(marker.to_batch(now_ms)?)?;
        self.append_checked(batch, leader_epoch, now_ms)
    }

    /// Whether a producer has a transaction open here, in this epoch: its next records need no verification then.
    pub fn has_open_transaction(&self, producer_id: i64, producer_epoch: i16) -> bool {
        self.producers.has_open_transaction(producer_id, producer_epoch)
    }

    /// Begins the verification of a transaction's first records here; `None` if the transaction is open, and needs none.
    /// To be followed by a question to the coordinator, and [`Self::append_verified`] with the guard.
    pub fn begin_verification(&mut self, start: &TransactionStart, now_ms: i64) -> Option<VerificationGuard> {
        let is_open = self.has_open_transaction(start.producer_id, start.producer_epoch);
        (!is_open).then(|| self.verifications.begin(start, now_ms))
    }

    /// Whether a batch that a producer's state lets pass belongs to a transaction that is open or verified.
    pub(super) fn check_verified(
        &self,
        header: &BatchHeader,
        guard: Option<VerificationGuard>,
    ) -> Result<(), ProducerError> {
        let BatchHeader { producer_id, producer_epoch, attributes, .. } = *header;
        if !attributes.is_transactional() || self.has_open_transaction(producer_id, producer_epoch) {
            return Ok(());
        }
        self.verifications.check(header, guard, self.producers.has_written(producer_id))
    }

    /// The idempotent and transactional producers that are remembered, by rising id.
    pub fn active_producers(&mut self) -> Vec<ActiveProducer> {
        // A log that cannot be opened knows of none; whoever appends or reads is told why.
        let _ = self.wake();
        self.producers.active()
    }

    /// The aborted transactions that have records or their marker in the offsets `from..up_to`, by rising first offset. To
    /// be asked for offsets below the last stable offset: what is open is not among them.
    ///
    /// # Errors
    /// [`ReadError`] if an index has to be built anew, and the segment cannot be read.
    pub fn aborted_transactions(&mut self, from: i64, up_to: i64) -> Result<Vec<AbortedTransaction>, ReadError> {
        self.wake_to_read()?;
        let mut found = Vec::new();
        let first = self.segments.range(..=from).next_back().map_or(0, |(base, _)| *base);
        let bases: Vec<i64> = self.segments.range(first..).map(|(base, _)| *base).collect();
        for base in bases {
            self.know_aborted(base)?;
            if let Some(segment) = self.segments.get(&base) {
                segment.aborted.collect(from, up_to, &mut found);
            }
        }
        found.sort_unstable_by_key(|aborted| (aborted.first_offset, aborted.last_offset));
        Ok(found)
    }

    /// Has the file of the segment that grows hold all that was aborted in it, durably: a producer snapshot may follow.
    pub(super) fn write_active_aborted(&mut self) -> Result<(), StorageError> {
        let active = self.segments.keys().next_back().copied();
        active.map_or(Ok(()), |base| self.write_aborted(base))
    }

    /// The same for any segment.
    pub(super) fn write_aborted(&mut self, base: i64) -> Result<(), StorageError> {
        if self.segments.get(&base).is_none_or(|segment| segment.aborted.is_written()) {
            return Ok(());
        }
        self.know_aborted(base).map_err(ReadError::into_storage)?;
        let Some(segment) = self.segments.get_mut(&base) else { return Ok(()) };
        let path = segment.path("txnindex");
        segment.aborted.write(&*self.vfs, &path).map_err(|source| {
            let file = path.display().to_string();
            StorageError { action: "write", file, source }
        })
    }

    /// Makes sure that the aborted transactions of a segment are known: from its file, or else from the batches.
    pub(super) fn know_aborted(&mut self, base: i64) -> Result<(), ReadError> {
        let Some(segment) = self.segments.get(&base) else { return Ok(()) };
        let stored = match &segment.aborted {
            TransactionIndex::Known { .. } => return Ok(()),
            TransactionIndex::OnDisk { .. } => self.load_aborted(base)?,
        };
        let rebuilt = if stored.is_none() { self.rebuild_aborted(base)? } else { Vec::new() };
        if let Some(segment) = self.segments.get_mut(&base) {
            segment.aborted = match stored {
                Some(entries) => segment.aborted.with_file(entries),
                None => TransactionIndex::Known { entries: rebuilt, file: FileState::Other },
            };
        }
        Ok(())
    }

    /// Reads a segment's `.txnindex`; `None` if it is missing, or does not name markers and batches that are there.
    fn load_aborted(&mut self, base: i64) -> Result<Option<Vec<AbortedEntry>>, ReadError> {
        let Some(segment) = self.segments.get(&base) else { return Ok(None) };
        let path = segment.path("txnindex");
        let bytes = match vfs::read(&*self.vfs, &path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ReadError::Io { file: path.display().to_string(), source }),
        };
        let Some(entries) = txn_index::decode(&bytes, base, segment.next_offset) else { return Ok(None) };
        for AbortedEntry { transaction, .. } in &entries {
            let marker = self.header_at(transaction.last_offset)?;
            let first = self.header_at(transaction.first_offset)?;
            let is_of_it = |header: &BatchHeader| header.producer_id == transaction.producer_id;
            let is_marker = |header: &BatchHeader| header.attributes.is_control() && is_of_it(header);
            let begins = |header: &BatchHeader| {
                !header.attributes.is_control()
                    && header.attributes.is_transactional()
                    && header.base_offset == transaction.first_offset
                    && is_of_it(header)
            };
            if !marker.is_none_or(|header| is_marker(&header)) || !first.is_none_or(|header| begins(&header)) {
                return Ok(None);
            }
        }
        Ok(Some(entries))
    }

    /// The header of the batch that holds `offset`; `None` if the batch need not be there, since older segments are
    /// deleted and compaction removes batches.
    fn header_at(&mut self, offset: i64) -> Result<Option<BatchHeader>, ReadError> {
        if self.gaps_allowed {
            return Ok(None);
        }
        let Some((_, segment)) = self.segments.range_mut(..=offset).next_back() else { return Ok(None) };
        let placed = searched(&*self.vfs, segment, &self.config, |segment| segment.find(&*self.vfs, offset, false))?;
        Ok(placed.map(|placed| placed.header))
    }

    /// Finds a segment's aborted transactions in its batches. Those that began before it are looked for in the producer
    /// snapshot taken at its base, and if there is none, in the segments before, the nearest first.
    fn rebuild_aborted(&mut self, base: i64) -> Result<Vec<AbortedEntry>, ReadError> {
        let mut open = self.open_at(base)?;
        let mut search = Search { known_before: open.is_some(), ..Search::default() };
        search.open.extend(open.take().into_iter().flatten());
        self.each_batch(base, |header, marker| search.visit(header, marker))?;
        let before: Vec<i64> = self.segments.range(..base).map(|(base, _)| *base).collect();
        for earlier in before.into_iter().rev() {
            if search.began_before.is_empty() {
                break;
            }
            let mut seen: HashMap<i64, Seen> = HashMap::new();
            self.each_batch(earlier, |header, marker| {
                if search.began_before.contains_key(&header.producer_id) {
                    seen.entry(header.producer_id).or_default().visit(header, marker.is_some());
                }
            })?;
            search.settle(&seen);
            if let Some(open) = self.open_at(earlier)? {
                search.settle_from(&open);
            }
        }
        Ok(search.finish(self.producers.open_transactions().next().map(|(first_offset, _)| first_offset)))
    }

    /// The transactions that were open at a segment's base, by producer; `None` if no snapshot tells.
    fn open_at(&self, base: i64) -> Result<Option<HashMap<i64, i64>>, ReadError> {
        let path = self.folder.join(file_name(base, "snapshot"));
        let bytes = match vfs::read(&*self.vfs, &path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ReadError::Io { file: path.display().to_string(), source }),
        };
        let producers = Producers::decode(&bytes);
        Ok(producers.map(|producers| producers.open_transactions().map(|(first, id)| (id, first)).collect()))
    }

    /// Visits the batches of a segment with a producer, with the markers in them.
    fn each_batch(
        &mut self,
        base: i64,
        mut visit: impl FnMut(&BatchHeader, Option<EndMarker>),
    ) -> Result<(), ReadError> {
        let Some(segment) = self.segments.get_mut(&base) else { return Ok(()) };
        let path = segment.path("log");
        let mut walk_all = |segment: &mut Segment| -> Result<(), SegmentError> {
            let mut walk = segment.walk(&*self.vfs, 0)?;
            while let Some(placed) = walk.next_batch()? {
                let marker = walk.marker(&placed)?;
                if placed.header.has_producer_id() {
                    visit(&placed.header, marker);
                }
            }
            Ok(())
        };
        walk_all(segment).map_err(|error| segment_read_error(&path, error))
    }
}

/// The state of a walk through the segment whose aborted transactions are sought.
#[derive(Debug, Default)]
struct Search {
    /// Transactions that are open where the walk is: producer, first offset.
    open: HashMap<i64, i64>,
    /// Whether those that were open at the segment's base were known.
    known_before: bool,
    /// Producers of which a marker was seen: what they do later begins in this segment.
    ended: HashSet<i64>,
    found: Vec<AbortedEntry>,
    /// Aborted transactions that may have begun before this segment, by producer.
    began_before: HashMap<i64, Sought>,
}

/// A transaction whose beginning is sought.
#[derive(Debug, Clone, Copy)]
struct Sought {
    /// The earliest record seen of it.
    first_offset: Option<i64>,
    marker: i64,
}

impl Search {
    fn visit(&mut self, header: &BatchHeader, marker: Option<EndMarker>) {
        let (id, offset) = (header.producer_id, header.base_offset);
        let Some(marker) = marker else {
            if header.attributes.is_transactional() && !header.attributes.is_control() {
                self.open.entry(id).or_insert(offset);
            }
            return;
        };
        let first_offset = self.open.remove(&id);
        let may_be_older = !self.known_before && self.ended.insert(id);
        if marker.commit {
            return;
        }
        if may_be_older {
            self.began_before.insert(id, Sought { first_offset, marker: offset });
        } else if let Some(first_offset) = first_offset {
            self.add(id, first_offset, offset);
        }
    }

    fn add(&mut self, producer_id: i64, first_offset: i64, last_offset: i64) {
        let transaction = AbortedTransaction { producer_id, first_offset, last_offset };
        self.found.push(AbortedEntry { transaction, last_stable_offset: last_offset + 1 });
    }

    /// Takes in what an earlier segment holds of the producers that are sought.
    fn settle(&mut self, seen: &HashMap<i64, Seen>) {
        for (id, seen) in seen {
            let Some(sought) = self.began_before.get_mut(id) else { continue };
            sought.first_offset = seen.first_offset.or(sought.first_offset);
            let Sought { first_offset, marker } = *sought;
            // Nothing that was open later is older than a marker.
            if seen.ended {
                self.began_before.remove(id);
                if let Some(first_offset) = first_offset {
                    self.add(*id, first_offset, marker);
                }
            }
        }
    }

    /// All that was open at an earlier segment's base is known: nothing sought is older.
    fn settle_from(&mut self, open: &HashMap<i64, i64>) {
        for (id, sought) in std::mem::take(&mut self.began_before) {
            if let Some(first_offset) = open.get(&id).copied().or(sought.first_offset) {
                self.add(id, first_offset, sought.marker);
            }
        }
    }

    /// The entries in their order. Their last stable offsets are lower bounds: what searching needs is that none passes the
    /// beginning of a transaction aborted later, be it one of these or one that is `still_open`.
    fn finish(mut self, still_open: Option<i64>) -> Vec<AbortedEntry> {
        // Whatever is sought still began in what is no longer there, or in the first segment.
        self.settle_from(&HashMap::new());
        self.found.sort_unstable_by_key(|entry| entry.transaction.last_offset);
        let mut earliest = still_open.unwrap_or(i64::MAX);
        for entry in self.found.iter_mut().rev() {
            entry.last_stable_offset = entry.last_stable_offset.min(earliest);
            earliest = earliest.min(entry.transaction.first_offset);
        }
        self.found
    }
}

/// What an earlier segment holds of a producer that is sought.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    ended: bool,
    /// Of what was open at the segment's end.
    first_offset: Option<i64>,
}

impl Seen {
    fn visit(&mut self, header: &BatchHeader, is_marker: bool) {
        if is_marker {
            *self = Self { ended: true, first_offset: None };
        } else if header.attributes.is_transactional() && !header.attributes.is_control() {
            self.first_offset.get_or_insert(header.base_offset);
        }
    }
}
