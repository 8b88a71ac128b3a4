//! DescribeGroups: API key 15, versions 0-6, flexible from 5.
//!
//! Describes classic groups.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `include_authorized_operations`; response gains `authorized_operations`; authorized operations
//!   (KIP-430)
//! - v4: response gains `group_instance_id`; static members (KIP-345)
//! - v5: flexible form (KIP-482)
//! - v6: response gains `error_message`; an unknown group is an error (KIP-1043)

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `DescribeGroups`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 15, versions = "0-6", flexible = "5+")]
pub struct DescribeGroupsRequest {
    pub groups: Vec<String>,
    #[kafka(versions = "3+")]
    pub include_authorized_operations: bool,
}

/// The response of `DescribeGroups`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 15, versions = "0-6", flexible = "5+")]
pub struct DescribeGroupsResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribedGroup {
    pub error_code: i16,
    #[kafka(versions = "6+", nullable = "6+", default = "null")]
    pub error_message: Option<String>,
    pub group_id: String,
    pub group_state: String,
    pub protocol_type: String,
    pub protocol_data: String,
    pub members: Vec<DescribedGroupMember>,
    /// Bit set of what the client may do; `i32::MIN` if it was not asked for (KIP-430).
    #[kafka(versions = "3+", default = "-2147483648")]
    pub authorized_operations: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribedGroupMember {
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "4+", nullable = "4+", default = "null", ignorable)]
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub member_metadata: Bytes,
    pub member_assignment: Bytes,
}
