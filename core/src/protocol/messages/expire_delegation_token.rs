//! ExpireDelegationToken: API key 40, versions 1-2, flexible from 2.
//!
//! Brings a delegation token's expiry forward, or ends it at once with a negative period (KIP-48).

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `ExpireDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 40, versions = "1-2", flexible = "2+")]
pub struct ExpireDelegationTokenRequest {
    pub hmac: Bytes,
    pub expiry_time_period_ms: i64,
}

/// The response of `ExpireDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 40, versions = "1-2", flexible = "2+")]
pub struct ExpireDelegationTokenResponse {
    pub error_code: i16,
    pub expiry_timestamp_ms: i64,
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
}
