//! Who has one of the few slots for sessions.
//!
//! A new session gets a free slot; else that of the session unused for longest, if that is long enough; else that of the
//! smallest one which has had its time, if the new one is larger: what a session saves grows with its partitions.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::budget::{Charge, StateBudget};

/// Bytes of a partition in a session: the session's entry, how it is found, what the client was told, its topic's name, and
/// the broker's watch on it.
const PARTITION_WEIGHT: usize = 1_024;

/// Sessions by id, at most as many as there are slots. `S` is the shell's handle of a session.
#[derive(Debug)]
pub struct SessionCache<S> {
    slot_count: usize,
    /// How long a session is safe from others.
    eviction_ms: i64,
    sessions: HashMap<i32, Slot<S>>,
    by_last_use: BTreeSet<(i64, i32)>,
    /// Those that were not evictable by size when last looked at are found by their age.
    by_size: BTreeSet<(usize, i32)>,
    /// The partitions of all of them, and what they weigh.
    partitions: usize,
    charge: Charge,
}

#[derive(Debug)]
struct Slot<S> {
    session: S,
    size: usize,
    created_ms: i64,
    last_used_ms: i64,
}

impl<S> SessionCache<S> {
    /// A cache of `slot_count` slots (`max.incremental.fetch.session.cache.slots`) that leaves a session alone for
    /// `eviction_ms` (`min.incremental.fetch.session.eviction.ms`).
    pub fn new(slot_count: usize, eviction_ms: i64) -> Self {
        let (sessions, by_last_use, by_size) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { slot_count, eviction_ms, sessions, by_last_use, by_size, partitions: 0, charge: Charge::default() }
    }

    /// The cache, still empty, with its part in a common budget.
    #[must_use]
    pub fn within(mut self, budget: Arc<StateBudget>) -> Self {
        self.charge = Charge::new(budget);
        self
    }

    /// Whether a session may have so many partitions more.
    pub fn fits(&self, more: usize) -> bool {
        self.charge.fits(more.saturating_mul(PARTITION_WEIGHT))
    }

    fn change_size(&mut self, before: usize, after: usize) {
        self.partitions = self.partitions + after - before;
        self.charge.set(self.partitions * PARTITION_WEIGHT);
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The session with that id.
    pub fn get(&self, id: i32) -> Option<&S> {
        self.sessions.get(&id).map(|slot| &slot.session)
    }

    /// Whether an id can be given out.
    pub fn is_free(&self, id: i32) -> bool {
        id > 0 && !self.sessions.contains_key(&id)
    }

    /// Takes a session of `size` partitions in under an id that is free. `Ok` has the session that made room, if one did;
    /// `Err` gives the new one back: there is no slot, or no memory for it.
    ///
    /// # Errors
    /// The session itself.
    pub fn insert(&mut self, id: i32, session: S, size: usize, now_ms: i64) -> Result<Option<S>, S> {
        if !self.is_free(id) || !self.fits(size) {
            return Err(session);
        }
        let mut evicted = None;
        if self.sessions.len() >= self.slot_count {
            let Some(victim) = self.victim(size, now_ms) else { return Err(session) };
            evicted = self.remove(victim);
        }
        self.sessions.insert(id, Slot { session, size, created_ms: now_ms, last_used_ms: now_ms });
        self.by_last_use.insert((now_ms, id));
        self.by_size.insert((size, id));
        self.change_size(0, size);
        Ok(evicted)
    }

    fn victim(&self, size: usize, now_ms: i64) -> Option<i32> {
        let &(last_used_ms, oldest) = self.by_last_use.first()?;
        if now_ms.saturating_sub(last_used_ms) > self.eviction_ms {
            return Some(oldest);
        }
        let had_its_time = |id: &i32| {
            self.sessions.get(id).is_some_and(|slot| now_ms.saturating_sub(slot.created_ms) > self.eviction_ms)
        };
        // Ids are positive, so none of the same size is among them.
        let smaller = self.by_size.range(..(size, 0));
        smaller.map(|(_, id)| *id).find(had_its_time)
    }

    /// Takes note that a session is used, and how many partitions it has now.
    pub fn touch(&mut self, id: i32, size: usize, now_ms: i64) {
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        if slot.last_used_ms != now_ms {
            self.by_last_use.remove(&(slot.last_used_ms, id));
            self.by_last_use.insert((now_ms, id));
            slot.last_used_ms = now_ms;
        }
        if slot.size != size {
            self.by_size.remove(&(slot.size, id));
            self.by_size.insert((size, id));
            let before = std::mem::replace(&mut slot.size, size);
            self.change_size(before, size);
        }
    }

    /// Takes a session out.
    pub fn remove(&mut self, id: i32) -> Option<S> {
        let slot = self.sessions.remove(&id)?;
        self.by_last_use.remove(&(slot.last_used_ms, id));
        self.by_size.remove(&(slot.size, id));
        self.change_size(slot.size, 0);
        Some(slot.session)
    }
}
