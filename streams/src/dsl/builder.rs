//! Where a topology begins.

use std::sync::{Arc, Mutex};

use super::{KStream, Scope};
use crate::{
    engine::{Outlet, SourceSettings, SourceSpec},
    error::TopologyError,
    serde::Serde,
    topology::{Role, TopicName, Topology},
};

/// What a source does with a record that does not decode. Kafka's `deserialization.exception.handler`, per source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// Stops with an error that names topic, partition and offset. The default.
    #[default]
    Fail,
    /// Goes past the record and counts it as `deserialization`.
    Skip,
}

/// One topic or several.
#[derive(Clone, Debug)]
pub struct Topics(Vec<Arc<str>>);

impl From<&str> for Topics {
    fn from(topic: &str) -> Self {
        Self(vec![topic.into()])
    }
}

impl From<String> for Topics {
    fn from(topic: String) -> Self {
        Self(vec![topic.into()])
    }
}

impl<const N: usize> From<[&str; N]> for Topics {
    fn from(topics: [&str; N]) -> Self {
        Self(topics.into_iter().map(Arc::from).collect())
    }
}

impl From<&[&str]> for Topics {
    fn from(topics: &[&str]) -> Self {
        Self(topics.iter().copied().map(Arc::from).collect())
    }
}

/// Describes a topology: begin streams here, chain operators on them, then [`build`](Self::build).
///
/// ```
/// # use riverrun_streams::prelude::*;
/// let b = StreamsBuilder::new("shout");
/// b.stream("quiet", (Raw, Utf8)).map_values(|_, text: String| text.to_uppercase()).to("loud", (Raw, Utf8));
/// let topology = b.build()?;
/// # Ok::<(), riverrun_streams::TopologyError>(())
/// ```
#[derive(Debug)]
pub struct StreamsBuilder {
    scope: Scope,
}

impl StreamsBuilder {
    /// `app_id` is the consumer group of the running application, and the prefix of its internal topics.
    pub fn new(app_id: &str) -> Self {
        Self { scope: Scope::new(app_id) }
    }

    /// A stream of the records of one topic, or of several read with the same serdes.
    ///
    /// A null key or value for which the serde has no value is dropped and counted (`null-key`, `null-value`); read it
    /// with [`Raw`](crate::serde::Raw) or `.nullable()` to keep it.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// let b = StreamsBuilder::new("app");
    /// b.stream(["orders-eu", "orders-us"], (Utf8, Utf8)).to("orders", (Utf8, Utf8));
    /// assert!(b.build().is_ok());
    /// ```
    pub fn stream<K, V, KS, VS>(&self, topics: impl Into<Topics>, serdes: (KS, VS)) -> KStream<K, V>
    where
        K: Send + 'static,
        V: Send + 'static,
        KS: Serde<K>,
        VS: Serde<V>,
    {
        let names = topics.into().0.into_iter().map(TopicName::External).collect();
        let operator = self.scope.graph().generate_name("KSTREAM-SOURCE");
        let settings = Arc::new(Mutex::new(SourceSettings { extractor: None, on_error: OnError::default() }));
        let outlet = add_source(&self.scope, operator, names, serdes, settings.clone());
        KStream::from_source(self.scope.clone(), outlet, settings)
    }

    /// Checks the topology.
    ///
    /// Operators added to handles kept beyond this call are not part of it.
    ///
    /// # Errors
    /// The first mistake found: no source, a topic read twice, a store or repartition name used twice, a name no topic
    /// can have, windows without length.
    pub fn build(self) -> Result<Topology, TopologyError> {
        Topology::new(self.scope.graph().clone())
    }
}

/// Adds a source node and the outlet of its records.
pub(super) fn add_source<K, V, KS, VS>(
    scope: &Scope,
    operator: Arc<str>,
    names: Vec<TopicName>,
    (key_serde, value_serde): (KS, VS),
    settings: Arc<Mutex<SourceSettings<K, V>>>,
) -> Outlet<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    KS: Serde<K>,
    VS: Serde<V>,
{
    let mut graph = scope.graph();
    let topics = names.iter().map(|name| name.full(&graph.app_id)).collect();
    let node = graph.add_node(operator.clone(), Role::Source { topics: names }, &[]);
    let outlet = Outlet::new(node);
    let spec = SourceSpec { operator, topics, key_serde, value_serde, settings, outlet: outlet.clone() };
    graph.add_source(node, Arc::new(Mutex::new(move |into: &mut _| spec.instantiate(into))));
    outlet
}
