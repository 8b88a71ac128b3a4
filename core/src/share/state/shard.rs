//! The states of one partition of `__share_group_state` and the five commands on them.

use std::{collections::BTreeMap, sync::Arc};

use super::{SharePartitionKey, ShareStateRecord, StateBatch, StateError, batches::overlay, codec::Update};
use crate::budget::{Charge, StateBudget, entry_bytes, heap_bytes};

/// What bounds the states; `share.coordinator.*`.
#[derive(Clone, Copy, Debug)]
pub struct ShareStateConfig {
    /// Updates after a snapshot until the next one is written.
    pub updates_per_snapshot: u32,
    /// Share partitions in one shard.
    pub states_max: usize,
}

impl Default for ShareStateConfig {
    fn default() -> Self {
        Self { updates_per_snapshot: 500, states_max: 100_000 }
    }
}

/// What is known of a share partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareState {
    /// Rises with each snapshot.
    pub snapshot_epoch: i32,
    /// Rises when the state is set anew: the epoch of the group then.
    pub state_epoch: i32,
    /// Of the leader that wrote last.
    pub leader_epoch: i32,
    /// Where delivery begins; `None` until the first member has come to the partition.
    pub start_offset: Option<i64>,
    /// Records past the start that are done.
    pub delivery_complete_count: Option<i32>,
    /// When the state was first stored.
    pub created_ms: i64,
    /// When it was last stored whole.
    pub written_ms: i64,
    /// States of records past the start.
    pub batches: Vec<StateBatch>,
}

/// A state without its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// See [`ShareState::state_epoch`].
    pub state_epoch: i32,
    /// See [`ShareState::leader_epoch`].
    pub leader_epoch: i32,
    /// See [`ShareState::start_offset`].
    pub start_offset: Option<i64>,
    /// See [`ShareState::delivery_complete_count`].
    pub delivery_complete_count: Option<i32>,
}

/// A change to a state.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// The epoch the writer believes in.
    pub state_epoch: i32,
    /// Of the writer; `None` is not compared.
    pub leader_epoch: Option<i32>,
    /// Where delivery begins; `None` does not change it.
    pub start_offset: Option<i64>,
    /// Records past the start that are done.
    pub delivery_complete_count: Option<i32>,
    /// What changed, by rising offset.
    pub batches: Vec<StateBatch>,
}

/// The outcome of a command.
#[derive(Debug)]
#[must_use = "the record must be appended"]
pub struct Decision {
    /// To append before the answer; `None` if nothing changes.
    pub record: Option<ShareStateRecord>,
    /// The answer.
    pub response: Result<(), StateError>,
}

impl Decision {
    fn refuse(error: StateError) -> Self {
        Self { record: None, response: Err(error) }
    }

    fn append(record: ShareStateRecord) -> Self {
        Self { record: Some(record), response: Ok(()) }
    }
}

#[derive(Debug)]
struct Stored {
    state: ShareState,
    /// Where the snapshot is.
    snapshot_at: i64,
    updates: u32,
}

/// The share partitions whose state is in one partition of `__share_group_state`.
#[derive(Debug)]
pub struct ShareStateShard {
    config: ShareStateConfig,
    states: BTreeMap<SharePartitionKey, Stored>,
    charge: Charge,
}

impl ShareStateShard {
    /// A shard that knows nothing. Replay the partition's records.
    pub fn new(config: ShareStateConfig) -> Self {
        Self { config, states: BTreeMap::new(), charge: Charge::default() }
    }

    /// The shard, still empty, with its part in a common budget.
    #[must_use]
    pub fn within(mut self, budget: Arc<StateBudget>) -> Self {
        self.charge = Charge::new(budget);
        self
    }

    /// Sets a state anew: nothing is done, and delivery begins at `start_offset`.
    pub fn initialize(
        &self,
        key: &SharePartitionKey,
        state_epoch: i32,
        start_offset: Option<i64>,
        now_ms: i64,
    ) -> Decision {
        let stored = self.states.get(key);
        if let Some(stored) = stored
            && stored.state.state_epoch > state_epoch
        {
            return Decision::refuse(StateError::FencedStateEpoch { current: stored.state.state_epoch });
        }
        if stored.is_none() && self.states.len() >= self.config.states_max {
            return Decision::refuse(StateError::TooMany { limit: self.config.states_max });
        }
        if stored.is_none() && !self.charge.fits(fixed_weight(key)) {
            return Decision::refuse(StateError::NoRoom);
        }
        let state = ShareState {
            snapshot_epoch: stored.map_or(0, |stored| stored.state.snapshot_epoch.saturating_add(1)),
            state_epoch,
            leader_epoch: 0,
            start_offset,
            delivery_complete_count: start_offset.map(|_| 0),
            created_ms: now_ms,
            written_ms: now_ms,
            batches: Vec::new(),
        };
        Decision::append(ShareStateRecord::Snapshot(key.clone(), Some(state)))
    }

