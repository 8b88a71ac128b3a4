//! One share partition that is in use: its state machine, its log, and the share coordinator that keeps what is durable.
//!
//! Lock order: this lock, then the share coordinator's shard, then a partition's log. What is answered waits for the last
//! write to be committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use riverrun_core::{
    budget::{Charge, StateBudget},
    group::MemberId,
    log::ReadError,
    metadata::{GroupSettings, ShareIsolation, ShareOffsetReset},
    protocol::ErrorCode,
    record::batches,
    share::{
        partition::{
            AcknowledgeError, AcknowledgeType, Acknowledgement, AcquireMode, AcquireRequest, Acquired, Limits,
            SharePartition,
        },
        state::{SharePartitionKey, WriteRequest},
    },
};

use super::{StateShard, StateShardError};
use crate::storage::{Committed, Partition, PartitionReadError, ReadIsolation};

/// Memory of a share partition in use without what is in flight.
const HELD_WEIGHT: usize = 1_024;
/// Memory there must be for a fetch to take records, unless none are in flight.
const ACQUISITION_WEIGHT: usize = 65_536;

/// How often records may turn out to be nobody's before a fetch tries again later.
const ATTEMPTS: usize = 16;

/// A share partition in use.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) key: SharePartitionKey,
    pub(crate) partition: Arc<Partition>,
    shard: Arc<StateShard>,
    budget: Arc<StateBudget>,
    state: Mutex<Option<Known>>,
}

/// A share partition whose state has been read.
#[derive(Debug)]
struct Known {
    machine: SharePartition,
    state_epoch: i32,
    /// What is in flight weighs so much.
    charge: Charge,
}

/// What a member wants of one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) member: &'a MemberId,
    pub(crate) records_max: i64,
    pub(crate) bytes_max: usize,
    pub(crate) at_least_one: bool,
    pub(crate) batch_size: i64,
    pub(crate) mode: AcquireMode,
}

/// Records a member has got.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) records: Bytes,
    pub(crate) acquired: Vec<Acquired>,
}

/// Why nothing was acknowledged, as its member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

impl From<AcknowledgeError> for Refused {
    fn from(error: AcknowledgeError) -> Self {
        let code = match error {
            AcknowledgeError::NotHeld { .. } => ErrorCode::InvalidRecordState,
            AcknowledgeError::NeverDelivered { .. } | AcknowledgeError::TypeCount { .. } => ErrorCode::InvalidRequest,
        };
        Self { code, message: Some(error.to_string()) }
    }
}

/// How much of a partition a group may have in flight, how often and for how long.
fn limits(settings: &GroupSettings) -> Limits {
    Limits {
        delivery_count_max: i16::try_from(settings.share_delivery_count_limit).unwrap_or(i16::MAX),
        records_max: i64::from(settings.share_partition_max_record_locks),
        lock_ms: i64::from(settings.share_record_lock_duration_ms),
    }
}

fn isolation(settings: &GroupSettings) -> ReadIsolation {
    match settings.share_isolation_level {
        ShareIsolation::ReadCommitted => ReadIsolation::Committed,
        ShareIsolation::ReadUncommitted => ReadIsolation::HighWatermark,
    }
}

impl Held {
    pub(crate) fn new(
        key: SharePartitionKey,
        partition: Arc<Partition>,
        shard: Arc<StateShard>,
        budget: Arc<StateBudget>,
    ) -> Self {
        Self { key, partition, shard, budget, state: Mutex::default() }
    }

