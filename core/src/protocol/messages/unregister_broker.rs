//! UnregisterBroker: API key 64, version 0, flexible from 0.
//!
//! Takes a broker that will not come back out of the metadata (KIP-500).

use riverrun_core_derive::Message;

/// The request of `UnregisterBroker`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 64, versions = "0", flexible = "0+")]
pub struct UnregisterBrokerRequest {
    pub broker_id: i32,
}

/// The response of `UnregisterBroker`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 64, versions = "0", flexible = "0+")]
pub struct UnregisterBrokerResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
}
