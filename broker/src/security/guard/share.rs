//! Share groups: their members, their records, their offsets, and the share coordinator.

use riverrun_core::{
    metadata::{
        AclOperation::{ClusterAction, Delete, Describe, Read},
        ResourceType,
    },
    protocol::{
        RequestBody,
        messages::{
            AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
            DeleteShareGroupOffsetsResponse, DeleteShareGroupStateResponse, DescribeShareGroupOffsetsRequest,
            DescribeShareGroupOffsetsResponse, InitializeShareGroupStateResponse, ReadShareGroupStateResponse,
            ReadShareGroupStateSummaryResponse, ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest,
            ShareFetchResponse, ShareGroupDescribeRequest, ShareGroupDescribeResponse, ShareGroupHeartbeatRequest,
            ShareGroupHeartbeatResponse, WriteShareGroupStateResponse,
            alter_share_group_offsets::{AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic},
            delete_share_group_offsets::DeleteShareGroupOffsetsResponseTopic,
            delete_share_group_state,
            describe_share_group_offsets::DescribeShareGroupOffsetsResponseGroup,
            initialize_share_group_state, read_share_group_state, read_share_group_state_summary, share_acknowledge,
            share_fetch,
            share_group_describe::DescribedGroup,
            write_share_group_state,
        },
    },
};

use super::{CLUSTER_DENIED, Decision, GROUP_DENIED, Permissions, TOPIC_DENIED, part};

/// Read on the group, Describe on each topic it subscribes to.
pub(super) fn heartbeat(may: &Permissions, request: ShareGroupHeartbeatRequest) -> Decision {
    let refuse = |error_code| Decision::answer(ShareGroupHeartbeatResponse { error_code, ..Default::default() });
    if !may.group(Read, &request.group_id) {
        return refuse(GROUP_DENIED);
    }
    if !request.subscribed_topic_names.iter().flatten().all(|topic| may.topic(Describe, topic)) {
        return refuse(TOPIC_DENIED);
    }
    Decision::Pass(request.into())
}

/// Describe on each group, and on all topics its members fetch from.
pub(super) fn describe(may: Permissions, request: ShareGroupDescribeRequest) -> Decision {
    let with_operations = request.include_authorized_operations;
    Decision::amend(request, move |response: &mut ShareGroupDescribeResponse| {
        for group in &mut response.groups {
            let refuse = |group: &mut DescribedGroup, error_code| {
                *group = DescribedGroup {
                    error_code,
                    group_id: std::mem::take(&mut group.group_id),
                    authorized_operations: i32::MIN,
                    ..Default::default()
                };
            };
            let mut topics = group.members.iter().flat_map(|member| &member.assignment.topic_partitions);
            if !may.group(Describe, &group.group_id) {
                refuse(group, GROUP_DENIED);
            } else if !topics.all(|topic| may.topic(Describe, &topic.topic_name)) {
                refuse(group, TOPIC_DENIED);
            } else if with_operations && group.error_code == 0 {
                group.authorized_operations = may.operations(ResourceType::Group, &group.group_id);
            }
        }
    })
}

/// Read on the group and on each topic.
pub(super) fn fetch(may: Permissions, mut request: ShareFetchRequest) -> Decision {
    if !may.group(Read, request.group_id.as_deref().unwrap_or_default()) {
        return Decision::answer(ShareFetchResponse { error_code: GROUP_DENIED, ..Default::default() });
    }
    // An id that is not known is the handler's to answer. What is taken out here is in no session either.
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| {
        may.topic_name("", topic.topic_id).is_none_or(|name| may.topic(Read, name))
    });
    request.topics = allowed;
    if !may.is_checked() {
        return Decision::Pass(request.into());
    }
    if !denied.is_empty() {
        request.max_wait_ms = 0;
    }
    Decision::amend(request, move |response: &mut ShareFetchResponse| {
        // The session may have begun when more was allowed.
        for topic in &mut response.responses {
            if may.topic_name("", topic.topic_id).is_some_and(|name| !may.topic(Read, name)) {
                for partition in &mut topic.partitions {
                    *partition = share_fetch::PartitionData {
                        partition_index: partition.partition_index,
                        error_code: TOPIC_DENIED,
                        records: Some(bytes::Bytes::new()),
                        ..Default::default()
                    };
                }
            }
        }
        response.responses.extend(denied.into_iter().map(|topic| {
            let refuse = |partition: share_fetch::FetchPartition| share_fetch::PartitionData {
                partition_index: partition.partition_index,
                error_code: TOPIC_DENIED,
                acknowledge_error_code: if partition.acknowledgement_batches.is_empty() { 0 } else { TOPIC_DENIED },
                records: Some(bytes::Bytes::new()),
                ..Default::default()
            };
            share_fetch::ShareFetchableTopicResponse {
                topic_id: topic.topic_id,
                partitions: topic.partitions.into_iter().map(refuse).collect(),
            }
        }));
    })
}

/// Read on the group and on each topic.
pub(super) fn acknowledge(may: &Permissions, mut request: ShareAcknowledgeRequest) -> Decision {
    if !may.group(Read, request.group_id.as_deref().unwrap_or_default()) {
        return Decision::answer(ShareAcknowledgeResponse { error_code: GROUP_DENIED, ..Default::default() });
    }
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| {
        may.topic_name("", topic.topic_id).is_none_or(|name| may.topic(Read, name))
    });
    request.topics = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut ShareAcknowledgeResponse| {
        response.responses.extend(denied.into_iter().map(|topic| {
            let refuse = |partition: share_acknowledge::AcknowledgePartition| share_acknowledge::PartitionData {
                partition_index: partition.partition_index,
                error_code: TOPIC_DENIED,
                ..Default::default()
            };
            share_acknowledge::ShareAcknowledgeTopicResponse {
                topic_id: topic.topic_id,
                partitions: topic.partitions.into_iter().map(refuse).collect(),
            }
        }));
    })
}

