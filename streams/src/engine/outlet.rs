//! How operators find their children: an [`Outlet`] collects factories while the topology is described, and builds
//! the children's instances, typed, once per task.
//!
//! An outlet with several children clones batches for all but the last. Where those children meet again further down
//! (a merge, the same sink topic) a batch is split into single records, so that the order is that of processing
//! record by record.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Context, MetadataSlot, Next, Push};
use crate::{error::ProcessError, record::Batch, store::StateStore};

/// One building of a task's operators: what they register, and which outlets must keep record order.
pub(crate) struct Instantiation {
    /// Tells this building from others at merge points.
    pub(crate) id: u64,
    /// By node: whether its children's paths meet again.
    pub(crate) reconverging: Arc<[bool]>,
    pub(crate) stores: Vec<Arc<Mutex<dyn StateStore>>>,
    pub(crate) metadata: Vec<(String, MetadataSlot)>,
}

impl Instantiation {
    pub(crate) fn register(&mut self, store: Arc<Mutex<dyn StateStore>>) {
        self.stores.push(store);
    }

    /// A number kept across restarts under `name`.
    pub(crate) fn metadata(&mut self, name: String) -> MetadataSlot {
        let slot = MetadataSlot::default();
        self.metadata.push((name, slot.clone()));
        slot
    }

    pub(crate) fn reconverges(&self, node: usize) -> bool {
        self.reconverging.get(node).copied().unwrap_or(false)
    }
}

type Factory<K, V> = Box<dyn FnMut(&mut Instantiation) -> Next<K, V> + Send>;
type FanOut<K, V> = fn(Vec<Next<K, V>>, bool) -> Next<K, V>;

struct Inner<K, V> {
    factories: Vec<Factory<K, V>>,
    /// Set once the stream is cloned, where `K` and `V` are known to be `Clone`.
    fan_out: Option<FanOut<K, V>>,
}

/// The output side of an operator in the description of a topology.
pub(crate) struct Outlet<K, V> {
    node: usize,
    inner: Arc<Mutex<Inner<K, V>>>,
}

impl<K, V> Clone for Outlet<K, V> {
    fn clone(&self) -> Self {
        Self { node: self.node, inner: self.inner.clone() }
    }
}

impl<K: Send + 'static, V: Send + 'static> Outlet<K, V> {
    pub(crate) fn new(node: usize) -> Self {
        Self { node, inner: Arc::new(Mutex::new(Inner { factories: Vec::new(), fan_out: None })) }
    }

    /// The node whose output this is.
    pub(crate) fn node(&self) -> usize {
        self.node
    }

    pub(crate) fn attach(&self, factory: impl FnMut(&mut Instantiation) -> Next<K, V> + Send + 'static) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.factories.push(Box::new(factory));
    }

    /// Builds everything below for one task.
    pub(crate) fn instantiate(&self, into: &mut Instantiation) -> Next<K, V> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut children: Vec<_> = inner.factories.iter_mut().map(|factory| factory(into)).collect();
        match (children.pop(), inner.fan_out) {
            (None, _) => Box::new(Discard),
            (Some(only), _) if children.is_empty() => only,
            (Some(last), Some(fan_out)) => {
                children.push(last);
                fan_out(children, into.reconverges(self.node))
            }
            (Some(_), None) => unreachable!("a stream has one handle until it is cloned, which sets fan_out"),
        }
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Outlet<K, V> {
    /// Allows several children.
    pub(crate) fn allow_fan_out(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.fan_out = Some(|children, by_record| Box::new(Several { children, by_record, copy: Vec::new() }));
    }
}

/// The end of a stream nobody reads.
struct Discard;

impl<K, V> Push<K, V> for Discard {
    fn push(&mut self, _: &mut Batch<K, V>, _: &mut Context) -> Result<(), ProcessError> {
        Ok(())
    }
}

/// More than one child.
struct Several<K, V> {
    children: Vec<Next<K, V>>,
    by_record: bool,
    copy: Batch<K, V>,
}

impl<K: Clone + Send, V: Clone + Send> Several<K, V> {
    fn push_to_all(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        let Some((last, others)) = self.children.split_last_mut() else { return Ok(()) };
        for child in others {
            self.copy.clear();
            self.copy.extend_from_slice(batch);
            child.push(&mut self.copy, cx)?;
        }
        last.push(batch, cx)
    }
}

impl<K: Clone + Send, V: Clone + Send> Push<K, V> for Several<K, V> {
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        if !self.by_record {
            return self.push_to_all(batch, cx);
        }
        let mut single = Vec::with_capacity(1);
        for record in batch.drain(..) {
            single.clear();
            single.push(record);
            self.push_to_all(&mut single, cx)?;
        }
        Ok(())
    }
}

/// One instance of an operator with several parents, shared by them. They run on one thread; the lock is for `Send`.
struct SharedNext<K, V>(Arc<Mutex<Next<K, V>>>);

impl<K: Send, V: Send> Push<K, V> for SharedNext<K, V> {
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch, cx)
    }
}

type Built<K, V> = Option<(u64, Weak<Mutex<Next<K, V>>>)>;

/// Where streams merge: every parent's factory calls [`MergePoint::instantiate`], the first one in a building builds.
pub(crate) struct MergePoint<K, V> {
    outlet: Outlet<K, V>,
    built: Arc<Mutex<Built<K, V>>>,
}

impl<K, V> Clone for MergePoint<K, V> {
    fn clone(&self) -> Self {
        Self { outlet: self.outlet.clone(), built: self.built.clone() }
    }
}

impl<K: Send + 'static, V: Send + 'static> MergePoint<K, V> {
    pub(crate) fn new(outlet: Outlet<K, V>) -> Self {
        Self { outlet, built: Arc::default() }
    }

    pub(crate) fn instantiate(&self, into: &mut Instantiation) -> Next<K, V> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, shared)) = built.as_ref()
            && *id == into.id
            && let Some(shared) = shared.upgrade()
        {
            return Box::new(SharedNext(shared));
        }
        let shared = Arc::new(Mutex::new(self.outlet.instantiate(into)));
        *built = Some((into.id, Arc::downgrade(&shared)));
        Box::new(SharedNext(shared))
    }
}
