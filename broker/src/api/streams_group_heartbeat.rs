//! StreamsGroupHeartbeat (API key 88): the one call of a member of the streams protocol (KIP-1071).
//!
//! The topics that the group's topology needs besides those of the user are created here, with the rights of the member
//! that calls. They are there before it is answered; its answer still says that they were missing, as it was decided
//! before, and the next call brings tasks. Topics that cannot be created are named in the same status.

use std::{collections::BTreeMap, sync::Arc};

use riverrun_core::{
    group::{
        Epoch, GroupId, InstanceId,
        streams::{
            CopartitionGroup, Endpoint, EndpointPartitions, InternalTopic, StatusCode, StreamsHeartbeat,
            StreamsHeartbeatResponse, Subtopology, TaskSet, ToldTopology, TopicInfo, TopologyEpoch,
        },
    },
    metadata::{AclOperation::Create, CreateTopic, CreateTopicError, validate_topic_name},
    protocol::{
        ErrorCode,
        messages::{
            StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse,
            streams_group_heartbeat::{self as wire, Status},
        },
    },
};

use super::{group_error, topic_code};
use crate::{
    Reply, RequestContext,
    groups::CoordinatorError,
    metadata::ChangeError,
    node::Node,
    quotas::MutationQuota,
    security::Permissions,
    topics::{TopicError, is_internal},
};

/// What stands for "not told" where the wire has a number.
const NOT_TOLD: i32 = -1;

/// Over its quota on changes of topics a client is refused them in every version; the next call tries again.
const STRICT: i16 = 0;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: StreamsGroupHeartbeatRequest) -> Reply {
    let shard = match node.group_shard(&request.group_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(&error)),
    };
    if let Some(message) = request.topology.as_ref().and_then(impossible_topics) {
        return Reply::now(StreamsGroupHeartbeatResponse {
            error_code: ErrorCode::StreamsInvalidTopology.code(),
            error_message: Some(message),
            ..empty()
        });
    }
    let command = command(context, request);
    let answer = node.groups.command(&shard, |machine, now| machine.streams_heartbeat(&command, now));
    let (node, context) = (Arc::clone(node), context.clone());
    Reply::later(async move {
        match answer.await {
            Ok(mut response) => {
                let topics = std::mem::take(&mut response.topics_to_create);
                if !topics.is_empty()
                    && let Some(failure) = create_topics(&node, &context, topics).await
                {
                    note(&mut response, &failure);
                }
                accepted(response)
            }
            Err(error) => refused(&error),
        }
    })
}

/// What is wrong with the names of a topology's topics.
fn impossible_topics(topology: &wire::Topology) -> Option<String> {
    let list = |names: Vec<&str>| (!names.is_empty()).then(|| names.join(", "));
    let impossible = names(topology).filter(|name| validate_topic_name(name).is_err()).collect();
    let own = || names(topology).filter(|name| is_internal(name)).collect();
    let impossible = list(impossible).map(|names| format!("no topic can have these names: {names}"));
    impossible.or_else(|| list(own()).map(|names| format!("a topology cannot have the broker's own topics: {names}")))
}

/// All topics of a topology.
pub(crate) fn names(topology: &wire::Topology) -> impl Iterator<Item = &str> {
    topology.subtopologies.iter().flat_map(|part| {
        let internal = part.repartition_source_topics.iter().chain(&part.state_changelog_topics);
        let named = part.source_topics.iter().chain(&part.repartition_sink_topics);
        named.chain(internal.map(|topic| &topic.name)).map(String::as_str)
    })
}

fn command(context: &RequestContext, request: StreamsGroupHeartbeatRequest) -> StreamsHeartbeat {
    let tasks = |parts: Vec<wire::TaskIds>| -> TaskSet {
        let mut tasks = TaskSet::new();
        for part in parts.into_iter().filter(|part| !part.partitions.is_empty()) {
            tasks.entry(part.subtopology_id.into()).or_default().extend(part.partitions);
        }
        tasks
    };
    let told_topology = |topology: wire::Topology| ToldTopology {
        epoch: TopologyEpoch(topology.epoch),
        subtopologies: topology.subtopologies.into_iter().map(subtopology).collect(),
    };
    let tags = |tags: Vec<wire::KeyValue>| tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    StreamsHeartbeat {
        endpoint_epoch: request.endpoint_information_epoch,
        instance_id: request.instance_id.map(InstanceId::from),
        rack_id: request.rack_id,
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|timeout_ms| *timeout_ms != NOT_TOLD),
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: context.client_host.clone(),
        topology: request.topology.map(told_topology),
        active: request.active_tasks.map(tasks),
        standby: request.standby_tasks.map(tasks),
        warmup: request.warmup_tasks.map(tasks),
        process_id: request.process_id,
        user_endpoint: request.user_endpoint.map(|e| Endpoint { host: e.host, port: e.port }),
        client_tags: request.client_tags.map(tags),
        tells_task_offsets: request.task_offsets.is_some() || request.task_end_offsets.is_some(),
        shutdown_application: request.shutdown_application,
        ..StreamsHeartbeat::new(GroupId::from(request.group_id), request.member_id.into(), Epoch(request.member_epoch))
    }
}

