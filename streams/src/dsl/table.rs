//! Tables: the latest value per key, as a stream of changes.

use super::{KStream, Scope};
use crate::{
    engine::{InPlace, Next, Outlet, Transform},
    record::Batch,
};

/// A table, as the stream of its changes: a new value, or `None` for a deleted key.
///
/// Every aggregation yields one. Its state is in the aggregation's store; operators on tables keep none of their own.
pub struct KTable<K, V> {
    scope: Scope,
    changes: Outlet<K, Option<V>>,
}

impl<K, V> std::fmt::Debug for KTable<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KTable").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl<K, V> Clone for KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// A second reader of the same changes.
    fn clone(&self) -> Self {
        self.changes.allow_fan_out();
        Self { scope: self.scope.clone(), changes: self.changes.clone() }
    }
}

impl<K: Send + 'static, V: Send + 'static> KTable<K, V> {
    pub(super) fn new(scope: Scope, changes: Outlet<K, Option<V>>) -> Self {
        Self { scope, changes }
    }

    /// The changes as records; a deleted key's value is `None`.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let counts = b.stream("in", (Utf8, Utf8)).group_by_key("by-key", (Utf8, Utf8)).count("counts");
    /// counts.to_stream().to("changes", (Utf8, I64.nullable()));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn to_stream(self) -> KStream<K, Option<V>> {
        let name = self.scope.graph().generate_name("KTABLE-TOSTREAM");
        let make = |next, _: &mut _| -> Next<K, Option<V>> { next };
        let outlet = self.scope.operator(name, &self.changes, make);
        KStream::new(self.scope, outlet, false)
    }

    /// A table with each value changed; what is deleted stays deleted.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let counts = b.stream("in", (Utf8, Utf8)).group_by_key("by-key", (Utf8, Utf8)).count("counts");
    /// counts.map_values(|key, n| format!("{key}={n}")).to_stream().to("out", (Utf8, Utf8.nullable()));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("in", (Utf8, Utf8)).at(0).send("k".into(), "".into()).unwrap();
    /// # assert_eq!(t.output("out", (Utf8, Utf8)).drain().unwrap()[0].value, "k=1");
    /// ```
    pub fn map_values<V2, F>(self, mut f: F) -> KTable<K, V2>
    where
        V2: Send + 'static,
        F: FnMut(&K, V) -> V2 + Clone + Send + 'static,
    {
        let f = move |batch: &mut Batch<K, Option<V>>, out: &mut Batch<K, Option<V2>>| {
            let mut with = |key: K, value: Option<V>| {
                let value = value.map(|value| f(&key, value));
                (key, value)
            };
            out.extend(batch.drain(..).map(|record| record.with(&mut with)));
        };
        let name = self.scope.graph().generate_name("KTABLE-MAPVALUES");
        let make = move |next, _: &mut _| -> Next<K, Option<V>> { Box::new(Transform::new(f.clone(), next)) };
        let changes = self.scope.operator(name, &self.changes, make);
        KTable::new(self.scope, changes)
    }

    /// The part of the table `f` accepts: a change to a value it does not accept deletes the key.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let counts = b.stream("in", (Utf8, Utf8)).group_by_key("by-key", (Utf8, Utf8)).count("counts");
    /// counts.filter(|_, n| *n < 2).to_stream().to("rare", (Utf8, I64.nullable()));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for _ in 0..2 { t.input("in", (Utf8, Utf8)).at(0).send("k".into(), "".into()).unwrap(); }
    /// # let rare = t.output("rare", (Utf8, I64.nullable())).drain().unwrap();
    /// # assert_eq!((rare[0].value, rare[1].value), (Some(1), None));
    /// ```
    pub fn filter<F>(self, mut f: F) -> Self
    where
        F: FnMut(&K, &V) -> bool + Clone + Send + 'static,
    {
        let f = move |batch: &mut Batch<K, Option<V>>, _: &mut _| {
            for record in batch {
                record.value = record.value.take().filter(|value| f(&record.key, value));
            }
        };
        let name = self.scope.graph().generate_name("KTABLE-FILTER");
        let make = move |next, _: &mut _| -> Next<K, Option<V>> { Box::new(InPlace::new(f.clone(), next)) };
        let changes = self.scope.operator(name, &self.changes, make);
        KTable::new(self.scope, changes)
    }
}
