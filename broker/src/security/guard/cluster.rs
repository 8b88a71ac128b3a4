//! The cluster and its topics: Metadata, DescribeTopicPartitions, DescribeCluster, DescribeLogDirs.

use riverrun_core::{
    Uuid,
    metadata::{
        AclOperation::{Create, Describe},
        CLUSTER_NAME, ResourceType,
    },
    protocol::{
        ErrorCode,
        messages::{
            DescribeClusterRequest, DescribeClusterResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
            DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, MetadataRequest, MetadataResponse,
            describe_topic_partitions::DescribeTopicPartitionsResponseTopic,
            metadata::{MetadataRequestTopic, MetadataResponseTopic},
        },
    },
};

use super::{CLUSTER_DENIED, Decision, Permissions, TOPIC_DENIED};

/// What is told of the cluster: nothing to whom may not describe it.
fn cluster_operations(may: &Permissions) -> i32 {
    if may.cluster(Describe) { may.operations(ResourceType::Cluster, CLUSTER_NAME) } else { 0 }
}

/// Describe on each topic; Create on it or on the cluster for what is to be created.
pub(super) fn metadata(may: Permissions, version: i16, auto_create: bool, mut request: MetadataRequest) -> Decision {
    let creates = auto_create && (version < 4 || request.allow_auto_topic_creation);
    let mut denied = Vec::new();
    if let Some(topics) = &mut request.topics
        && (version > 0 || !topics.is_empty())
    {
        let before = topics.len();
        topics.retain(|topic| match refuse(&may, version, creates, topic) {
            Some(refusal) => {
                denied.push(refusal);
                false
            }
            None => true,
        });
        if version == 0 && topics.is_empty() && before > 0 {
            // An empty list would ask for all topics.
            topics.push(MetadataRequestTopic { name: Some("..".to_owned()), ..Default::default() });
        }
    }
    let of_topics = request.include_topic_authorized_operations;
    let of_cluster = request.include_cluster_authorized_operations;
    Decision::amend(request, move |response: &mut MetadataResponse| {
        response.topics.retain(|topic| {
            topic.name.as_deref().is_none_or(|name| name.is_empty() || may.topic(Describe, name) && name != "..")
        });
        if of_topics {
            for topic in response.topics.iter_mut().filter(|topic| topic.error_code == 0) {
                let name = topic.name.as_deref().unwrap_or_default();
                topic.topic_authorized_operations = may.operations(ResourceType::Topic, name);
            }
        }
        if of_cluster {
            response.cluster_authorized_operations = cluster_operations(&may);
        }
        response.topics.extend(denied);
    })
}

fn refuse(
    may: &Permissions,
    version: i16,
    creates: bool,
    topic: &MetadataRequestTopic,
) -> Option<MetadataResponseTopic> {
    let by_name = topic.name.as_deref().filter(|name| !name.is_empty());
    let name = may.topic_name(topic.name.as_deref().unwrap_or_default(), topic.topic_id)?;
    let exists = may.image.topic(name).is_some();
    let may_create = || may.cluster(Create) || may.topic(Create, name);
    let refusal = |error_code: i16, name: Option<String>, topic_id: Uuid| MetadataResponseTopic {
        error_code,
        name: name.or_else(|| (version < 12).then(String::new)),
        topic_id,
        ..Default::default()
    };
    match (by_name, may.topic(Describe, name)) {
        (Some(name), false) => Some(refusal(TOPIC_DENIED, Some(name.to_owned()), Uuid::ZERO)),
        (None, false) => Some(refusal(ErrorCode::UnknownTopicId.code(), None, topic.topic_id)),
        (Some(name), true) if !exists && creates && !may_create() => {
            Some(refusal(TOPIC_DENIED, Some(name.to_owned()), Uuid::ZERO))
        }
        _ => None,
    }
}

/// Describe on each topic.
pub(super) fn describe_topic_partitions(may: Permissions, mut request: DescribeTopicPartitionsRequest) -> Decision {
    let all = request.topics.is_empty();
    let mut denied = Vec::new();
    request.topics.retain(|topic| {
        let allowed = may.topic(Describe, &topic.name);
        if !allowed {
            denied.push(DescribeTopicPartitionsResponseTopic {
                error_code: TOPIC_DENIED,
                name: Some(topic.name.clone()),
                ..Default::default()
            });
        }
        allowed
    });
    if request.topics.is_empty() && !all {
        return Decision::answer(DescribeTopicPartitionsResponse { topics: denied, ..Default::default() });
    }
    Decision::amend(request, move |response: &mut DescribeTopicPartitionsResponse| {
        response.topics.retain(|topic| topic.name.as_deref().is_none_or(|name| may.topic(Describe, name)));
        for topic in response.topics.iter_mut().filter(|topic| topic.error_code == 0) {
            let name = topic.name.as_deref().unwrap_or_default();
            topic.topic_authorized_operations = may.operations(ResourceType::Topic, name);
        }
        if response.next_cursor.as_ref().is_some_and(|cursor| !may.topic(Describe, &cursor.topic_name)) {
            // The cursor would name a topic that the client must not know of; nothing it may see is before it.
            let next = may.image.topics().map(|topic| &*topic.name).find(|name| {
                let cursor = response.next_cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
                *name > cursor && may.topic(Describe, name)
            });
            match (next, &mut response.next_cursor) {
                (Some(next), Some(cursor)) => {
                    next.clone_into(&mut cursor.topic_name);
                    cursor.partition_index = 0;
                }
                (_, cursor) => *cursor = None,
            }
        }
        response.topics.extend(denied);
    })
}

/// Everybody may; what they may do is told to whom may describe the cluster.
pub(super) fn describe_cluster(may: Permissions, request: DescribeClusterRequest) -> Decision {
    if !request.include_cluster_authorized_operations {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut DescribeClusterResponse| {
        if response.error_code == 0 {
            response.cluster_authorized_operations = cluster_operations(&may);
        }
    })
}

/// Describe on the cluster.
pub(super) fn describe_log_dirs(may: &Permissions, request: DescribeLogDirsRequest) -> Decision {
    if may.cluster(Describe) {
        return Decision::Pass(request.into());
    }
    Decision::answer(DescribeLogDirsResponse { error_code: CLUSTER_DENIED, ..Default::default() })
}
