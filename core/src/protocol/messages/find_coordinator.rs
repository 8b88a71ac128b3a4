//! FindCoordinator: API key 10, versions 0-6, flexible from 3.
//!
//! - v1: request gains `key_type`; response gains `throttle_time_ms`, `error_message`
//! - v3: flexible form
//! - v4: request gains `coordinator_keys`; response gains `coordinators`

use riverrun_core_derive::Message;

/// The request of `FindCoordinator`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 10, versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorRequest {
    #[kafka(versions = "0-3")]
    pub key: String,
    #[kafka(versions = "1+")]
    pub key_type: i8,
    #[kafka(versions = "4+")]
    pub coordinator_keys: Vec<String>,
}

/// The response of `FindCoordinator`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 10, versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorResponse {
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[kafka(versions = "0-3")]
    pub error_code: i16,
    #[kafka(versions = "1-3", nullable = "1-3", ignorable)]
    pub error_message: Option<String>,
    #[kafka(versions = "0-3")]
    pub node_id: i32,
    #[kafka(versions = "0-3")]
    pub host: String,
    #[kafka(versions = "0-3")]
    pub port: i32,
    #[kafka(versions = "4+")]
    pub coordinators: Vec<Coordinator>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Coordinator {
    #[kafka(versions = "4+")]
    pub key: String,
    #[kafka(versions = "4+")]
    pub node_id: i32,
    #[kafka(versions = "4+")]
    pub host: String,
    #[kafka(versions = "4+")]
    pub port: i32,
    #[kafka(versions = "4+")]
    pub error_code: i16,
    #[kafka(versions = "4+", nullable = "4+", ignorable)]
    pub error_message: Option<String>,
}
