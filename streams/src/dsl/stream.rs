//! Record streams and their stateless operators.

use std::sync::{Arc, Mutex, PoisonError};

use super::{KGroupedStream, OnError, Scope, Split};
use crate::{
    engine::{Context, InPlace, MergePoint, Next, Outlet, Sink, SourceSettings, Transform},
    error::TopologyError,
    record::{Batch, Record},
    serde::Serde,
    topology::{Role, TopicName},
};

/// A stream of records: a cheap handle, typed by key and value.
///
/// Operators consume it; clone it to read it more than once. Closures are `FnMut + Clone`: each task has its own
/// clone, so state captured in one is per task, neither shared nor durable.
#[must_use = "a stream does nothing until something reads it; end it with to() or for_each()"]
pub struct KStream<K, V> {
    scope: Scope,
    outlet: Outlet<K, V>,
    /// Whether an operator before may have changed the key (R1).
    key_changed: bool,
    /// The source's settings, until an operator follows.
    source: Option<Arc<Mutex<SourceSettings<K, V>>>>,
}

impl<K, V> std::fmt::Debug for KStream<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KStream").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl<K, V> Clone for KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// A second reader of the same records.
    fn clone(&self) -> Self {
        self.outlet.allow_fan_out();
        let (scope, outlet) = (self.scope.clone(), self.outlet.clone());
        Self { scope, outlet, key_changed: self.key_changed, source: None }
    }
}

impl<K: Send + 'static, V: Send + 'static> KStream<K, V> {
    pub(super) fn new(scope: Scope, outlet: Outlet<K, V>, key_changed: bool) -> Self {
        Self { scope, outlet, key_changed, source: None }
    }

    pub(super) fn from_source(scope: Scope, outlet: Outlet<K, V>, source: Arc<Mutex<SourceSettings<K, V>>>) -> Self {
        Self { scope, outlet, key_changed: false, source: Some(source) }
    }

    fn transform<K2, V2, F>(self, prefix: &str, key_changed: bool, f: F) -> KStream<K2, V2>
    where
        K2: Send + 'static,
        V2: Send + 'static,
        F: FnMut(&mut Batch<K, V>, &mut Batch<K2, V2>) + Clone + Send + 'static,
    {
        let name = self.scope.graph().generate_name(prefix);
        self.transform_named(name, key_changed, f)
    }

    fn transform_named<K2, V2, F>(self, name: Arc<str>, key_changed: bool, f: F) -> KStream<K2, V2>
    where
        K2: Send + 'static,
        V2: Send + 'static,
        F: FnMut(&mut Batch<K, V>, &mut Batch<K2, V2>) + Clone + Send + 'static,
    {
        let make = move |next, _: &mut _| -> Next<K, V> { Box::new(Transform::new(f.clone(), next)) };
        let outlet = self.scope.operator(name, &self.outlet, make);
        KStream::new(self.scope, outlet, self.key_changed || key_changed)
    }

    fn in_place<F>(self, prefix: &str, f: F) -> Self
    where
        F: FnMut(&mut Batch<K, V>, &mut Context) + Clone + Send + 'static,
    {
        let name = self.scope.graph().generate_name(prefix);
        let make = move |next, _: &mut _| -> Next<K, V> { Box::new(InPlace::new(f.clone(), next)) };
        let outlet = self.scope.operator(name, &self.outlet, make);
        KStream::new(self.scope, outlet, self.key_changed)
    }

    fn set_source(self, setting: &'static str, set: impl FnOnce(&mut SourceSettings<K, V>)) -> Self {
        match &self.source {
            Some(source) => set(&mut source.lock().unwrap_or_else(PoisonError::into_inner)),
            None => self.scope.graph().error(TopologyError::NotASource { setting }),
        }
        self
    }

    /// Takes the records' time from their content; directly behind the source only. A negative time is an error.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("clicks", (Utf8, I64)).timestamp(|_, clicked_at| *clicked_at).to("out", (Utf8, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("clicks", (Utf8, I64)).at(0).send("k".to_owned(), 7).unwrap();
    /// # assert_eq!(t.output("out", (Utf8, I64)).drain().unwrap()[0].timestamp, 7);
    /// ```
    pub fn timestamp<F>(self, mut extract: F) -> Self
    where
        F: FnMut(&K, &V) -> i64 + Clone + Send + 'static,
    {
        self.set_source("timestamp", |source| {
            source.extractor = Some(Box::new(move |key: &K, value: &V| Some(extract(key, value))));
        })
    }