/// ClusterAction: what brokers ask each other.
pub(super) fn state(may: &Permissions, body: RequestBody) -> Decision {
    if may.cluster(ClusterAction) {
        return Decision::Pass(body);
    }
    match body {
        RequestBody::InitializeShareGroupState(request) => Decision::answer(InitializeShareGroupStateResponse {
            results: request
                .topics
                .iter()
                .map(|topic| initialize_share_group_state::InitializeStateResult {
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|wanted| initialize_share_group_state::PartitionResult {
                            partition: wanted.partition,
                            error_code: CLUSTER_DENIED,
                            ..Default::default()
                        })
                        .collect(),
                })
                .collect(),
        }),
        RequestBody::ReadShareGroupState(request) => Decision::answer(ReadShareGroupStateResponse {
            results: request
                .topics
                .iter()
                .map(|topic| read_share_group_state::ReadStateResult {
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|wanted| read_share_group_state::PartitionResult {
                            partition: wanted.partition,
                            error_code: CLUSTER_DENIED,
                            ..Default::default()
                        })
                        .collect(),
                })
                .collect(),
        }),
        RequestBody::WriteShareGroupState(request) => Decision::answer(WriteShareGroupStateResponse {
            results: request
                .topics
                .iter()
                .map(|topic| write_share_group_state::WriteStateResult {
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|wanted| write_share_group_state::PartitionResult {
                            partition: wanted.partition,
                            error_code: CLUSTER_DENIED,
                            ..Default::default()
                        })
                        .collect(),
                })
                .collect(),
        }),
        RequestBody::DeleteShareGroupState(request) => Decision::answer(DeleteShareGroupStateResponse {
            results: request
                .topics
                .iter()
                .map(|topic| delete_share_group_state::DeleteStateResult {
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|wanted| delete_share_group_state::PartitionResult {
                            partition: wanted.partition,
                            error_code: CLUSTER_DENIED,
                            ..Default::default()
                        })
                        .collect(),
                })
                .collect(),
        }),
        RequestBody::ReadShareGroupStateSummary(request) => Decision::answer(ReadShareGroupStateSummaryResponse {
            results: request
                .topics
                .iter()
                .map(|topic| read_share_group_state_summary::ReadStateSummaryResult {
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|wanted| read_share_group_state_summary::PartitionResult {
                            partition: wanted.partition,
                            error_code: CLUSTER_DENIED,
                            ..Default::default()
                        })
                        .collect(),
                })
                .collect(),
        }),
        _ => Decision::Close,
    }
}

/// Describe on each group, and on each topic; of all topics those that may not be seen are left out.
pub(super) fn describe_offsets(may: Permissions, request: DescribeShareGroupOffsetsRequest) -> Decision {
    let all_of: Vec<_> =
        request.groups.iter().filter(|group| group.topics.is_none()).map(|group| group.group_id.clone()).collect();
    Decision::amend(request, move |response: &mut DescribeShareGroupOffsetsResponse| {
        for group in &mut response.groups {
            if !may.group(Describe, &group.group_id) {
                *group = DescribeShareGroupOffsetsResponseGroup {
                    group_id: std::mem::take(&mut group.group_id),
                    error_code: GROUP_DENIED,
                    ..Default::default()
                };
                continue;
            }
            let all = all_of.contains(&group.group_id);
            group.topics.retain(|topic| !all || may.topic(Describe, &topic.topic_name));
            for topic in group.topics.iter_mut().filter(|topic| !may.topic(Describe, &topic.topic_name)) {
                for partition in &mut topic.partitions {
                    partition.error_code = TOPIC_DENIED;
                    partition.error_message = None;
                    (partition.start_offset, partition.lag, partition.leader_epoch) = (-1, -1, 0);
                }
            }
        }
    })
}

/// Read on the group and on each topic.
pub(super) fn alter_offsets(may: &Permissions, mut request: AlterShareGroupOffsetsRequest) -> Decision {
    if !may.group(Read, &request.group_id) {
        return Decision::answer(AlterShareGroupOffsetsResponse { error_code: GROUP_DENIED, ..Default::default() });
    }
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| may.topic(Read, &topic.topic_name));
    request.topics = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut AlterShareGroupOffsetsResponse| {
        response.responses.extend(denied.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| AlterShareGroupOffsetsResponsePartition {
                partition_index: partition.partition_index,
                error_code: TOPIC_DENIED,
                ..Default::default()
            });
            AlterShareGroupOffsetsResponseTopic {
                partitions: partitions.collect(),
                topic_name: topic.topic_name,
                ..Default::default()
            }
        }));
    })
}

/// Delete on the group, Read on each topic.
pub(super) fn delete_offsets(may: &Permissions, mut request: DeleteShareGroupOffsetsRequest) -> Decision {
    if !may.group(Delete, &request.group_id) {
        return Decision::answer(DeleteShareGroupOffsetsResponse { error_code: GROUP_DENIED, ..Default::default() });
    }
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| may.topic(Read, &topic.topic_name));
    request.topics = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut DeleteShareGroupOffsetsResponse| {
        response.responses.extend(denied.into_iter().map(|topic| DeleteShareGroupOffsetsResponseTopic {
            topic_name: topic.topic_name,
            error_code: TOPIC_DENIED,
            ..Default::default()
        }));
    })
}
