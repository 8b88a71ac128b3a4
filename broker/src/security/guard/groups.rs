//! Groups and their offsets.

use riverrun_core::{
    metadata::{
        AclOperation::{ClusterAction, Delete, Describe, Read},
        ResourceType,
    },
    protocol::{
        ErrorCode,
        messages::{
            ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
            ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
            DescribeGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest,
            HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
            ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
            OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse,
            consumer_group_describe,
            delete_groups::DeletableGroupResult,
            describe_groups::DescribedGroup,
            find_coordinator::Coordinator,
            offset_commit::{OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
            offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
            offset_fetch::{OffsetFetchResponsePartition, OffsetFetchResponsePartitions},
        },
    },
};

use super::{Decision, GROUP_DENIED, Permissions, TOPIC_DENIED, TRANSACTIONAL_ID_DENIED, part};

/// Read on the group.
pub(super) fn join(may: &Permissions, request: JoinGroupRequest) -> Decision {
    if may.group(Read, &request.group_id) {
        return Decision::Pass(request.into());
    }
    Decision::answer(JoinGroupResponse { error_code: GROUP_DENIED, generation_id: -1, ..Default::default() })
}

/// Read on the group.
pub(super) fn sync(may: &Permissions, request: SyncGroupRequest) -> Decision {
    if may.group(Read, &request.group_id) {
        return Decision::Pass(request.into());
    }
    Decision::answer(SyncGroupResponse { error_code: GROUP_DENIED, ..Default::default() })
}

/// Read on the group.
pub(super) fn heartbeat(may: &Permissions, request: HeartbeatRequest) -> Decision {
    if may.group(Read, &request.group_id) {
        return Decision::Pass(request.into());
    }
    Decision::answer(HeartbeatResponse { error_code: GROUP_DENIED, ..Default::default() })
}

/// Read on the group.
pub(super) fn leave(may: &Permissions, request: LeaveGroupRequest) -> Decision {
    if may.group(Read, &request.group_id) {
        return Decision::Pass(request.into());
    }
    Decision::answer(LeaveGroupResponse { error_code: GROUP_DENIED, ..Default::default() })
}

fn refuse_commit(topics: Vec<OffsetCommitRequestTopic>, error_code: i16) -> Vec<OffsetCommitResponseTopic> {
    let refuse = |topic: OffsetCommitRequestTopic| OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition { partition_index: partition.partition_index, error_code })
            .collect(),
    };
    topics.into_iter().map(refuse).collect()
}

/// Read on the group and on each topic.
pub(super) fn offset_commit(may: &Permissions, mut request: OffsetCommitRequest) -> Decision {
    if !may.group(Read, &request.group_id) {
        let topics = refuse_commit(request.topics, GROUP_DENIED);
        return Decision::answer(OffsetCommitResponse { topics, ..Default::default() });
    }
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| {
        may.topic_name(&topic.name, topic.topic_id).is_none_or(|name| may.topic(Read, name))
    });
    request.topics = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut OffsetCommitResponse| {
        response.topics.extend(refuse_commit(denied, TOPIC_DENIED));
    })
}

/// Describe on the group and on each topic; of all topics those that may not be seen are left out.
pub(super) fn offset_fetch(may: Permissions, request: OffsetFetchRequest) -> Decision {
    let all_of_one = request.topics.is_none();
    let all_of: Vec<_> =
        request.groups.iter().filter(|group| group.topics.is_none()).map(|group| group.group_id.clone()).collect();
    let one_denied = request.groups.is_empty() && !may.group(Describe, &request.group_id);
    Decision::amend(request, move |response: &mut OffsetFetchResponse| {
        if one_denied {
            response.error_code = GROUP_DENIED;
            for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                *partition = refused(partition.partition_index, GROUP_DENIED);
            }
            if all_of_one {
                response.topics.clear();
            }
            return;
        }
        response.topics.retain(|topic| !all_of_one || may.topic(Describe, &topic.name));
        for topic in response.topics.iter_mut().filter(|topic| !may.topic(Describe, &topic.name)) {
            for partition in &mut topic.partitions {
                *partition = refused(partition.partition_index, TOPIC_DENIED);
            }
        }
        for group in &mut response.groups {
            if !may.group(Describe, &group.group_id) {
                group.error_code = GROUP_DENIED;
                group.topics.clear();
                continue;
            }
            let visible = |name: &str, id| may.topic_name(name, id).is_none_or(|name| may.topic(Describe, name));
            let all = all_of.contains(&group.group_id);
            group.topics.retain(|topic| !all || visible(&topic.name, topic.topic_id));
            for topic in group.topics.iter_mut().filter(|topic| !visible(&topic.name, topic.topic_id)) {
                for partition in &mut topic.partitions {
                    *partition = OffsetFetchResponsePartitions {
                        partition_index: partition.partition_index,
                        committed_offset: -1,
                        committed_leader_epoch: -1,
                        metadata: Some(String::new()),
                        error_code: TOPIC_DENIED,
                    };
                }
            }
        }
    })
}

fn refused(partition_index: i32, error_code: i16) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code,
    }
}

/// Delete on the group, Read on each topic.
pub(super) fn offset_delete(may: &Permissions, mut request: OffsetDeleteRequest) -> Decision {
    if !may.group(Delete, &request.group_id) {
        return Decision::answer(OffsetDeleteResponse { error_code: GROUP_DENIED, ..Default::default() });
    }
    let (allowed, denied) = part(std::mem::take(&mut request.topics), |topic| may.topic(Read, &topic.name));
    request.topics = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut OffsetDeleteResponse| {
        response.topics.extend(denied.into_iter().map(|topic| {
            OffsetDeleteResponseTopic {
                name: topic.name,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| OffsetDeleteResponsePartition {
                        partition_index: partition.partition_index,
                        error_code: TOPIC_DENIED,
                    })
                    .collect(),
            }
        }));
    })
}

