//! Streams groups. Whether a member may create the internal topics of its group is asked where they are created.

use riverrun_core::{
    metadata::{
        AclOperation::{Describe, Read},
        ResourceType,
    },
    protocol::{
        ErrorCode,
        messages::{
            StreamsGroupDescribeRequest, StreamsGroupDescribeResponse, StreamsGroupHeartbeatRequest,
            StreamsGroupHeartbeatResponse,
            streams_group_describe::{DescribedGroup, Topology},
        },
    },
};

use super::{Decision, Permissions};
use crate::api::streams_group_heartbeat::{empty, names};

/// Read on the group, Describe on each topic of the topology.
pub(super) fn heartbeat(may: &Permissions, request: StreamsGroupHeartbeatRequest) -> Decision {
    let refuse =
        |code: ErrorCode| Decision::answer(StreamsGroupHeartbeatResponse { error_code: code.code(), ..empty() });
    if !may.group(Read, &request.group_id) {
        return refuse(ErrorCode::GroupAuthorizationFailed);
    }
    if !request.topology.iter().flat_map(names).all(|topic| may.topic(Describe, topic)) {
        return refuse(ErrorCode::TopicAuthorizationFailed);
    }
    Decision::Pass(request.into())
}

fn may_see(may: &Permissions, topology: &Topology) -> bool {
    topology.subtopologies.iter().flatten().all(|part| {
        let internal = part.repartition_source_topics.iter().chain(&part.state_changelog_topics);
        let mut topics =
            part.source_topics.iter().chain(&part.repartition_sink_topics).chain(internal.map(|topic| &topic.name));
        topics.all(|topic| may.topic(Describe, topic))
    })
}

/// Describe on each group; one with a topic in its topology that the client may not describe is not told.
pub(super) fn describe(may: Permissions, request: StreamsGroupDescribeRequest) -> Decision {
    let with_operations = request.include_authorized_operations;
    Decision::amend(request, move |response: &mut StreamsGroupDescribeResponse| {
        for group in &mut response.groups {
            let refuse = |group: &mut DescribedGroup, code: ErrorCode, reason: Option<&str>| {
                *group = DescribedGroup {
                    error_code: code.code(),
                    error_message: reason.map(str::to_owned),
                    group_id: std::mem::take(&mut group.group_id),
                    authorized_operations: i32::MIN,
                    ..Default::default()
                };
            };
            if !may.group(Describe, &group.group_id) {
                refuse(group, ErrorCode::GroupAuthorizationFailed, None);
            } else if !group.topology.iter().all(|topology| may_see(&may, topology)) {
                let reason = "The group uses topics that the client is not authorized to describe.";
                refuse(group, ErrorCode::TopicAuthorizationFailed, Some(reason));
            } else if with_operations && group.error_code == 0 {
                group.authorized_operations = may.operations(ResourceType::Group, &group.group_id);
            }
        }
    })
}
