//! JoinGroup: API key 11, versions 0-9, flexible from 6.
//!
//! Enters a classic consumer group, or enters its next generation. The response comes when the generation is
//! complete; the member named as leader then gets all members and their metadata.
//!
//! - v1: request gains `rebalance_timeout_ms`
//! - v2: response gains `throttle_time_ms`
//! - v4: a new member gets its id first, then joins with it (KIP-394)
//! - v5: request gains `group_instance_id`; response gains `group_instance_id`; static members (KIP-345)
//! - v6: flexible form (KIP-482)
//! - v7: response gains `protocol_type`; KIP-559
//! - v8: request gains `reason`; KIP-800
//! - v9: response gains `skip_assignment`; the leader may be told to keep the assignment (KIP-814)

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `JoinGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 11, versions = "0-9", flexible = "6+")]
pub struct JoinGroupRequest {
    pub group_id: String,
    /// How long a member may be silent before it is thrown out.
    pub session_timeout_ms: i32,
    /// How long members get to rejoin once a rebalance has begun.
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub rebalance_timeout_ms: i32,
    /// Empty for a new member.
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "5+", nullable = "5+", default = "null")]
    pub group_instance_id: Option<String>,
    pub protocol_type: String,
    /// The member's assignors in order of preference, each with the member's metadata for it.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    /// Why, for the logs (KIP-800).
    #[kafka(versions = "8+", nullable = "8+", default = "null", ignorable)]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct JoinGroupRequestProtocol {
    pub name: String,
    pub metadata: Bytes,
}

/// The response of `JoinGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 11, versions = "0-9", flexible = "6+")]
pub struct JoinGroupResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    /// The generation of the group; -1 outside of a group.
    #[kafka(default = "-1")]
    pub generation_id: i32,
    #[kafka(versions = "7+", nullable = "7+", default = "null", ignorable)]
    pub protocol_type: Option<String>,
    #[kafka(nullable = "7+")]
    pub protocol_name: Option<String>,
    pub leader: String,
    /// Tells the leader to keep the current assignment (KIP-814).
    #[kafka(versions = "9+")]
    pub skip_assignment: bool,
    pub member_id: String,
    /// All members, for the leader only.
    pub members: Vec<JoinGroupResponseMember>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct JoinGroupResponseMember {
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub group_instance_id: Option<String>,
    pub metadata: Bytes,
}