fn subtopology(part: wire::Subtopology) -> (Arc<str>, Subtopology) {
    let names = |names: Vec<String>| names.into_iter().map(Arc::from).collect();
    let info = |info: wire::TopicInfo| TopicInfo {
        name: info.name.into(),
        partitions: Some(info.partitions).filter(|partitions| *partitions != 0),
        replication_factor: Some(info.replication_factor).filter(|factor| *factor != 0),
        configs: info.topic_configs.into_iter().map(|config| (config.key, config.value)).collect(),
    };
    let copartition = |group: wire::CopartitionGroup| CopartitionGroup {
        source_topics: group.source_topics,
        source_topic_regex: group.source_topic_regex,
        repartition_source_topics: group.repartition_source_topics,
    };
    let id = Arc::from(part.subtopology_id);
    let part = Subtopology {
        source_topics: names(part.source_topics),
        source_topic_regex: names(part.source_topic_regex),
        state_changelog_topics: part.state_changelog_topics.into_iter().map(info).collect(),
        repartition_sink_topics: names(part.repartition_sink_topics),
        repartition_source_topics: part.repartition_source_topics.into_iter().map(info).collect(),
        copartition_groups: part.copartition_groups.into_iter().map(copartition).collect(),
    };
    (id, part)
}

/// Creates internal topics of a group, or says why it cannot be.
async fn create_topics(
    node: &Arc<Node>,
    context: &RequestContext,
    topics: BTreeMap<Arc<str>, InternalTopic>,
) -> Option<String> {
    let may = Permissions::new(&node.authorizer, node.image(), context);
    if may.is_checked() && !may.cluster(Create) {
        let denied: Vec<&str> = topics.keys().map(AsRef::as_ref).filter(|topic| !may.topic(Create, topic)).collect();
        if !denied.is_empty() {
            return Some(format!("Unauthorized to CREATE on topics {}.", denied.join(", ")));
        }
    }
    let quota = MutationQuota::of(&node.quotas, context, STRICT);
    let creating = node.off_runtime(move |node| {
        let command = |topic: &InternalTopic| CreateTopic {
            name: topic.name.to_string(),
            topic_id: node.random_uuid(),
            partition_count: Some(topic.partitions),
            replication_factor: topic.replication_factor.filter(|factor| *factor > 0),
            configs: topic.configs.clone(),
            ..CreateTopic::default()
        };
        let commands: Vec<_> = topics.values().map(command).collect();
        let (outcomes, committed) = node.create_topics(&commands, &quota);
        let failures = topics.keys().zip(outcomes).filter_map(|(topic, outcome)| match outcome {
            Ok(_) => {
                tracing::info!(%topic, "topic created for a streams group");
                None
            }
            // Another member was quicker.
            Err(ChangeError::Refused(TopicError::Refused(CreateTopicError::AlreadyExists { .. }))) => None,
            Err(error) => {
                let (_, message) = topic_code(&error);
                tracing::warn!(%topic, message, "cannot create the topic of a streams group");
                Some(format!("{topic} ({message})"))
            }
        });
        (failures.collect::<Vec<_>>(), committed)
    });
    let (failures, committed) = creating.await;
    // Should it fail, the next call finds the topics missing.
    let _ = committed.await;
    (!failures.is_empty()).then(|| format!("Creation failed: {}.", failures.join(", ")))
}

/// Adds to the status that topics are missing why they still are.
fn note(response: &mut StreamsHeartbeatResponse, failure: &str) {
    for status in response.status.iter_mut().filter(|status| status.code == StatusCode::MissingInternalTopics) {
        status.detail = format!("{}; {failure}", status.detail);
    }
}

fn accepted(response: StreamsHeartbeatResponse) -> StreamsGroupHeartbeatResponse {
    let (mut active_tasks, mut standby_tasks, mut warmup_tasks) = (None, None, None);
    if let Some(tasks) = response.tasks {
        active_tasks = Some(task_ids(tasks.active));
        standby_tasks = Some(task_ids(tasks.standby));
        warmup_tasks = Some(task_ids(tasks.warmup));
    }
    let status = |status: riverrun_core::group::streams::GroupStatus| Status {
        status_code: status.code.code(),
        status_detail: status.detail,
    };
    StreamsGroupHeartbeatResponse {
        member_id: response.member_id.to_string(),
        member_epoch: response.member_epoch.0,
        heartbeat_interval_ms: response.heartbeat_interval_ms,
        status: Some(response.status.into_iter().map(status).collect()),
        active_tasks,
        standby_tasks,
        warmup_tasks,
        endpoint_information_epoch: response.endpoint_epoch,
        partitions_by_user_endpoint: response.endpoints.map(|served| served.into_iter().map(endpoint).collect()),
        ..Default::default()
    }
}

fn task_ids(tasks: TaskSet) -> Vec<wire::TaskIds> {
    let part = |(id, partitions): (Arc<str>, std::collections::BTreeSet<i32>)| wire::TaskIds {
        subtopology_id: id.to_string(),
        partitions: partitions.into_iter().collect(),
    };
    tasks.into_iter().map(part).collect()
}

fn endpoint(served: EndpointPartitions) -> wire::EndpointToPartitions {
    let topics = |topics: BTreeMap<Arc<str>, std::collections::BTreeSet<i32>>| {
        let topic = |(topic, partitions): (Arc<str>, std::collections::BTreeSet<i32>)| wire::TopicPartition {
            topic: topic.to_string(),
            partitions: partitions.into_iter().collect(),
        };
        topics.into_iter().map(topic).collect()
    };
    wire::EndpointToPartitions {
        user_endpoint: wire::Endpoint { host: served.endpoint.host, port: served.endpoint.port },
        active_partitions: topics(served.active),
        standby_partitions: topics(served.standby),
    }
}

fn refused(error: &CoordinatorError) -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse {
        error_code: group_error(error).code(),
        error_message: Some(error.to_string()),
        ..empty()
    }
}

/// An answer that tells nothing: the list of what a member should know is empty and not missing.
pub(crate) fn empty() -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse { status: Some(Vec::new()), ..Default::default() }
}
