//! Reads: what a fetch gets, where offsets lie, and who waits for more.

use std::sync::Arc;

use bytes::Bytes;
use riverrun_core::{
    LeaderEpoch,
    log::{AbortedTransaction, ActiveProducer, FileSpan, Found, OffsetTime, ReadError, ReadInfo},
};

use super::{Fetch, Fetched, Partition, PartitionReadError, ReadIsolation, concatenated};
use crate::storage::waiters::{FetchWaiter, Interest, Watch};

impl Partition {
    /// Reads whole batches from `offset` on; the first one even if it is larger than `max_bytes`, if `at_least_one`.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
    ) -> Result<ReadInfo, PartitionReadError> {
        let fetched = self.fetch(offset, max_bytes, at_least_one, isolation, usize::MAX)?;
        let Fetched { records, offsets, .. } = fetched;
        let records = match records {
            Fetch::Memory(batches) => concatenated(batches),
            Fetch::File(span) => self.load(&span, offset, max_bytes, at_least_one, isolation)?,
        };
        Ok(ReadInfo {
            records,
            log_start_offset: offsets.log_start,
            high_watermark: offsets.high_watermark,
            last_stable_offset: offsets.last_stable,
        })
    }

    /// Reads what [`Self::fetch`] has found with the same arguments.
    pub(crate) fn load(
        &self,
        span: &FileSpan,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
    ) -> Result<Bytes, PartitionReadError> {
        match span.read() {
            Ok(Some(records)) => Ok(records),
            // Whatever is wrong with it, the log says what.
            Ok(None) | Err(_) => self.read_slowly(offset, max_bytes, at_least_one, isolation).map(|read| read.records),
        }
    }

    /// Finds what [`Self::read`] would return, without reading it: more than `worth_bytes` of it stay in the file.
    pub(crate) fn fetch(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
        worth_bytes: usize,
    ) -> Result<Fetched, PartitionReadError> {
        let mut state = self.lock();
        if state.gone {
            return Err(PartitionReadError::Gone);
        }
        let (offsets, swaps) = (state.offsets(), state.log.swaps());
        let found = state.log.find(offset, max_bytes, offsets.bound(isolation), at_least_one, worth_bytes);
        if found.is_err() {
            self.note_offline(&state);
        }
        let found = found?;
        drop(state);
        let records = match found {
            Found::Nothing => Fetch::Memory(Vec::new()),
            Found::Memory(batches) => Fetch::Memory(batches),
            // Looking at headers may take the disk: nobody must wait for that.
            Found::File(search) => match search.locate() {
                Ok(Some(span)) => Fetch::File(span),
                Ok(None) | Err(_) => return self.fetch_slowly(offset, max_bytes, at_least_one, isolation, swaps),
            },
            Found::Unknown => return self.fetch_slowly(offset, max_bytes, at_least_one, isolation, swaps),
        };
        Ok(Fetched { records, offsets, swaps })
    }

    pub(super) fn fetch_slowly(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
        swaps: u64,
    ) -> Result<Fetched, PartitionReadError> {
        let read = self.read_slowly(offset, max_bytes, at_least_one, isolation)?;
        let batches = if read.records.is_empty() { Vec::new() } else { vec![read.records] };
        Ok(Fetched { records: Fetch::Memory(batches), offsets: self.offsets(), swaps })
    }

    /// Reads while the log is held: for the few reads that have to load or rebuild an index first, or that find damage.
    pub(super) fn read_slowly(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        isolation: ReadIsolation,
    ) -> Result<ReadInfo, PartitionReadError> {
        let mut state = self.lock();
        if state.gone {
            return Err(PartitionReadError::Gone);
        }
        let up_to = state.offsets().bound(isolation);
        let read = state.log.read(offset, max_bytes, up_to, at_least_one);
        if read.is_err() {
            self.note_offline(&state);
        }
        if let Err(error @ (ReadError::Corrupt { .. } | ReadError::Io { .. })) = &read
            && !std::mem::replace(&mut state.read_failed, true)
        {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(partition = %self.topic_partition, offset, %error, source, "records cannot be read");
        }
        Ok(read?)
    }

    /// The first record of that time or later.
    pub(crate) fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<OffsetTime>, PartitionReadError> {
        Ok(self.lock().log.offset_for_time(timestamp)?)
    }

    /// The record with the largest timestamp.
    pub(crate) fn offset_of_max_timestamp(&self) -> Result<Option<OffsetTime>, PartitionReadError> {
        Ok(self.lock().log.offset_of_max_timestamp()?)
    }

    /// The epoch in which the record at `offset`, or the last one before it, was written.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<LeaderEpoch> {
        let state = self.lock();
        state.log.epochs().epoch_for_offset(offset).or_else(|| state.log.epochs().latest())
    }

    /// The largest epoch up to `epoch` that there is, and where it ends.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let state = self.lock();
        let end = state.log.log_end_offset();
        if epoch == self.leader_epoch.0 {
            return Some((epoch, end));
        }
        state.log.epochs().end_offset_for(LeaderEpoch(epoch), end).map(|(epoch, end)| (epoch.0, end))
    }

    /// The idempotent and transactional producers it remembers; `None` if it is gone.
    pub(crate) fn active_producers(&self) -> Option<Vec<ActiveProducer>> {
        let mut state = self.lock();
        (!state.gone).then(|| state.log.active_producers())
    }

    /// The aborted transactions that overlap offsets below the last stable offset, for records that were found when there
    /// had been so many swaps. `None` if there have been more since: compaction takes out records of aborted transactions
    /// and then does not name them any more, but the records that were found may still have them.
    pub(crate) fn aborted_transactions(
        &self,
        from: i64,
        up_to: i64,
        swaps: u64,
    ) -> Result<Option<Vec<AbortedTransaction>>, PartitionReadError> {
        let mut state = self.lock();
        if state.log.swaps() != swaps {
            return Ok(None);
        }
        Ok(Some(state.log.aborted_transactions(from, up_to)?))
    }

    /// Has a fetcher told of what becomes readable. It knows the partition by `token`.
    pub(crate) fn watch(self: &Arc<Self>, waiter: &Arc<FetchWaiter>, token: u64) -> Watch {
        let interest = Arc::new(Interest::new(waiter, token));
        self.lock().fetches.push(Arc::clone(&interest));
        Watch { partition: Arc::clone(self), interest }
    }

    pub(in crate::storage) fn unwatch(&self, interest: &Arc<Interest>) {
        let mut state = self.lock();
        if let Some(place) = state.fetches.iter().position(|other| Arc::ptr_eq(other, interest)) {
            state.fetches.swap_remove(place);
        }
    }
}
