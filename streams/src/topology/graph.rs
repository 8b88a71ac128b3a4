//! The untyped side of a topology: names and edges. The typed side, how operators are built, lives in the outlets.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
};

use crate::{
    engine::{Instantiation, SourceNode},
    error::TopologyError,
};

/// A topic as a topology names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicName {
    /// The user's own.
    External(Arc<str>),
    /// Made for this application; holds the name without the application's prefix.
    Repartition(Arc<str>),
}

impl TopicName {
    /// The name on the cluster.
    pub(crate) fn full(&self, app_id: &str) -> Arc<str> {
        match self {
            Self::External(name) => name.clone(),
            Self::Repartition(name) => format!("{app_id}-{name}").into(),
        }
    }

    /// The name in descriptions.
    pub(crate) fn short(&self) -> &Arc<str> {
        match self {
            Self::External(name) | Self::Repartition(name) => name,
        }
    }
}

/// What a node does.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Source { topics: Vec<TopicName> },
    Processor { stores: Vec<Arc<str>> },
    Sink { topic: TopicName },
}

/// A named operator and its edges.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) parents: Vec<usize>,
    pub(crate) children: Vec<usize>,
}

/// A store and what its changelog needs.
#[derive(Clone, Debug)]
pub(crate) struct StoreSpec {
    pub(crate) name: Arc<str>,
    pub(crate) node: usize,
    /// Of a window store: how long windows are kept.
    pub(crate) retention_ms: Option<i64>,
}

impl StoreSpec {
    /// The changelog topic's name on the cluster (E1).
    pub(crate) fn changelog(&self, app_id: &str) -> Arc<str> {
        changelog_topic(app_id, &self.name)
    }
}

/// `<app>-<store>-changelog`.
pub(crate) fn changelog_topic(app_id: &str, store: &str) -> Arc<str> {
    format!("{app_id}-{store}-changelog").into()
}

type SourceFactory = Arc<Mutex<dyn FnMut(&mut Instantiation) -> Box<dyn SourceNode> + Send>>;

/// All nodes, in the order the program added them.
#[derive(Clone, Default)]
pub(crate) struct Graph {
    pub(crate) app_id: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) stores: Vec<StoreSpec>,
    pub(crate) sources: Vec<(usize, SourceFactory)>,
    /// Numbers generated names; shared by all operators, as in Kafka.
    generated: usize,
    errors: Vec<TopologyError>,
}

impl Graph {
    pub(crate) fn new(app_id: &str) -> Self {
        Self { app_id: app_id.to_owned(), ..Self::default() }
    }

    /// A name of Kafka's form: prefix and a ten-digit number.
    pub(crate) fn generate_name(&mut self, prefix: &str) -> Arc<str> {
        let name = format!("{prefix}-{:010}", self.generated);
        self.generated += 1;
        name.into()
    }

    pub(crate) fn add_node(&mut self, name: Arc<str>, role: Role, parents: &[usize]) -> usize {
        let id = self.nodes.len();
        self.nodes.push(Node { name, role, parents: Vec::new(), children: Vec::new() });
        for parent in parents {
            self.connect(*parent, id);
        }
        id
    }

    pub(crate) fn connect(&mut self, parent: usize, child: usize) {
        self.nodes[parent].children.push(child);
        self.nodes[child].parents.push(parent);
    }

    pub(crate) fn add_source(&mut self, node: usize, factory: SourceFactory) {
        self.sources.push((node, factory));
    }

    pub(crate) fn add_store(&mut self, store: StoreSpec) {
        self.stores.push(store);
    }

    /// Notes a mistake that `build` is to report.
    pub(crate) fn error(&mut self, error: TopologyError) {
        self.errors.push(error);
    }

    pub(crate) fn check(&self) -> Result<(), TopologyError> {
        if let Some(error) = self.errors.first() {
            return Err(error.clone());
        }
        check_name(&self.app_id)?;
        if self.sources.is_empty() {
            return Err(TopologyError::NoSource { app_id: self.app_id.clone() });
        }
        self.check_topics()?;
        let mut stores = HashSet::new();
        for store in &self.stores {
            check_name(&store.changelog(&self.app_id))?;
            if !stores.insert(&store.name) {
                return Err(TopologyError::DuplicateStore { store: store.name.to_string() });
            }
        }
        Ok(())
    }

    fn check_topics(&self) -> Result<(), TopologyError> {
        let mut read = HashSet::new();
        for node in &self.nodes {
            match &node.role {
                Role::Source { topics } => {
                    for topic in topics {
                        check_name(&topic.full(&self.app_id))?;
                        if !read.insert(topic) {
                            return Err(match topic {
                                TopicName::External(name) => TopologyError::DuplicateSource { topic: name.to_string() },
                                TopicName::Repartition(name) => {
                                    TopologyError::DuplicateRepartition { name: name.to_string() }
                                }
                            });
                        }
                    }
                }
                Role::Sink { topic } => check_name(&topic.full(&self.app_id))?,
                Role::Processor { .. } if node.parents.is_empty() => return Err(TopologyError::LateWithoutAggregation),
                Role::Processor { .. } => {}
            }
        }
        Ok(())
    }

    /// Connected components over streams, numbered by first appearance (E1).
    pub(crate) fn subtopologies(&self) -> Vec<Vec<usize>> {
        let mut component: Vec<usize> = (0..self.nodes.len()).collect();
        fn root(component: &[usize], mut node: usize) -> usize {
            while component[node] != node {
                node = component[node];
            }
            node
        }
        for (id, node) in self.nodes.iter().enumerate() {
            for child in &node.children {
                let (a, b) = (root(&component, id), root(&component, *child));
                component[a.max(b)] = a.min(b);
            }
        }
        let mut all: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for id in 0..self.nodes.len() {
            all.entry(root(&component, id)).or_default().push(id);
        }
        all.into_values().collect()
    }

    /// By node: whether the paths of two of its children meet again, in an operator or in a topic.
    pub(crate) fn reconverging(&self) -> Vec<bool> {
        let reach: Vec<_> = (0..self.nodes.len()).map(|node| self.reach(node)).collect();
        let meet = |node: &Node| {
            let mut seen = HashSet::new();
            node.children.iter().any(|child| reach[*child].iter().any(|met| !seen.insert(met.clone())))
        };
        self.nodes.iter().map(meet).collect()
    }

    fn reach(&self, from: usize) -> HashSet<Met> {
        let mut met = HashSet::new();
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            if met.insert(Met::Node(node)) {
                open.extend(&self.nodes[node].children);
            }
            if let Role::Sink { topic } = &self.nodes[node].role {
                met.insert(Met::Topic(topic.clone()));
            }
        }
        met
    }
}

/// Where paths can meet.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Met {
    Node(usize),
    Topic(TopicName),
}

/// Kafka's rule for topic names, which all names here become part of.
fn check_name(name: &str) -> Result<(), TopologyError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let valid = (1..=249).contains(&name.len()) && name != "." && name != ".." && name.chars().all(legal);
    if valid { Ok(()) } else { Err(TopologyError::InvalidName { name: name.to_owned() }) }
}
