//! A finished topology: what [`StreamsBuilder::build`](crate::StreamsBuilder::build) checked, from which tasks are
//! made, and which can describe itself.

mod describe;
mod graph;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub use describe::{Description, NodeDescription, NodeRole, SubtopologyDescription};
pub(crate) use graph::{Graph, Role, StoreSpec, TopicName, changelog_topic};

use crate::{
    engine::{Instantiation, Task, TaskId},
    error::TopologyError,
    metrics::Metrics,
};

/// A checked topology. Clones are cheap and equal.
#[derive(Clone)]
pub struct Topology {
    graph: Arc<Graph>,
    /// By sub-topology: its nodes, in the order they were added.
    subtopologies: Arc<[Vec<usize>]>,
    reconverging: Arc<[bool]>,
    /// Held while a task is built: merge points remember one building at a time.
    building: Arc<Mutex<()>>,
    instantiations: Arc<AtomicU64>,
}

impl Topology {
    pub(crate) fn new(graph: Graph) -> Result<Self, TopologyError> {
        graph.check()?;
        let subtopologies = graph.subtopologies().into();
        let reconverging = graph.reconverging().into();
        let graph = Arc::new(graph);
        Ok(Self { graph, subtopologies, reconverging, building: Arc::default(), instantiations: Arc::default() })
    }

    /// The application's id: its consumer group and the prefix of its internal topics.
    pub fn app_id(&self) -> &str {
        &self.graph.app_id
    }

    /// What is connected to what, in the layout of Kafka's `TopologyDescription` when displayed.
    pub fn describe(&self) -> Description {
        describe::describe(&self.graph, &self.subtopologies)
    }

    pub(crate) fn subtopology_count(&self) -> usize {
        self.subtopologies.len()
    }

    /// Topics a sub-topology reads.
    pub(crate) fn source_topics(&self, subtopology: usize) -> Vec<TopicName> {
        self.roles(subtopology)
            .filter_map(|role| match role {
                Role::Source { topics } => Some(topics.clone()),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// Topics a sub-topology writes, each once.
    pub(crate) fn sink_topics(&self, subtopology: usize) -> Vec<TopicName> {
        let mut seen = HashSet::new();
        self.roles(subtopology)
            .filter_map(|role| match role {
                Role::Sink { topic } => seen.insert(topic.clone()).then(|| topic.clone()),
                _ => None,
            })
            .collect()
    }

    /// Stores of a sub-topology.
    pub(crate) fn stores(&self, subtopology: usize) -> impl Iterator<Item = &StoreSpec> {
        let nodes = &self.subtopologies[subtopology];
        self.graph.stores.iter().filter(|store| nodes.contains(&store.node))
    }

    fn roles(&self, subtopology: usize) -> impl Iterator<Item = &Role> {
        self.subtopologies[subtopology].iter().map(|node| &self.graph.nodes[*node].role)
    }

    /// Builds the operators and empty stores of a task.
    pub(crate) fn task(&self, id: TaskId, metrics: &Metrics) -> Task {
        let _one_at_a_time = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let mut into = Instantiation {
            id: self.instantiations.fetch_add(1, Relaxed),
            reconverging: self.reconverging.clone(),
            stores: Vec::new(),
            metadata: Vec::new(),
        };
        let nodes = &self.subtopologies[id.subtopology];
        let sources = self
            .graph
            .sources
            .iter()
            .filter(|(node, _)| nodes.contains(node))
            .map(|(_, factory)| (factory.lock().unwrap_or_else(PoisonError::into_inner))(&mut into))
            .collect();
        Task::new(id, sources, into.stores, into.metadata, metrics.clone())
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology").field("app_id", &self.graph.app_id).finish_non_exhaustive()
    }
}
