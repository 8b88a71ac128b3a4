//! [`Log`]: one partition. Holds segments, producers and epochs together, says what each offset means, and appends. What
//! else it does stands in the files beside this one, one for each operation.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::{
    AppendError, AppendOrigin, Bookmark, LeaderEpochs, LogConfig, ProducerError, Recovery,
    append::{self, Accepted},
    error,
    marker::EndMarker,
    producers::{PRODUCER_WEIGHT, Producers},
    rest::SyncedPlace,
    segment::Segment,
    tail::{self, Patched, Tail},
    verification::{VerificationGuard, Verifications},
    vfs::{Vfs, VfsFile},
};
use crate::{
    LeaderEpoch, TopicPartition, Uuid,
    budget::Charge,
    record::{BatchHeader, RecordBatch, patched_prefix},
};

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the batch's first record.
    pub base_offset: i64,
    /// Offset of its last.
    pub last_offset: i64,
    /// The broker's time, where the topic has `message.timestamp.type=LogAppendTime`.
    pub log_append_time: Option<i64>,
    /// The first offset there is.
    pub log_start_offset: i64,
    /// Whether the batch was in the log already, and nothing was appended.
    pub duplicate: bool,
}

/// The log of one partition.
#[derive(Debug)]
pub struct Log {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) folder: PathBuf,
    pub(super) topic_partition: TopicPartition,
    pub(super) topic_id: Uuid,
    pub(super) config: LogConfig,
    /// By base offset, the last one grows; empty only while the log rests.
    pub(super) segments: BTreeMap<i64, Segment>,
    pub(super) log_start_offset: i64,
    pub(super) high_watermark: i64,
    /// The offset before which everything is synced.
    pub(super) recovery_point: i64,
    /// Where in the files the last sync reached.
    pub(super) synced: Option<SyncedPlace>,
    /// Where the log rests, if it does: its files have not been looked at.
    pub(super) resting: Option<Box<Bookmark>>,
    /// The log end whose index and producer snapshot stand in files.
    pub(super) settled: i64,
    /// Whether nothing of the log was ever synced, so neither are the names of its folder and files.
    pub(super) names_unsynced: bool,
    pub(super) epochs: LeaderEpochs,
    pub(super) epochs_dirty: bool,
    pub(super) producers: Producers,
    /// How many producers it remembers.
    pub(super) producers_max: usize,
    /// What they weigh.
    pub(super) producers_charge: Charge,
    /// Since when producers must have written to be remembered.
    pub(super) producers_expired_to: i64,
    pub(super) verifications: Verifications,
    /// Index and snapshot files of closed segments that the next flush has to sync.
    pub(super) closed_files: Vec<Arc<dyn VfsFile>>,
    pub(super) recovery: Recovery,
    /// The base offset of a compacted segment that is about to take the place of others: from there on, none may go.
    pub(super) swapping: Option<i64>,
    /// How often that has happened.
    pub(super) swaps: u64,
    /// Whether offsets may be missing, because the topic is or was compacted.
    pub(super) gaps_allowed: bool,
    pub(super) offline: Option<String>,
    /// Why nothing can be read either, if so.
    pub(super) unreadable: Option<String>,
    pub(super) tail: Tail,
    /// How much room is made behind the batches when there is none left; see [`super::room`].
    pub(super) room_bytes: u64,
}

