//! CreateTopics (API key 19). v4: counts of -1 mean the broker's defaults (KIP-464); v5: the topic's settings come back
//! (KIP-525); v6: THROTTLING_QUOTA_EXCEEDED (KIP-599); v7: its id.

use std::{collections::HashMap, sync::Arc};

use riverrun_core::{
    NodeId,
    metadata::{CreateTopic, Creation},
    protocol::{
        ErrorCode,
        messages::{
            CreateTopicsRequest, CreateTopicsResponse,
            create_topics::{CreatableTopic, CreatableTopicConfigs, CreatableTopicResult},
        },
    },
};

use super::{describe_configs, topic_code};
use crate::{Reply, RequestContext, node::Node, quotas::MutationQuota, storage::Committed};

/// The first version that knows THROTTLING_QUOTA_EXCEEDED.
const STRICT: i16 = 6;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: CreateTopicsRequest) -> Reply {
    let quota = Arc::new(MutationQuota::of(&node.quotas, context, STRICT));
    let charged = Arc::clone(&quota);
    let creating = node.off_runtime(move |node| create(node, &request, &charged));
    Reply::later(async move {
        let (mut topics, committed) = creating.await;
        let lost = committed.await.is_err();
        for topic in topics.iter_mut().filter(|topic| lost && topic.error_code == ErrorCode::None.code()) {
            topic.error_code = ErrorCode::KafkaStorageError.code();
        }
        CreateTopicsResponse { topics, throttle_time_ms: quota.settle() }
    })
}

fn create(node: &Node, request: &CreateTopicsRequest, quota: &MutationQuota) -> (Vec<CreatableTopicResult>, Committed) {
    let mut named: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(&topic.name).or_default() += 1;
    }
    let once = |topic: &CreatableTopic| named.get(topic.name.as_str()) == Some(&1);
    let commands: Vec<_> = request
        .topics
        .iter()
        .filter(|topic| once(topic))
        .map(|topic| command(node, topic, request.validate_only))
        .collect();
    let (outcomes, committed) = node.create_topics(&commands, quota);
    let mut outcomes = commands.iter().zip(outcomes);
    let result = |topic: &CreatableTopic| {
        let Some((command, outcome)) = once(topic).then(|| outcomes.next()).flatten() else {
            return refused(topic, ErrorCode::InvalidRequest, "the topic is named twice in this request".to_owned());
        };
        match outcome {
            Ok(creation) => created(node, command, &creation),
            Err(error) => {
                let (code, message) = topic_code(&error);
                refused(topic, code, message)
            }
        }
    };
    (request.topics.iter().map(result).collect(), committed)
}

fn command(node: &Node, topic: &CreatableTopic, validate_only: bool) -> CreateTopic {
    let assignments = topic.assignments.iter();
    CreateTopic {
        name: topic.name.clone(),
        topic_id: node.random_uuid(),
        partition_count: Some(topic.num_partitions).filter(|count| *count != -1),
        replication_factor: Some(topic.replication_factor).filter(|factor| *factor != -1),
        assignments: assignments
            .map(|a| (a.partition_index, a.broker_ids.iter().copied().map(NodeId).collect()))
            .collect(),
        configs: topic.configs.iter().filter_map(|c| Some((c.name.clone(), c.value.clone()?))).collect(),
        validate_only,
    }
}

fn created(node: &Node, command: &CreateTopic, creation: &Creation) -> CreatableTopicResult {
    let configs = describe_configs::topic_rows(node, &command.configs, false, false).into_iter();
    CreatableTopicResult {
        name: command.name.clone(),
        topic_id: if command.validate_only { riverrun_core::Uuid::ZERO } else { command.topic_id },
        num_partitions: creation.partition_count,
        replication_factor: creation.replication_factor,
        configs: Some(
            configs
                .map(|row| CreatableTopicConfigs {
                    name: row.name,
                    value: row.value,
                    read_only: row.read_only,
                    config_source: row.config_source,
                    is_sensitive: row.is_sensitive,
                })
                .collect(),
        ),
        ..Default::default()
    }
}

fn refused(topic: &CreatableTopic, code: ErrorCode, message: String) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        error_code: code.code(),
        error_message: Some(message),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}
