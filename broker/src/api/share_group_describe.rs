//! ShareGroupDescribe (API key 77): share groups with their members and what those fetch from (KIP-932).

use riverrun_core::{
    metadata::Image,
    protocol::{
        ErrorCode,
        messages::{
            ShareGroupDescribeRequest, ShareGroupDescribeResponse,
            share_group_describe::{Assignment, DescribedGroup, Member, TopicPartitions},
        },
    },
    share::group::{ASSIGNOR, DescribedShareMember, Partitions},
};

use super::group_error;
use crate::node::Node;

pub(super) fn handle(node: &Node, request: ShareGroupDescribeRequest) -> ShareGroupDescribeResponse {
    let image = node.image();
    let groups = request.group_ids.into_iter().map(|group_id| describe(node, &image, group_id));
    ShareGroupDescribeResponse { groups: groups.collect(), ..Default::default() }
}

fn describe(node: &Node, image: &Image, group_id: String) -> DescribedGroup {
    let described =
        node.group_shard(&group_id).and_then(|shard| shard.ask(|machine| machine.share().describe(&group_id)));
    let refused = |code: ErrorCode, message: String| DescribedGroup {
        error_code: code.code(),
        error_message: Some(message),
        authorized_operations: i32::MIN,
        ..Default::default()
    };
    match described {
        Ok(Ok(group)) => DescribedGroup {
            group_id,
            group_state: group.state.name().to_owned(),
            group_epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            assignor_name: ASSIGNOR.to_owned(),
            members: group.members.into_iter().map(|member| wire(image, member)).collect(),
            authorized_operations: i32::MIN,
            ..Default::default()
        },
        Ok(Err(error)) => DescribedGroup { group_id, ..refused(ErrorCode::from(&error), error.to_string()) },
        Err(error) => DescribedGroup { group_id, ..refused(group_error(&error), error.to_string()) },
    }
}

fn wire(image: &Image, member: DescribedShareMember) -> Member {
    Member {
        member_id: member.member_id.to_string(),
        rack_id: member.rack_id,
        member_epoch: member.epoch,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.topics,
        assignment: assignment(image, member.assigned),
    }
}

fn assignment(image: &Image, partitions: Partitions) -> Assignment {
    let topics = partitions.into_iter().filter_map(|(topic_id, indexes)| {
        let topic_name = image.topic_by_id(topic_id)?.name.to_string();
        Some(TopicPartitions { topic_id, topic_name, partitions: indexes.into_iter().collect() })
    });
    Assignment { topic_partitions: topics.collect() }
}
