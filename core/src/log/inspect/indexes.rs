//! Holds the indexes of a segment against its batches, in one pass beside the walk through them: neither is ever in memory
//! as a whole. Of each file the first wrong entry is reported; one makes the whole file worthless.
//!
//! An offset entry names a batch's last offset and where the batch begins. A time entry names the largest timestamp so far
//! and the last offset of the batch that has it. A transaction entry stands for each abort marker.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    entries::Entries,
    finding::{Finding, Problem, Severity},
};
use crate::{
    log::{
        index::{OFFSET_ENTRY_LEN, TIME_ENTRY_LEN, offset_entry, time_entry},
        segment::file_name,
        txn_index::{self, AbortedEntry},
        vfs::Vfs,
    },
    record::BatchHeader,
};

/// One index file being read beside the batches.
#[derive(Debug)]
struct Side<const N: usize> {
    path: PathBuf,
    entries: Option<Entries<N>>,
    next: Option<[u8; N]>,
    /// Which entry `next` is.
    number: u64,
    /// Set once something was wrong: the rest says nothing.
    finding: Option<Finding>,
}

impl<const N: usize> Side<N> {
    fn open(vfs: &dyn Vfs, path: PathBuf) -> io::Result<Self> {
        let entries = match Entries::open(vfs, &path) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut side = Self { path, entries, next: None, number: 0, finding: None };
        side.next = side.entries.as_mut().and_then(Iterator::next).transpose()?;
        Ok(side)
    }

    fn advance(&mut self) -> io::Result<()> {
        self.number += 1;
        self.next = self.entries.as_mut().and_then(Iterator::next).transpose()?;
        Ok(())
    }

    fn report(&mut self, offset: Option<i64>, problem: Problem) {
        if self.finding.is_none() {
            let position = Some(self.number * N as u64);
            let file = self.path.clone();
            self.finding = Some(Finding { file, position, offset, problem, severity: Severity::Rebuildable });
        }
        (self.entries, self.next) = (None, None);
    }

    fn wrong(&mut self, offset: i64, text: String, reason: &'static str) {
        let entry = self.number;
        self.report(Some(offset), Problem::IndexEntry { entry, text, reason });
    }

    fn is_missing(&self) -> bool {
        self.entries.is_none() && self.finding.is_none()
    }

    fn is_cut(&self) -> bool {
        self.entries.as_ref().is_some_and(Entries::ends_within)
    }
}

/// The indexes of one segment.
#[derive(Debug)]
pub(super) struct IndexCheck {
    base_offset: i64,
    offsets: Side<OFFSET_ENTRY_LEN>,
    times: Side<TIME_ENTRY_LEN>,
    aborted: Side<{ txn_index::ENTRY_LEN }>,
    last_offset_entry: Option<(u32, u32)>,
    last_time_entry: Option<(i64, u32)>,
    /// Largest timestamp so far, and the last offset of the batch that has it.
    largest: (i64, i64),
    /// Whether offsets may be missing: a batch or the first of a transaction may be gone.
    gaps_allowed: bool,
    /// Whether the segment grows no more, so that nothing may be missing at the ends of its indexes.
    closed: bool,
}

impl IndexCheck {
    pub(super) fn open(
        vfs: &dyn Vfs,
        folder: &Path,
        base_offset: i64,
        gaps_allowed: bool,
        closed: bool,
    ) -> io::Result<Self> {
        let path = |suffix| folder.join(file_name(base_offset, suffix));
        Ok(Self {
            base_offset,
            offsets: Side::open(vfs, path("index"))?,
            times: Side::open(vfs, path("timeindex"))?,
            aborted: Side::open(vfs, path("txnindex"))?,
            last_offset_entry: None,
            last_time_entry: None,
            largest: (-1, base_offset),
            gaps_allowed,
            closed,
        })
    }

    /// Takes in the batch at `position`.
    pub(super) fn batch(&mut self, header: &BatchHeader, position: u64) -> io::Result<()> {
        let before = self.largest.0;
        if header.max_timestamp > before {
            self.largest = (header.max_timestamp, header.last_offset());
        }
        self.check_offsets(header, position)?;
        self.check_times(header)
    }

    fn check_offsets(&mut self, header: &BatchHeader, position: u64) -> io::Result<()> {
        while let Some(entry) = self.offsets.next {
            let (relative, at) = offset_entry(&entry);
            if u64::from(at) > position {
                return Ok(());
            }
            let offset = self.base_offset.saturating_add(i64::from(relative));
            let text = || format!("offset {offset} at byte {at}");
            if self.last_offset_entry.is_some_and(|last| last.0 >= relative || last.1 >= at) {
                self.offsets.wrong(offset, text(), "does not rise");
            } else if u64::from(at) < position {
                self.offsets.wrong(offset, text(), "points into the middle of a batch");
            } else if header.last_offset() != offset {
                self.offsets.wrong(offset, text(), "names another offset than the last of the batch there");
            } else {
                self.last_offset_entry = Some((relative, at));
                self.offsets.advance()?;
            }
        }
        Ok(())
    }

    fn check_times(&mut self, header: &BatchHeader) -> io::Result<()> {
        while let Some(entry) = self.times.next {
            let (timestamp, relative) = time_entry(&entry);
            let offset = self.base_offset.saturating_add(i64::from(relative));
            if offset > header.last_offset() {
                return Ok(());
            }
            let text = || format!("timestamp {timestamp} at offset {offset}");
            if self.last_time_entry.is_some_and(|last| last.0 >= timestamp || last.1 > relative) {
                self.times.wrong(offset, text(), "does not rise");
            } else if offset < header.last_offset() {
                self.times.wrong(offset, text(), "names an offset at which no batch ends");
            } else if self.largest != (timestamp, offset) {
                self.times.wrong(offset, text(), "is not the largest timestamp up to that batch");
            } else {
                self.last_time_entry = Some((timestamp, relative));
                self.times.advance()?;
            }
        }
        Ok(())
    }

