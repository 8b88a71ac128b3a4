//! DeleteGroups: API key 42, versions 0-2, flexible from 2.
//!
//! Deletes groups that have no members.
//!
//! - v2: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `DeleteGroups`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 42, versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsRequest {
    pub groups_names: Vec<String>,
}

/// The response of `DeleteGroups`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 42, versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub results: Vec<DeletableGroupResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeletableGroupResult {
    pub group_id: String,
    pub error_code: i16,
}
