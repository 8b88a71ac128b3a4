//! Records grouped by key and time window.

use std::{
    hash::Hash,
    sync::{Arc, Mutex},
};

use super::{KGroupedStream, KStream, KTable};
use crate::{
    engine::{Aggregator, Count, Emit, Fold, LateOutput, Outlet, Reduce, WindowAggregate},
    error::TopologyError,
    serde::{BoxSerde, I64, Serde},
    store::WindowStore,
    topology::{Role, StoreSpec},
    window::{Late, TimeWindows, Windowed},
};

/// When a windowed aggregation emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmitStrategy(Emit);

impl EmitStrategy {
    /// On every update: the aggregate so far. The default.
    pub fn on_window_update() -> Self {
        Self(Emit::OnUpdate)
    }

    /// Once per key and window, when stream time reaches the window's end plus grace (KIP-825). Stream time moves by
    /// records only, so the last windows of an input that falls silent stay open.
    pub fn on_window_close() -> Self {
        Self(Emit::OnClose)
    }
}

/// A stream grouped by key and window. Aggregates live in a window store that keeps them for the windows' size plus
/// grace; its changelog is `<app>-<store>-changelog`.
pub struct TimeWindowedStream<K, V> {
    grouped: KGroupedStream<K, V>,
    windows: TimeWindows,
    emit: EmitStrategy,
    late: Option<Outlet<K, Late<V>>>,
}

impl<K, V> std::fmt::Debug for TimeWindowedStream<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimeWindowedStream").field("windows", &self.windows).finish_non_exhaustive()
    }
}

impl<K: Send + 'static, V: Send + 'static> TimeWindowedStream<K, V> {
    pub(super) fn new(grouped: KGroupedStream<K, V>, windows: TimeWindows) -> Self {
        Self { grouped, windows, emit: EmitStrategy::on_window_update(), late: None }
    }

    /// Chooses when results leave.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # use std::time::Duration;
    /// # let b = StreamsBuilder::new("app");
    /// # let size = Duration::from_millis(10);
    /// b.stream("in", (Utf8, I64)).group_by_key("by-key", (Utf8, I64))
    ///     .windowed_by(TimeWindows::tumbling(size))
    ///     .emit(EmitStrategy::on_window_close())
    ///     .count("per-window")
    ///     .to_stream().to("out", (Utf8.windowed(size), I64.nullable()));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for ts in [0, 9, 10] { t.input("in", (Utf8, I64)).at(ts).send("k".into(), 1).unwrap(); }
    /// # assert_eq!(t.output("out", (Utf8.windowed(size), I64)).drain().unwrap()[0].value, 2);
    /// ```
    pub fn emit(mut self, strategy: EmitStrategy) -> Self {
        self.emit = strategy;
        self
    }

    /// Splits off the records that come after their window has closed. They are counted as `late-record` either way;
    /// a record late for several windows appears once.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # use std::time::Duration;
    /// # let b = StreamsBuilder::new("app");
    /// # let size = Duration::from_millis(10);
    /// let (windowed, late) = b.stream("in", (Utf8, I64)).group_by_key("by-key", (Utf8, I64))
    ///     .windowed_by(TimeWindows::tumbling(size))
    ///     .with_late();
    /// late.map_values(|_, late: Late<i64>| late.value).to("late", (Utf8, I64));
    /// windowed.count("per-window").to_stream().to("out", (Utf8.windowed(size), I64.nullable()));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for ts in [0, 10, 9] { t.input("in", (Utf8, I64)).at(ts).send("k".into(), ts).unwrap(); }
    /// # assert_eq!(t.output("late", (Utf8, I64)).drain().unwrap()[0].value, 9);
    /// ```
    pub fn with_late(mut self) -> (Self, KStream<K, Late<V>>) {
        let scope = self.grouped.scope.clone();
        let node = {
            let mut graph = scope.graph();
            let name = graph.generate_name("KSTREAM-LATE");
            graph.add_node(name, Role::Processor { stores: Vec::new() }, &[])
        };
        let outlet = Outlet::new(node);
        self.late = Some(outlet.clone());
        (self, KStream::new(scope, outlet, false))
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Send + 'static> TimeWindowedStream<K, V> {
    /// Counts records per key and window.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # use std::time::Duration;
    /// # let b = StreamsBuilder::new("app");
    /// let per_second = TimeWindows::tumbling(Duration::from_secs(1));
    /// b.stream("in", (Utf8, I64)).group_by_key("by-key", (Utf8, I64)).windowed_by(per_second)
    ///     .count("per-second")
    ///     .to_stream().for_each(|key, n| println!("{} at {}: {n:?}", key.key, key.window.start));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn count(self, store: &str) -> KTable<Windowed<K>, i64> {
        self.aggregate_by("KSTREAM-AGGREGATE", store, BoxSerde::new(I64), Count)
    }