    /// Takes in a marker that aborts a transaction; `expected` is what the batches say of it, if they tell. `exact`:
    /// whether they tell all.
    pub(super) fn aborted(
        &mut self,
        header: &BatchHeader,
        expected: Option<AbortedEntry>,
        exact: bool,
    ) -> io::Result<()> {
        let marker = header.base_offset;
        let exact = exact && !self.gaps_allowed;
        while let Some(entry) = self.aborted.next {
            let Some(found) = txn_index::decode_entry(&entry) else {
                self.aborted.wrong(marker, "of unknown version".to_owned(), "cannot be read");
                return Ok(());
            };
            let transaction = found.transaction;
            if transaction.last_offset > marker {
                break;
            }
            let (first, last, id) = (transaction.first_offset, transaction.last_offset, transaction.producer_id);
            let text = || format!("producer {id}, offsets {first} to {last}");
            if last < marker {
                if !self.gaps_allowed {
                    self.aborted.wrong(last, text(), "names no marker that aborts a transaction");
                }
            } else if id != header.producer_id {
                self.aborted.wrong(last, text(), "names another producer than the marker there");
            } else if let Some(expected) = expected {
                let begins = expected.transaction.first_offset;
                if first > begins || (exact && first != begins) {
                    self.aborted.wrong(last, text(), "begins where its transaction does not");
                } else if found.last_stable_offset > expected.last_stable_offset
                    || (exact && found.last_stable_offset != expected.last_stable_offset)
                {
                    self.aborted.wrong(last, text(), "has another last stable offset than the batches");
                }
            } else if exact {
                self.aborted.wrong(last, text(), "is of a transaction without records");
            }
            if self.aborted.next.is_some() {
                self.aborted.advance()?;
            }
            if last == marker {
                return Ok(());
            }
        }
        let Some(expected) = expected.filter(|_| self.closed && self.aborted.finding.is_none()) else { return Ok(()) };
        let AbortedEntry { transaction, .. } = expected;
        let (producer_id, first_offset) = (transaction.producer_id, transaction.first_offset);
        self.aborted.report(Some(marker), Problem::AbortedMissing { producer_id, first_offset });
        Ok(())
    }

    /// Passes bytes that are no sound batch and end at `position`, where `next_offset` is the next: what the indexes say
    /// of them cannot be judged.
    pub(super) fn skip_to(&mut self, position: u64, next_offset: i64) -> io::Result<()> {
        while self.offsets.next.is_some_and(|entry| u64::from(offset_entry(&entry).1) < position) {
            self.offsets.advance()?;
        }
        let base = self.base_offset;
        let time = |entry: &[u8; TIME_ENTRY_LEN]| time_entry(entry);
        while let Some((timestamp, relative)) = self.times.next.as_ref().map(time)
            && base.saturating_add(i64::from(relative)) < next_offset
        {
            self.largest = self.largest.max((timestamp, base.saturating_add(i64::from(relative))));
            self.times.advance()?;
        }
        while let Some(entry) = self.aborted.next.as_ref().and_then(|entry| txn_index::decode_entry(entry))
            && entry.transaction.last_offset < next_offset
        {
            self.aborted.advance()?;
        }
        Ok(())
    }

    /// Gives what was found, once the walk has come to the end. `whole`: whether all batches could be read.
    pub(super) fn finish(mut self, whole: bool) -> Vec<Finding> {
        if whole {
            self.judge_ends();
        }
        [self.offsets.finding, self.times.finding, self.aborted.finding].into_iter().flatten().collect()
    }

    fn judge_ends(&mut self) {
        if let Some(entry) = self.offsets.next {
            let (relative, at) = offset_entry(&entry);
            let offset = self.base_offset.saturating_add(i64::from(relative));
            self.offsets.wrong(offset, format!("offset {offset} at byte {at}"), "points behind the last batch");
        }
        if let Some(entry) = self.times.next {
            let (timestamp, relative) = time_entry(&entry);
            let offset = self.base_offset.saturating_add(i64::from(relative));
            let text = format!("timestamp {timestamp} at offset {offset}");
            self.times.wrong(offset, text, "names an offset behind the last batch");
        }
        if let Some(entry) = self.aborted.next.filter(|_| !self.gaps_allowed) {
            let last = txn_index::decode_entry(&entry).map_or(-1, |entry| entry.transaction.last_offset);
            let text = format!("marker at offset {last}");
            self.aborted.wrong(last, text, "names no marker that aborts a transaction");
        }
        if !self.closed {
            return;
        }
        for (missing, cut, report) in [
            (self.offsets.is_missing(), self.offsets.is_cut(), 0),
            (self.times.is_missing(), self.times.is_cut(), 1),
            (false, self.aborted.is_cut(), 2),
        ] {
            let problem = match (missing, cut) {
                (true, _) => Problem::IndexMissing,
                (false, true) => Problem::IndexCut,
                (false, false) => continue,
            };
            match report {
                0 => self.offsets.report(None, problem),
                1 => self.times.report(None, problem),
                _ => self.aborted.report(None, problem),
            }
        }
        let found = self.last_time_entry.map_or(-1, |last| last.0);
        if self.largest.0 >= 0 && found != self.largest.0 && self.times.finding.is_none() {
            let expected = self.largest.0;
            self.times.report(Some(self.largest.1), Problem::LargestTime { found, expected });
        }
    }
}
