//! State stores: typed and hot in memory, with a changelog topic as their durable form.
//!
//! An operator works on the typed store itself, under one lock per batch; nothing is encoded per access. What changed
//! since the last commit is remembered and encoded once, at the commit, into changelog records: the last value per
//! key. The task sees its stores through [`StateStore`] only, in bytes.
//!
//! Changelog formats are those of Kafka Streams: the bare value, with the entry's timestamp as the record's
//! timestamp; a window store's key is `key ‖ start i64 ‖ sequence i32`.

mod key_value;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::error::StoreError;
pub(crate) use key_value::KeyValueStore;
pub(crate) use window::WindowStore;

/// A record of a changelog topic; a `None` value deletes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangelogRecord {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
    pub(crate) timestamp: i64,
}

/// An entry of a store in encoded form: key, value, timestamp. A window store's key is `key ‖ start i64`.
pub(crate) type EncodedEntry = (Bytes, Bytes, i64);

/// A store as its task sees it.
pub(crate) trait StateStore: Send {
    fn name(&self) -> &Arc<str>;

    /// Hands over what changed since the last call, in the order of the first change, and forgets it.
    fn drain_dirty(&mut self, buffer: &mut BytesMut, sink: &mut dyn FnMut(ChangelogRecord)) -> Result<(), StoreError>;

    /// Applies one record of the changelog.
    fn restore(&mut self, key: Option<&Bytes>, value: Option<&Bytes>, timestamp: i64) -> Result<(), StoreError>;

    /// All live entries, ordered by encoded key within a window, windows by start.
    fn entries(&self) -> Result<Vec<EncodedEntry>, StoreError>;
}

/// A store shared by the operator that works on it and the task that flushes and restores it. Both run on the same
/// thread at any time, so the lock is never contended; it is taken once per batch or commit.
pub(crate) type Shared<S> = Arc<Mutex<S>>;

/// Locks a store. A panic of an operator ends its task, so a poisoned lock is only seen by readers after the fact.
pub(crate) fn lock<S: ?Sized>(store: &Mutex<S>) -> MutexGuard<'_, S> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
