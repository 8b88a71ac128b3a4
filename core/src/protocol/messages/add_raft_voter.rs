//! AddRaftVoter: API key 80, versions 0-1, flexible from 0.
//!
//! Adds a controller to the voters of the metadata quorum (KIP-853).
//!
//! - v1: request gains `ack_when_committed`

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `AddRaftVoter`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 80, versions = "0-1", flexible = "0+")]
pub struct AddRaftVoterRequest {
    #[kafka(nullable = "0+")]
    pub cluster_id: Option<String>,
    pub timeout_ms: i32,
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
    pub listeners: Vec<Listener>,
    #[kafka(versions = "1+", default = "true")]
    pub ack_when_committed: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct Listener {
    pub name: String,
    pub host: String,
    pub port: u16,
}

/// The response of `AddRaftVoter`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 80, versions = "0-1", flexible = "0+")]
pub struct AddRaftVoterResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", ignorable)]
    pub error_message: Option<String>,
}