/// Describe on each group or transactional id; share groups' coordinators are for brokers.
/// From version 4 on a request has several keys, and an answer no code of its own.
pub(super) fn find_coordinator(may: &Permissions, version: i16, mut request: FindCoordinatorRequest) -> Decision {
    let key_type = request.key_type;
    let refuse = |key: &str| match key_type {
        0 => (!may.group(Describe, key)).then_some(GROUP_DENIED),
        1 => (!may.transactional_id(Describe, key)).then_some(TRANSACTIONAL_ID_DENIED),
        2 => (!may.cluster(ClusterAction)).then_some(ErrorCode::ClusterAuthorizationFailed.code()),
        _ => None,
    };
    if version < 4 {
        return match refuse(&request.key) {
            None => Decision::Pass(request.into()),
            Some(error_code) => {
                Decision::answer(FindCoordinatorResponse { error_code, node_id: -1, port: -1, ..Default::default() })
            }
        };
    }
    let mut denied = Vec::new();
    request.coordinator_keys.retain(|key| {
        let refusal = refuse(key);
        denied.extend(refusal.map(|error_code| Coordinator {
            key: key.clone(),
            node_id: -1,
            port: -1,
            error_code,
            ..Default::default()
        }));
        refusal.is_none()
    });
    if request.coordinator_keys.is_empty() {
        return Decision::answer(FindCoordinatorResponse { coordinators: denied, ..Default::default() });
    }
    Decision::amend(request, move |response: &mut FindCoordinatorResponse| response.coordinators.extend(denied))
}

/// Describe on each group.
pub(super) fn describe(may: Permissions, request: DescribeGroupsRequest) -> Decision {
    let with_operations = request.include_authorized_operations;
    Decision::amend(request, move |response: &mut DescribeGroupsResponse| {
        for group in &mut response.groups {
            if !may.group(Describe, &group.group_id) {
                *group = DescribedGroup {
                    error_code: GROUP_DENIED,
                    group_id: std::mem::take(&mut group.group_id),
                    ..Default::default()
                };
            } else if with_operations && group.error_code == 0 {
                group.authorized_operations = may.operations(ResourceType::Group, &group.group_id);
            }
        }
    })
}

/// Read on the group, Describe on each topic subscribed to by name.
pub(super) fn consumer_heartbeat(may: &Permissions, request: ConsumerGroupHeartbeatRequest) -> Decision {
    let refuse = |code: ErrorCode| {
        Decision::answer(ConsumerGroupHeartbeatResponse { error_code: code.code(), ..Default::default() })
    };
    if !may.group(Read, &request.group_id) {
        return refuse(ErrorCode::GroupAuthorizationFailed);
    }
    let mut names = request.subscribed_topic_names.iter().flatten();
    if !names.all(|topic| may.topic(Describe, topic)) {
        return refuse(ErrorCode::TopicAuthorizationFailed);
    }
    Decision::Pass(request.into())
}

fn may_see(may: &Permissions, member: &consumer_group_describe::Member) -> bool {
    let assignments = [&member.assignment, &member.target_assignment];
    let mut topics = assignments.into_iter().flat_map(|assignment| &assignment.topic_partitions);
    topics.all(|topic| may.topic(Describe, &topic.topic_name))
}

/// Describe on each group; one with a topic in its assignments that the client may not describe is not told.
pub(super) fn consumer_describe(may: Permissions, request: ConsumerGroupDescribeRequest) -> Decision {
    let with_operations = request.include_authorized_operations;
    Decision::amend(request, move |response: &mut ConsumerGroupDescribeResponse| {
        for group in &mut response.groups {
            let refuse = |group: &mut consumer_group_describe::DescribedGroup, code: ErrorCode, reason: &str| {
                *group = consumer_group_describe::DescribedGroup {
                    error_code: code.code(),
                    error_message: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
                    group_id: std::mem::take(&mut group.group_id),
                    authorized_operations: i32::MIN,
                    ..Default::default()
                };
            };
            if !may.group(Describe, &group.group_id) {
                refuse(group, ErrorCode::GroupAuthorizationFailed, "");
                continue;
            }
            if !group.members.iter().all(|member| may_see(&may, member)) {
                let reason = "The group has described topic(s) that the client is not authorized to describe.";
                refuse(group, ErrorCode::TopicAuthorizationFailed, reason);
            } else if with_operations && group.error_code == 0 {
                group.authorized_operations = may.operations(ResourceType::Group, &group.group_id);
            }
        }
    })
}

/// Describe on the cluster for all groups, else those are shown on which the client has Describe.
pub(super) fn list(may: Permissions, request: ListGroupsRequest) -> Decision {
    if may.cluster(Describe) {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut ListGroupsResponse| {
        response.groups.retain(|group| may.group(Describe, &group.group_id));
    })
}

/// Delete on each group.
pub(super) fn delete(may: &Permissions, mut request: DeleteGroupsRequest) -> Decision {
    let (allowed, denied) = part(std::mem::take(&mut request.groups_names), |group| may.group(Delete, group));
    request.groups_names = allowed;
    if denied.is_empty() {
        return Decision::Pass(request.into());
    }
    Decision::amend(request, move |response: &mut DeleteGroupsResponse| {
        let refuse = |group_id| DeletableGroupResult { group_id, error_code: GROUP_DENIED };
        response.results.extend(denied.into_iter().map(refuse));
    })
}