    /// Combines the values of a key and window, two at a time.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # use std::time::Duration;
    /// # let b = StreamsBuilder::new("app");
    /// # let per_second = TimeWindows::tumbling(Duration::from_secs(1));
    /// b.stream("in", (Utf8, I64)).group_by_key("by-key", (Utf8, I64)).windowed_by(per_second)
    ///     .reduce("sum", |sum, n| sum + n)
    ///     .to_stream().for_each(|key, sum| println!("{}: {sum:?}", key.key));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn reduce<F>(self, store: &str, reduce: F) -> KTable<Windowed<K>, V>
    where
        V: Clone,
        F: FnMut(&V, &V) -> V + Clone + Send + 'static,
    {
        let serde = self.grouped.value_serde.clone();
        self.aggregate_by("KSTREAM-REDUCE", store, serde, Reduce(reduce))
    }

    /// Folds the values of a key and window into a state of any type, kept with `serde`.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # use std::time::Duration;
    /// # let b = StreamsBuilder::new("app");
    /// # let per_second = TimeWindows::tumbling(Duration::from_secs(1));
    /// b.stream("in", (Utf8, I64)).group_by_key("by-key", (Utf8, I64)).windowed_by(per_second)
    ///     .aggregate("all", Json, Vec::new, |_, n, all: &mut Vec<i64>| all.push(*n))
    ///     .to_stream().for_each(|key, all| println!("{}: {all:?}", key.key));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn aggregate<A, S, I, F>(self, store: &str, serde: S, init: I, add: F) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
        S: Serde<A>,
        I: FnMut() -> A + Clone + Send + 'static,
        F: FnMut(&K, &V, &mut A) + Clone + Send + 'static,
    {
        self.aggregate_by("KSTREAM-AGGREGATE", store, BoxSerde::new(serde), Fold { init, add })
    }

    fn aggregate_by<A, G>(self, prefix: &str, store: &str, serde: BoxSerde<A>, aggregator: G) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
        G: Aggregator<K, V, A> + Clone + 'static,
    {
        let Self { grouped, windows, emit, late } = self;
        let scope = grouped.scope.clone();
        let store: Arc<str> = store.into();
        let name = scope.graph().generate_name(prefix);
        let parent = grouped.outlet();
        let node = {
            let mut graph = scope.graph();
            let node = graph.add_node(name, Role::Processor { stores: vec![store.clone()] }, &[parent.node()]);
            if let Some(late) = &late {
                graph.connect(node, late.node());
            }
            if !windows.is_valid() {
                graph.error(TopologyError::InvalidWindows { store: store.to_string() });
            }
            let retention_ms = Some(windows.retention_ms());
            graph.add_store(StoreSpec { name: store.clone(), node, retention_ms });
            node
        };
        let outlet = Outlet::new(node);
        let below = outlet.clone();
        let key_serde = grouped.key_serde;
        parent.attach(move |into| {
            let shared = WindowStore::new(store.clone(), key_serde.clone(), serde.clone(), windows.retention_ms());
            let shared = Arc::new(Mutex::new(shared));
            into.register(shared.clone());
            Box::new(WindowAggregate {
                aggregator: aggregator.clone(),
                windows,
                emit: emit.0,
                key_serde: key_serde.clone(),
                store: shared,
                stream_time: into.metadata(format!("{store}-stream-time")),
                emitted_until: into.metadata(store.to_string()),
                out: Vec::new(),
                next: below.instantiate(into),
                late: late.as_ref().map(|late| LateOutput { out: Vec::new(), next: late.instantiate(into) }),
                by_record: late.is_some() && into.reconverges(node),
            })
        });
        KTable::new(scope, outlet)
    }
}
