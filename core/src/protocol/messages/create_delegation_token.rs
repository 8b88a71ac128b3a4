//! CreateDelegationToken: API key 38, versions 1-3, flexible from 2.
//!
//! Makes a token with which a client may later authenticate in place of its own credentials (KIP-48).
//!
//! - v3: request gains `owner_principal_type`, `owner_principal_name`; response gains `token_requester_principal_type`, `token_requester_principal_name`

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `CreateDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 38, versions = "1-3", flexible = "2+")]
pub struct CreateDelegationTokenRequest {
    #[kafka(versions = "3+", nullable = "3+")]
    pub owner_principal_type: Option<String>,
    #[kafka(versions = "3+", nullable = "3+")]
    pub owner_principal_name: Option<String>,
    pub renewers: Vec<CreatableRenewers>,
    pub max_lifetime_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CreatableRenewers {
    pub principal_type: String,
    pub principal_name: String,
}

/// The response of `CreateDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 38, versions = "1-3", flexible = "2+")]
pub struct CreateDelegationTokenResponse {
    pub error_code: i16,
    pub principal_type: String,
    pub principal_name: String,
    #[kafka(versions = "3+")]
    pub token_requester_principal_type: String,
    #[kafka(versions = "3+")]
    pub token_requester_principal_name: String,
    pub issue_timestamp_ms: i64,
    pub expiry_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub token_id: String,
    pub hmac: Bytes,
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
}
