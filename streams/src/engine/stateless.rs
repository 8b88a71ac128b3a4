//! Operators without state, in two shapes: [`InPlace`] keeps the record's types and works in the batch it got,
//! [`Transform`] fills a batch of its own, whose memory it keeps. What they do is a closure over a whole batch, so the
//! loop over its records is compiled together with the user's closure.

use super::{Context, Next, Push};
use crate::{error::ProcessError, record::Batch};

/// Turns a batch into one of other types.
pub(crate) struct Transform<K2, V2, F> {
    f: F,
    out: Batch<K2, V2>,
    next: Next<K2, V2>,
}

impl<K2, V2, F> Transform<K2, V2, F> {
    pub(crate) fn new(f: F, next: Next<K2, V2>) -> Self {
        Self { f, out: Vec::new(), next }
    }
}

impl<K, V, K2, V2, F> Push<K, V> for Transform<K2, V2, F>
where
    K2: Send,
    V2: Send,
    F: FnMut(&mut Batch<K, V>, &mut Batch<K2, V2>) + Send,
{
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        self.out.clear();
        (self.f)(batch, &mut self.out);
        if self.out.is_empty() { Ok(()) } else { self.next.push(&mut self.out, cx) }
    }
}

/// Looks at a batch, removes records from it or changes them.
pub(crate) struct InPlace<K, V, F> {
    f: F,
    next: Next<K, V>,
}

impl<K, V, F> InPlace<K, V, F> {
    pub(crate) fn new(f: F, next: Next<K, V>) -> Self {
        Self { f, next }
    }
}

impl<K, V, F> Push<K, V> for InPlace<K, V, F>
where
    K: Send,
    V: Send,
    F: FnMut(&mut Batch<K, V>, &mut Context) + Send,
{
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        (self.f)(batch, cx);
        if batch.is_empty() { Ok(()) } else { self.next.push(batch, cx) }
    }
}
