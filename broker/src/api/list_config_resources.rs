//! ListConfigResources (API key 74): what has settings (KIP-1142). v0 asks for client metrics alone, of which there are
//! none.

use riverrun_core::{
    metadata::ConfigResource,
    protocol::{
        ErrorCode,
        messages::{
            ListConfigResourcesRequest, ListConfigResourcesResponse,
            list_config_resources::ConfigResource as ListedResource,
        },
    },
};

use crate::{RequestContext, node::Node};

/// Topic, broker, broker logger, client metrics, group.
const KNOWN_TYPES: &[i8] = &[2, 4, 8, 16, 32];
const CLIENT_METRICS: i8 = 16;

pub(super) fn handle(
    node: &Node,
    context: &RequestContext,
    request: &ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let wanted = match request.resource_types.as_slice() {
        _ if context.api_version == 0 => &[CLIENT_METRICS],
        [] => KNOWN_TYPES,
        some => some,
    };
    if wanted.iter().any(|wanted| !KNOWN_TYPES.contains(wanted)) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return ListConfigResourcesResponse { error_code, ..Default::default() };
    }
    let image = node.image();
    let topics = image.topics().map(|topic| ConfigResource::Topic(topic.name.clone()));
    let all = topics.chain([ConfigResource::Broker(node.id)]).map(|resource| resource.to_wire());
    let listed = all.filter(|(resource_type, _)| wanted.contains(resource_type));
    let config_resources =
        listed.map(|(resource_type, resource_name)| ListedResource { resource_name, resource_type }).collect();
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}
