//! The public description of a topology, displayed in the layout of Kafka's `TopologyDescription`, or as DOT.
//!
//! Within a sub-topology nodes are ordered as Kafka orders them: by the number of paths below them, most first, then
//! by name. Internal topics appear without the application's prefix.

use std::{cmp::Reverse, collections::HashMap, fmt};

use super::graph::{Graph, Role};

/// What a topology consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The connected parts; each becomes one task per partition.
    pub subtopologies: Vec<SubtopologyDescription>,
}

/// A connected part of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubtopologyDescription {
    /// Its number, by first appearance.
    pub id: usize,
    /// Its nodes, sources first.
    pub nodes: Vec<NodeDescription>,
}

/// A source, processor or sink.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeDescription {
    /// Its name, unique in the topology.
    pub name: String,
    /// What it is.
    pub role: NodeRole,
    /// Names of the nodes that feed it.
    pub predecessors: Vec<String>,
    /// Names of the nodes it feeds.
    pub successors: Vec<String>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeRole {
    /// Reads topics.
    Source {
        /// The topics.
        topics: Vec<String>,
    },
    /// Transforms records.
    Processor {
        /// The stores it works on.
        stores: Vec<String>,
    },
    /// Writes a topic.
    Sink {
        /// The topic.
        topic: String,
    },
}

pub(super) fn describe(graph: &Graph, subtopologies: &[Vec<usize>]) -> Description {
    let mut sizes = HashMap::new();
    let order = |nodes: &[usize], sizes: &mut HashMap<usize, usize>| {
        let mut nodes = nodes.to_vec();
        nodes.sort_by_key(|node| (Reverse(size(graph, *node, sizes)), graph.nodes[*node].name.clone()));
        nodes.dedup();
        nodes
    };
    let subtopologies = subtopologies.iter().enumerate().map(|(id, nodes)| {
        let nodes = order(nodes, &mut sizes).into_iter().map(|id| {
            let node = &graph.nodes[id];
            let mut names = |nodes: &[usize]| -> Vec<String> {
                order(nodes, &mut sizes).into_iter().map(|id| graph.nodes[id].name.to_string()).collect()
            };
            NodeDescription {
                name: node.name.to_string(),
                predecessors: names(&node.parents),
                successors: names(&node.children),
                role: role(&node.role),
            }
        });
        SubtopologyDescription { id, nodes: nodes.collect() }
    });
    Description { subtopologies: subtopologies.collect() }
}

/// One and the sizes of the children.
fn size(graph: &Graph, node: usize, known: &mut HashMap<usize, usize>) -> usize {
    if let Some(size) = known.get(&node) {
        return *size;
    }
    let below: usize = graph.nodes[node].children.iter().map(|child| size(graph, *child, known)).sum();
    known.insert(node, below + 1);
    below + 1
}

fn role(role: &Role) -> NodeRole {
    match role {
        Role::Source { topics } => {
            let mut topics: Vec<_> = topics.iter().map(|topic| topic.short().to_string()).collect();
            topics.sort();
            NodeRole::Source { topics }
        }
        Role::Processor { stores } => {
            NodeRole::Processor { stores: stores.iter().map(|store| store.to_string()).collect() }
        }
        Role::Sink { topic } => NodeRole::Sink { topic: topic.short().to_string() },
    }
}

impl Description {
    /// The same as a graph in the DOT language, one cluster per sub-topology; repartition topics join them.
    ///
    /// ```
    /// # use riverrun_streams::prelude::*;
    /// let b = StreamsBuilder::new("copy");
    /// b.stream("in", (Raw, Raw)).to("out", (Raw, Raw));
    /// let dot = b.build().unwrap().describe().to_dot();
    /// assert!(dot.contains(r#""topic in" -> "KSTREAM-SOURCE-0000000000";"#));
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph topology {\n  rankdir=LR;\n  node [shape=box];\n");
        for part in &self.subtopologies {
            dot += &format!("  subgraph cluster_{} {{\n    label=\"sub-topology {}\";\n", part.id, part.id);
            for node in &part.nodes {
                dot += &format!("    \"{}\";\n", node.name);
                for to in &node.successors {
                    dot += &format!("    \"{}\" -> \"{to}\";\n", node.name);
                }
            }
            dot += "  }\n";
        }
        for node in self.subtopologies.iter().flat_map(|part| &part.nodes) {
            match &node.role {
                NodeRole::Source { topics } => {
                    for topic in topics {
                        dot += &format!("  \"topic {topic}\" -> \"{}\";\n", node.name);
                    }
                }
                NodeRole::Processor { stores } => {
                    for store in stores {
                        dot += &format!("  \"{}\" -> \"store {store}\" [dir=both, style=dashed];\n", node.name);
                    }
                }
                NodeRole::Sink { topic } => dot += &format!("  \"{}\" -> \"topic {topic}\";\n", node.name),
            }
        }
        dot + "}\n"
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first sub-topology's line has one space more than the others'. So it is in Kafka.
        f.write_str("Topologies:\n ")?;
        for part in &self.subtopologies {
            write!(f, "  Sub-topology: {}\n{part}\n", part.id)?;
        }
        Ok(())
    }
}

impl fmt::Display for SubtopologyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|node| write!(f, "{node}"))
    }
}

impl fmt::Display for NodeDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let name = &self.name;
        match &self.role {
            NodeRole::Source { topics } => writeln!(f, "    Source: {name} (topics: [{}])", topics.join(", "))?,
            NodeRole::Processor { stores } => writeln!(f, "    Processor: {name} (stores: [{}])", stores.join(", "))?,
            NodeRole::Sink { topic } => writeln!(f, "    Sink: {name} (topic: {topic})")?,
        }
        if !matches!(self.role, NodeRole::Sink { .. }) {
            writeln!(f, "      --> {}", list(&self.successors))?;
        }
        if !matches!(self.role, NodeRole::Source { .. }) {
            writeln!(f, "      <-- {}", list(&self.predecessors))?;
        }
        Ok(())
    }
}