    /// Changes a state.
    pub fn write(&self, key: &SharePartitionKey, request: WriteRequest, now_ms: i64) -> Decision {
        let Some(stored) = self.states.get(key) else { return Decision::refuse(StateError::NotInitialized) };
        let state = &stored.state;
        if request.leader_epoch.is_some_and(|epoch| epoch < state.leader_epoch) {
            return Decision::refuse(StateError::FencedLeaderEpoch { current: state.leader_epoch });
        }
        if request.state_epoch < state.state_epoch {
            return Decision::refuse(StateError::FencedStateEpoch { current: state.state_epoch });
        }
        if !is_sorted(&request.batches) {
            return Decision::refuse(StateError::Malformed);
        }
        let update = Update {
            snapshot_epoch: state.snapshot_epoch,
            leader_epoch: request.leader_epoch.unwrap_or(state.leader_epoch),
            start_offset: request.start_offset,
            delivery_complete_count: request.delivery_complete_count,
            batches: request.batches,
        };
        // A higher state epoch has no room in an update.
        if stored.updates < self.config.updates_per_snapshot && request.state_epoch == state.state_epoch {
            return Decision::append(ShareStateRecord::Update(key.clone(), update));
        }
        let mut state = state.clone();
        apply(&mut state, &update);
        state.snapshot_epoch = state.snapshot_epoch.saturating_add(1);
        state.state_epoch = request.state_epoch;
        state.written_ms = now_ms;
        Decision::append(ShareStateRecord::Snapshot(key.clone(), Some(state)))
    }

    /// Forgets a state; that there is none is no mistake.
    pub fn delete(&self, key: &SharePartitionKey) -> Decision {
        let record = self.states.contains_key(key).then(|| ShareStateRecord::Snapshot(key.clone(), None));
        Decision { record, response: Ok(()) }
    }

    /// A state, for the leader that reads it; `None` if it was never initialized.
    ///
    /// # Errors
    /// If another leader was there after the one that asks.
    pub fn read(&self, key: &SharePartitionKey, leader_epoch: Option<i32>) -> Result<Option<&ShareState>, StateError> {
        let Some(stored) = self.states.get(key) else { return Ok(None) };
        match leader_epoch {
            Some(epoch) if epoch < stored.state.leader_epoch => {
                Err(StateError::FencedLeaderEpoch { current: stored.state.leader_epoch })
            }
            _ => Ok(Some(&stored.state)),
        }
    }

    /// Where a state stands; `None` if it was never initialized.
    pub fn summary(&self, key: &SharePartitionKey) -> Option<Summary> {
        self.states.get(key).map(|Stored { state, .. }| Summary {
            state_epoch: state.state_epoch,
            leader_epoch: state.leader_epoch,
            start_offset: state.start_offset,
            delivery_complete_count: state.delivery_complete_count,
        })
    }

    /// The states for whose topic something holds: those to delete when the topic is gone.
    pub fn keys(&self) -> impl Iterator<Item = &SharePartitionKey> {
        self.states.keys()
    }

    /// Applies the record at an offset: the only way in which anything changes, live and when loading.
    pub fn replay(&mut self, record: ShareStateRecord, offset: i64) {
        match record {
            ShareStateRecord::Snapshot(key, Some(state)) => {
                let (fixed, after) = (fixed_weight(&key), batches_weight(&state));
                let before = self.states.insert(key, Stored { state, snapshot_at: offset, updates: 0 });
                self.charge.change(before.map_or(0, |stored| fixed + batches_weight(&stored.state)), fixed + after);
            }
            ShareStateRecord::Snapshot(key, None) => {
                let removed = self.states.remove(&key);
                self.charge.change(removed.map_or(0, |stored| fixed_weight(&key) + batches_weight(&stored.state)), 0);
            }
            ShareStateRecord::Update(key, update) => {
                // An update of a snapshot that is gone is of no use.
                if let Some(stored) = self.states.get_mut(&key)
                    && stored.state.snapshot_epoch == update.snapshot_epoch
                {
                    let before = batches_weight(&stored.state);
                    apply(&mut stored.state, &update);
                    stored.updates = stored.updates.saturating_add(1);
                    self.charge.change(before, batches_weight(&stored.state));
                }
            }
        }
    }

    /// What all of it weighs, added up: what is charged must be equal.
    #[cfg(test)]
    pub(super) fn assert_charged(&self) {
        let all = self.states.iter().map(|(key, stored)| fixed_weight(key) + batches_weight(&stored.state));
        assert_eq!(self.charge.bytes(), all.sum::<usize>());
    }

    /// Records before this offset say nothing that later ones do not say, in a log that ends at `end`.
    pub fn redundant_before(&self, end: i64) -> i64 {
        self.states.values().map(|stored| stored.snapshot_at).min().unwrap_or(end)
    }
}

/// What a state weighs without its batches.
fn fixed_weight(key: &SharePartitionKey) -> usize {
    entry_bytes::<SharePartitionKey, Stored>() + heap_bytes(key.group_id.len())
}

fn batches_weight(state: &ShareState) -> usize {
    heap_bytes(state.batches.len() * size_of::<StateBatch>())
}

fn apply(state: &mut ShareState, update: &Update) {
    if let Some(start) = update.start_offset {
        state.start_offset = Some(start);
    }
    if update.delivery_complete_count.is_some() {
        state.delivery_complete_count = update.delivery_complete_count;
    }
    state.leader_epoch = update.leader_epoch;
    state.batches = overlay(&state.batches, &update.batches, state.start_offset.unwrap_or(0));
}

/// Whether these are ranges of offsets that rise.
pub(super) fn is_sorted(batches: &[StateBatch]) -> bool {
    let mut next = 0;
    batches.iter().all(|batch| {
        let fits = batch.first_offset >= next
            && batch.last_offset >= batch.first_offset
            && batch.last_offset < i64::MAX
            && batch.delivery_count >= 0;
        next = batch.last_offset.saturating_add(1);
        fits
    })
}
