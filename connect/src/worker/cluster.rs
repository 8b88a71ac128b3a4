//! What the runtime needs of a Kafka cluster, as traits: so that its rules are tested against a cluster in memory whose
//! acknowledgements come when the test says so. The real one is in `client`.

use std::{collections::HashMap, error::Error, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use riverrun_client::{ConsumerRecord, ProducerRecord};
use riverrun_core::TopicPartition;

use crate::TaskError;

/// A call to the cluster that failed.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}")]
pub(crate) struct ClusterError {
    /// What was attempted, as a sentence about its failure.
    pub(crate) attempted: String,
    pub(crate) retriable: bool,
    #[source]
    pub(crate) source: Box<dyn Error + Send + Sync>,
}

impl From<ClusterError> for TaskError {
    fn from(error: ClusterError) -> Self {
        if error.retriable { Self::retriable(error) } else { Self::fatal(error) }
    }
}

/// A topic to be there. -1 leaves partitions or replicas to the broker.
#[derive(Clone, Debug)]
pub(crate) struct TopicSpec {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) compacted: bool,
}

/// What a sink task reads.
#[derive(Clone, Debug)]
pub(crate) struct InputSpec {
    pub(crate) group: String,
    pub(crate) client_id: String,
    pub(crate) topics: Vec<String>,
    pub(crate) from_latest: bool,
    /// The member's own name, for static membership (KIP-345).
    pub(crate) group_instance_id: Option<String>,
    pub(crate) session_timeout: Duration,
}

/// A cluster.
pub(crate) trait Cluster: Clone + Send + Sync + 'static {
    type Output: Output;
    type Input: Input;

    /// Opens a producer that acknowledges a record when all replicas have it.
    fn output(&self, client_id: &str) -> impl Future<Output = Result<Self::Output, ClusterError>> + Send;

    /// Opens a group member that commits nothing by itself.
    fn input(&self, spec: InputSpec) -> impl Future<Output = Result<Self::Input, ClusterError>> + Send;

    /// Creates a topic unless it is there already.
    fn ensure_topic(&self, spec: &TopicSpec) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Reads a topic from its beginning to where it ends now.
    fn read_all(&self, topic: &str) -> impl Future<Output = Result<Vec<KeyValue>, ClusterError>> + Send;
}

/// Key and value of a record.
pub(crate) type KeyValue = (Option<Bytes>, Option<Bytes>);

/// A producer.
pub(crate) trait Output: Send + Sync + 'static {
    /// Done when the record is acknowledged, or never will be.
    type Delivery: Future<Output = Result<(), ClusterError>> + Send + 'static;

    /// Hands a record over; waits only for room. Records of one topic partition keep their order.
    fn send(&self, record: ProducerRecord) -> impl Future<Output = Result<Self::Delivery, ClusterError>> + Send;

    /// Sends what is left and closes.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a group member is told.
#[derive(Debug)]
pub(crate) enum InputEvent {
    Records(Vec<ConsumerRecord>),
    /// Partitions go; what is left to commit of them has to be committed before the next poll.
    Revoked(Vec<TopicPartition>),
    /// Partitions are gone, and nothing of them can be committed any more.
    Lost(Vec<TopicPartition>),
    /// Time is up, or something happened that asks for nothing.
    Idle,
}

/// A group member. Its methods are called one at a time.
pub(crate) trait Input: Send + 'static {
    /// Waits for the next event, `timeout` at most.
    fn poll(&mut self, timeout: Duration) -> impl Future<Output = Result<InputEvent, ClusterError>> + Send;

    /// Commits the offsets of the next records to read.
    fn commit(
        &mut self,
        offsets: HashMap<TopicPartition, i64>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Delivers no records until [`Input::resume`], but remains a member of its group.
    fn pause(&mut self);

    /// Delivers records again.
    fn resume(&mut self);

    /// Leaves the group.
    fn close(self) -> impl Future<Output = ()> + Send;
}
