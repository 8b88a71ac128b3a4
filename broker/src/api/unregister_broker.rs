//! UnregisterBroker (API key 64): takes a broker that will not come back out of the metadata (KIP-500). The only broker there
//! is answers the request, so it will not be taken out; no other is registered.

use riverrun_core::protocol::{
    ErrorCode,
    messages::{UnregisterBrokerRequest, UnregisterBrokerResponse},
};

use crate::node::Node;

pub(super) fn handle(node: &Node, request: &UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let id = request.broker_id;
    let (code, message) = if id == node.id.0 {
        (ErrorCode::InvalidRequest, format!("broker {id} is the only one, and runs: it cannot be taken out"))
    } else {
        (ErrorCode::BrokerIdNotRegistered, format!("Broker ID {id} is not currently registered"))
    };
    UnregisterBrokerResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
}
