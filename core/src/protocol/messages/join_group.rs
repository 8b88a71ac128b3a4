//! JoinGroup: API key 11, versions 0-9, flexible from 6.
//!
//! - v1: request gains `rebalance_timeout_ms`
//! - v2: response gains `throttle_time_ms`
//! - v5: request gains `group_instance_id`; response gains `group_instance_id`
//! - v6: flexible form
//! - v7: response gains `protocol_type`
//! - v8: request gains `reason`
//! - v9: response gains `skip_assignment`

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `JoinGroup`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 11, versions = "0-9", flexible = "6+")]
pub struct JoinGroupRequest {
    pub group_id: String,
    pub session_timeout_ms: i32,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub rebalance_timeout_ms: i32,
    pub member_id: String,
    #[kafka(versions = "5+", nullable = "5+", default = "null")]
    pub group_instance_id: Option<String>,
    pub protocol_type: String,
    pub protocols: Vec<JoinGroupRequestProtocol>,
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
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(default = "-1")]
    pub generation_id: i32,
    #[kafka(versions = "7+", nullable = "7+", default = "null", ignorable)]
    pub protocol_type: Option<String>,
    #[kafka(nullable = "7+")]
    pub protocol_name: Option<String>,
    pub leader: String,
    #[kafka(versions = "9+")]
    pub skip_assignment: bool,
    pub member_id: String,
    pub members: Vec<JoinGroupResponseMember>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct JoinGroupResponseMember {
    pub member_id: String,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub group_instance_id: Option<String>,
    pub metadata: Bytes,
}
