//! ListGroups: API key 16, versions 0-5, flexible from 3.
//!
//! Lists the groups this broker coordinates.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: flexible form (KIP-482)
//! - v4: request gains `states_filter`; response gains `group_state`; KIP-518
//! - v5: request gains `types_filter`; response gains `group_type`; KIP-848

use riverrun_core_derive::Message;

/// The request of `ListGroups`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 16, versions = "0-5", flexible = "3+")]
pub struct ListGroupsRequest {
    #[kafka(versions = "4+")]
    pub states_filter: Vec<String>,
    #[kafka(versions = "5+")]
    pub types_filter: Vec<String>,
}

/// The response of `ListGroups`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 16, versions = "0-5", flexible = "3+")]
pub struct ListGroupsResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub groups: Vec<ListedGroup>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ListedGroup {
    pub group_id: String,
    pub protocol_type: String,
    #[kafka(versions = "4+", ignorable)]
    pub group_state: String,
    #[kafka(versions = "5+", ignorable)]
    pub group_type: String,
}
