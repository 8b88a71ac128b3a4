//! Heartbeat: API key 12, versions 0-4, flexible from 4.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `group_instance_id`
//! - v4: flexible form

use riverrun_core_derive::Message;

/// The request of `Heartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 12, versions = "0-4", flexible = "4+")]
pub struct HeartbeatRequest {
    pub group_id: String,
    pub generation_id: i32,
    pub member_id: String,
    #[kafka(versions = "3+", nullable = "3+", default = "null")]
    pub group_instance_id: Option<String>,
}

/// The response of `Heartbeat`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 12, versions = "0-4", flexible = "4+")]
pub struct HeartbeatResponse {
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
}
