//! The cluster behind a [`Client`]: what [`Cluster`] asks for, in terms of producer, consumer and admin.

use std::{collections::HashMap, error::Error, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use riverrun_client::{
    AutoOffsetReset, Client, ClientError, CommitError, ConsumeError, Consumer, ConsumerConfigError, ConsumerEvent,
    NewTopic, ProduceError, Producer, ProducerConfigError, ProducerRecord, Refused, SendError,
};
use riverrun_core::{TopicPartition, protocol::ErrorCode};

use super::cluster::{Cluster, ClusterError, Input, InputEvent, InputSpec, KeyValue, Output, TopicSpec};

/// How long a batch waits for more records: long enough for what one poll of a connector brings.
const LINGER: Duration = Duration::from_millis(5);

/// Bytes of a batch.
const BATCH_SIZE: usize = 128 << 10;

/// How long one poll waits while a topic is read to its end.
const READ_WAIT: Duration = Duration::from_secs(1);

/// A real cluster.
#[derive(Clone, Debug)]
pub(super) struct ClientCluster {
    client: Client,
}

impl ClientCluster {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

/// Errors of the client that tell whether trying again can help.
trait ClientFailure: Error + Send + Sync + 'static {
    fn can_pass(&self) -> bool;
}

macro_rules! client_failure {
    ($($error:ty: $can_pass:expr),*) => {$(
        impl ClientFailure for $error {
            fn can_pass(&self) -> bool {
                let can_pass: fn(&Self) -> bool = $can_pass;
                can_pass(self)
            }
        }
    )*};
}

client_failure! {
    ClientError: Self::is_retriable,
    CommitError: Self::is_retriable,
    ConsumeError: Self::is_retriable,
    ConsumerConfigError: |_| false,
    ProduceError: Self::is_retriable,
    ProducerConfigError: |_| false,
    Refused: Self::is_retriable,
    SendError: Self::is_retriable
}

/// Names what was attempted.
fn failed<E: ClientFailure>(attempted: impl Into<String>) -> impl FnOnce(E) -> ClusterError {
    let attempted = attempted.into();
    move |error| ClusterError { attempted, retriable: error.can_pass(), source: Box::new(error) }
}

impl Cluster for ClientCluster {
    type Output = ClientOutput;
    type Input = ClientInput;

    async fn output(&self, client_id: &str) -> Result<ClientOutput, ClusterError> {
        let producer = self.client.producer().client_id(client_id).linger(LINGER).batch_size(BATCH_SIZE).build();
        producer.map(ClientOutput).map_err(failed("cannot open a producer"))
    }

    async fn input(&self, spec: InputSpec) -> Result<ClientInput, ClusterError> {
        let reset = if spec.from_latest { AutoOffsetReset::Latest } else { AutoOffsetReset::Earliest };
        let consumer = self.client.consumer().group(spec.group.as_str()).client_id(spec.client_id);
        let mut consumer = consumer.auto_commit(false).auto_offset_reset(reset).session_timeout(spec.session_timeout);
        if let Some(name) = spec.group_instance_id {
            consumer = consumer.group_instance_id(name);
        }
        let mut consumer = consumer.build().map_err(failed("cannot open a consumer"))?;
        consumer.subscribe(&spec.topics);
        Ok(ClientInput { consumer, paused: false })
    }

    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), ClusterError> {
        let attempted = || format!("cannot create topic `{}`", spec.name);
        let admin = self.client.admin();
        let described = admin.describe_topics(&[&spec.name]).await;
        let described = described.map_err(failed(attempted()))?;
        if described.values().any(Result::is_ok) {
            return Ok(());
        }
        let mut topic = NewTopic::new(&*spec.name, spec.partitions);
        topic.partitions = (spec.partitions > 0).then_some(spec.partitions);
        topic.replication_factor = (spec.replication_factor > 0).then_some(spec.replication_factor);
        if spec.compacted {
            topic = topic.config("cleanup.policy", "compact");
        }
        let created = admin.create_topics(&[topic]).await;
        let created = created.map_err(failed(attempted()))?;
        match created.into_values().next() {
            // Somebody else was faster.
            Some(Err(Refused { code: ErrorCode::TopicAlreadyExists, .. })) | Some(Ok(_)) | None => Ok(()),
            Some(Err(refused)) => Err(failed(attempted())(refused)),
        }
    }

    async fn read_all(&self, topic: &str) -> Result<Vec<KeyValue>, ClusterError> {
        let attempted = || format!("cannot read topic `{topic}`");
        let consumer = self.client.consumer().auto_commit(false).auto_offset_reset(AutoOffsetReset::Earliest).build();
        let mut consumer = consumer.map_err(failed(attempted()))?;
        let partitions = consumer.partitions_for(topic).await;
        let partitions = partitions.map_err(failed(attempted()))?;
        let partitions: Vec<_> = partitions.into_iter().map(|partition| partition.topic_partition).collect();
        let ends = consumer.end_offsets(&partitions).await;
        let ends = ends.map_err(failed(attempted()))?;
        consumer.assign(&partitions);
        consumer.seek_to_beginning(&partitions).map_err(failed(attempted()))?;
        let mut read = Vec::new();
        while ends.iter().any(|(partition, end)| consumer.position(partition).unwrap_or(0) < *end) {
            let records = consumer.poll(READ_WAIT).await;
            let records = records.map_err(failed(attempted()))?;
            read.extend(records.into_iter().map(|record| (record.key, record.value)));
        }
        Ok(read)
    }
}