impl Log {
    /// Whose log it is.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// Its settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Puts other settings in force, for what happens from now on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.gaps_allowed |= config.cleanup_policy.compact;
        self.config = config;
    }

    /// The first offset there is.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// The offset the next record will have.
    pub fn log_end_offset(&self) -> i64 {
        match self.segments.values().next_back() {
            Some(active) => active.next_offset,
            None => self.resting.as_ref().map_or(self.log_start_offset, |resting| resting.offset),
        }
    }

    /// The offset before which records may be seen by consumers.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The offset before which everything is synced.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// Bytes of all its segments.
    pub fn size_in_bytes(&self) -> u64 {
        let resting = self.resting.as_ref().map_or(0, |resting| resting.size_in_bytes());
        resting + self.segments.values().map(|segment| segment.size).sum::<u64>()
    }

    /// How many segments it has.
    pub fn segment_count(&self) -> usize {
        let resting = self.resting.as_ref().map(|resting| usize::try_from(resting.segment_count).unwrap_or(usize::MAX));
        resting.unwrap_or(self.segments.len())
    }

    /// Which leader epoch began where.
    pub fn epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    /// What opening it found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Why it takes no appends any more, if so.
    pub fn offline_reason(&self) -> Option<&str> {
        self.offline.as_deref()
    }

    /// Why nothing can be read of it either, if so: it was opened although its files cannot be used.
    pub fn unreadable_reason(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Raises the high watermark to `offset`, at most to the log's end; it never goes back. True if it moved.
    pub fn advance_high_watermark(&mut self, offset: i64) -> bool {
        let offset = offset.min(self.log_end_offset());
        let moved = offset > self.high_watermark;
        if moved {
            self.high_watermark = offset;
            self.producers.settle_below(offset);
        }
        moved
    }

    /// Appends one batch to the page cache. It is not durable yet: see [`Self::begin_flush`]. Records that begin a
    /// transaction are taken without asking: see [`Self::append_verified`].
    ///
    /// # Errors
    /// [`AppendError`]; the log is then as before.
    pub fn append(
        &mut self,
        batch: Bytes,
        origin: AppendOrigin,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        self.append_if(batch, origin, leader_epoch, now_ms, |_, _| Ok(()))
    }

    /// The same, but records that begin a transaction need the guard of [`Self::begin_verification`], and the coordinator's
    /// word that it knows the transaction here (KIP-890).
    ///
    /// # Errors
    /// [`AppendError`]; the log is then as before.
    pub fn append_verified(
        &mut self,
        batch: Bytes,
        origin: AppendOrigin,
        guard: Option<VerificationGuard>,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        self.append_if(batch, origin, leader_epoch, now_ms, |log, header| log.check_verified(header, guard))
    }

    fn append_if(
        &mut self,
        batch: Bytes,
        origin: AppendOrigin,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
        verified: impl FnOnce(&Self, &BatchHeader) -> Result<(), ProducerError>,
    ) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let Accepted { batch, log_append_time } = append::accept(batch, origin, &self.config, now_ms)?;
        let log_start_offset = self.log_start_offset;
        self.make_room_for(batch.header());
        if batch.header().has_producer_id()
            && let Some(known) = self.producers.check(batch.header(), origin == AppendOrigin::Client)?
        {
            return Ok(AppendInfo {
                base_offset: known.base_offset,
                last_offset: known.last_offset,
                log_append_time: log_append_time.map(|_| known.timestamp),
                log_start_offset,
                duplicate: true,
            });
        }
        verified(self, batch.header())?;
        let info = self.append_checked(batch, leader_epoch, now_ms)?;
        Ok(AppendInfo { log_append_time, ..info })
    }

    /// Sees to it that appends can be taken.
    pub(super) fn check_online(&mut self) -> Result<(), AppendError> {
        match &self.offline {
            Some(reason) => Err(AppendError::Offline { reason: reason.clone() }),
            None => self.wake().map_err(|error| AppendError::Offline { reason: error::with_causes(&error) }),
        }
    }

    /// Appends a batch that was found to be in order.
    pub(super) fn append_checked(
        &mut self,
        batch: RecordBatch,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        let log_start_offset = self.log_start_offset;
        let marker = EndMarker::of(&batch)?;
        let base_offset = self.log_end_offset();
        let header = BatchHeader { base_offset, partition_leader_epoch: leader_epoch.0, ..*batch.header() };
        self.roll_if_needed(&header, now_ms)?;
        self.write(batch, &header)?;
        if self.epochs.assign(leader_epoch.0, base_offset) {
            self.epochs_dirty = true;
        }
        if header.has_producer_id() && header.attributes.is_transactional() {
            self.verifications.spend(header.producer_id);
        }
        if let Some(aborted) = self.producers.apply(&header, marker)
            && let Some(active) = self.segments.values_mut().next_back()
        {
            active.aborted.push(aborted);
        }
        self.charge_producers();
        let last_offset = header.last_offset();
        Ok(AppendInfo { base_offset, last_offset, log_append_time: None, log_start_offset, duplicate: false })
    }

    fn write(&mut self, batch: RecordBatch, header: &BatchHeader) -> Result<(), AppendError> {
        let index_interval = u64::from(self.config.index_interval_bytes.unsigned_abs());
        let prefix = patched_prefix(header, header.base_offset, header.partition_leader_epoch);
        let Some(segment) = self.segments.values_mut().next_back() else { return Ok(()) };
        let position = segment.size;
        let bytes = tail::patched(batch.into_bytes(), &prefix);
        let written = match &bytes {
            Patched::InPlace(whole) => segment.write(&*self.vfs, &[], whole, self.room_bytes),
            Patched::Apart(rest) => segment.write(&*self.vfs, &prefix, rest, self.room_bytes),
        };
        if let Err(source) = written {
            let file = segment.path("log").display().to_string();
            // Half a batch at the end would be taken for damage later on.
            if let Err(error) = segment.cut(&*self.vfs) {
                self.offline = Some(format!("a failed write to {file} could not be undone: {error}"));
            }
            return Err(AppendError::Io { file, source });
        }
        segment.note(header, position, index_interval);
        match bytes {
            Patched::InPlace(whole) => self.tail.push(header, whole),
            // What the file has is not worth a copy.
            Patched::Apart(_) => self.tail.clear(),
        }
        Ok(())
    }

    /// Keeps up to `bytes_max` bytes of the latest batches in memory, for those who read at the log's end. 0 at first.
    pub fn set_tail_bytes_max(&mut self, bytes_max: usize) {
        self.tail.set_bytes_max(bytes_max);
    }

    /// Memory that the latest batches take.
    pub fn tail_bytes(&self) -> usize {
        self.tail.bytes()
    }

    /// Lets go of the oldest batch in memory. Returns the memory that it took; 0 if there is none.
    pub fn evict_from_tail(&mut self) -> usize {
        self.tail.evict()
    }

    /// Forgets producers that have not written since `timestamp`, but for those with an open transaction.
    /// Those of a log at rest are when it wakes.
    pub fn expire_producers(&mut self, timestamp: i64) {
        self.producers_expired_to = timestamp;
        self.producers.expire(timestamp);
        self.charge_producers();
        self.verifications.expire(timestamp);
    }

    /// How many producers it may remember now: no more than memory for the state of clients is left, but the one that
    /// writes always.
    pub(super) fn producers_room(&self) -> usize {
        let more = self.producers_charge.room() / PRODUCER_WEIGHT;
        self.producers.len().saturating_add(more).clamp(1, self.producers_max.max(1)).min(self.producers_max)
    }

    /// A batch is about to come. If its producer is new and there is no room for one more, the longest silent goes.
    fn make_room_for(&mut self, header: &BatchHeader) {
        if header.has_producer_id() {
            let fits = self.producers_charge.fits(PRODUCER_WEIGHT) || self.producers.knows(header.producer_id);
            self.producers.set_max(if fits { self.producers_max } else { self.producers_room() });
        }
    }

    pub(super) fn charge_producers(&mut self) {
        self.producers_charge.set(self.producers.len() * PRODUCER_WEIGHT);
    }
}
