//! AddOffsetsToTxn: API key 25, versions 0-4, flexible from 3.
//!
//! Adds a group's offsets partition to a transaction.
//!
//! - v3: flexible form (KIP-482)
//! - v4: transactions may end with TRANSACTION_ABORTABLE (KIP-890)

use riverrun_core_derive::Message;

/// The request of `AddOffsetsToTxn`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 25, versions = "0-4", flexible = "3+")]
pub struct AddOffsetsToTxnRequest {
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub group_id: String,
}

/// The response of `AddOffsetsToTxn`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 25, versions = "0-4", flexible = "3+")]
pub struct AddOffsetsToTxnResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
}
