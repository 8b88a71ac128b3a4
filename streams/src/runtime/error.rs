//! Why an application stopped.

use std::sync::Arc;

use riverrun_client::{
    ClientError, CommitError, ConsumeError, ConsumerConfigError, ProduceError, ProducerConfigError, Refused, SendError,
    TopicPartition,
};

use crate::{ProcessError, StoreError};

/// Why a running topology could not start or go on. What was committed before stays; run it again to go on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamsError {
    /// A topic the topology reads does not exist.
    #[error("topic `{topic}` does not exist; create it before the application that reads it")]
    MissingTopic {
        /// The topic.
        topic: Arc<str>,
    },
    /// The sub-topologies that write a repartition topic read nothing but one another.
    #[error("the number of partitions of `{topic}` depends on nothing but itself")]
    UnboundTopic {
        /// The topic.
        topic: Arc<str>,
    },
    /// An internal topic is there with another number of partitions: the topics it depends on have grown, or it
    /// belongs to another application of the same id.
    #[error(
        "internal topic `{topic}` has {actual} partitions where {expected} are needed; delete the application's \
         internal topics and state to begin anew, or give it another id"
    )]
    InternalTopicSize {
        /// The topic.
        topic: Arc<str>,
        /// Partitions needed.
        expected: i32,
        /// Partitions found.
        actual: i32,
    },
    /// The cluster could not be asked about topics.
    #[error("the cluster cannot be asked about topics: {0}")]
    Client(#[from] ClientError),
    /// The broker refuses a topic: to tell about it, or to create an internal one.
    #[error("topic `{topic}`: {source}")]
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// What the broker said.
        source: Refused,
    },
    /// The consumer's settings were refused.
    #[error("the consumer's settings: {0}")]
    ConsumerConfig(#[from] ConsumerConfigError),
    /// The producer's settings were refused.
    #[error("the producer's settings: {0}")]
    ProducerConfig(#[from] ProducerConfigError),
    /// Records could not be read.
    #[error("reading failed: {0}")]
    Consume(#[from] ConsumeError),
    /// Offsets could not be committed.
    #[error("committing failed: {0}")]
    Commit(#[from] CommitError),
    /// A result was not accepted for sending.
    #[error("cannot write to topic `{topic}`: {source}")]
    Send {
        /// The topic.
        topic: Arc<str>,
        /// Why.
        source: SendError,
    },
    /// A result was not written.
    #[error("a result was not written: {0}")]
    Produce(#[from] ProduceError),
    /// An operator failed on a record.
    #[error("task {task}: {source}")]
    Process {
        /// The task, `<subtopology>_<partition>`.
        task: String,
        /// What failed.
        source: ProcessError,
    },
    /// A store could not be flushed or rebuilt.
    #[error("task {task}: {source}")]
    Store {
        /// The task, `<subtopology>_<partition>`.
        task: String,
        /// What failed.
        source: StoreError,
    },
    /// A changelog ended before its end offset was reached.
    #[error("restoring {changelog} stopped at offset {offset} before its end at {end}")]
    RestoreIncomplete {
        /// The changelog's partition.
        changelog: TopicPartition,
        /// How far it was read.
        offset: i64,
        /// Where it ends.
        end: i64,
    },
    /// A closure of the topology panicked.
    #[error("a worker panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
}
