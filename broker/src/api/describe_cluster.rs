//! DescribeCluster (API key 60): the brokers (KIP-700). v1: brokers or controllers (KIP-919); v2: fenced brokers.

use riverrun_core::protocol::{
    ErrorCode,
    messages::{DescribeClusterRequest, DescribeClusterResponse, describe_cluster::DescribeClusterBroker},
};

use crate::{RequestContext, node::Node};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(
    node: &Node,
    context: &RequestContext,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refusal = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((ErrorCode::MismatchedEndpointType, "this is a listener of a broker, not of a controller")),
        _ => Some((ErrorCode::UnsupportedEndpointType, "endpoints are of brokers (1) or of controllers (2)")),
    };
    if let Some((code, message)) = refusal {
        return DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(message.to_owned()),
            endpoint_type: request.endpoint_type,
            ..Default::default()
        };
    }
    let endpoint = node.advertised(context.listener);
    let broker = DescribeClusterBroker {
        broker_id: node.id.0,
        host: endpoint.host,
        port: i32::from(endpoint.port),
        rack: node.start_config.broker_rack.clone(),
        is_fenced: false,
    };
    DescribeClusterResponse {
        cluster_id: node.cluster_id.clone(),
        controller_id: node.id.0,
        brokers: vec![broker],
        ..Default::default()
    }
}
