//! Metadata (API key 3): brokers, topics, leaders. Null topics: all; empty: none (in version 0 empty means all).
//!
//! v4: the client may forbid automatic creation; v8: authorized operations, which are not told as there is no authorizer;
//! v10: topic ids; v12: topics asked for by id.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use riverrun_core::{
    LeaderEpoch, NodeId, Uuid,
    metadata::{CreateTopic, CreateTopicError, Image, PARTITIONS_PER_REQUEST_MAX, Partition, Topic},
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
    Reply, RequestContext,
    groups::OFFSETS_TOPIC,
    log_limit::LineKind,
    metadata::ChangeError,
    node::Node,
    quotas::MutationQuota,
    storage::Committed,
    topics::{TopicError, is_internal},
};

/// Every version: a topic that is not made now is unknown, which all clients ask for again.
const STRICT: i16 = 0;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: MetadataRequest) -> Reply {
    let version = context.api_version;
    let respond = responder(node, context);
    let Some(wanted) = request.topics.filter(|topics| version > 0 || !topics.is_empty()) else {
        return Reply::now(respond(node.image().topics().map(|topic| describe(node, topic)).collect()));
    };
    let may_create = node.start_config.auto_create_topics_enable && request.allow_auto_topic_creation;
    let missing = if may_create { missing(&node.image(), &wanted) } else { Vec::new() };
    let unknown = ErrorCode::UnknownTopicOrPartition;
    if missing.is_empty() {
        return Reply::now(respond(wanted.into_iter().map(|topic| find(node, version, topic, unknown)).collect()));
    }
    let quota = Arc::new(MutationQuota::of(&node.quotas, context, STRICT));
    let charged = Arc::clone(&quota);
    let creating = node.off_runtime(move |node| {
        let (refusals, committed) = create(node, &missing, &charged);
        let code =
            |name: &Option<String>| name.as_ref().and_then(|name| refusals.get(name).copied()).unwrap_or(unknown);
        let found = wanted.into_iter().map(|topic| {
            let code = code(&topic.name);
            find(node, version, topic, code)
        });
        (found.collect(), committed)
    });
    Reply::later(async move {
        let (topics, committed) = creating.await;
        // Should it fail, the client finds out when it uses the topic.
        let _ = committed.await;
        MetadataResponse { throttle_time_ms: quota.settle(), ..respond(topics) }
    })
}

/// Makes the response of what is said of the topics.
fn responder(
    node: &Node,
    context: &RequestContext,
) -> impl FnOnce(Vec<MetadataResponseTopic>) -> MetadataResponse + Send + 'static {
    let endpoint = node.advertised(context.listener);
    let broker = MetadataResponseBroker {
        node_id: node.id.0,
        host: endpoint.host,
        port: i32::from(endpoint.port),
        rack: node.start_config.broker_rack.clone(),
    };
    let (cluster_id, controller_id) = (node.cluster_id.clone(), node.id.0);
    move |topics| MetadataResponse {
        brokers: vec![broker],
        cluster_id: Some(cluster_id),
        controller_id,
        topics,
        ..Default::default()
    }
}

/// Names of topics that are asked for, could be and are not.
fn missing(image: &Image, wanted: &[MetadataRequestTopic]) -> Vec<String> {
    let names: BTreeSet<&String> = wanted.iter().filter_map(|topic| topic.name.as_ref()).collect();
    let missing = names
        .into_iter()
        .filter(|name| image.topic(name).is_none() && riverrun_core::metadata::validate_topic_name(name).is_ok());
    missing.cloned().collect()
}

/// What is said of one topic; `unknown` if there is none of its name.
fn find(node: &Node, version: i16, wanted: MetadataRequestTopic, unknown: ErrorCode) -> MetadataResponseTopic {
    let image = node.image();
    let refused = |code: ErrorCode, name: Option<String>, topic_id: Uuid| MetadataResponseTopic {
        error_code: code.code(),
        name: name.or_else(|| (version < 12).then(String::new)),
        topic_id,
        ..Default::default()
    };
    let Some(name) = wanted.name else {
        return match image.topic_by_id(wanted.topic_id) {
            Some(topic) => describe(node, topic),
            None => refused(ErrorCode::UnknownTopicId, None, wanted.topic_id),
        };
    };
    if let Some(topic) = image.topic(&name) {
        return describe(node, topic);
    }
    if let Err(error) = riverrun_core::metadata::validate_topic_name(&name) {
        tracing::debug!(%error, "metadata of an impossible topic");
        return refused(ErrorCode::InvalidTopicException, Some(name), Uuid::ZERO);
    }
    refused(unknown, Some(name), Uuid::ZERO)
}

/// Makes topics, together. Returns why those that are refused are.
fn create(node: &Arc<Node>, names: &[String], quota: &MutationQuota) -> (HashMap<String, ErrorCode>, Committed) {
    let mut refusals = HashMap::new();
    let mut note = |name: &str, error: &ChangeError<TopicError<CreateTopicError>>| {
        // Another request was quicker.
        if matches!(error, ChangeError::Refused(TopicError::Refused(CreateTopicError::AlreadyExists { .. }))) {
            return;
        }
        let (mut code, message) = topic_code(error);
        if code == ErrorCode::ThrottlingQuotaExceeded {
            // No version of this API knows it; the client asks again.
            code = ErrorCode::UnknownTopicOrPartition;
        }
        if let Some(left_out) = node.log_line(LineKind::AutoCreate) {
            tracing::warn!(topic = name, message, left_out, "cannot create the topic automatically");
        }
        refusals.insert(name.to_owned(), code);
    };
    let (internal, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| is_internal(name));
    for name in internal {
        let created =
            if *name == OFFSETS_TOPIC { node.create_offsets_topic() } else { node.create_transactions_topic() };
        if let Err(error) = created {
            note(name, &error);
        }
    }
    // As many at a time as the metadata takes at once.
    let each = usize::try_from(node.start_config.num_partitions).unwrap_or(1).max(1);
    for names in others.chunks((PARTITIONS_PER_REQUEST_MAX / each).max(1)) {
        let new = |name: &&String| CreateTopic {
            name: (*name).clone(),
            topic_id: node.random_uuid(),
            ..CreateTopic::default()
        };
        let commands: Vec<_> = names.iter().map(new).collect();
        let (outcomes, _) = node.create_topics(&commands, quota);
        for (name, outcome) in names.iter().zip(outcomes) {
            match outcome {
                Ok(_) => tracing::info!(topic = %name, "topic created automatically"),
                Err(error) => note(name, &error),
            }
        }
    }
    (refusals, node.metadata.committed_now())
}

fn describe(node: &Node, topic: &Topic) -> MetadataResponseTopic {
    let offline = node.storage.offline_partitions(topic.id);
    let describe =
        |(index, partition): (&i32, &Partition)| describe_partition(*index, partition, offline.contains(index));
    MetadataResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: topic.partitions.iter().map(describe).collect(),
        ..Default::default()
    }
}

/// A partition whose files this broker cannot use has no leader, as in Kafka one whose log directory has failed.
fn describe_partition(partition_index: i32, partition: &Partition, offline: bool) -> MetadataResponsePartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let leader = partition.leader.filter(|_| !offline);
    let error_code = if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    MetadataResponsePartition {
        error_code: error_code.code(),
        partition_index,
        leader_id: NodeId::to_wire(leader),
        leader_epoch: LeaderEpoch::to_wire(Some(partition.leader_epoch)),
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        offline_replicas: if offline { ids(&partition.replicas) } else { Vec::new() },
    }
}
