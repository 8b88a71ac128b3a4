//! The decoded records of one input partition that wait to be processed, in offset order.

use std::collections::VecDeque;

use crate::record::{Batch, Record};

/// A queue of one partition.
pub(crate) struct Queue<K, V> {
    records: VecDeque<Record<K, V>>,
    /// Offset behind the last record buffered, skipped ones included; `None` before the first.
    end_offset: Option<i64>,
    /// Largest timestamp taken out: the partition's time.
    partition_time: Option<i64>,
}

impl<K, V> Default for Queue<K, V> {
    fn default() -> Self {
        Self { records: VecDeque::new(), end_offset: None, partition_time: None }
    }
}

impl<K, V> Queue<K, V> {
    pub(crate) fn push(&mut self, record: Record<K, V>) {
        self.records.push_back(record);
    }

    /// Notes that every offset up to and including this one is buffered or skipped.
    pub(crate) fn reached(&mut self, offset: i64) {
        self.end_offset = Some(offset.saturating_add(1));
    }

    pub(crate) fn head_timestamp(&self) -> Option<i64> {
        self.records.front().map(|record| record.timestamp)
    }

    /// Moves up to `limit` records with timestamps of at most `until` into `batch`.
    pub(crate) fn take(&mut self, until: i64, limit: usize, batch: &mut Batch<K, V>) {
        while batch.len() < limit
            && self.head_timestamp().is_some_and(|timestamp| timestamp <= until)
            && let Some(record) = self.records.pop_front()
        {
            self.partition_time = self.partition_time.max(Some(record.timestamp));
            batch.push(record);
        }
    }

    /// Where to go on after a restart (E6): the first record not processed, else behind the last one read.
    pub(crate) fn commit_offset(&self) -> Option<i64> {
        self.records.front().map(|record| record.offset).or(self.end_offset)
    }

    pub(crate) fn partition_time(&self) -> Option<i64> {
        self.partition_time
    }

    pub(crate) fn restore_partition_time(&mut self, time: i64) {
        self.partition_time = self.partition_time.max(Some(time));
    }
}
