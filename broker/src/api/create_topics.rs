//! CreateTopics (API key 19). v4: counts of -1 mean the broker's defaults (KIP-464); v5: the topic's settings come back
//! (KIP-525); v7: its id.

use std::sync::Arc;

use futures::future::join_all;
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
use crate::{Reply, node::Node, storage::Committed};

pub(super) fn handle(node: &Arc<Node>, request: CreateTopicsRequest) -> Reply {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut waiting = Vec::new();
    for topic in &request.topics {
        if request.topics.iter().filter(|other| other.name == topic.name).count() > 1 {
            let message = "the topic is named twice in this request".to_owned();
            topics.push(refused(topic, ErrorCode::InvalidRequest, message));
            continue;
        }
        let (result, committed) = create(node, topic, request.validate_only);
        waiting.extend(committed);
        topics.push(result);
    }
    Reply::later(async move {
        let lost = join_all(waiting).await.iter().any(Result::is_err);
        for topic in topics.iter_mut().filter(|topic| lost && topic.error_code == ErrorCode::None.code()) {
            topic.error_code = ErrorCode::KafkaStorageError.code();
        }
        CreateTopicsResponse { topics, ..Default::default() }
    })
}

fn create(node: &Node, topic: &CreatableTopic, validate_only: bool) -> (CreatableTopicResult, Option<Committed>) {
    let assignments = topic.assignments.iter();
    let command = CreateTopic {
        name: topic.name.clone(),
        topic_id: node.random_uuid(),
        partition_count: Some(topic.num_partitions).filter(|count| *count != -1),
        replication_factor: Some(topic.replication_factor).filter(|factor| *factor != -1),
        assignments: assignments
            .map(|a| (a.partition_index, a.broker_ids.iter().copied().map(NodeId).collect()))
            .collect(),
        configs: topic.configs.iter().filter_map(|c| Some((c.name.clone(), c.value.clone()?))).collect(),
        validate_only,
    };
    match node.create_topic(&command) {
        Ok((creation, committed)) => (created(node, &command, &creation), Some(committed)),
        Err(error) => {
            let (code, message) = topic_code(&error);
            (refused(topic, code, message), None)
        }
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
