//! Which records of a batch stay, and the batch in the form in which it stays. Offsets, sequence numbers, epochs, headers
//! and timestamps are never changed; a batch keeps its first and last offset, whatever goes from between them.
//!
//! | batch                                          | what becomes of it                                              |
//! |------------------------------------------------|-----------------------------------------------------------------|
//! | of an aborted transaction                      | all records go                                                  |
//! | marker, records of its transaction are left    | stays                                                           |
//! | marker, no such records are left               | gets a delete horizon; goes once that has passed                |
//! | record, a later one has its key                | goes                                                            |
//! | record with a value, last of its key           | stays                                                           |
//! | tombstone, last of its key                     | its batch gets a delete horizon; goes once that has passed      |
//! | record behind what the key map covers          | stays                                                           |
//! | record without a key                           | goes: the topic was not compacted when it was written           |
//! | without records, but a producer's last          | stays empty: it holds the producer's sequence number and epoch  |
//! | without records, but last of its new segment   | stays empty: the segment then tells where it ends               |
//!
//! The last row is what Kafka does for the end of a whole run; here it holds for each new segment, so that an interrupted
//! swap can be told from what it replaces.
//!
//! Source: Kafka's `Cleaner.cleanInto`, `MemoryRecords.filterTo`; KIP-534 (delete horizon).

use std::collections::HashMap;

use bytes::Bytes;

use super::{
    key_map::KeyMap,
    transactions::{Marker, WalkedTransactions},
};
use crate::{
    log::{AbortedTransaction, marker::EndMarker},
    record::{
        BatchBuilder, BatchError, BatchHeader, BatchOptions, BuildError, DecompressLimits, RecordBatch, RecordRef,
        TimestampType, emptied,
    },
};

/// The last thing the log holds of a producer that is still remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) struct LastOfProducer {
    /// Last offset of its last batch of records in this epoch; none if only a marker speaks of the epoch.
    pub(in crate::log) last_offset: Option<i64>,
    pub(in crate::log) epoch: i16,
}

/// In which form a batch stays.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Not at all.
    Nothing,
    /// To the byte.
    AsIs,
    /// With fewer records, none, or a delete horizon.
    Changed(Bytes),
}

/// Why a batch cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// What the decisions go by, for one walk over a log.
#[derive(Debug)]
pub(super) struct Filter<'c> {
    pub(super) keys: &'c KeyMap,
    pub(super) transactions: WalkedTransactions,
    pub(super) producers: &'c HashMap<i64, LastOfProducer>,
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
}

