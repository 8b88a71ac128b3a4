//! Records grouped by key: what aggregations start from.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use super::{KStream, KTable, OnError, Scope, TimeWindowedStream, builder::add_source};
use crate::{
    engine::{Aggregate, Aggregator, Count, Fold, Outlet, Reduce, SourceSettings},
    serde::{BoxSerde, I64, Serde},
    store::KeyValueStore,
    topology::{Role, StoreSpec, TopicName},
    window::TimeWindows,
};

type Repartition<K, V> = Box<dyn FnOnce(&Scope) -> Outlet<K, V> + Send>;

/// Where grouped records come from.
enum Origin<K, V> {
    /// The stream itself: its key is the one it was partitioned by.
    Ready(Outlet<K, V>),
    /// A repartition topic that the first aggregation makes, as in Kafka.
    Pending(Repartition<K, V>),
    /// Only seen if making the repartition topic panicked.
    Taken,
}

/// A stream grouped by key. Aggregations name their store; it is backed by the topic `<app>-<store>-changelog`.
pub struct KGroupedStream<K, V> {
    pub(super) scope: Scope,
    origin: Arc<Mutex<Origin<K, V>>>,
    pub(super) key_serde: BoxSerde<K>,
    pub(super) value_serde: BoxSerde<V>,
}

impl<K, V> std::fmt::Debug for KGroupedStream<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KGroupedStream").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl<K, V> Clone for KGroupedStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// A second aggregation of the same groups; they share the repartition topic, if there is one.
    fn clone(&self) -> Self {
        let outlet = self.outlet();
        outlet.allow_fan_out();
        Self {
            scope: self.scope.clone(),
            origin: Arc::new(Mutex::new(Origin::Ready(outlet))),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
        }
    }
}

impl<K: Send + 'static, V: Send + 'static> KGroupedStream<K, V> {
    pub(super) fn direct<KS: Serde<K>, VS: Serde<V>>(scope: Scope, outlet: Outlet<K, V>, serdes: (KS, VS)) -> Self {
        Self::new(scope, Origin::Ready(outlet), serdes)
    }

    pub(super) fn repartitioned<KS: Serde<K>, VS: Serde<V>>(
        scope: Scope,
        name: &str,
        serdes: (KS, VS),
        stream: KStream<K, V>,
    ) -> Self {
        let name = format!("{name}-repartition");
        let through = serdes.clone();
        let pending = move |scope: &Scope| repartition(scope, &name, through, &stream);
        Self::new(scope, Origin::Pending(Box::new(pending)), serdes)
    }

    fn new<KS: Serde<K>, VS: Serde<V>>(scope: Scope, origin: Origin<K, V>, serdes: (KS, VS)) -> Self {
        let (key_serde, value_serde) = (BoxSerde::new(serdes.0), BoxSerde::new(serdes.1));
        Self { scope, origin: Arc::new(Mutex::new(origin)), key_serde, value_serde }
    }

    /// The grouped records, after repartitioning if need be.
    pub(super) fn outlet(&self) -> Outlet<K, V> {
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let outlet = match std::mem::replace(&mut *origin, Origin::Taken) {
            Origin::Ready(outlet) => outlet,
            Origin::Pending(make) => make(&self.scope),
            Origin::Taken => unreachable!("put back below"),
        };
        *origin = Origin::Ready(outlet.clone());
        outlet
    }

    /// Groups within time windows as well.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # use std::time::Duration;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("clicks", (Utf8, Utf8))
    ///     .group_by_key("by-user", (Utf8, Utf8))
    ///     .windowed_by(TimeWindows::tumbling(Duration::from_secs(60)).grace(Duration::from_secs(5)))
    ///     .count("clicks-per-minute")
    ///     .to_stream().to("out", (Utf8.windowed(Duration::from_secs(60)), I64.nullable()));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn windowed_by(self, windows: TimeWindows) -> TimeWindowedStream<K, V> {
        TimeWindowedStream::new(self, windows)
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Send + 'static> KGroupedStream<K, V> {
    /// Counts records per key.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let grouped = b.stream("visits", (Utf8, Utf8)).group_by_key("by-user", (Utf8, Utf8));
    /// grouped.count("visits").to_stream().to("out", (Utf8, I64.nullable()));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for _ in 0..2 { t.input("visits", (Utf8, Utf8)).at(0).send("ann".into(), "/".into()).unwrap(); }
    /// # assert_eq!(t.store("visits", (Utf8, I64)).get(&"ann".into()).unwrap(), Some(2));
    /// ```
    pub fn count(self, store: &str) -> KTable<K, i64> {
        self.aggregate_by("KSTREAM-AGGREGATE", store, BoxSerde::new(I64), Count)
    }

