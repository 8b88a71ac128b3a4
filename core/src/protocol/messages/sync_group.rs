//! SyncGroup: API key 14, versions 0-5, flexible from 4.
//!
//! Hands the assignments of a generation from the leader to the broker, and each member its own.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `group_instance_id`; static members (KIP-345)
//! - v4: flexible form (KIP-482)
//! - v5: request gains `protocol_type`, `protocol_name`; response gains `protocol_type`, `protocol_name`; KIP-559

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `SyncGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 14, versions = "0-5", flexible = "4+")]
pub struct SyncGroupRequest {
    pub group_id: String,
    /// The generation of the group; -1 outside of a group.
    pub generation_id: i32,
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "3+", nullable = "3+", default = "null")]
    pub group_instance_id: Option<String>,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub protocol_type: Option<String>,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub protocol_name: Option<String>,
    pub assignments: Vec<SyncGroupRequestAssignment>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct SyncGroupRequestAssignment {
    pub member_id: String,
    pub assignment: Bytes,
}

/// The response of `SyncGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 14, versions = "0-5", flexible = "4+")]
pub struct SyncGroupResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub protocol_type: Option<String>,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
}
