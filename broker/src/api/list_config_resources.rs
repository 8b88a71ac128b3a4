//! ListConfigResources (API key 74): what has settings (KIP-1142). v0 asks for client metrics alone.
//! Groups and client metrics are listed if something is set for them.

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
const BROKER_LOGGER: i8 = 8;
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
    let configured = image.configured_resources();
    let configured = configured
        .filter(|resource| matches!(resource, ConfigResource::Group(_) | ConfigResource::ClientMetrics(_)))
        .cloned();
    let all = topics.chain([ConfigResource::Broker(node.id)]).chain(configured).map(|resource| resource.to_wire());
    // A broker's loggers go by its name.
    let loggers = (BROKER_LOGGER, node.id.to_string());
    let listed = all.chain([loggers]).filter(|(resource_type, _)| wanted.contains(resource_type));
    let config_resources =
        listed.map(|(resource_type, resource_name)| ListedResource { resource_name, resource_type }).collect();
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}
