//! SyncGroup: API key 14, versions 0-5, flexible from 4.
//!
//! - v1: response gains `throttle_time_ms`
//! - v3: request gains `group_instance_id`
//! - v4: flexible form
//! - v5: request gains `protocol_type`, `protocol_name`; response gains `protocol_type`, `protocol_name`

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `SyncGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 14, versions = "0-5", flexible = "4+")]
pub struct SyncGroupRequest {
    pub group_id: String,
    pub generation_id: i32,
    pub member_id: String,
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
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub protocol_type: Option<String>,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
}
