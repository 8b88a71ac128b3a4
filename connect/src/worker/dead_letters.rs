//! Where a sink's undeliverable records go: the topic of `errors.deadletterqueue.topic.name`, with key, value and headers
//! as they were, and on demand headers that tell the story, named as Kafka Connect names them.

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use riverrun_client::ProducerRecord;

use super::{
    cluster::{Cluster, ClusterError, Output, TopicSpec},
    task::TaskSetup,
};
use crate::{SinkRecord, TaskError, config::SinkConfig};

/// At which step a record failed; Kafka Connect's names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    KeyConverter,
    ValueConverter,
    TaskPut,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::TaskPut => "TASK_PUT",
        }
    }
}

/// The way to the dead letter topic.
pub(super) struct DeadLetters<C: Cluster> {
    topic: std::sync::Arc<str>,
    headers: bool,
    output: C::Output,
    /// Records on their way; awaited before any offset is committed.
    pending: Vec<BoxFuture<'static, Result<(), ClusterError>>>,
}

impl<C: Cluster> DeadLetters<C> {
    /// Opens it, if one is configured.
    pub(super) async fn open(cluster: &C, setup: &TaskSetup, config: &SinkConfig) -> Result<Option<Self>, TaskError> {
        let Some(topic) = &config.dead_letter_topic else { return Ok(None) };
        let topic: std::sync::Arc<str> = topic.as_str().into();
        if setup.worker.topic_creation {
            let replication_factor = config.dead_letter_replication_factor;
            let spec = TopicSpec { name: topic.clone(), partitions: 1, replication_factor, compacted: false };
            cluster.ensure_topic(&spec).await?;
        }
        let output = cluster.output(&setup.client_id("dlq")).await?;
        Ok(Some(Self { topic, headers: config.dead_letter_headers, output, pending: Vec::new() }))
    }

    /// Sends a record there.
    pub(super) async fn send(
        &mut self,
        setup: &TaskSetup,
        record: &SinkRecord,
        stage: Stage,
        reason: &str,
    ) -> Result<(), TaskError> {
        let mut letter = ProducerRecord::to(self.topic.clone());
        letter.key.clone_from(&record.raw_key);
        letter.value.clone_from(&record.raw_value);
        letter.headers.clone_from(&record.headers);
        letter.timestamp = Some(record.timestamp);
        if self.headers {
            for (name, value) in [
                ("topic", record.topic_partition.topic.to_string()),
                ("partition", record.topic_partition.partition.to_string()),
                ("offset", record.offset.to_string()),
                ("connector.name", setup.connector.to_string()),
                ("task.id", setup.task.to_string()),
                ("stage", stage.name().to_owned()),
                ("class.name", setup.common.class.clone()),
                ("exception.message", reason.to_owned()),
            ] {
                letter.headers.push((format!("__connect.errors.{name}"), Some(Bytes::from(value))));
            }
        }
        let delivery = self.output.send(letter).await?;
        self.pending.push(Box::pin(delivery));
        setup.status.update(|task| task.dead_lettered += 1);
        Ok(())
    }

    /// Waits until all are there.
    pub(super) async fn flush(&mut self) -> Result<(), TaskError> {
        let sent = try_join_all(self.pending.drain(..)).await;
        sent.map(drop).map_err(TaskError::fatal)
    }

    pub(super) async fn close(self) {
        self.output.close().await;
    }
}
