//! DescribeDelegationToken: API key 41, versions 1-3, flexible from 2.
//!
//! Lists the delegation tokens of the given owners, or those the caller may see (KIP-48).
//!
//! - v3: response gains `token_requester_principal_type`, `token_requester_principal_name`

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `DescribeDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 41, versions = "1-3", flexible = "2+")]
pub struct DescribeDelegationTokenRequest {
    #[kafka(nullable = "0+")]
    pub owners: Option<Vec<DescribeDelegationTokenOwner>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeDelegationTokenOwner {
    pub principal_type: String,
    pub principal_name: String,
}

/// The response of `DescribeDelegationToken`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 41, versions = "1-3", flexible = "2+")]
pub struct DescribeDelegationTokenResponse {
    pub error_code: i16,
    pub tokens: Vec<DescribedDelegationToken>,
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribedDelegationToken {
    pub principal_type: String,
    pub principal_name: String,
    #[kafka(versions = "3+")]
    pub token_requester_principal_type: String,
    #[kafka(versions = "3+")]
    pub token_requester_principal_name: String,
    pub issue_timestamp: i64,
    pub expiry_timestamp: i64,
    pub max_timestamp: i64,
    pub token_id: String,
    pub hmac: Bytes,
    pub renewers: Vec<DescribedDelegationTokenRenewer>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribedDelegationTokenRenewer {
    pub principal_type: String,
    pub principal_name: String,
}
