//! The shell of one group shard: runs commands on the state machine, writes its records, and lets answers go once the
//! records they rest on are committed.
//!
//! Lock order: a shard's state, then its partition's log. Answers are sent without either.
//! The contract with the machine is in `riverrun_core::group`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use riverrun_core::{
    ProducerId,
    group::{Decision, GroupError, GroupShard, Now, Reply, Response, Ticket, Topics, decode_record, encode_record},
    log::TransactionMarker,
    record::{BatchBuilder, BatchOptions, ControlRecord, ControlRecordType, DecompressLimits, RecordBatch},
    transaction::ProducerIdAndEpoch,
};
use tokio::sync::oneshot;

use crate::{
    metadata::MetadataStore,
    storage::{Committed, LogOffline, OnCommitted, Partition, each_record},
    transactions::MarkerError,
};

/// Why a group request got no answer from the state machine.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CoordinatorError {
    /// The shard is still being read.
    #[error("the coordinator is loading")]
    Loading,
    /// The shard's log cannot be used, or the coordinator stops.
    #[error("the coordinator is not available")]
    NotAvailable,
    /// The state machine refused.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// The groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub(crate) struct Shard {
    partition: Arc<Partition>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Callers that are parked in the state machine.
    parked: HashMap<Ticket, oneshot::Sender<Response>>,
    next_ticket: u64,
    /// Where the shard's last append ends: answers wait until it is committed.
    appended_end: i64,
}

#[derive(Debug)]
enum Phase {
    Loading,
    Active(Box<GroupShard>),
    /// The log has failed, or the coordinator stops.
    Closed,
}

/// An answer that comes once it may: whatever it rests on has happened already.
pub(crate) type Pending<T> = BoxFuture<'static, Result<T, CoordinatorError>>;

/// Answers on their way to callers.
type Outgoing = Vec<(oneshot::Sender<Response>, Response)>;

impl Shard {
    /// A shard whose partition has not been read.
    pub(crate) fn loading(partition: Arc<Partition>) -> Self {
        let state = State { phase: Phase::Loading, parked: HashMap::new(), next_ticket: 0, appended_end: 0 };
        Self { partition, state: Mutex::new(state) }
    }

    /// Reads the partition into an empty machine and opens the shard. Blocks on the disk.
    pub(crate) fn load(self: &Arc<Self>, mut machine: GroupShard, topics: Topics, now: Now) {
        machine.set_topics(topics);
        let loaded = self.replay_log(&mut machine);
        let mut state = self.lock();
        match loaded {
            Ok(end) => {
                state.appended_end = end;
                let decision = machine.start(now);
                state.phase = Phase::Active(Box::new(machine));
                let after = self.apply(&mut state, decision);
                drop(state);
                after.release(self);
            }
            Err(error) => {
                tracing::error!(partition = %self.partition.topic_partition(), error, "cannot load the group coordinator");
                state.phase = Phase::Closed;
            }
        }
    }

    fn replay_log(&self, machine: &mut GroupShard) -> Result<i64, String> {
        let (_, end) = self.partition.replay(|batch| {
            let header = batch.header();
            let producer = header.attributes.is_transactional().then_some(ProducerId(header.producer_id));
            if header.attributes.is_control() {
                if let Some((producer, commit)) = producer.zip(end_of_transaction(batch)) {
                    machine.replay_marker(producer, commit);
                }
                return Ok(());
            }
            each_record(batch, |record| {
                let Some(key) = record.key.map(Bytes::copy_from_slice) else { return Ok(()) };
                let value = record.value.map(Bytes::copy_from_slice);
                let decoded = decode_record(&key, value.as_ref());
                let decoded = decoded.map_err(|error| format!("record at offset {}: {error}", record.offset))?;
                match (decoded, producer) {
                    (Some(decoded), Some(producer)) => machine.replay_pending(producer, &decoded),
                    (Some(decoded), None) => machine.replay(&decoded),
                    (None, _) => {}
                }
                Ok(())
            })
        })?;
        Ok(end)
    }

