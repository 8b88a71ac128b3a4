//! The language a topology is described in: typed handles over a shared graph.
//!
//! A handle is an outlet (where children attach) and the graph (where names and edges are noted). Operators take
//! `self`; to read a stream twice, clone it, which asks that records can be cloned. Describing builds nothing: each
//! task builds its own operators from the factories left in the outlets, so closures are cloned per task.

mod builder;
mod grouped;
mod split;
mod stream;
mod table;
mod windowed;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use builder::{OnError, StreamsBuilder, Topics};
pub use grouped::KGroupedStream;
pub use split::Split;
pub use stream::KStream;
pub use table::KTable;
pub use windowed::{EmitStrategy, TimeWindowedStream};

use crate::{
    engine::{Instantiation, Next, Outlet},
    topology::{Graph, Role},
};

/// The graph under description, shared by all its handles. The lock is held for single calls only.
#[derive(Clone)]
pub(crate) struct Scope(Arc<Mutex<Graph>>);

impl Scope {
    fn new(app_id: &str) -> Self {
        Self(Arc::new(Mutex::new(Graph::new(app_id))))
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a processor below `parent`, and the outlet of its results. `make` builds it for a task.
    fn operator<K, V, K2, V2>(
        &self,
        name: Arc<str>,
        parent: &Outlet<K, V>,
        mut make: impl FnMut(Next<K2, V2>, &mut Instantiation) -> Next<K, V> + Send + 'static,
    ) -> Outlet<K2, V2>
    where
        K: Send + 'static,
        V: Send + 'static,
        K2: Send + 'static,
        V2: Send + 'static,
    {
        let node = self.graph().add_node(name, Role::Processor { stores: Vec::new() }, &[parent.node()]);
        let outlet = Outlet::new(node);
        let below = outlet.clone();
        parent.attach(move |into| {
            let next = below.instantiate(into);
            make(next, into)
        });
        outlet
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("app_id", &self.graph().app_id).finish_non_exhaustive()
    }
}