impl Filter<'_> {
    /// Decides about a batch. `ends_segment`: it is the last of its new segment. An abort marker that stays comes with
    /// the transaction it ends.
    pub(super) fn pass(
        &mut self,
        batch: &RecordBatch,
        ends_segment: bool,
    ) -> Result<(Kept, Option<AbortedTransaction>), FilterError> {
        let header = batch.header();
        let (kept, aborts) = if header.attributes.is_control() {
            self.pass_control(batch)?
        } else if self.transactions.pass_records(header) {
            (Kept::Nothing, None)
        } else {
            (self.pass_records(batch)?, None)
        };
        if kept == Kept::Nothing && (ends_segment || self.is_last_of_producer(header)) {
            let was_empty = header.record_count == 0;
            let kept = if was_empty { Kept::AsIs } else { Kept::Changed(Bytes::copy_from_slice(&emptied(header))) };
            return Ok((kept, None));
        }
        Ok((kept, aborts))
    }

    fn pass_control(&mut self, batch: &RecordBatch) -> Result<(Kept, Option<AbortedTransaction>), FilterError> {
        let header = batch.header();
        let kept = match self.transactions.pass_control(header, EndMarker::of(batch)?) {
            Marker::Needed => Kept::AsIs,
            Marker::Aborts(transaction) => return Ok((Kept::AsIs, Some(transaction))),
            Marker::Unneeded if header.record_count == 0 => Kept::Nothing,
            Marker::Unneeded => match horizon(header) {
                Some(horizon) if horizon <= self.now_ms => Kept::Nothing,
                Some(_) => Kept::AsIs,
                None => {
                    let records = batch.decode(&DecompressLimits::default())?;
                    let records: Vec<_> = records.iter().collect::<Result<_, _>>()?;
                    Kept::Changed(self.rebuilt(header, &records, true)?)
                }
            },
        };
        Ok((kept, None))
    }

    fn pass_records(&self, batch: &RecordBatch) -> Result<Kept, FilterError> {
        let header = batch.header();
        let records = batch.decode(&DecompressLimits::default())?;
        let tombstones_go = horizon(header).is_some_and(|horizon| horizon <= self.now_ms);
        let mut kept = Vec::new();
        let mut count = 0;
        for record in &records {
            let record = record?;
            count += 1;
            if self.stays(&record, tombstones_go) {
                kept.push(record);
            }
        }
        if kept.is_empty() {
            return Ok(Kept::Nothing);
        }
        let needs_horizon = horizon(header).is_none() && kept.iter().any(|record| record.value.is_none());
        if kept.len() == count && !needs_horizon {
            return Ok(Kept::AsIs);
        }
        Ok(Kept::Changed(self.rebuilt(header, &kept, needs_horizon)?))
    }

    fn stays(&self, record: &RecordRef<'_>, tombstones_go: bool) -> bool {
        if record.offset > self.keys.latest_offset() {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_last = self.keys.get(key).is_none_or(|last| record.offset >= last);
        is_last && (record.value.is_some() || !tombstones_go)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.producers.get(&header.producer_id).filter(|_| header.has_producer_id());
        last.is_some_and(|last| match last.last_offset {
            Some(offset) => header.last_offset() == offset,
            None => header.attributes.is_control() && header.producer_epoch == last.epoch,
        })
    }

    /// The batch with these of its records.
    fn rebuilt(&self, header: &BatchHeader, kept: &[RecordRef<'_>], new_horizon: bool) -> Result<Bytes, BuildError> {
        let delete_horizon_ms = match horizon(header) {
            None if new_horizon => Some(self.now_ms.saturating_add(self.delete_retention_ms)),
            horizon => horizon,
        };
        let by_broker = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: header.attributes.compression(),
            compression_level: None,
            base_offset: header.base_offset,
            partition_leader_epoch: header.partition_leader_epoch,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            transactional: header.attributes.is_transactional(),
            control: header.attributes.is_control(),
            log_append_time_ms: by_broker.then_some(header.max_timestamp),
            delete_horizon_ms,
        });
        for record in kept {
            builder.copy(record)?;
        }
        builder.set_last_offset(header.last_offset())?;
        builder.build()
    }
}

/// When the tombstones of a batch, or the marker in it, may go.
fn horizon(header: &BatchHeader) -> Option<i64> {
    header.attributes.has_delete_horizon().then_some(header.base_timestamp)
}

#[cfg(test)]
mod tests {
    use super::{super::key_map::KeyMapOptions, *};
    use crate::record::{Compression, ControlRecord, ControlRecordType, EndTransactionMarker};

    fn keys(entries: &[(&[u8], i64)], latest: i64) -> KeyMap {
        let mut keys = KeyMap::new(KeyMapOptions { bytes_max: 1 << 20, load_percent: 90, secret: [1, 2] });
        for (key, offset) in entries {
            assert!(keys.put(key, *offset));
        }
        keys.looked_up_to(latest);
        keys
    }

    fn options(base_offset: i64) -> BatchOptions {
        BatchOptions {
            base_offset,
            partition_leader_epoch: 4,
            producer_id: 9,
            producer_epoch: 2,
            base_sequence: 30,
            ..BatchOptions::default()
        }
    }

    fn batch(options: BatchOptions, records: &[(&[u8], Option<&[u8]>)]) -> RecordBatch {
        let mut builder = BatchBuilder::new(options);
        for (index, (key, value)) in records.iter().enumerate() {
            let headers = [("h", Some(b"1".as_slice())), ("h", None)];
            builder.append(1000 + index as i64, Some(key), *value, headers).unwrap();
        }
        RecordBatch::parse(builder.build().unwrap()).unwrap()
    }