    /// Combines the values of a key, two at a time: the combination so far and the next value.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let grouped = b.stream("bids", (Utf8, I64)).group_by_key("by-item", (Utf8, I64));
    /// grouped.reduce("highest", |so_far, bid| *so_far.max(bid)).to_stream().to("out", (Utf8, I64.nullable()));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for n in [3, 5, 4] { t.input("bids", (Utf8, I64)).at(0).send("x".into(), n).unwrap(); }
    /// # assert_eq!(t.store("highest", (Utf8, I64)).get(&"x".into()).unwrap(), Some(5));
    /// ```
    pub fn reduce<F>(self, store: &str, reduce: F) -> KTable<K, V>
    where
        V: Clone,
        F: FnMut(&V, &V) -> V + Clone + Send + 'static,
    {
        let serde = self.value_serde.clone();
        self.aggregate_by("KSTREAM-REDUCE", store, serde, Reduce(reduce))
    }

    /// Folds the values of a key into a state of any type, kept with `serde`.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let grouped = b.stream("samples", (Utf8, F64)).group_by_key("by-metric", (Utf8, F64));
    /// grouped
    ///     .aggregate("mean", Json, || (0, 0.0), |_, sample, (n, sum)| { *n += 1; *sum += sample })
    ///     .map_values(|_, (n, sum): (i32, f64)| sum / f64::from(n))
    ///     .to_stream().to("means", (Utf8, F64.nullable()));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for x in [1.0, 2.0] { t.input("samples", (Utf8, F64)).at(0).send("load".into(), x).unwrap(); }
    /// # assert_eq!(t.output("means", (Utf8, F64)).drain().unwrap()[1].value, 1.5);
    /// ```
    pub fn aggregate<A, S, I, F>(self, store: &str, serde: S, init: I, add: F) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
        S: Serde<A>,
        I: FnMut() -> A + Clone + Send + 'static,
        F: FnMut(&K, &V, &mut A) + Clone + Send + 'static,
    {
        self.aggregate_by("KSTREAM-AGGREGATE", store, BoxSerde::new(serde), Fold { init, add })
    }

    fn aggregate_by<A, G>(self, prefix: &str, store: &str, serde: BoxSerde<A>, aggregator: G) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
        G: Aggregator<K, V, A> + Clone + 'static,
    {
        let store: Arc<str> = store.into();
        // Kafka numbers the aggregation before the repartition topic it needs.
        let name = self.scope.graph().generate_name(prefix);
        let parent = self.outlet();
        let node = {
            let mut graph = self.scope.graph();
            let node = graph.add_node(name, Role::Processor { stores: vec![store.clone()] }, &[parent.node()]);
            graph.add_store(StoreSpec { name: store.clone(), node, retention_ms: None });
            node
        };
        let outlet = Outlet::new(node);
        let below = outlet.clone();
        let Self { key_serde, value_serde, scope, .. } = self;
        parent.attach(move |into| {
            let shared = KeyValueStore::new(store.clone(), key_serde.clone(), serde.clone());
            let shared = Arc::new(Mutex::new(shared));
            into.register(shared.clone());
            Box::new(Aggregate {
                aggregator: aggregator.clone(),
                key_serde: key_serde.clone(),
                value_serde: value_serde.clone(),
                store: shared,
                out: Vec::new(),
                next: below.instantiate(into),
            })
        });
        KTable::new(scope, outlet)
    }
}

/// Sends `stream` through a topic of the application's own and reads it back.
fn repartition<K, V, KS, VS>(scope: &Scope, name: &str, serdes: (KS, VS), stream: &KStream<K, V>) -> Outlet<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    KS: Serde<K>,
    VS: Serde<V>,
{
    {
        // Kafka burns three numbers here although the nodes are named after the topic.
        let mut graph = scope.graph();
        for _ in 0..3 {
            graph.generate_name("");
        }
    }
    let topic = TopicName::Repartition(name.into());
    let filter = scope.graph().add_node(
        format!("{name}-filter").into(),
        Role::Processor { stores: Vec::new() },
        &[stream.outlet().node()],
    );
    let filtered = Outlet::new(filter);
    let below = filtered.clone();
    stream.outlet().attach(move |into| below.instantiate(into));
    let filtered = KStream::new(scope.clone(), filtered, true);
    filtered.sink(format!("{name}-sink").into(), topic.clone(), serdes.clone(), true);
    let settings = Arc::new(Mutex::new(SourceSettings { extractor: None, on_error: OnError::Fail }));
    add_source(scope, format!("{name}-source").into(), vec![topic], serdes, settings)
}