    /// Takes records for a member; none if there are none now, or the share coordinator is not ready.
    pub(crate) fn take(
        &self,
        settings: &GroupSettings,
        wanted: &Wanted<'_>,
        now_ms: i64,
        wall_ms: i64,
    ) -> Result<Option<Taken>, ErrorCode> {
        let mut state = self.lock();
        for _ in 0..ATTEMPTS {
            let Some(known) = self.known(&mut state, settings, wall_ms)? else { return Ok(None) };
            known.machine.expire_locks(now_ms);
            if known.machine.next_deadline().is_some() && !known.charge.fits_standing(ACQUISITION_WEIGHT) {
                // What is in flight comes back first.
                self.write(&mut state);
                return Ok(None);
            }
            let Some(from) = known.machine.next_fetch_offset() else {
                self.write(&mut state);
                return Ok(None);
            };
            let found = match self.read(from, isolation(settings), wanted) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.write(&mut state);
                    return Ok(None);
                }
                // The log was cut in between.
                Err(PartitionReadError::Log(ReadError::OffsetOutOfRange { .. })) => continue,
                Err(error) => return Err(read_code(&error)),
            };
            let request = AcquireRequest {
                member: wanted.member,
                from,
                batches: &found.ranges,
                aborted: &found.aborted,
                records_max: wanted.records_max,
                batch_size: wanted.batch_size,
                mode: wanted.mode,
                now_ms,
            };
            let acquired = known.machine.acquire(&request);
            // Only what nobody may see is written here: acquisitions are not durable.
            self.write(&mut state);
            if !acquired.is_empty() {
                return Ok(Some(Taken { records: only(found.records, &acquired), acquired }));
            }
        }
        Ok(None)
    }

    /// Bytes that could be taken now.
    pub(crate) fn readable_bytes(&self, settings: &GroupSettings, wanted: &Wanted<'_>, wall_ms: i64) -> usize {
        let mut state = self.lock();
        let Ok(Some(known)) = self.known(&mut state, settings, wall_ms) else { return 0 };
        let Some(from) = known.machine.next_fetch_offset() else { return 0 };
        self.read(from, isolation(settings), wanted).ok().flatten().map_or(0, |found| found.records.len())
    }

    /// Does what a member says became of records. Gives what to wait for before it is told so.
    pub(crate) fn acknowledge(
        &self,
        settings: &GroupSettings,
        member: &MemberId,
        acknowledgements: &[Acknowledgement],
        now_ms: i64,
        wall_ms: i64,
    ) -> Result<Option<Committed>, Refused> {
        let renews = |acknowledgement: &Acknowledgement| acknowledgement.types.contains(&AcknowledgeType::Renew);
        if !settings.share_renew_acknowledge_enable && acknowledgements.iter().any(renews) {
            let message = Some("Renewing acquisition locks is not enabled for the group.".to_owned());
            return Err(Refused { code: ErrorCode::InvalidRecordState, message });
        }
        let mut state = self.lock();
        let known = self.known(&mut state, settings, wall_ms)?.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        known.machine.expire_locks(now_ms);
        let outcome = known.machine.acknowledge(member, acknowledgements, now_ms);
        let written = self.try_write(&mut state);
        outcome?;
        written.map_err(|error| super::state_code(&error).into())
    }

    /// Gives back what a member holds. Whether that is anything.
    pub(crate) fn release(&self, member: &MemberId) -> bool {
        let mut state = self.lock();
        let Some(known) = state.as_mut() else { return false };
        let held = known.machine.holds(member);
        if held {
            known.machine.release_member(member);
            self.write(&mut state);
        }
        held
    }

    /// Ends the locks that are due. Whether there were any.
    pub(crate) fn expire(&self, now_ms: i64) -> bool {
        let mut state = self.lock();
        let Some(known) = state.as_mut() else { return false };
        let expired = known.machine.expire_locks(now_ms) > 0;
        self.write(&mut state);
        expired
    }

    /// When [`Self::expire`] is to be called.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.lock().as_ref().and_then(|known| known.machine.next_deadline())
    }

    /// Forgets all that is not durable: the state was changed by others.
    pub(crate) fn reload(&self) {
        *self.lock() = None;
    }

    /// The state machine, read in if it is not there; none if the share coordinator is not ready.
    fn known<'a>(
        &self,
        state: &'a mut Option<Known>,
        settings: &GroupSettings,
        wall_ms: i64,
    ) -> Result<Option<&'a mut Known>, ErrorCode> {
        let offsets = self.partition.offsets();
        if state.is_none() {
            let stored = match self.shard.ask(|shard| shard.read(&self.key, None).map(|state| state.cloned())) {
                Ok(Ok(stored)) => stored,
                Ok(Err(error)) => return Err(super::state_code(&error.into())),
                Err(StateShardError::Loading | StateShardError::NotAvailable) => return Ok(None),
                Err(error @ StateShardError::Refused(_)) => return Err(super::state_code(&error)),
            };
            if stored.is_none() && self.shard.change(|shard, now| shard.initialize(&self.key, 0, None, now)).is_err() {
                return Ok(None);
            }
            let state_epoch = stored.as_ref().map_or(0, |stored| stored.state_epoch);
            let machine = match stored.as_ref().and_then(|stored| Some((stored, stored.start_offset?))) {
                Some((stored, start)) => SharePartition::restore(start, &stored.batches, limits(settings)),
                None => SharePartition::new(self.first_offset(settings, wall_ms), limits(settings)),
            };
            *state = Some(Known { machine, state_epoch, charge: Charge::new(Arc::clone(&self.budget)) });
        }
        if let Some(known) = state {
            known.machine.set_limits(limits(settings));
            known.machine.advance_log_start(offsets.log_start);
        }
        Ok(state.as_mut())
    }

    fn first_offset(&self, settings: &GroupSettings, wall_ms: i64) -> i64 {
        let offsets = self.partition.offsets();
        match settings.share_auto_offset_reset {
            ShareOffsetReset::Earliest => offsets.log_start,
            ShareOffsetReset::Latest => offsets.high_watermark,
            ShareOffsetReset::ByDuration { age_ms } => {
                let found = self.partition.offset_for_timestamp(wall_ms.saturating_sub(age_ms));
                let found = found.ok().flatten().map(|found| found.offset);
                found.map_or(offsets.high_watermark, |offset| offset.min(offsets.high_watermark))
            }
        }
    }

    fn read(
        &self,
        from: i64,
        isolation: ReadIsolation,
        wanted: &Wanted<'_>,
    ) -> Result<Option<FoundRecords>, PartitionReadError> {
        loop {
            let fetched = self.partition.fetch(from, wanted.bytes_max, wanted.at_least_one, isolation, usize::MAX)?;
            let swaps = fetched.swaps;
            let records = match fetched.records {
                crate::storage::Fetch::Memory(batches) => crate::storage::concatenated(batches),
                crate::storage::Fetch::File(span) => {
                    self.partition.load(&span, from, wanted.bytes_max, wanted.at_least_one, isolation)?
                }
            };
            let mut ranges = Vec::new();
            let mut of_producers = Vec::new();
            for batch in batches(records.clone()).map_while(Result::ok) {
                let header = batch.header();
                ranges.push((header.base_offset, header.last_offset()));
                if header.attributes.is_transactional() && !header.attributes.is_control() {
                    of_producers.push((header.producer_id, header.base_offset, header.last_offset()));
                }
            }
            let (Some((first, _)), Some((_, last))) = (ranges.first(), ranges.last()) else { return Ok(None) };
            if isolation != ReadIsolation::Committed {
                return Ok(Some(FoundRecords { records, ranges, aborted: Vec::new() }));
            }
            // The log was compacted in between: what is aborted and what was read do not belong together.
            let Some(transactions) = self.partition.aborted_transactions(*first, last + 1, swaps)? else { continue };
            let is_aborted = |producer: i64, first: i64, last: i64| {
                let of = |t: &riverrun_core::log::AbortedTransaction| {
                    t.producer_id == producer && t.first_offset <= first && last <= t.last_offset
                };
                transactions.iter().any(of)
            };
            let hidden = of_producers.iter().filter(|(producer, first, last)| is_aborted(*producer, *first, *last));
            let aborted = hidden.map(|(_, first, last)| (*first, *last)).collect();
            return Ok(Some(FoundRecords { records, ranges, aborted }));
        }
    }

    /// Makes changes durable. If that fails all is forgotten that is not.
    fn try_write(&self, state: &mut Option<Known>) -> Result<Option<Committed>, StateShardError> {
        let Some(known) = state.as_mut() else { return Ok(None) };
        let write = known.machine.take_write();
        known.charge.set(HELD_WEIGHT + known.machine.weight());
        let Some(write) = write else { return Ok(None) };
        let request = WriteRequest {
            state_epoch: known.state_epoch,
            leader_epoch: Some(self.partition.leader_epoch().0),
            start_offset: Some(write.start_offset),
            delivery_complete_count: Some(write.delivery_complete_count),
            batches: sorted(write.batches),
        };
        match self.shard.change(|shard, now| shard.write(&self.key, request, now)) {
            Ok(committed) => Ok(Some(committed)),
            Err(error) => {
                *state = None;
                Err(error)
            }
        }
    }

    fn write(&self, state: &mut Option<Known>) {
        if let Err(error) = self.try_write(state) {
            tracing::warn!(share_partition = %self.key, %error, "a share partition's state was not written");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // Half a change may have been made: it is read anew.
            let mut state = PoisonError::into_inner(poisoned);
            *state = None;
            state
        })
    }
}