    /// Takes the records' time from their content; a record for which there is none is skipped and counted as
    /// `invalid-timestamp`.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let valid = |_: &String, at: &i64| (*at >= 0).then_some(*at);
    /// b.stream("clicks", (Utf8, I64)).timestamp_or_skip(valid).to("out", (Utf8, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("clicks", (Utf8, I64)).at(0).send("k".to_owned(), -7).unwrap();
    /// # assert_eq!(t.dropped("invalid-timestamp"), 1);
    /// ```
    pub fn timestamp_or_skip<F>(self, extract: F) -> Self
    where
        F: FnMut(&K, &V) -> Option<i64> + Clone + Send + 'static,
    {
        self.set_source("timestamp_or_skip", |source| source.extractor = Some(Box::new(extract)))
    }

    /// What the source does with a record that does not decode.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("numbers", (Raw, I64)).on_error(OnError::Skip).to("out", (Raw, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("numbers", (Raw, Utf8)).at(0).send(None, "seven".into()).unwrap();
    /// # assert_eq!(t.dropped("deserialization"), 1);
    /// ```
    pub fn on_error(self, policy: OnError) -> Self {
        self.set_source("on_error", |source| source.on_error = policy)
    }

    /// Makes of each record another one. Grouping by the new key goes through a repartition topic; where the key
    /// stays, take [`map_values`](Self::map_values).
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, I64)).map(|key, value: i64| (value, key)).to("out", (I64, Utf8));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("in", (Utf8, I64)).at(0).send("k".to_owned(), 7).unwrap();
    /// # assert_eq!(t.output("out", (I64, Utf8)).drain().unwrap()[0].key, 7);
    /// ```
    pub fn map<K2, V2, F>(self, mut f: F) -> KStream<K2, V2>
    where
        K2: Send + 'static,
        V2: Send + 'static,
        F: FnMut(K, V) -> (K2, V2) + Clone + Send + 'static,
    {
        self.transform("KSTREAM-MAP", true, move |batch, out| {
            out.extend(batch.drain(..).map(|record| record.with(&mut f)));
        })
    }

    /// Changes each value.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, Utf8)).map_values(|_, text: String| text.len() as i64).to("out", (Utf8, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("in", (Utf8, Utf8)).at(0).send("k".to_owned(), "four".into()).unwrap();
    /// # assert_eq!(t.output("out", (Utf8, I64)).drain().unwrap()[0].value, 4);
    /// ```
    pub fn map_values<V2, F>(self, mut f: F) -> KStream<K, V2>
    where
        V2: Send + 'static,
        F: FnMut(&K, V) -> V2 + Clone + Send + 'static,
    {
        self.transform("KSTREAM-MAPVALUES", false, move |batch, out| {
            let mut with = |key: K, value| {
                let value = f(&key, value);
                (key, value)
            };
            out.extend(batch.drain(..).map(|record| record.with(&mut with)));
        })
    }

    /// Keeps the records `f` accepts.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, I64)).filter(|_, n| *n > 0).to("out", (Utf8, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for n in [-1, 1] { t.input("in", (Utf8, I64)).at(0).send("k".to_owned(), n).unwrap(); }
    /// # assert_eq!(t.output("out", (Utf8, I64)).drain().unwrap().len(), 1);
    /// ```
    pub fn filter<F>(self, mut f: F) -> Self
    where
        F: FnMut(&K, &V) -> bool + Clone + Send + 'static,
    {
        self.in_place("KSTREAM-FILTER", move |batch, _| batch.retain(|record| f(&record.key, &record.value)))
    }

    /// Keeps the records `f` does not accept.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, I64)).filter_not(|_, n| *n > 0).to("out", (Utf8, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for n in [-1, 1] { t.input("in", (Utf8, I64)).at(0).send("k".to_owned(), n).unwrap(); }
    /// # assert_eq!(t.output("out", (Utf8, I64)).drain().unwrap()[0].value, -1);
    /// ```
    pub fn filter_not<F>(self, mut f: F) -> Self
    where
        F: FnMut(&K, &V) -> bool + Clone + Send + 'static,
    {
        self.in_place("KSTREAM-FILTER", move |batch, _| batch.retain(|record| !f(&record.key, &record.value)))
    }

    /// Makes of each record any number of others.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, I64)).flat_map(|key, n: i64| (0..n).map(move |i| (i, key.clone()))).to("out", (I64, Utf8));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("in", (Utf8, I64)).at(0).send("k".to_owned(), 3).unwrap();
    /// # assert_eq!(t.output("out", (I64, Utf8)).drain().unwrap().len(), 3);
    /// ```
    pub fn flat_map<K2, V2, I, F>(self, mut f: F) -> KStream<K2, V2>
    where
        K2: Send + 'static,
        V2: Send + 'static,
        I: IntoIterator<Item = (K2, V2)>,
        F: FnMut(K, V) -> I + Clone + Send + 'static,
    {
        self.transform("KSTREAM-FLATMAP", true, move |batch, out| {
            for Record { key, value, timestamp, offset, headers } in batch.drain(..) {
                for (key, value) in f(key, value) {
                    out.push(Record { key, value, timestamp, offset, headers: headers.clone() });
                }
            }
        })
    }

    /// Makes of each value any number of others, all with the record's key.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, I64)).flat_map_values(|_, n: i64| 0..n).to("out", (Utf8, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("in", (Utf8, I64)).at(0).send("k".to_owned(), 3).unwrap();
    /// # assert_eq!(t.output("out", (Utf8, I64)).drain().unwrap().len(), 3);
    /// ```
    pub fn flat_map_values<V2, I, F>(self, mut f: F) -> KStream<K, V2>
    where
        K: Clone,
        V2: Send + 'static,
        I: IntoIterator<Item = V2>,
        F: FnMut(&K, V) -> I + Clone + Send + 'static,
    {
        self.transform("KSTREAM-FLATMAPVALUES", false, move |batch, out| {
            for Record { key, value, timestamp, offset, headers } in batch.drain(..) {
                for value in f(&key, value) {
                    out.push(Record { key: key.clone(), value, timestamp, offset, headers: headers.clone() });
                }
            }
        })
    }

    /// Looks at each record and passes it on.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, I64)).peek(|key, n| println!("{key}: {n}")).to("out", (Utf8, I64));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn peek<F>(self, mut f: F) -> Self
    where
        F: FnMut(&K, &V) + Clone + Send + 'static,
    {
        self.in_place("KSTREAM-PEEK", move |batch, _| batch.iter().for_each(|record| f(&record.key, &record.value)))
    }

    /// Ends the stream in a closure.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Utf8, I64)).for_each(|key, n| println!("{key}: {n}"));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn for_each<F>(self, mut f: F)
    where
        F: FnMut(&K, &V) + Clone + Send + 'static,
    {
        let end = self.in_place("KSTREAM-FOREACH", move |batch, _| {
            batch.drain(..).for_each(|record| f(&record.key, &record.value));
        });
        drop(end);
    }

    /// Gives each record a new key.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Raw, Utf8)).select_key(|_, text| text.len() as i64).to("out", (I64, Utf8));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # t.input("in", (Raw, Utf8)).at(0).send(None, "four".into()).unwrap();
    /// # assert_eq!(t.output("out", (I64, Utf8)).drain().unwrap()[0].key, 4);
    /// ```
    pub fn select_key<K2, F>(self, f: F) -> KStream<K2, V>
    where
        K2: Send + 'static,
        F: FnMut(&K, &V) -> K2 + Clone + Send + 'static,
    {
        let name = self.scope.graph().generate_name("KSTREAM-KEY-SELECT");
        self.rekey(name, f)
    }

    fn rekey<K2, F>(self, name: Arc<str>, mut f: F) -> KStream<K2, V>
    where
        K2: Send + 'static,
        F: FnMut(&K, &V) -> K2 + Clone + Send + 'static,
    {
        self.transform_named(name, true, move |batch, out| {
            let mut with = |key: K, value: V| (f(&key, &value), value);
            out.extend(batch.drain(..).map(|record| record.with(&mut with)));
        })
    }

    /// Divides the stream: each record goes to the first branch that takes it. `name` and the branches' names become
    /// the operators' names.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let mut levels = b.stream("log", (Raw, Utf8)).split("level");
    /// levels.branch("error", |_, line| line.contains("ERROR")).to("errors", (Raw, Utf8));
    /// levels.rest("other").to("others", (Raw, Utf8));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for l in ["ERROR", "INFO"] { t.input("log", (Raw, Utf8)).at(0).send(None, l.into()).unwrap(); }
    /// # assert_eq!(t.output("errors", (Raw, Utf8)).drain().unwrap().len(), 1);
    /// # assert_eq!(t.output("others", (Raw, Utf8)).drain().unwrap()[0].value, "INFO");
    /// ```
    pub fn split(self, name: &str) -> Split<K, V> {
        Split::new(name, self.scope, self.outlet, self.key_changed)
    }

    /// The records of both streams, each stream's in its order.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// let web = b.stream("web", (Utf8, I64));
    /// b.stream("mobile", (Utf8, I64)).merge(web).to("all", (Utf8, I64));
    /// # let mut t = TestDriver::new(&b.build().unwrap()).unwrap();
    /// # for i in ["web", "mobile"] { t.input(i, (Utf8, I64)).at(0).send("k".into(), 1).unwrap(); }
    /// # assert_eq!(t.output("all", (Utf8, I64)).drain().unwrap().len(), 2);
    /// ```
    pub fn merge(self, other: Self) -> Self {
        let node = {
            let mut graph = self.scope.graph();
            let name = graph.generate_name("KSTREAM-MERGE");
            let parents = [self.outlet.node(), other.outlet.node()];
            graph.add_node(name, Role::Processor { stores: Vec::new() }, &parents)
        };
        let outlet = Outlet::new(node);
        let here = MergePoint::new(outlet.clone());
        for parent in [&self.outlet, &other.outlet] {
            let here = here.clone();
            parent.attach(move |into| here.instantiate(into));
        }
        KStream::new(self.scope, outlet, self.key_changed || other.key_changed)
    }

    /// Writes the stream to a topic, partitioned by key as Java producers do.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("in", (Raw, Raw)).to("copy", (Raw, Raw));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn to<KS, VS>(self, topic: &str, serdes: (KS, VS))
    where
        KS: Serde<K>,
        VS: Serde<V>,
    {
        let operator = self.scope.graph().generate_name("KSTREAM-SINK");
        self.sink(operator, TopicName::External(topic.into()), serdes, false);
    }

    pub(super) fn sink<KS, VS>(
        &self,
        operator: Arc<str>,
        name: TopicName,
        (key_serde, value_serde): (KS, VS),
        drop_null_keys: bool,
    ) where
        KS: Serde<K>,
        VS: Serde<V>,
    {
        let topic = {
            let mut graph = self.scope.graph();
            graph.add_node(operator.clone(), Role::Sink { topic: name.clone() }, &[self.outlet.node()]);
            name.full(&graph.app_id)
        };
        self.outlet.attach(move |_| {
            Box::new(Sink {
                operator: operator.clone(),
                topic: topic.clone(),
                key_serde: key_serde.clone(),
                value_serde: value_serde.clone(),
                drop_null_keys,
            })
        });
    }

    /// Groups by a key computed from each record. The records travel through the topic `<app>-<name>-repartition`, so
    /// that equal keys meet in one partition.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("words", (Raw, Utf8))
    ///     .group_by("by-length", (I64, Utf8), |_, word| word.len() as i64)
    ///     .count("words-of-length")
    ///     .to_stream().to("out", (I64, I64.nullable()));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn group_by<K2, F, KS, VS>(self, name: &str, serdes: (KS, VS), f: F) -> KGroupedStream<K2, V>
    where
        K2: Send + 'static,
        F: FnMut(&K, &V) -> K2 + Clone + Send + 'static,
        KS: Serde<K2>,
        VS: Serde<V>,
    {
        // Kafka burns a number for the operator, then gives it the group's name.
        self.scope.graph().generate_name("");
        self.rekey(name.into(), f).group_by_key(name, serdes)
    }

    /// Groups by the key the records have. Only if an operator before may have changed it do they travel through the
    /// topic `<app>-<name>-repartition`.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// # let b = StreamsBuilder::new("app");
    /// b.stream("visits", (Utf8, Utf8))
    ///     .group_by_key("by-user", (Utf8, Utf8))
    ///     .count("visits-by-user")
    ///     .to_stream().to("out", (Utf8, I64.nullable()));
    /// # assert!(b.build().is_ok());
    /// ```
    pub fn group_by_key<KS, VS>(self, name: &str, serdes: (KS, VS)) -> KGroupedStream<K, V>
    where
        KS: Serde<K>,
        VS: Serde<V>,
    {
        if self.key_changed {
            KGroupedStream::repartitioned(self.scope.clone(), name, serdes, self)
        } else {
            KGroupedStream::direct(self.scope, self.outlet, serdes)
        }
    }

    pub(super) fn outlet(&self) -> &Outlet<K, V> {
        &self.outlet
    }
}
