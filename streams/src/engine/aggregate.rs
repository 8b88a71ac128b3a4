//! Count, reduce and aggregate by key, without windows.
//!
//! A record with a null key or value is dropped and counted (W3). The result's timestamp is the larger of the
//! record's and the entry's (T7). Source: Kafka's `KStreamAggregate`, `KStreamReduce`.

use super::{Context, Next, Push};
use crate::{
    error::ProcessError,
    metrics::DropReason,
    record::{Batch, Record},
    serde::BoxSerde,
    store::{KeyValueStore, Shared, lock},
};
use std::hash::Hash;

/// How values of one key become one aggregate.
pub(crate) trait Aggregator<K, V, A>: Send {
    /// The aggregate of a first value.
    fn first(&mut self, key: &K, value: &V) -> A;
    /// Adds a further value.
    fn add(&mut self, key: &K, value: &V, aggregate: &mut A);
}

/// Counts.
#[derive(Clone)]
pub(crate) struct Count;

impl<K, V> Aggregator<K, V, i64> for Count {
    fn first(&mut self, _: &K, _: &V) -> i64 {
        1
    }

    fn add(&mut self, _: &K, _: &V, aggregate: &mut i64) {
        *aggregate = aggregate.saturating_add(1);
    }
}

/// Combines two values into one.
#[derive(Clone)]
pub(crate) struct Reduce<F>(pub(crate) F);

impl<K, V: Clone, F: FnMut(&V, &V) -> V + Send> Aggregator<K, V, V> for Reduce<F> {
    fn first(&mut self, _: &K, value: &V) -> V {
        value.clone()
    }

    fn add(&mut self, _: &K, value: &V, aggregate: &mut V) {
        *aggregate = (self.0)(aggregate, value);
    }
}

/// Starts from an initial aggregate and changes it by each value.
#[derive(Clone)]
pub(crate) struct Fold<I, F> {
    pub(crate) init: I,
    pub(crate) add: F,
}

impl<K, V, A, I, F> Aggregator<K, V, A> for Fold<I, F>
where
    I: FnMut() -> A + Send,
    F: FnMut(&K, &V, &mut A) + Send,
{
    fn first(&mut self, key: &K, value: &V) -> A {
        let mut aggregate = (self.init)();
        (self.add)(key, value, &mut aggregate);
        aggregate
    }

    fn add(&mut self, key: &K, value: &V, aggregate: &mut A) {
        (self.add)(key, value, aggregate);
    }
}

/// The running operator; emits the new aggregate for every record.
pub(crate) struct Aggregate<K, V, A, G> {
    pub(crate) aggregator: G,
    pub(crate) key_serde: BoxSerde<K>,
    pub(crate) value_serde: BoxSerde<V>,
    pub(crate) store: Shared<KeyValueStore<K, A>>,
    pub(crate) out: Batch<K, Option<A>>,
    pub(crate) next: Next<K, Option<A>>,
}

impl<K, V, A, G> Push<K, V> for Aggregate<K, V, A, G>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Send + 'static,
    A: Clone + Send + 'static,
    G: Aggregator<K, V, A>,
{
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        self.out.clear();
        let mut store = lock(&self.store);
        for Record { key, value, timestamp, offset, headers } in batch.drain(..) {
            if self.key_serde.is_null(&key) {
                cx.dropped(DropReason::NullKey);
                continue;
            }
            if self.value_serde.is_null(&value) {
                cx.dropped(DropReason::NullValue);
                continue;
            }
            let (aggregate, timestamp) = match store.get_mut(&key) {
                Some(slot) => {
                    self.aggregator.add(&key, &value, &mut slot.value);
                    slot.timestamp = slot.timestamp.max(timestamp);
                    (slot.value.clone(), slot.timestamp)
                }
                None => {
                    let aggregate = self.aggregator.first(&key, &value);
                    store.insert(key.clone(), aggregate.clone(), timestamp);
                    (aggregate, timestamp)
                }
            };
            self.out.push(Record { key, value: Some(aggregate), timestamp, offset, headers });
        }
        drop(store);
        if self.out.is_empty() { Ok(()) } else { self.next.push(&mut self.out, cx) }
    }
}
