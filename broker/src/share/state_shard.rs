//! The shell of one shard of the share coordinator: loads it, runs commands on it, writes its records.
//!
//! A command appends and replays before it returns; the caller waits for the offset it is given to be committed before
//! it answers. Lock order: a held share partition, a shard's state, its partition's log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use riverrun_core::{
    record::{BatchBuilder, BatchOptions},
    share::state::{Decision, ShareStateRecord, ShareStateShard, StateError, decode_record, encode_record},
};

use crate::storage::{Committed, Partition, each_record};

/// Records before which the log is cut, at once.
const PRUNE_RECORDS: i64 = 1000;

/// Why there is no answer from the share coordinator, or a refusal.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StateShardError {
    /// The shard is still being read.
    #[error("the share coordinator is loading")]
    Loading,
    /// The shard's log cannot be used, there is none, or the coordinator stops.
    #[error("the share coordinator is not available")]
    NotAvailable,
    /// The state machine refused.
    #[error(transparent)]
    Refused(#[from] StateError),
}

/// The share partitions of one partition of `__share_group_state`.
#[derive(Debug)]
pub(crate) struct StateShard {
    partition: Arc<Partition>,
    phase: Mutex<Phase>,
}

#[derive(Debug)]
enum Phase {
    Loading,
    Active(Active),
    /// The log has failed, or the coordinator stops.
    Closed,
}

#[derive(Debug)]
struct Active {
    machine: ShareStateShard,
    /// Where the last append ends.
    end: i64,
    /// Up to where the log has been cut.
    pruned: i64,
}

impl Phase {
    fn active(&mut self) -> Result<&mut Active, StateShardError> {
        match self {
            Self::Active(active) => Ok(active),
            Self::Loading => Err(StateShardError::Loading),
            Self::Closed => Err(StateShardError::NotAvailable),
        }
    }
}

impl StateShard {
    /// A shard whose partition has not been read.
    pub(crate) fn loading(partition: Arc<Partition>) -> Self {
        Self { partition, phase: Mutex::new(Phase::Loading) }
    }

    /// Reads the partition and opens the shard. Blocks on the disk.
    pub(crate) fn load(&self, mut machine: ShareStateShard) {
        let loaded = self.replay_log(&mut machine);
        *self.lock() = match loaded {
            Ok((pruned, end)) => Phase::Active(Active { machine, end, pruned }),
            Err(error) => {
                let partition = self.partition.topic_partition();
                tracing::error!(%partition, error, "cannot load the share coordinator");
                Phase::Closed
            }
        };
    }

    fn replay_log(&self, machine: &mut ShareStateShard) -> Result<(i64, i64), String> {
        self.partition.replay(|batch| {
            each_record(batch, |record| {
                let Some(key) = record.key.map(Bytes::copy_from_slice) else { return Ok(()) };
                let value = record.value.map(Bytes::copy_from_slice);
                let decoded = decode_record(&key, value.as_ref()).map_err(|error| error.to_string())?;
                if let Some(decoded) = decoded {
                    machine.replay(decoded, record.offset);
                }
                Ok(())
            })
        })
    }

    /// Runs a command; its record is in the log when this returns. Gives what to wait for before it is told.
    pub(crate) fn change(
        &self,
        run: impl FnOnce(&ShareStateShard, i64) -> Decision,
    ) -> Result<Committed, StateShardError> {
        let mut phase = self.lock();
        let active = phase.active()?;
        let Decision { record, response } = run(&active.machine, self.partition.wall_ms());
        response?;
        if let Some(record) = record {
            let offset = match self.append(&record) {
                Ok(offset) => offset,
                Err(error) => {
                    let partition = self.partition.topic_partition();
                    tracing::error!(%partition, error, "cannot write share group states");
                    return Err(StateShardError::NotAvailable);
                }
            };
            active.machine.replay(record, offset);
            active.end = offset + 1;
            let redundant = active.machine.redundant_before(active.end);
            if redundant - active.pruned >= PRUNE_RECORDS {
                active.pruned = redundant;
                if let Err(error) = self.partition.delete_records(Some(redundant)) {
                    // It is only longer than it need be.
                    tracing::debug!(%error, "a log of share group states was not cut");
                }
            }
        }
        let end = active.end;
        drop(phase);
        Ok(self.partition.committed(end))
    }

    fn append(&self, record: &ShareStateRecord) -> Result<i64, String> {
        let encoded = encode_record(record).map_err(|error| error.to_string())?;
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let added = builder.append(self.partition.wall_ms(), Some(&encoded.key), encoded.value.as_deref(), []);
        added.map_err(|error| error.to_string())?;
        let batch = builder.build().map_err(|error| error.to_string())?;
        let appended = self.partition.append_internal(batch).map_err(|error| error.to_string())?;
        Ok(appended.last_offset)
    }

    /// Asks the state machine something that waits for nothing.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&ShareStateShard) -> T) -> Result<T, StateShardError> {
        Ok(ask(&self.lock().active()?.machine))
    }

    /// Ends the shard.
    pub(crate) fn close(&self) {
        *self.lock() = Phase::Closed;
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(|poisoned| {
            // Half a command may have run: the shard cannot be trusted any more.
            let mut phase = PoisonError::into_inner(poisoned);
            *phase = Phase::Closed;
            phase
        })
    }
}
