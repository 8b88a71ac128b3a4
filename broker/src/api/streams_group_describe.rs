//! StreamsGroupDescribe (API key 89): groups of the streams protocol in full: topology, members and their tasks (KIP-1071).

use std::{collections::BTreeSet, sync::Arc};

use riverrun_core::{
    group::{
        GroupId,
        streams::{DescribedStreamsGroup, DescribedStreamsMember, DescribedSubtopology, TaskSet, Tasks, TopicInfo},
    },
    protocol::messages::{
        StreamsGroupDescribeRequest, StreamsGroupDescribeResponse,
        streams_group_describe::{
            self as wire, Assignment, DescribedGroup, Endpoint, KeyValue, Member, Subtopology, TaskIds, Topology,
        },
    },
};

use super::group_error;
use crate::node::Node;

pub(super) fn handle(node: &Node, request: StreamsGroupDescribeRequest) -> StreamsGroupDescribeResponse {
    let describe = |group_id: String| {
        let described = node.group_shard(&group_id).and_then(|shard| {
            let id = GroupId::from(group_id.as_str());
            let topics = node.metadata.topics();
            Ok(shard.ask(|machine| {
                machine.set_topics(topics);
                machine.describe_streams_group(&id)
            })??)
        });
        match described {
            Ok(described) => found(group_id, described),
            Err(error) => DescribedGroup {
                error_code: group_error(&error).code(),
                error_message: Some(error.to_string()),
                group_id,
                authorized_operations: i32::MIN,
                ..Default::default()
            },
        }
    };
    StreamsGroupDescribeResponse { groups: request.group_ids.into_iter().map(describe).collect(), ..Default::default() }
}

fn found(group_id: String, described: DescribedStreamsGroup) -> DescribedGroup {
    let parts = described.subtopologies.into_iter().map(subtopology).collect();
    DescribedGroup {
        group_id,
        group_state: described.state.name().to_owned(),
        group_epoch: described.group_epoch.0,
        assignment_epoch: described.target_epoch.0,
        topology: described.topology_epoch.map(|epoch| Topology { epoch: epoch.0, subtopologies: Some(parts) }),
        members: described.members.into_iter().map(member).collect(),
        authorized_operations: i32::MIN,
        ..Default::default()
    }
}

fn subtopology((id, part): (Arc<str>, DescribedSubtopology)) -> Subtopology {
    let names = |names: Vec<Arc<str>>| names.iter().map(ToString::to_string).collect();
    let infos = |infos: Vec<TopicInfo>| infos.into_iter().map(topic_info).collect();
    Subtopology {
        subtopology_id: id.to_string(),
        source_topics: names(part.source_topics),
        repartition_sink_topics: names(part.repartition_sink_topics),
        state_changelog_topics: infos(part.state_changelog_topics),
        repartition_source_topics: infos(part.repartition_source_topics),
    }
}

fn topic_info(info: TopicInfo) -> wire::TopicInfo {
    wire::TopicInfo {
        name: info.name.to_string(),
        partitions: info.partitions.unwrap_or(0),
        replication_factor: info.replication_factor.unwrap_or(0),
        topic_configs: info.configs.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
    }
}

fn member(member: DescribedStreamsMember) -> Member {
    let info = member.info;
    Member {
        member_id: member.member_id.to_string(),
        member_epoch: member.member_epoch.0,
        instance_id: info.instance_id.map(|id| id.to_string()),
        rack_id: info.rack_id,
        client_id: info.client_id,
        client_host: info.client_host,
        topology_epoch: info.topology_epoch.0,
        process_id: info.process_id,
        user_endpoint: info.user_endpoint.map(|e| Endpoint { host: e.host, port: e.port }),
        client_tags: info.client_tags.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
        assignment: assignment(member.assigned),
        target_assignment: assignment(member.target),
        ..Default::default()
    }
}

fn assignment(tasks: Tasks) -> Assignment {
    let ids = |tasks: TaskSet| {
        let part = |(id, partitions): (Arc<str>, BTreeSet<i32>)| TaskIds {
            subtopology_id: id.to_string(),
            partitions: partitions.into_iter().collect(),
        };
        tasks.into_iter().map(part).collect()
    };
    Assignment { active_tasks: ids(tasks.active), standby_tasks: ids(tasks.standby), warmup_tasks: ids(tasks.warmup) }
}
