//! InitializeShareGroupState: API key 83, version 0, flexible from 0.
//!
//! Sets up the stored state of a share group for partitions that it begins to consume. From the group coordinator to the
//! share coordinator (KIP-932).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `InitializeShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 83, versions = "0", flexible = "0+")]
pub struct InitializeShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<InitializeStateData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct InitializeStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
    pub state_epoch: i32,
    pub start_offset: i64,
}

/// The response of `InitializeShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 83, versions = "0", flexible = "0+")]
pub struct InitializeShareGroupStateResponse {
    pub results: Vec<InitializeStateResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct InitializeStateResult {
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
