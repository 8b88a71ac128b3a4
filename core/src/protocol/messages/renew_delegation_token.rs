//! RenewDelegationToken: API key 39, versions 1-2, flexible from 2.
//!
//! Puts off a delegation token's expiry (KIP-48).

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `RenewDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 39, versions = "1-2", flexible = "2+")]
pub struct RenewDelegationTokenRequest {
    pub hmac: Bytes,
    pub renew_period_ms: i64,
}

/// The response of `RenewDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 39, versions = "1-2", flexible = "2+")]
pub struct RenewDelegationTokenResponse {
    pub error_code: i16,
    pub expiry_timestamp_ms: i64,
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
}
