//! One bound for the memory of all that clients make a broker remember: groups, positions, transactions, producers,
//! states of share groups, settings, access rules, sessions.
//!
//! Every holder has a [`Charge`] on the common [`StateBudget`], which says how much it holds, and gives it back when it is
//! dropped. Who is about to take on more of what a client has chosen asks [`Charge::fits`] first, and refuses what does
//! not. An eighth of the budget is out of its reach: it is kept for what those need who are there already, such as the
//! partitions of a transaction or what a leader assigns ([`Charge::fits_standing`]). What the broker itself works out, such
//! as the assignment of a consumer group, is never refused: a group that stands goes on, whatever others do.
//!
//! What a holder holds is estimated from its contents, and rather too high than too low; `core/tests/state_weight.rs`
//! compares the estimates with an allocator that counts. Asking and taking are two steps: requests at the same time may
//! exceed the limit by what each of them brings, which is bounded elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The memory that the state of clients may take, shared by all that hold some.
#[derive(Debug)]
pub struct StateBudget {
    limit: AtomicUsize,
    used: AtomicUsize,
}

impl StateBudget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: AtomicUsize::new(limit), used: AtomicUsize::new(0) })
    }

    /// A budget that nothing exceeds.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// Changes the limit. What is held beyond it stays.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes there may be.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Bytes that are held.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How far newcomers may fill it.
    fn limit_of_newcomers(&self) -> usize {
        self.limit() - self.limit() / 8
    }

    fn fits_below(&self, more: usize, limit: usize) -> bool {
        more == 0 || self.used().checked_add(more).is_some_and(|used| used <= limit)
    }
}

/// What one holder has of a budget.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<StateBudget>,
    bytes: usize,
}

impl Charge {
    /// A holder of nothing.
    pub fn new(budget: Arc<StateBudget>) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a newcomer, or what somebody tells anew, may take so many bytes more. Nothing more always fits.
    pub fn fits(&self, more: usize) -> bool {
        self.budget.fits_below(more, self.budget.limit_of_newcomers())
    }

    /// Whether somebody who is there may take so many bytes more for going on.
    pub fn fits_standing(&self, more: usize) -> bool {
        self.budget.fits_below(more, self.budget.limit())
    }

    /// Bytes that are left for newcomers.
    pub fn room(&self) -> usize {
        self.budget.limit_of_newcomers().saturating_sub(self.budget.used())
    }

    /// It holds so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        if bytes > self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// A part of what it holds has grown or shrunk.
    pub fn change(&mut self, before: usize, after: usize) {
        self.set(self.bytes.saturating_add(after).saturating_sub(before));
    }
}

impl Default for Charge {
    /// A holder whom nobody bounds.
    fn default() -> Self {
        Self::new(StateBudget::unlimited())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// What an allocation takes beyond its bytes: the allocator's own, and what it rounds up to.
const ALLOCATION: usize = 32;
/// Entries of a node of a `BTreeMap`, and how many it has at least beside the root.
const NODE_ENTRIES: usize = 11;
const NODE_ENTRIES_MIN: usize = 5;

/// Bytes of a text or a list of bytes on the heap.
pub const fn heap_bytes(length: usize) -> usize {
    length + ALLOCATION
}

/// Bytes of the first node of an ordered map or set, which is there with its first entry.
pub const fn node_bytes<K, V>() -> usize {
    NODE_ENTRIES * (size_of::<K>() + size_of::<V>()) + ALLOCATION
}

/// Bytes of an entry of an ordered map or set in nodes that are as empty as they may be, without what it points to.
pub const fn entry_bytes<K, V>() -> usize {
    let node = node_bytes::<K, V>();
    // Inner nodes are a fifth of the leaves at most, and have their children beside their entries.
    let inner = (node + (NODE_ENTRIES + 1) * size_of::<usize>()) / NODE_ENTRIES_MIN;
    (node + inner) / NODE_ENTRIES_MIN
}

/// Bytes of an ordered map or set with its first node, without what its entries point to.
pub const fn map_bytes<K, V>(entries: usize) -> usize {
    if entries == 0 { 0 } else { node_bytes::<K, V>() + entries * entry_bytes::<K, V>() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back() {
        let budget = StateBudget::new(112);
        let mut one = Charge::new(Arc::clone(&budget));
        let mut other = Charge::new(Arc::clone(&budget));
        one.set(60);
        other.change(0, 30);
        assert_eq!((budget.used(), one.room(), one.fits(8), one.fits(9)), (90, 8, true, false));
        assert_eq!(
            (one.fits_standing(22), one.fits_standing(23)),
            (true, false),
            "an eighth is for those who are there"
        );
        other.change(20, 5);
        assert_eq!((budget.used(), other.bytes()), (75, 15));
        drop(one);
        assert_eq!(budget.used(), 15);
        budget.set_limit(10);
        assert!(other.fits(0) && !other.fits(1), "what is there stays, nothing comes");
        assert!(other.fits_standing(0) && !other.fits_standing(1));
    }

    #[test]
    fn a_sum_beyond_all_numbers_does_not_fit() {
        let budget = StateBudget::unlimited();
        let mut charge = Charge::new(Arc::clone(&budget));
        charge.set(1);
        assert!(!charge.fits(usize::MAX) && !charge.fits_standing(usize::MAX));
    }
}
