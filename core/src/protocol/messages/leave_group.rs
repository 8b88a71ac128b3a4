//! LeaveGroup: API key 13, versions 0-5, flexible from 4.
//!
//! Takes members out of a classic group. From version 3 one request names several, also static ones.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `members`; response gains `members`; several members (KIP-345)
//! - v4: flexible form (KIP-482)
//! - v5: request gains `reason`; KIP-800

use riverrun_core_derive::Message;

/// The request of `LeaveGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 13, versions = "0-5", flexible = "4+")]
pub struct LeaveGroupRequest {
    pub group_id: String,
    #[kafka(versions = "0-2")]
    pub member_id: String,
    #[kafka(versions = "3+")]
    pub members: Vec<MemberIdentity>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct MemberIdentity {
    #[kafka(versions = "3+")]
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "3+", nullable = "3+", default = "null")]
    pub group_instance_id: Option<String>,
    /// Why, for the logs (KIP-800).
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub reason: Option<String>,
}

/// The response of `LeaveGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 13, versions = "0-5", flexible = "4+")]
pub struct LeaveGroupResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(versions = "3+")]
    pub members: Vec<MemberResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct MemberResponse {
    #[kafka(versions = "3+")]
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "3+", nullable = "3+")]
    pub group_instance_id: Option<String>,
    #[kafka(versions = "3+")]
    pub error_code: i16,
}
