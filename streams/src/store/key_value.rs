//! The in-memory key-value store behind count, reduce and aggregate.
//!
//! Each entry carries its timestamp (Kafka's timestamped store): an aggregate is as new as its newest input.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{ChangelogRecord, EncodedEntry, StateStore};
use crate::{
    error::{Part, StoreError},
    serde::BoxSerde,
};

/// A value, its timestamp, and whether it changed since the last commit.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) timestamp: i64,
    pub(super) dirty: bool,
}

impl<V> Slot<V> {
    /// A slot that is not in its changelog yet.
    pub(super) fn changed(value: V, timestamp: i64) -> Self {
        Self { value, timestamp, dirty: true }
    }

    /// A slot as its changelog has it.
    pub(super) fn restored(value: V, timestamp: i64) -> Self {
        Self { value, timestamp, dirty: false }
    }
}

/// `K` to `V`, with the set of keys changed since the last commit.
pub(crate) struct KeyValueStore<K, V> {
    name: Arc<str>,
    key_serde: BoxSerde<K>,
    value_serde: BoxSerde<V>,
    slots: HashMap<K, Slot<V>>,
    dirty: Vec<K>,
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Send + 'static> KeyValueStore<K, V> {
    pub(crate) fn new(name: Arc<str>, key_serde: BoxSerde<K>, value_serde: BoxSerde<V>) -> Self {
        Self { name, key_serde, value_serde, slots: HashMap::new(), dirty: Vec::new() }
    }

    /// The entry of `key`, to be changed: it goes to the changelog with the next commit.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut Slot<V>> {
        let slot = self.slots.get_mut(key)?;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key.clone());
        }
        Some(slot)
    }

    /// Adds an entry for a key that has none.
    pub(crate) fn insert(&mut self, key: K, value: V, timestamp: i64) {
        self.dirty.push(key.clone());
        let before = self.slots.insert(key, Slot::changed(value, timestamp));
        debug_assert!(before.is_none(), "insert is for keys without an entry");
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Send + 'static> StateStore for KeyValueStore<K, V> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn drain_dirty(&mut self, buffer: &mut BytesMut, sink: &mut dyn FnMut(ChangelogRecord)) -> Result<(), StoreError> {
        for key in self.dirty.drain(..) {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            slot.dirty = false;
            let key = encode_key(&self.name, &self.key_serde, &key, buffer)?;
            let value = encode_value(&self.name, &self.value_serde, &slot.value, buffer)?;
            sink(ChangelogRecord { key, value, timestamp: slot.timestamp });
        }
        Ok(())
    }

    fn restore(&mut self, key: Option<&Bytes>, value: Option<&Bytes>, timestamp: i64) -> Result<(), StoreError> {
        let key = key.ok_or_else(|| StoreError::MissingKey { store: self.name.clone() })?;
        let key = decode(&self.name, &self.key_serde, key, Part::Key)?;
        match value {
            Some(value) => {
                let value = decode(&self.name, &self.value_serde, value, Part::Value)?;
                self.slots.insert(key, Slot::restored(value, timestamp));
            }
            None => {
                self.slots.remove(&key);
            }
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<EncodedEntry>, StoreError> {
        let mut buffer = BytesMut::new();
        let mut all = Vec::with_capacity(self.slots.len());
        for (key, slot) in &self.slots {
            let key = encode_key(&self.name, &self.key_serde, key, &mut buffer)?;
            if let Some(value) = encode_value(&self.name, &self.value_serde, &slot.value, &mut buffer)? {
                all.push((key, value, slot.timestamp));
            }
        }
        all.sort();
        Ok(all)
    }
}

pub(super) fn encode_key<K: 'static>(
    store: &Arc<str>,
    serde: &BoxSerde<K>,
    key: &K,
    buffer: &mut BytesMut,
) -> Result<Bytes, StoreError> {
    serde
        .to_bytes(key, buffer)
        .map_err(|source| StoreError::Encode { store: store.clone(), part: Part::Key, source })?
        .ok_or_else(|| StoreError::NullKey { store: store.clone() })
}

pub(super) fn encode_value<V: 'static>(
    store: &Arc<str>,
    serde: &BoxSerde<V>,
    value: &V,
    buffer: &mut BytesMut,
) -> Result<Option<Bytes>, StoreError> {
    serde.to_bytes(value, buffer).map_err(|source| StoreError::Encode {
        store: store.clone(),
        part: Part::Value,
        source,
    })
}

pub(super) fn decode<T: 'static>(
    store: &Arc<str>,
    serde: &BoxSerde<T>,
    bytes: &Bytes,
    part: Part,
) -> Result<T, StoreError> {
    serde.decode(bytes).map_err(|source| StoreError::Decode { store: store.clone(), part, source })
}