/// A producer.
#[derive(Debug)]
pub(crate) struct ClientOutput(Producer);

impl Output for ClientOutput {
    type Delivery = BoxFuture<'static, Result<(), ClusterError>>;

    async fn send(&self, record: ProducerRecord) -> Result<Self::Delivery, ClusterError> {
        let topic = record.topic.clone();
        let delivery = self.0.send(record).await.map_err(failed("a record was not accepted"))?;
        let outcome = move |result: Result<_, ProduceError>| {
            let attempted = || format!("a record for topic `{topic}` was not delivered");
            result.map(drop).map_err(|error| failed(attempted())(error))
        };
        Ok(delivery.map(outcome).boxed())
    }

    async fn close(self) {
        self.0.close().await;
    }
}

/// A group member.
#[derive(Debug)]
pub(crate) struct ClientInput {
    consumer: Consumer,
    paused: bool,
}

impl Input for ClientInput {
    async fn poll(&mut self, timeout: Duration) -> Result<InputEvent, ClusterError> {
        let event = self.consumer.poll_event(timeout).await;
        Ok(match event.map_err(failed("cannot read"))? {
            ConsumerEvent::Records(records) => InputEvent::Records(records.into_iter().collect()),
            ConsumerEvent::Revoked(partitions) => InputEvent::Revoked(partitions),
            ConsumerEvent::Lost(partitions) => InputEvent::Lost(partitions),
            ConsumerEvent::Assigned(_) => {
                if self.paused {
                    self.pause();
                }
                InputEvent::Idle
            }
            // Idle, and whatever may be told one day that asks for nothing.
            _ => InputEvent::Idle,
        })
    }

    async fn commit(&mut self, offsets: HashMap<TopicPartition, i64>) -> Result<(), ClusterError> {
        let committed = self.consumer.commit(offsets).await;
        committed.map_err(failed("cannot commit offsets"))
    }

    fn pause(&mut self) {
        self.paused = true;
        // What is assigned can be paused.
        let _ = self.consumer.pause(&self.consumer.assignment());
    }

    fn resume(&mut self) {
        self.paused = false;
        let _ = self.consumer.resume(&self.consumer.assignment());
    }

    async fn close(self) {
        if let Err(error) = self.consumer.close().await {
            tracing::debug!(%error, "the consumer did not close in good order");
        }
    }
}
