//! Dividing a stream into named branches.

use std::sync::Arc;

use super::{KStream, Scope};
use crate::{
    engine::{Branches, Outlet},
    topology::Role,
};

/// A stream being divided; see [`KStream::split`]. Branches are asked in the order they were added; a record none
/// takes is dropped.
pub struct Split<K, V> {
    name: Arc<str>,
    scope: Scope,
    node: usize,
    branches: Branches<K, V>,
    key_changed: bool,
}

impl<K, V> std::fmt::Debug for Split<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Split").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K: Send + 'static, V: Send + 'static> Split<K, V> {
    pub(super) fn new(name: &str, scope: Scope, parent: Outlet<K, V>, key_changed: bool) -> Self {
        let name: Arc<str> = name.into();
        let node = {
            let role = Role::Processor { stores: Vec::new() };
            scope.graph().add_node(name.clone(), role, &[parent.node()])
        };
        let branches = Branches::new();
        let all = branches.clone();
        parent.attach(move |into| all.instantiate(node, into));
        Self { name, scope, node, branches, key_changed }
    }

    /// The records `takes` accepts and no earlier branch has taken.
    pub fn branch<F>(&mut self, name: &str, takes: F) -> KStream<K, V>
    where
        F: FnMut(&K, &V) -> bool + Clone + Send + 'static,
    {
        let name = format!("{}-{name}", self.name).into();
        let node = {
            let role = Role::Processor { stores: Vec::new() };
            self.scope.graph().add_node(name, role, &[self.node])
        };
        let outlet = Outlet::new(node);
        self.branches.add(takes, outlet.clone());
        KStream::new(self.scope.clone(), outlet, self.key_changed)
    }

    /// The records no branch has taken.
    pub fn rest(mut self, name: &str) -> KStream<K, V> {
        self.branch(name, |_, _| true)
    }
}
