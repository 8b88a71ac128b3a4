//! Heartbeat: API key 12, versions 0-4, flexible from 4.
//!
//! Keeps a member of a classic group alive and tells it of a rebalance.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `group_instance_id`; static members (KIP-345)
//! - v4: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `Heartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 12, versions = "0-4", flexible = "4+")]
pub struct HeartbeatRequest {
    pub group_id: String,
    /// The generation of the group; -1 outside of a group.
    pub generation_id: i32,
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "3+", nullable = "3+", default = "null")]
    pub group_instance_id: Option<String>,
}

/// The response of `Heartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 12, versions = "0-4", flexible = "4+")]
pub struct HeartbeatResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
}
