//! DeleteShareGroupOffsets: API key 92, version 0, flexible from 0.
//!
//! Removes what an empty share group knows of topics (KIP-932).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `DeleteShareGroupOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 92, versions = "0", flexible = "0+")]
pub struct DeleteShareGroupOffsetsRequest {
    pub group_id: String,
    pub topics: Vec<DeleteShareGroupOffsetsRequestTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteShareGroupOffsetsRequestTopic {
    pub topic_name: String,
}

/// The response of `DeleteShareGroupOffsets`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 92, versions = "0", flexible = "0+")]
pub struct DeleteShareGroupOffsetsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub responses: Vec<DeleteShareGroupOffsetsResponseTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteShareGroupOffsetsResponseTopic {
    pub topic_name: String,
    pub topic_id: Uuid,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
}
