//! FindCoordinator: API key 10, versions 0-6, flexible from 3.
//!
//! Finds the broker that keeps a group (key type 0), a transactional id (1) or a share group (2). From version 4 one
//! request asks for several keys of one type.
//!
//! - v1: request gains `key_type`; response gains `throttle_time_ms`, `error_message`; transactions (KIP-98)
//! - v3: flexible form (KIP-482)
//! - v4: request gains `coordinator_keys`; response gains `coordinators`; several keys (KIP-699)
//! - v5: transactions may end with TRANSACTION_ABORTABLE (KIP-890)
//! - v6: share groups (KIP-932)

use riverrun_core_derive::Message;

/// The request of `FindCoordinator`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 10, versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorRequest {
    #[kafka(versions = "0-3")]
    pub key: String,
    /// 0: group; 1: transactional id; 2: share group.
    #[kafka(versions = "1+")]
    pub key_type: i8,
    /// From version 4; before that there is one `key`.
    #[kafka(versions = "4+")]
    pub coordinator_keys: Vec<String>,
}

/// The response of `FindCoordinator`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 10, versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorResponse {
    /// How long the client should wait for the sake of a quota.
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
    /// From version 4; before that the single result lies in this struct.
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
