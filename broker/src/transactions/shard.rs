//! The shell of one shard: runs commands on the state machine, writes its records, has markers written, and lets answers
//! go once the records they rest on are committed.
//!
//! Lock order: a shard's state, then that of a group shard, then a partition's log. Nothing is awaited with a lock.
//! The contract with the machine is in `riverrun_core::transaction`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use riverrun_core::{
    ProducerId,
    record::{BatchBuilder, BatchOptions},
    transaction::{
        Decision, Markers, TransactionError, TransactionRecord, TransactionShard, decode_record, encode_record,
    },
};
use tokio::sync::Notify;

use super::markers;
use crate::{
    node::Node,
    storage::{Partition, each_record},
};

/// Why a request got no answer from the state machine, or a refusal.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CoordinatorError {
    /// The shard is still being read.
    #[error("the transaction coordinator is loading")]
    Loading,
    /// The shard's log cannot be used, or the coordinator stops.
    #[error("the transaction coordinator is not available")]
    NotAvailable,
    /// The state machine refused.
    #[error(transparent)]
    Refused(#[from] TransactionError),
}

/// An answer that comes once it may: whatever it rests on has happened already.
pub(crate) type Pending<T> = BoxFuture<'static, Result<T, CoordinatorError>>;

/// The transactional ids of one partition of `__transaction_state`.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(super) partition: Arc<Partition>,
    state: Mutex<State>,
    /// Told when a transaction is complete, to those who wait for the next one to begin.
    pub(super) completed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Where the shard's last append ends: answers wait until it is committed.
    appended_end: i64,
}

#[derive(Debug)]
enum Phase {
    Loading,
    Active(TransactionShard),
    /// The log has failed, or the coordinator stops.
    Closed,
}

impl Phase {
    fn active(&mut self) -> Result<&mut TransactionShard, CoordinatorError> {
        match self {
            Self::Active(machine) => Ok(machine),
            Self::Loading => Err(CoordinatorError::Loading),
            Self::Closed => Err(CoordinatorError::NotAvailable),
        }
    }
}

impl Shard {
    /// A shard whose partition has not been read.
    pub(crate) fn loading(partition: Arc<Partition>) -> Self {
        let state = State { phase: Phase::Loading, appended_end: 0 };
        Self { partition, state: Mutex::new(state), completed: Notify::new() }
    }

    /// Reads the partition, opens the shard, and begins what is left to do of prepared transactions. Blocks on the disk.
    pub(crate) fn load(self: &Arc<Self>, node: &Arc<Node>, mut machine: TransactionShard) {
        match self.replay_log(&mut machine) {
            Ok(end) => {
                let prepared: Vec<_> = machine.prepared().collect();
                let mut state = self.lock();
                state.appended_end = end;
                state.phase = Phase::Active(machine);
                drop(state);
                self.write_markers(node, end, prepared);
            }
            Err(error) => {
                let partition = self.partition.topic_partition();
                tracing::error!(%partition, error, "cannot load the transaction coordinator");
                self.lock().phase = Phase::Closed;
            }
        }
    }

    fn replay_log(&self, machine: &mut TransactionShard) -> Result<i64, String> {
        let (_, end) = self.partition.replay(|batch| {
            if batch.header().attributes.is_control() {
                return Ok(());
            }
            each_record(batch, |record| {
                let Some(key) = record.key.map(Bytes::copy_from_slice) else { return Ok(()) };
                let value = record.value.map(Bytes::copy_from_slice);
                if let Some(decoded) = decode_record(&key, value.as_ref()).map_err(|error| error.to_string())? {
                    machine.replay(&decoded);
                }
                Ok(())
            })
        })?;
        Ok(end)
    }