/// Batches that were read.
struct FoundRecords {
    records: Bytes,
    /// First and last offset of each.
    ranges: Vec<(i64, i64)>,
    /// Those of aborted transactions.
    aborted: Vec<(i64, i64)>,
}

/// A change may touch the same offsets more than once; the last one counts.
fn sorted(changes: Vec<riverrun_core::share::state::StateBatch>) -> Vec<riverrun_core::share::state::StateBatch> {
    changes
        .into_iter()
        .fold(Vec::new(), |known, change| riverrun_core::share::state::overlay(&known, &[change], i64::MIN))
}

/// The batches with a record that was taken.
fn only(records: Bytes, acquired: &[Acquired]) -> Bytes {
    let mut kept = BytesMut::new();
    let mut rest = records.clone();
    let mut all = true;
    for batch in batches(records.clone()).map_while(Result::ok) {
        let header = batch.header();
        let size = batch.bytes().len().min(rest.len());
        let bytes = rest.split_to(size);
        let overlaps = |a: &Acquired| a.first_offset <= header.last_offset() && header.base_offset <= a.last_offset;
        if acquired.iter().any(overlaps) {
            kept.extend_from_slice(&bytes);
        } else {
            all = false;
        }
    }
    if all { records } else { kept.freeze() }
}

fn read_code(error: &PartitionReadError) -> ErrorCode {
    match error {
        PartitionReadError::Gone => ErrorCode::UnknownTopicOrPartition,
        PartitionReadError::Log(_) => ErrorCode::KafkaStorageError,
    }
}