    fn marker(base_offset: i64, control_type: ControlRecordType) -> RecordBatch {
        let options = BatchOptions { transactional: true, control: true, base_sequence: -1, ..options(base_offset) };
        let mut builder = BatchBuilder::new(options);
        let key = ControlRecord { version: 0, control_type }.to_bytes();
        let value = EndTransactionMarker { coordinator_epoch: 1 }.to_bytes();
        builder.append(77, Some(&key), Some(&value), []).unwrap();
        RecordBatch::parse(builder.build().unwrap()).unwrap()
    }

    struct Setting {
        keys: KeyMap,
        producers: HashMap<i64, LastOfProducer>,
        aborted: Vec<AbortedTransaction>,
    }

    impl Setting {
        fn filter(&self, now_ms: i64) -> Filter<'_> {
            let transactions = WalkedTransactions::new(&self.aborted, 0);
            Filter { keys: &self.keys, transactions, producers: &self.producers, now_ms, delete_retention_ms: 500 }
        }
    }

    fn setting(keys: KeyMap) -> Setting {
        Setting { keys, producers: HashMap::new(), aborted: Vec::new() }
    }

    fn changed(kept: Kept) -> RecordBatch {
        let Kept::Changed(bytes) = kept else { panic!("{kept:?}") };
        let batch = RecordBatch::parse(bytes).unwrap();
        batch.verify_crc().unwrap();
        batch
    }

    fn offsets(batch: &RecordBatch) -> Vec<i64> {
        let records = batch.decode(&DecompressLimits::default()).unwrap();
        records.iter().map(|record| record.unwrap().offset).collect()
    }

    #[test]
    fn superseded_records_go_and_all_else_stays_the_same() {
        let setting = setting(keys(&[(b"a", 12), (b"b", 11)], 20));
        for compression in [Compression::None, Compression::Lz4] {
            for log_append_time_ms in [None, Some(5000)] {
                let options = BatchOptions { compression, log_append_time_ms, ..options(10) };
                let records: [(&[u8], Option<&[u8]>); 4] =
                    [(b"a", Some(b"1")), (b"b", Some(b"2")), (b"a", Some(b"3")), (b"b", Some(b"0"))];
                let whole = batch(options, &records[..3]);
                let after = changed(setting.filter(0).pass(&whole, false).unwrap().0);
                assert_eq!(offsets(&after), [11, 12]);
                let (before, now) = (whole.header(), after.header());
                assert_eq!((now.base_offset, now.last_offset_delta, now.record_count), (10, 2, 2));
                assert_eq!(now.attributes, before.attributes);
                assert_eq!((now.max_timestamp, now.base_sequence), (before.max_timestamp, 30));
                assert_eq!((now.producer_id, now.producer_epoch, now.partition_leader_epoch), (9, 2, 4));
                let (old, new) =
                    (whole.decode(&Default::default()).unwrap(), after.decode(&Default::default()).unwrap());
                let old: Vec<_> = old.iter().map(Result::unwrap).skip(1).collect();
                assert_eq!(new.iter().map(Result::unwrap).collect::<Vec<_>>(), old);
            }
        }
    }

    #[test]
    fn records_behind_the_map_stay() {
        let setting = setting(keys(&[(b"a", 10)], 11));
        let all = batch(options(10), &[(b"a", Some(b"1")), (b"b", Some(b"1")), (b"z", Some(b"1")), (b"a", Some(b"2"))]);
        assert_eq!(setting.filter(0).pass(&all, false).unwrap().0, Kept::AsIs);
    }

    #[test]
    fn a_tombstone_gets_a_horizon_and_goes_behind_it() {
        let setting = setting(keys(&[(b"a", 10), (b"b", 11)], 20));
        let first = batch(options(10), &[(b"a", None), (b"b", Some(b"1"))]);
        let with_horizon = changed(setting.filter(2000).pass(&first, false).unwrap().0);
        assert_eq!(horizon(with_horizon.header()), Some(2500));
        assert_eq!((offsets(&with_horizon), with_horizon.header().max_timestamp), (vec![10, 11], 1001));
        assert_eq!(setting.filter(2499).pass(&with_horizon, false).unwrap().0, Kept::AsIs);
        let after = changed(setting.filter(2500).pass(&with_horizon, false).unwrap().0);
        assert_eq!((offsets(&after), horizon(after.header())), (vec![11], Some(2500)));
        let records = after.decode(&Default::default()).unwrap();
        assert_eq!(records.iter().next().unwrap().unwrap().timestamp, 1001, "deltas count from the horizon");
    }

    #[test]
    fn a_producers_last_batch_stays_empty() {
        let mut setting = setting(keys(&[(b"a", 20)], 20));
        let old = batch(options(10), &[(b"a", Some(b"1")), (b"a", Some(b"2"))]);
        assert_eq!(setting.filter(0).pass(&old, false).unwrap().0, Kept::Nothing);
        setting.producers.insert(9, LastOfProducer { last_offset: Some(11), epoch: 2 });
        let empty = changed(setting.filter(0).pass(&old, false).unwrap().0);
        let header = empty.header();
        assert_eq!((header.record_count, header.base_offset, header.last_offset()), (0, 10, 11));
        assert_eq!((header.last_sequence(), header.producer_epoch, header.max_timestamp), (31, 2, 1001));
        assert_eq!(setting.filter(0).pass(&empty, false).unwrap().0, Kept::AsIs);
        setting.producers.clear();
        assert_eq!(setting.filter(0).pass(&empty, false).unwrap().0, Kept::Nothing);
        assert_eq!(setting.filter(0).pass(&empty, true).unwrap().0, Kept::AsIs, "it ends a segment");
    }

    #[test]
    fn markers_outlive_the_records_they_end() {
        let transactional = |base_offset| BatchOptions { transactional: true, ..options(base_offset) };
        let mut setting = setting(keys(&[(b"a", 30)], 40));
        let (records, commit) =
            (batch(transactional(10), &[(b"a", Some(b"1"))]), marker(11, ControlRecordType::Commit));
        let mut filter = setting.filter(2000);
        assert_eq!(filter.pass(&records, false).unwrap().0, Kept::Nothing);
        assert_eq!(filter.pass(&commit, false).unwrap().0, Kept::AsIs, "a batch of it was there");
        let again = changed(filter.pass(&commit, false).unwrap().0);
        assert_eq!((horizon(again.header()), offsets(&again)), (Some(2500), vec![11]));
        assert!(again.header().attributes.is_control());
        assert_eq!(setting.filter(2499).pass(&again, false).unwrap().0, Kept::AsIs);
        assert_eq!(setting.filter(2500).pass(&again, false).unwrap().0, Kept::Nothing);
        setting.producers.insert(9, LastOfProducer { last_offset: None, epoch: 2 });
        let empty = changed(setting.filter(2500).pass(&again, false).unwrap().0);
        assert_eq!((empty.header().record_count, empty.header().producer_epoch), (0, 2));
        assert!(empty.header().attributes.is_control() && !empty.header().attributes.has_delete_horizon());
    }

    #[test]
    fn aborted_records_go_at_once_and_their_marker_later() {
        let transactional = |base_offset| BatchOptions { transactional: true, ..options(base_offset) };
        let mut setting = setting(keys(&[(b"a", 30), (b"b", 14)], 40));
        let transaction = AbortedTransaction { producer_id: 9, first_offset: 10, last_offset: 12 };
        setting.aborted.push(transaction);
        let mut filter = setting.filter(2000);
        let void = batch(transactional(10), &[(b"z", Some(b"1")), (b"b", Some(b"1"))]);
        assert_eq!(filter.pass(&void, false).unwrap(), (Kept::Nothing, None));
        let abort = marker(12, ControlRecordType::Abort);
        assert_eq!(filter.pass(&abort, false).unwrap(), (Kept::AsIs, Some(transaction)));
        let valid = batch(transactional(14), &[(b"b", Some(b"1"))]);
        assert_eq!(filter.pass(&valid, false).unwrap().0, Kept::AsIs);
        // Next time nothing of the transaction is left.
        let mut filter = setting.filter(2000);
        let (kept, aborts) = filter.pass(&abort, false).unwrap();
        assert_eq!((horizon(changed(kept).header()), aborts), (Some(2500), None));
    }
}
