//! Metadata (API key 3): brokers, topics, leaders. Null topics: all; empty: none (in version 0 empty means all).
//!
//! v4: the client may forbid automatic creation; v8: authorized operations, which are not told as there is no authorizer;
//! v10: topic ids; v12: topics asked for by id.

use std::sync::Arc;

use riverrun_core::{
    LeaderEpoch, NodeId, Uuid,
    metadata::{CreateTopic, Image, Partition, Topic},
    protocol::{
        ErrorCode,
        messages::{
            MetadataRequest, MetadataResponse,
            metadata::{
                MetadataRequestTopic, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
            },
        },
    },
};

use super::topic_code;
use crate::{
    Reply, RequestContext, groups::OFFSETS_TOPIC, metadata::ChangeError, node::Node, storage::Committed,
    topics::TopicError,
};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: MetadataRequest) -> Reply {
    let version = context.api_version;
    let wanted = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    let mut creations = Vec::new();
    let topics = match wanted {
        None => node.image().topics().map(|topic| describe(topic)).collect(),
        Some(wanted) => {
            let may_create = node.start_config.auto_create_topics_enable && request.allow_auto_topic_creation;
            wanted.into_iter().map(|topic| find(node, version, topic, may_create, &mut creations)).collect()
        }
    };
    let endpoint = node.advertised(context.listener);
    let broker = MetadataResponseBroker {
        node_id: node.id.0,
        host: endpoint.host,
        port: i32::from(endpoint.port),
        rack: node.start_config.broker_rack.clone(),
    };
    let response = MetadataResponse {
        brokers: vec![broker],
        cluster_id: Some(node.cluster_id.clone()),
        controller_id: node.id.0,
        topics,
        ..Default::default()
    };
    if creations.is_empty() {
        return Reply::now(response);
    }
    Reply::later(async move {
        for committed in creations {
            // Should it fail, the client finds out when it uses the topic.
            let _ = committed.await;
        }
        response
    })
}

fn find(
    node: &Node,
    version: i16,
    wanted: MetadataRequestTopic,
    may_create: bool,
    creations: &mut Vec<Committed>,
) -> MetadataResponseTopic {
    let image = node.image();
    let refused = |code: ErrorCode, name: Option<String>, topic_id: Uuid| MetadataResponseTopic {
        error_code: code.code(),
        name: name.or_else(|| (version < 12).then(String::new)),
        topic_id,
        ..Default::default()
    };
    let Some(name) = wanted.name else {
        return match image.topic_by_id(wanted.topic_id) {
            Some(topic) => describe(topic),
            None => refused(ErrorCode::UnknownTopicId, None, wanted.topic_id),
        };
    };
    if let Some(topic) = image.topic(&name) {
        return describe(topic);
    }
    if let Err(error) = riverrun_core::metadata::validate_topic_name(&name) {
        tracing::debug!(%error, "metadata of an impossible topic");
        return refused(ErrorCode::InvalidTopicException, Some(name), Uuid::ZERO);
    }
    if !may_create {
        return refused(ErrorCode::UnknownTopicOrPartition, Some(name), Uuid::ZERO);
    }
    match create(node, &name) {
        Ok((topic, committed)) => {
            creations.push(committed);
            describe(&topic)
        }
        Err(code) => refused(code, Some(name), Uuid::ZERO),
    }
}

fn create(node: &Node, name: &str) -> Result<(Arc<Topic>, Committed), ErrorCode> {
    let created = if name == OFFSETS_TOPIC {
        node.create_offsets_topic().map(|()| node.metadata.committed_now())
    } else {
        let request = CreateTopic { name: name.to_owned(), topic_id: node.random_uuid(), ..CreateTopic::default() };
        node.create_topic(&request).map(|(_, committed)| committed)
    };
    let committed = match created {
        Ok(committed) => committed,
        // Another request was quicker.
        Err(ChangeError::Refused(TopicError::Refused(riverrun_core::metadata::CreateTopicError::AlreadyExists {
            ..
        }))) => node.metadata.committed_now(),
        Err(error) => {
            let (code, message) = topic_code(&error);
            tracing::warn!(topic = name, message, "cannot create the topic automatically");
            return Err(code);
        }
    };
    tracing::info!(topic = name, "topic created automatically");
    let image: Arc<Image> = node.image();
    Ok((Arc::clone(image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?), committed))
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: &*topic.name == OFFSETS_TOPIC,
        partitions: topic.partitions.iter().map(|(index, partition)| describe_partition(*index, partition)).collect(),
        ..Default::default()
    }
}

fn describe_partition(partition_index: i32, partition: &Partition) -> MetadataResponsePartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let error_code = if partition.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    MetadataResponsePartition {
        error_code: error_code.code(),
        partition_index,
        leader_id: NodeId::to_wire(partition.leader),
        leader_epoch: LeaderEpoch::to_wire(Some(partition.leader_epoch)),
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        offline_replicas: Vec::new(),
    }
}
