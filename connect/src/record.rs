//! What flows between connectors and the log.
//!
//! [`Data`] carries no schema: connectors hand over bytes, text or JSON, and the
//! [converter](crate::converter) decides the bytes in the log.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use riverrun_core::TopicPartition;
use serde_json::{Map, Value};

/// A key or a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Data {
    /// Nothing: no key, or a tombstone.
    #[default]
    Null,
    /// Bytes as they are.
    Bytes(Bytes),
    /// Text.
    Text(String),
    /// Structured data.
    Json(Value),
}

impl Data {
    /// True for [`Data::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        if value.is_null() { Self::Null } else { Self::Json(value) }
    }
}

/// A record header: a name and bytes, passed on unchanged. Order and duplicates are kept.
pub type Header = (String, Option<Bytes>);

/// A record on its way from a [`Source`](crate::Source) into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRecord {
    /// The topic it goes to; created if missing.
    pub topic: Arc<str>,
    /// The partition, if the connector cares; otherwise the key's hash decides.
    pub partition: Option<i32>,
    /// The key.
    pub key: Data,
    /// The value.
    pub value: Data,
    /// Headers.
    pub headers: Vec<Header>,
    /// Milliseconds since the Unix epoch; by default the time it is produced.
    pub timestamp: Option<i64>,
    /// Where in its source it was found; `None` for sources that cannot be read again.
    pub source: Option<SourcePosition>,
}

impl SourceRecord {
    /// A record without key, headers, timestamp and position.
    pub fn new(topic: impl Into<Arc<str>>, value: impl Into<Data>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: Data::Null,
            value: value.into(),
            headers: Vec::new(),
            timestamp: None,
            source: None,
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Data>) -> Self {
        self.key = key.into();
        self
    }

    /// Sets the timestamp in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(mut self, timestamp_ms: i64) -> Self {
        self.timestamp = Some(timestamp_ms);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), Some(value.into())));
        self
    }

    /// Says where it was found: after a restart the connector is given `offset` under `partition` and goes on behind it.
    #[must_use]
    pub fn position(mut self, partition: &SourcePartition, offset: SourceOffset) -> Self {
        self.source = Some(SourcePosition { partition: partition.clone(), offset });
        self
    }
}

/// A record on its way from the log into a [`Sink`](crate::Sink).
#[derive(Clone, Debug, PartialEq)]
pub struct SinkRecord {
    /// The partition it was read from.
    pub topic_partition: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The key as the converter understood it.
    pub key: Data,
    /// The value as the converter understood it.
    pub value: Data,
    /// Headers.
    pub headers: Vec<Header>,
    /// The key's bytes in the log.
    pub raw_key: Option<Bytes>,
    /// The value's bytes in the log.
    pub raw_value: Option<Bytes>,
}

/// Which part of a source a record comes from (a file, a table); a JSON object in Kafka Connect's format. Cheap to clone.
#[derive(Clone)]
pub struct SourcePartition {
    fields: Arc<Map<String, Value>>,
    /// Fields in order of their names: what equality, order and hash go by.
    canonical: Arc<str>,
}

impl SourcePartition {
    /// A partition named by one field.
    pub fn of(name: &str, value: impl Into<Value>) -> Self {
        Self::from(Map::from_iter([(name.to_owned(), value.into())]))
    }

    /// A further field.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>) -> Self {
        let mut fields = Map::clone(&self.fields);
        fields.insert(name.to_owned(), value.into());
        Self::from(fields)
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// All fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }
}

impl From<Map<String, Value>> for SourcePartition {
    fn from(fields: Map<String, Value>) -> Self {
        let canonical = crate::offsets::canonical(&fields).into();
        Self { fields: Arc::new(fields), canonical }
    }
}

impl PartialEq for SourcePartition {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for SourcePartition {}

impl PartialOrd for SourcePartition {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SourcePartition {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.canonical.cmp(&other.canonical)
    }
}

impl std::hash::Hash for SourcePartition {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

impl fmt::Debug for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

/// How far a source partition has been read; a JSON object that only the connector understands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceOffset(pub Map<String, Value>);

impl SourceOffset {
    /// An offset of one field.
    pub fn of(name: &str, value: impl Into<Value>) -> Self {
        Self(Map::from_iter([(name.to_owned(), value.into())]))
    }

    /// A further field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// A source partition and how far it has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePosition {
    /// Which part of the source.
    pub partition: SourcePartition,
    /// How far: the record that carries this is included.
    pub offset: SourceOffset,
}