    /// Runs a command that is answered when its records are committed.
    pub(crate) fn command<T: Send + 'static>(
        self: &Arc<Self>,
        node: &Arc<Node>,
        run: impl FnOnce(&mut TransactionShard, i64) -> Decision<Result<T, TransactionError>>,
    ) -> Pending<T> {
        let now_ms = node.clock.wall_ms();
        let mut state = self.lock();
        let decision = match state.phase.active() {
            Ok(machine) => run(machine, now_ms),
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let Decision { records, response } = decision;
        if !state.phase.active().is_ok_and(|machine| machine.admits(&records)) {
            return Box::pin(std::future::ready(Err(TransactionError::NoRoom.into())));
        }
        let response = match self.apply(&mut state, &records) {
            Ok(prepared) => {
                let end = state.appended_end;
                drop(state);
                self.write_markers(node, end, prepared);
                response
            }
            Err(error) => {
                drop(state);
                tracing::error!(partition = %self.partition.topic_partition(), error, "cannot write transaction records");
                Err(TransactionError::LogUnavailable)
            }
        };
        node.transactions.set_timer(self);
        let committed = self.committed();
        Box::pin(async move {
            committed.await?;
            response.map_err(CoordinatorError::Refused)
        })
    }

    /// Resolves when all that the shard has written until now is committed.
    fn committed(self: &Arc<Self>) -> Pending<()> {
        let committed = self.partition.committed(self.lock().appended_end);
        let shard = Arc::clone(self);
        Box::pin(async move {
            committed.await.map_err(|_| {
                shard.close();
                CoordinatorError::Refused(TransactionError::NotCoordinator)
            })
        })
    }

    /// Runs `append` if a partition is in the producer's open transaction, with the transaction kept open meanwhile: its
    /// marker cannot come before what is appended.
    pub(super) fn verified<T>(
        &self,
        verify: impl FnOnce(&TransactionShard) -> Result<(), TransactionError>,
        append: impl FnOnce() -> T,
    ) -> Result<T, CoordinatorError> {
        let mut state = self.lock();
        verify(state.phase.active()?)?;
        Ok(append())
    }

    /// Asks the state machine something that waits for nothing.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&TransactionShard) -> T) -> Result<T, CoordinatorError> {
        Ok(ask(self.lock().phase.active()?))
    }

    /// When the state machine wants to be called.
    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.ask(TransactionShard::next_deadline).ok().flatten()
    }

    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        self.next_deadline().is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }

    pub(super) fn deadline_needs_producer_id(&self) -> bool {
        self.ask(TransactionShard::deadline_needs_producer_id).unwrap_or(false)
    }

    /// Lets one thing happen that is due. False if nothing did.
    pub(super) fn on_deadline(self: &Arc<Self>, node: &Arc<Node>, fresh: Option<ProducerId>) -> bool {
        let now_ms = node.clock.wall_ms();
        let mut state = self.lock();
        let Ok(machine) = state.phase.active() else { return false };
        let Decision { records, response: () } = machine.on_deadline(fresh, now_ms);
        let applied = self.apply(&mut state, &records);
        let end = state.appended_end;
        drop(state);
        match applied {
            Ok(prepared) => {
                for Markers { transactional_id, .. } in &prepared {
                    tracing::info!(%transactional_id, "transaction aborted: its time is up");
                }
                self.write_markers(node, end, prepared);
                !records.is_empty()
            }
            Err(error) => {
                tracing::error!(partition = %self.partition.topic_partition(), error, "cannot write transaction records");
                false
            }
        }
    }

    /// Ends the shard.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if let Phase::Active(machine) = &mut state.phase {
            machine.unload();
        }
        state.phase = Phase::Closed;
        drop(state);
        self.completed.notify_waiters();
    }

    /// Appends records and replays them. Gives the markers that are owed now.
    fn apply(&self, state: &mut State, records: &[TransactionRecord]) -> Result<Vec<Markers>, String> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        state.appended_end = self.append(records)?;
        let Phase::Active(machine) = &mut state.phase else { return Ok(Vec::new()) };
        for record in records {
            machine.replay(record);
        }
        Ok(records.iter().filter_map(|record| machine.markers(record.transactional_id.as_str())).collect())
    }

    fn append(&self, records: &[TransactionRecord]) -> Result<i64, String> {
        let now_ms = self.partition.wall_ms();
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for record in records {
            let encoded = encode_record(record).map_err(|error| error.to_string())?;
            let added = builder.append(now_ms, Some(&encoded.key), encoded.value.as_deref(), []);
            added.map_err(|error| error.to_string())?;
        }
        let batch = builder.build().map_err(|error| error.to_string())?;
        let appended = self.partition.append_internal(batch).map_err(|error| error.to_string())?;
        Ok(appended.last_offset + 1)
    }

    /// Has markers written once the decision is durable.
    fn write_markers(self: &Arc<Self>, node: &Arc<Node>, decided_end: i64, prepared: Vec<Markers>) {
        for markers in prepared {
            let ending = markers::end(Arc::clone(node), Arc::clone(self), decided_end, markers);
            node.tasks.spawn_on(ending, &node.runtime);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // Half a command may have run: the shard cannot be trusted any more.
            let mut state = PoisonError::into_inner(poisoned);
            state.phase = Phase::Closed;
            state
        })
    }
}
