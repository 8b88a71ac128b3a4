//! The in-memory window store behind windowed aggregations: one pane per window start.
//!
//! Panes are dropped whole once they are older than the retention (size plus grace) behind the newest window start
//! put (Kafka's `InMemoryWindowStore`); the changelog topic forgets them by its own retention, so nothing is written
//! for that. Changelog keys end in a window start (i64) and a sequence number (i32, 0 here), both big-endian.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    ChangelogRecord, EncodedEntry, StateStore,
    key_value::{Slot, decode, encode_key, encode_value},
};
use crate::{
    error::{Part, StoreError},
    serde::BoxSerde,
};

/// Bytes behind the key in a changelog key: start and sequence.
const SUFFIX_LEN: usize = size_of::<i64>() + size_of::<i32>();

type Pane<K, V> = HashMap<K, Slot<V>>;

/// (`K`, window start) to `V`, with the set of entries changed since the last commit.
pub(crate) struct WindowStore<K, V> {
    name: Arc<str>,
    key_serde: BoxSerde<K>,
    value_serde: BoxSerde<V>,
    retention_ms: i64,
    /// Largest window start ever put; panes at or before `newest_start - retention_ms` are gone.
    newest_start: Option<i64>,
    panes: BTreeMap<i64, Pane<K, V>>,
    dirty: Vec<(i64, K)>,
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Send + 'static> WindowStore<K, V> {
    pub(crate) fn new(name: Arc<str>, key_serde: BoxSerde<K>, value_serde: BoxSerde<V>, retention_ms: i64) -> Self {
        let (panes, dirty) = (BTreeMap::new(), Vec::new());
        Self { name, key_serde, value_serde, retention_ms, newest_start: None, panes, dirty }
    }

    /// The entry of `key` in the window starting at `start`, to be changed.
    pub(crate) fn get_mut(&mut self, start: i64, key: &K) -> Option<&mut Slot<V>> {
        let slot = self.panes.get_mut(&start)?.get_mut(key)?;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push((start, key.clone()));
        }
        Some(slot)
    }

    /// Adds an entry where there is none; ignored if the window is older than the retention.
    pub(crate) fn insert(&mut self, start: i64, key: K, value: V, timestamp: i64) {
        if !self.advance(start) {
            return;
        }
        self.dirty.push((start, key.clone()));
        let before = self.panes.entry(start).or_default().insert(key, Slot::changed(value, timestamp));
        debug_assert!(before.is_none(), "insert is for windows without an entry of the key");
    }

    /// Absorbs a window start and drops what it makes too old; false if it is too old itself.
    fn advance(&mut self, start: i64) -> bool {
        let newest = self.newest_start.map_or(start, |newest| newest.max(start));
        let expired = newest.saturating_sub(self.retention_ms);
        if self.newest_start != Some(newest) {
            self.newest_start = Some(newest);
            while let Some(pane) = self.panes.first_entry()
                && *pane.key() <= expired
            {
                pane.remove();
            }
        }
        start > expired
    }

    /// Calls `each` for every entry of the windows starting in `starts`: windows in time order, within a window keys
    /// in the order of their encoded bytes.
    pub(crate) fn for_each_in(
        &self,
        starts: std::ops::RangeInclusive<i64>,
        mut each: impl FnMut(i64, &K, &Slot<V>),
    ) -> Result<(), StoreError> {
        if starts.is_empty() {
            return Ok(());
        }
        let mut buffer = BytesMut::new();
        for (start, pane) in self.panes.range(starts) {
            let mut entries = Vec::with_capacity(pane.len());
            for (key, slot) in pane {
                entries.push((encode_key(&self.name, &self.key_serde, key, &mut buffer)?, key, slot));
            }
            entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (_, key, slot) in entries {
                each(*start, key, slot);
            }
        }
        Ok(())
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Send + 'static> StateStore for WindowStore<K, V> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn drain_dirty(&mut self, buffer: &mut BytesMut, sink: &mut dyn FnMut(ChangelogRecord)) -> Result<(), StoreError> {
        for (start, key) in self.dirty.drain(..) {
            // An entry that expired since it changed has nothing left to write.
            let Some(slot) = self.panes.get_mut(&start).and_then(|pane| pane.get_mut(&key)) else { continue };
            slot.dirty = false;
            let inner = encode_key(&self.name, &self.key_serde, &key, buffer)?;
            buffer.reserve(inner.len() + SUFFIX_LEN);
            buffer.put_slice(&inner);
            buffer.put_i64(start);
            buffer.put_i32(0);
            let key = buffer.split().freeze();
            let value = encode_value(&self.name, &self.value_serde, &slot.value, buffer)?;
            sink(ChangelogRecord { key, value, timestamp: slot.timestamp });
        }
        Ok(())
    }

    fn restore(&mut self, key: Option<&Bytes>, value: Option<&Bytes>, timestamp: i64) -> Result<(), StoreError> {
        let key = key.ok_or_else(|| StoreError::MissingKey { store: self.name.clone() })?;
        let short = || StoreError::ShortWindowKey { store: self.name.clone(), length: key.len() };
        let (_, suffix) = key.split_last_chunk::<SUFFIX_LEN>().ok_or_else(short)?;
        let (start, _sequence) = suffix.split_first_chunk().ok_or_else(short)?;
        let start = i64::from_be_bytes(*start);
        let key = decode(&self.name, &self.key_serde, &key.slice(..key.len() - SUFFIX_LEN), Part::Key)?;
        match value {
            Some(value) => {
                let value = decode(&self.name, &self.value_serde, value, Part::Value)?;
                if self.advance(start) {
                    self.panes.entry(start).or_default().insert(key, Slot::restored(value, timestamp));
                }
            }
            None => {
                if let Some(pane) = self.panes.get_mut(&start) {
                    pane.remove(&key);
                }
            }
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<EncodedEntry>, StoreError> {
        let mut buffer = BytesMut::new();
        let mut all = Vec::new();
        for (start, pane) in &self.panes {
            let first = all.len();
            for (key, slot) in pane {
                let inner = encode_key(&self.name, &self.key_serde, key, &mut buffer)?;
                buffer.put_slice(&inner);
                buffer.put_i64(*start);
                let key = buffer.split().freeze();
                if let Some(value) = encode_value(&self.name, &self.value_serde, &slot.value, &mut buffer)? {
                    all.push((key, value, slot.timestamp));
                }
            }
            all[first..].sort();
        }
        Ok(all)
    }
}
