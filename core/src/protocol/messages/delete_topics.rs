//! DeleteTopics: API key 20, versions 1-6, flexible from 4.
//!
//! Deletes topics, from version 6 by id as well as by name.
//!
//! - v4: flexible form (KIP-482)
//! - v5: response gains `error_message`; error message (KIP-599)
//! - v6: request gains `topics`; response gains `topic_id`; topic ids (KIP-516)

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `DeleteTopics`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 20, versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsRequest {
    #[kafka(versions = "6+")]
    pub topics: Vec<DeleteTopicState>,
    #[kafka(versions = "0-5", ignorable)]
    pub topic_names: Vec<String>,
    pub timeout_ms: i32,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteTopicState {
    #[kafka(versions = "6+", nullable = "6+", default = "null")]
    pub name: Option<String>,
    #[kafka(versions = "6+")]
    pub topic_id: Uuid,
}

/// The response of `DeleteTopics`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 20, versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub responses: Vec<DeletableTopicResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeletableTopicResult {
    #[kafka(nullable = "6+")]
    pub name: Option<String>,
    #[kafka(versions = "6+", ignorable)]
    pub topic_id: Uuid,
    pub error_code: i16,
    #[kafka(versions = "5+", nullable = "5+", default = "null", ignorable)]
    pub error_message: Option<String>,
}
