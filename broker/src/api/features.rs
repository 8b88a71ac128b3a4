//! What is refused while the feature it belongs to is off (level 0): the APIs of the consumer protocol, of share groups
//! and of streams groups are answered UNSUPPORTED_VERSION then, as if the broker did not know them.
//!
//! Source: Kafka `KafkaApis` (`isConsumerGroupProtocolEnabled`, `isShareGroupProtocolEnabled`, `isStreamsGroupProtocolEnabled`).

use riverrun_core::protocol::{
    ErrorCode, RequestBody, ResponseBody,
    messages::{
        AlterShareGroupOffsetsResponse, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse,
        DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsResponse, ShareAcknowledgeResponse,
        ShareFetchResponse, ShareGroupDescribeResponse, ShareGroupHeartbeatResponse, StreamsGroupDescribeResponse,
        StreamsGroupHeartbeatResponse, consumer_group_describe,
        describe_share_group_offsets::DescribeShareGroupOffsetsResponseGroup, share_group_describe,
        streams_group_describe,
    },
};

use super::api_versions::{GROUP_VERSION, SHARE_VERSION, STREAMS_VERSION};
use super::streams_group_heartbeat;
use crate::node::Node;

/// The answer to a request whose feature is off.
pub(super) fn refusal(node: &Node, body: &RequestBody) -> Option<ResponseBody> {
    let feature = match body {
        RequestBody::ConsumerGroupHeartbeat(_) | RequestBody::ConsumerGroupDescribe(_) => GROUP_VERSION,
        RequestBody::ShareGroupHeartbeat(_)
        | RequestBody::ShareGroupDescribe(_)
        | RequestBody::ShareFetch(_)
        | RequestBody::ShareAcknowledge(_)
        | RequestBody::DescribeShareGroupOffsets(_)
        | RequestBody::AlterShareGroupOffsets(_)
        | RequestBody::DeleteShareGroupOffsets(_) => SHARE_VERSION,
        RequestBody::StreamsGroupHeartbeat(_) | RequestBody::StreamsGroupDescribe(_) => STREAMS_VERSION,
        _ => return None,
    };
    if node.image().feature_level(feature) > 0 { None } else { unsupported(body) }
}

fn unsupported(body: &RequestBody) -> Option<ResponseBody> {
    let error_code = ErrorCode::UnsupportedVersion.code();
    Some(match body {
        RequestBody::ConsumerGroupHeartbeat(_) => {
            ConsumerGroupHeartbeatResponse { error_code, ..Default::default() }.into()
        }
        RequestBody::ConsumerGroupDescribe(request) => {
            let group = |id: &String| consumer_group_describe::DescribedGroup {
                error_code,
                group_id: id.clone(),
                ..Default::default()
            };
            let groups = request.group_ids.iter().map(group).collect();
            ConsumerGroupDescribeResponse { groups, ..Default::default() }.into()
        }
        RequestBody::ShareGroupHeartbeat(_) => ShareGroupHeartbeatResponse { error_code, ..Default::default() }.into(),
        RequestBody::ShareGroupDescribe(request) => {
            let group = |id: &String| share_group_describe::DescribedGroup {
                error_code,
                group_id: id.clone(),
                ..Default::default()
            };
            let groups = request.group_ids.iter().map(group).collect();
            ShareGroupDescribeResponse { groups, ..Default::default() }.into()
        }
        RequestBody::ShareFetch(_) => ShareFetchResponse { error_code, ..Default::default() }.into(),
        RequestBody::ShareAcknowledge(_) => ShareAcknowledgeResponse { error_code, ..Default::default() }.into(),
        RequestBody::DescribeShareGroupOffsets(request) => {
            let groups = request.groups.iter().map(|group| DescribeShareGroupOffsetsResponseGroup {
                group_id: group.group_id.clone(),
                error_code,
                ..Default::default()
            });
            DescribeShareGroupOffsetsResponse { groups: groups.collect(), ..Default::default() }.into()
        }
        RequestBody::AlterShareGroupOffsets(_) => {
            AlterShareGroupOffsetsResponse { error_code, ..Default::default() }.into()
        }
        RequestBody::DeleteShareGroupOffsets(_) => {
            DeleteShareGroupOffsetsResponse { error_code, ..Default::default() }.into()
        }
        RequestBody::StreamsGroupHeartbeat(_) => {
            StreamsGroupHeartbeatResponse { error_code, ..streams_group_heartbeat::empty() }.into()
        }
        RequestBody::StreamsGroupDescribe(request) => {
            let group = |id: &String| streams_group_describe::DescribedGroup {
                error_code,
                group_id: id.clone(),
                ..Default::default()
            };
            let groups = request.group_ids.iter().map(group).collect();
            StreamsGroupDescribeResponse { groups, ..Default::default() }.into()
        }
        _ => return None,
    })
}
