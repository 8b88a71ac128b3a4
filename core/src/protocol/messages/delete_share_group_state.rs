//! DeleteShareGroupState: API key 86, version 0, flexible from 0.
//!
//! Removes the stored state of share partitions. From the group coordinator to the share coordinator (KIP-932).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `DeleteShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 86, versions = "0", flexible = "0+")]
pub struct DeleteShareGroupStateRequest {
    pub group_id: String,
    pub topics: Vec<DeleteStateData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteStateData {
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionData {
    pub partition: i32,
}

/// The response of `DeleteShareGroupState`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 86, versions = "0", flexible = "0+")]
pub struct DeleteShareGroupStateResponse {
    pub results: Vec<DeleteStateResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteStateResult {
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
