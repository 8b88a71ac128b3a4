//! ReadShareGroupState: API key 84, version 0, flexible from 0.
//!
//! Reads the stored delivery state of share partitions. From a partition leader to the share coordinator (KIP-932).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ReadShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 84, versions = "0", flexible = "0+")]
pub struct ReadShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<ReadStateData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReadStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub leader_epoch: i32,
}

/// The response of `ReadShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 84, versions = "0", flexible = "0+")]
pub struct ReadShareGroupStateResponse {
    pub results: Vec<ReadStateResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReadStateResult {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionResult {
    pub partition: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
    pub state_epoch: i32,
    pub start_offset: i64,
    pub state_batches: Vec<StateBatch>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct StateBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    /// 0: available; 2: acknowledged; 4: archived.
    pub delivery_state: i8,
    pub delivery_count: i16,
}
