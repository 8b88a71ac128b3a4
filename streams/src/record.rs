//! What flows between operators: records in batches, and at the edges their encoded forms.
//!
//! A [`Batch`] is moved through a sub-topology as long as possible; operators that keep the types work in place.
//! Source: `org.apache.kafka.streams.processor.api.Record` for the idea of a record with timestamp and headers.

use std::{fmt, sync::Arc};

use bytes::Bytes;

/// Name and value.
type Header = (Arc<str>, Option<Bytes>);

/// A record's headers: ordered, duplicates allowed, cheap to clone (an operator that yields many records from one
/// shares them).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<[Header]>>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self(None)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All headers in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&Bytes>)> {
        self.0.iter().flat_map(|all| all.iter().map(|(key, value)| (key.as_ref(), value.as_ref())))
    }

    /// The value of the last header of this name, as Kafka's `lastHeader`; `None` if there is none or it is null.
    pub fn last(&self, name: &str) -> Option<&Bytes> {
        let all = self.0.as_deref()?;
        all.iter().rev().find(|(key, _)| key.as_ref() == name)?.1.as_ref()
    }
}

impl<K: Into<Arc<str>>> FromIterator<(K, Option<Bytes>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (K, Option<Bytes>)>>(all: I) -> Self {
        let all: Vec<_> = all.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self((!all.is_empty()).then(|| all.into()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One typed record on its way through operators.
#[derive(Clone, Debug)]
pub(crate) struct Record<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) timestamp: i64,
    /// Offset of the input record this one stems from; only for error messages and commits.
    pub(crate) offset: i64,
    pub(crate) headers: Headers,
}

impl<K, V> Record<K, V> {
    pub(crate) fn with<K2, V2>(self, f: impl FnOnce(K, V) -> (K2, V2)) -> Record<K2, V2> {
        let (key, value) = f(self.key, self.value);
        Record { key, value, timestamp: self.timestamp, offset: self.offset, headers: self.headers }
    }
}

/// Records pushed together. A receiver may drain it or leave records behind; the sender clears it afterwards.
pub(crate) type Batch<K, V> = Vec<Record<K, V>>;

/// A record as the log holds it, on its way in. Its topic and partition are those of the queue it enters.
#[derive(Clone, Debug)]
pub(crate) struct RawRecord {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
}

/// A record on its way out to a topic.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The topic's full name.
    pub(crate) topic: Arc<str>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) timestamp: i64,
    pub(crate) headers: Headers,
    /// Bytes that choose the partition if these are not the whole key (windowed keys: the inner key).
    pub(crate) partition_key: Option<Bytes>,
}