    /// Runs a command that is answered when its records are committed.
    pub(crate) fn command<T: Send + 'static>(
        self: &Arc<Self>,
        now: Now,
        run: impl FnOnce(&mut GroupShard, Now) -> Decision<Result<T, GroupError>>,
    ) -> Pending<T> {
        self.command_as(now, None, run)
    }

    fn command_as<T: Send + 'static>(
        self: &Arc<Self>,
        now: Now,
        producer: Option<ProducerIdAndEpoch>,
        run: impl FnOnce(&mut GroupShard, Now) -> Decision<Result<T, GroupError>>,
    ) -> Pending<T> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let decision = match &mut state.phase {
            Phase::Active(machine) => Ok(run(machine, now)),
            phase => Err(phase.error()),
        };
        match decision {
            Err(error) => {
                drop(state);
                let _ = sender.send(Err(error));
            }
            Ok(Decision { records, replies, response }) => {
                let decision = Decision { records, replies, response: () };
                let mut after = self.admit(&mut state, decision, producer);
                drop(state);
                let response = match after.failed.take() {
                    Some(reason) => Err(reason),
                    None => response,
                };
                after.then = Some(Box::new(move |committed: Result<(), LogOffline>| {
                    let response = response.map_err(CoordinatorError::Group);
                    let response = committed.map_or(Err(GroupError::NotCoordinator.into()), |()| response);
                    // A caller that is gone is not told.
                    let _ = sender.send(response);
                }));
                after.release(self);
            }
        }
        Box::pin(async move { receiver.await.unwrap_or(Err(CoordinatorError::NotAvailable)) })
    }

    /// Runs a command whose records belong to a producer's transaction.
    pub(crate) fn command_in_transaction<T: Send + 'static>(
        self: &Arc<Self>,
        now: Now,
        producer: ProducerIdAndEpoch,
        run: impl FnOnce(&mut GroupShard, Now) -> Decision<Result<T, GroupError>>,
    ) -> Pending<T> {
        self.command_as(now, Some(producer), run)
    }

    /// Appends the marker that ends a producer's transaction, and lets its positions count or drops them. Gives what to
    /// wait for.
    pub(crate) fn end_transaction(&self, marker: &TransactionMarker) -> Result<Committed, MarkerError> {
        let mut state = self.lock();
        let machine = match &mut state.phase {
            Phase::Active(machine) => machine,
            phase => return Err(MarkerError::Groups(phase.error())),
        };
        let appended = self.partition.append_marker(marker)?;
        machine.replay_marker(ProducerId(marker.producer_id), marker.commit);
        let end = appended.last_offset + 1;
        state.appended_end = end;
        drop(state);
        Ok(self.partition.committed(end))
    }

    /// Runs a command whose caller is parked in the state machine.
    pub(crate) fn park(
        self: &Arc<Self>,
        now: Now,
        run: impl FnOnce(&mut GroupShard, Ticket, Now) -> Decision,
    ) -> Pending<Response> {
        let (sender, receiver) = oneshot::channel();
        let mut refused = None;
        let mut state = self.lock();
        let ticket = Ticket(state.next_ticket);
        state.next_ticket += 1;
        let decision = match &mut state.phase {
            Phase::Active(machine) => Ok(run(machine, ticket, now)),
            phase => Err(phase.error()),
        };
        match decision {
            Ok(decision) => {
                state.parked.insert(ticket, sender);
                let after = self.admit(&mut state, decision, None);
                drop(state);
                after.release(self);
            }
            Err(error) => {
                drop(state);
                refused = Some(error);
            }
        }
        Box::pin(async move {
            match refused {
                Some(error) => Err(error),
                None => receiver.await.map_err(|_| CoordinatorError::NotAvailable),
            }
        })
    }

    /// Asks the state machine something that waits for nothing.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut GroupShard) -> T) -> Result<T, CoordinatorError> {
        let mut state = self.lock();
        match &mut state.phase {
            Phase::Active(machine) => Ok(ask(machine)),
            phase => Err(phase.error()),
        }
    }

    /// When the state machine wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<i64> {
        match &self.lock().phase {
            Phase::Active(machine) => machine.next_timeout(),
            Phase::Loading | Phase::Closed => None,
        }
    }

    /// Lets happen what is due.
    pub(crate) fn on_timeouts(self: &Arc<Self>, metadata: &MetadataStore, now: Now) {
        loop {
            let mut state = self.lock();
            let Phase::Active(machine) = &mut state.phase else { return };
            if machine.next_timeout().is_none_or(|due| due > now.monotonic_ms) {
                return;
            }
            machine.set_topics(metadata.topics());
            let decision = machine.on_timeout(now);
            let after = self.apply(&mut state, decision);
            drop(state);
            after.release(self);
        }
    }

    /// Ends the shard; whoever is parked is told that the coordinator has gone.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        let Phase::Active(machine) = &mut state.phase else {
            state.phase = Phase::Closed;
            return;
        };
        let replies = machine.unload();
        state.phase = Phase::Closed;
        let outgoing = state.take_callers(replies);
        drop(state);
        send(outgoing);
    }

    /// The same as [`Self::apply_as`] for what a client has asked for: if there is no room for it, it does not happen.
    fn admit(&self, state: &mut State, decision: Decision, producer: Option<ProducerIdAndEpoch>) -> After {
        let fits = match &state.phase {
            Phase::Active(machine) => machine.admits(&decision.records, producer.is_some()),
            Phase::Loading | Phase::Closed => true,
        };
        if fits {
            return self.apply_as(state, decision, producer);
        }
        let replies = decision.fail(&GroupError::NoRoom);
        After { end: 0, failed: Some(GroupError::NoRoom), outgoing: state.take_callers(replies), then: None }
    }

    /// Appends the records of a decision and replays them. What is left is to be released without the lock.
    fn apply(&self, state: &mut State, decision: Decision) -> After {
        self.apply_as(state, decision, None)
    }

    /// The same; with a producer, within its transaction.
    fn apply_as(&self, state: &mut State, decision: Decision, producer: Option<ProducerIdAndEpoch>) -> After {
        let mut failed = None;
        let replies = if decision.records.is_empty() {
            decision.replies
        } else {
            match self.append(&decision, producer) {
                Ok(end) => {
                    state.appended_end = end;
                    if let Phase::Active(machine) = &mut state.phase {
                        for record in &decision.records {
                            match producer {
                                Some(producer) => machine.replay_pending(producer.id, record),
                                None => machine.replay(record),
                            }
                        }
                    }
                    decision.replies
                }
                Err(error) => {
                    tracing::error!(partition = %self.partition.topic_partition(), error, "cannot write group records");
                    let reason = GroupError::LogUnavailable;
                    let replies = decision.fail(&reason);
                    failed = Some(reason);
                    replies
                }
            }
        };
        let end = if failed.is_some() { 0 } else { state.appended_end };
        After { end, failed, outgoing: state.take_callers(replies), then: None }
    }

    fn append(&self, decision: &Decision, producer: Option<ProducerIdAndEpoch>) -> Result<i64, String> {
        let now_ms = self.partition.wall_ms();
        let mut builder = BatchBuilder::new(match producer {
            None => BatchOptions::default(),
            Some(ProducerIdAndEpoch { id, epoch }) => BatchOptions {
                producer_id: id.0,
                producer_epoch: epoch.0,
                transactional: true,
                ..BatchOptions::default()
            },
        });
        for record in &decision.records {
            let encoded = encode_record(record).map_err(|error| error.to_string())?;
            let added = builder.append(now_ms, Some(&encoded.key), encoded.value.as_deref(), []);
            added.map_err(|error| error.to_string())?;
        }
        let batch = builder.build().map_err(|error| error.to_string())?;
        let appended = self.partition.append_internal(batch).map_err(|error| error.to_string())?;
        Ok(appended.last_offset + 1)
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

impl State {
    fn take_callers(&mut self, replies: Vec<Reply>) -> Outgoing {
        let callers = replies.into_iter();
        callers.filter_map(|reply| Some((self.parked.remove(&reply.ticket)?, reply.response))).collect()
    }
}

impl Phase {
    fn error(&self) -> CoordinatorError {
        match self {
            Self::Loading => CoordinatorError::Loading,
            Self::Active(_) | Self::Closed => CoordinatorError::NotAvailable,
        }
    }
}

/// What follows a command once its records are committed.
struct After {
    end: i64,
    /// Why nothing was written, if that is so.
    failed: Option<GroupError>,
    outgoing: Outgoing,
    then: Option<OnCommitted>,
}

impl After {
    fn release(self, shard: &Arc<Shard>) {
        let Self { end, outgoing, then, .. } = self;
        if outgoing.is_empty() && then.is_none() {
            return;
        }
        let weak = Arc::downgrade(shard);
        shard.partition.on_committed(
            end,
            Box::new(move |committed| {
                match committed {
                    Ok(()) => send(outgoing),
                    Err(LogOffline) => {
                        send(outgoing.into_iter().map(|(caller, response)| (caller, refuse(&response))).collect());
                        if let Some(shard) = weak.upgrade() {
                            shard.close();
                        }
                    }
                }
                if let Some(then) = then {
                    then(committed);
                }
            }),
        );
    }
}

/// What a marker in the log says of its transaction: committed or aborted; `None` if it is no marker.
fn end_of_transaction(batch: &RecordBatch) -> Option<bool> {
    let records = batch.decode(&DecompressLimits::default()).ok()?;
    let record = records.iter().next()?.ok()?;
    match ControlRecord::parse(record.key).ok()?.control_type {
        ControlRecordType::Commit => Some(true),
        ControlRecordType::Abort => Some(false),
        _ => None,
    }
}

fn refuse(response: &Response) -> Response {
    match response {
        Response::Join(_) => Response::Join(Err(GroupError::NotCoordinator)),
        Response::Sync(_) => Response::Sync(Err(GroupError::NotCoordinator)),
    }
}

fn send(outgoing: Outgoing) {
    for (caller, response) in outgoing {
        // A caller whose connection is gone is not told.
        let _ = caller.send(response);
    }
}
