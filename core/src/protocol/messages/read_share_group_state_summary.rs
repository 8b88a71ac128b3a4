//! ReadShareGroupStateSummary: API key 87, versions 0-1, flexible from 0.
//!
//! Reads where share partitions begin, without the delivery state. From the group coordinator to the share coordinator
//! (KIP-932).
//!
//! - v1: response gains `delivery_complete_count`

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `ReadShareGroupStateSummary`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 87, versions = "0-1", flexible = "0+")]
pub struct ReadShareGroupStateSummaryRequest {
    pub group_id: String,
    pub topics: Vec<ReadStateSummaryData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReadStateSummaryData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub leader_epoch: i32,
}

/// The response of `ReadShareGroupStateSummary`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 87, versions = "0-1", flexible = "0+")]
pub struct ReadShareGroupStateSummaryResponse {
    pub results: Vec<ReadStateSummaryResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ReadStateSummaryResult {
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
    pub leader_epoch: i32,
    pub start_offset: i64,
    /// Records past the start offset whose delivery is over; -1 if it is not known.
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub delivery_complete_count: i32,
}
