//! RemoveRaftVoter: API key 81, version 0, flexible from 0.
//!
//! Takes a controller from the voters of the metadata quorum (KIP-853).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `RemoveRaftVoter`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 81, versions = "0", flexible = "0+")]
pub struct RemoveRaftVoterRequest {
    #[kafka(nullable = "0+")]
    pub cluster_id: Option<String>,
    pub voter_id: i32,
    pub voter_directory_id: Uuid,
}

/// The response of `RemoveRaftVoter`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 81, versions = "0", flexible = "0+")]
pub struct RemoveRaftVoterResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", ignorable)]
    pub error_message: Option<String>,
}
