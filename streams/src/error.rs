//! What can go wrong, one enum per operation: building a topology, processing a record, reading a store, driving a
//! test. Every message names the operator and, where one is at fault, the record: topic, partition, offset.

use std::{fmt, sync::Arc};

use crate::serde::SerdeError;

/// Why [`StreamsBuilder::build`](crate::StreamsBuilder::build) refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// Nothing is read.
    #[error("the topology of `{app_id}` reads no topic; begin with StreamsBuilder::stream")]
    NoSource {
        /// The application's id.
        app_id: String,
    },
    /// Two sources of one topic: they would compete for its offsets.
    #[error("topic `{topic}` is read by two sources; read it once and clone the stream")]
    DuplicateSource {
        /// The topic.
        topic: String,
    },
    /// Two stores of one name would share a changelog.
    #[error("two stores are called `{store}`; a store's name is its changelog's name and must be unique")]
    DuplicateStore {
        /// The name given twice.
        store: String,
    },
    /// Two repartition topics of one name would mix their records.
    #[error("two repartition topics are called `{name}`; give each group_by a name of its own")]
    DuplicateRepartition {
        /// The name given twice.
        name: String,
    },
    /// A name no topic can have.
    #[error("`{name}` cannot be part of a topic's name: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// A window of no length, or an advance of zero or above the size.
    #[error("windows of store `{store}`: the size must be above zero, the advance above zero and at most the size")]
    InvalidWindows {
        /// The store of the windowed aggregation.
        store: String,
    },
    /// A setting of the source was given behind an operator.
    #[error("`{setting}` belongs to the source; call it right after StreamsBuilder::stream, before any operator")]
    NotASource {
        /// The method called.
        setting: &'static str,
    },
    /// A late output was split off, but the windows were never aggregated.
    #[error("the late output of a windowed stream is used, but its windows are not aggregated")]
    LateWithoutAggregation,
}

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// Why a record could not be processed. The task stops; its offsets stay where they were committed last.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The source's serde refused a record, and the source does not [skip](crate::OnError::Skip).
    #[error("{operator}: the {part} of {topic}-{partition} at offset {offset} does not decode: {source}")]
    Deserialize {
        /// The source's name in the topology.
        operator: Arc<str>,
        /// The record's topic.
        topic: Arc<str>,
        /// The record's partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What did not decode.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// A timestamp below zero, from the record or the extractor.
    #[error(
        "{operator}: {topic}-{partition} at offset {offset} has timestamp {timestamp}; return None from \
         timestamp_or_skip to pass over such records"
    )]
    InvalidTimestamp {
        /// The source's name in the topology.
        operator: Arc<str>,
        /// The record's topic.
        topic: Arc<str>,
        /// The record's partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// The timestamp.
        timestamp: i64,
    },
    /// A sink's serde refused a result.
    #[error("{operator}: the {part} for topic {to} made from {topic}-{partition} at offset {offset}: {source}")]
    Serialize {
        /// The sink's name in the topology.
        operator: Arc<str>,
        /// The topic written to.
        to: Arc<str>,
        /// Topic of the input record.
        topic: Arc<str>,
        /// Partition of the input record.
        partition: i32,
        /// Offset of the input record.
        offset: i64,
        /// What did not encode.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// Records came for a topic the task does not read.
    #[error("task {task} reads no topic `{topic}`")]
    UnknownTopic {
        /// The task.
        task: String,
        /// The topic.
        topic: String,
    },
    /// A state store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a state store could not be written to its changelog, rebuilt from it, or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An entry does not encode.
    #[error("store `{store}`: a {part} does not encode: {source}")]
    Encode {
        /// The store.
        store: Arc<str>,
        /// Which part.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// A changelog record does not decode: the serde or the type has changed.
    #[error("store `{store}`: a {part} in its changelog does not decode: {source}")]
    Decode {
        /// The store.
        store: Arc<str>,
        /// Which part.
        part: Part,
        /// What the serde said.
        source: SerdeError,
    },
    /// A changelog record without key.
    #[error("store `{store}`: its changelog holds a record without key")]
    MissingKey {
        /// The store.
        store: Arc<str>,
    },
    /// A key is encoded as null.
    #[error("store `{store}`: a key is written as null")]
    NullKey {
        /// The store.
        store: Arc<str>,
    },
    /// A windowed key in the changelog is too short.
    #[error("store `{store}`: a windowed key of {length} bytes in its changelog; 12 and more hold start and sequence")]
    ShortWindowKey {
        /// The store.
        store: Arc<str>,
        /// Its length.
        length: usize,
    },
}

/// Why a [`TestDriver`](crate::TestDriver) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The topology refused a record.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The test's own serde failed.
    #[error("the test's serde for topic or store `{name}`: {source}")]
    Serde {
        /// The topic or store.
        name: String,
        /// What the serde said.
        source: SerdeError,
    },
    /// A null where the test's serde has no value for it.
    #[error("topic or store `{name}` holds a null {part}; read it with a nullable serde")]
    Null {
        /// The topic or store.
        name: String,
        /// Which part.
        part: Part,
    },
    /// The topology has no such input.
    #[error("the topology reads no topic `{topic}`")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The topology has no such store.
    #[error("the topology has no store `{store}`")]
    UnknownStore {
        /// The store.
        store: String,
    },
}

impl From<StoreError> for DriverError {
    fn from(error: StoreError) -> Self {
        Self::Process(error.into())
    }
}
