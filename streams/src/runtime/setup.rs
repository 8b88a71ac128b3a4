//! Before the workers start: learns the sizes of the topics read, and creates or checks the internal topics.

use std::{collections::HashMap, sync::Arc, time::Duration};

use riverrun_client::{Admin, NewTopic, Refused};
use riverrun_core::protocol::ErrorCode;
use tokio::time::{Instant, interval};

use super::{
    error::StreamsError,
    plan::{InternalTopic, PlanError, internal_topics},
};
use crate::topology::{TopicName, Topology};

/// Within this time every broker has heard of a new topic, or there is none.
const PROPAGATION: Duration = Duration::from_secs(5);

/// Between two questions whether it has.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn prepare(admin: &Admin, topology: &Topology) -> Result<(), StreamsError> {
    let sources = (0..topology.subtopology_count()).flat_map(|part| topology.source_topics(part));
    let external = sources.filter_map(|topic| match topic {
        TopicName::External(name) => Some(name),
        TopicName::Repartition(_) => None,
    });
    let counts = visible(admin, external.collect()).await?;
    let topics = internal_topics(topology, &counts).map_err(|error| match error {
        PlanError::MissingTopic(topic) => StreamsError::MissingTopic { topic },
        PlanError::Cycle(topic) => StreamsError::UnboundTopic { topic },
    })?;
    let existing = partition_counts(admin, topics.iter().map(|topic| topic.name.clone()).collect()).await?;
    let mut missing = Vec::new();
    for topic in topics {
        match existing.get(&topic.name) {
            None => missing.push(topic),
            Some(actual) if *actual == topic.partitions => {}
            Some(actual) => {
                let InternalTopic { name: topic, partitions: expected, .. } = topic;
                return Err(StreamsError::InternalTopicSize { topic, expected, actual: *actual });
            }
        }
    }
    let created = missing.iter().map(|topic| topic.name.clone()).collect();
    create(admin, missing).await?;
    // The leader of the group shares out what it sees: all of it must be there before the first worker joins.
    visible(admin, created).await?;
    Ok(())
}

/// The topics with their sizes, once all are there, or what is there when the time is up: a topic just created is not
/// known to every broker at once, and brokers tell nobody when it is, so they are asked again.
async fn visible(admin: &Admin, names: Vec<Arc<str>>) -> Result<HashMap<Arc<str>, i32>, StreamsError> {
    let deadline = Instant::now() + PROPAGATION;
    let mut ask_again = interval(ASK_AGAIN);
    loop {
        ask_again.tick().await;
        let counts = partition_counts(admin, names.clone()).await?;
        if names.iter().all(|name| counts.contains_key(name)) || Instant::now() >= deadline {
            return Ok(counts);
        }
    }
}

/// The topics among `names` that exist, with their numbers of partitions.
async fn partition_counts(admin: &Admin, names: Vec<Arc<str>>) -> Result<HashMap<Arc<str>, i32>, StreamsError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let mut counts = HashMap::new();
    for (name, described) in admin.describe_topics(&names).await? {
        match described {
            Ok(topic) => {
                counts.insert(topic.name, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
            }
            Err(Refused { code: ErrorCode::UnknownTopicOrPartition, .. }) => {}
            Err(source) => return Err(StreamsError::Topic { topic: name.into(), source }),
        }
    }
    Ok(counts)
}

async fn create(admin: &Admin, topics: Vec<InternalTopic>) -> Result<(), StreamsError> {
    if topics.is_empty() {
        return Ok(());
    }
    let described = |topic: &InternalTopic| {
        let new = NewTopic::new(&*topic.name, topic.partitions);
        topic.configs.iter().fold(new, |new, (name, value)| new.config(*name, value))
    };
    let topics: Vec<_> = topics.iter().map(described).collect();
    for (topic, created) in admin.create_topics(&topics).await? {
        match created {
            Ok(_) => tracing::info!(topic, "internal topic created"),
            // Another instance that starts at the same time was faster.
            Err(Refused { code: ErrorCode::TopicAlreadyExists, .. }) => {}
            Err(source) => return Err(StreamsError::Topic { topic: topic.into(), source }),
        }
    }
    Ok(())
}
