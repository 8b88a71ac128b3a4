//! WriteShareGroupState: API key 85, versions 0-1, flexible from 0.
//!
//! Stores changes of the delivery state of share partitions. From a partition leader to the share coordinator (KIP-932).
//!
//! - v1: request gains `delivery_complete_count`

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `WriteShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 85, versions = "0-1", flexible = "0+")]
pub struct WriteShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<WriteStateData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct WriteStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    /// Records past the start offset whose delivery is over; -1 if it is not known.
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub delivery_complete_count: i32,
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

/// The response of `WriteShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 85, versions = "0-1", flexible = "0+")]
pub struct WriteShareGroupStateResponse {
    pub results: Vec<WriteStateResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct WriteStateResult {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionResult {
    pub partition: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+", default = "null")]
    pub error_message: Option<String>,
}
