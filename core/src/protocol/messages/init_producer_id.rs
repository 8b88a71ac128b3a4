//! InitProducerId: API key 22, versions 0-5, flexible from 2.
//!
//! Gives an idempotent or transactional producer its id and epoch, and fences older producers of the same
//! transactional id.
//!
//! - v2: flexible form (KIP-482)
//! - v3: request gains `producer_id`, `producer_epoch`; an epoch may be renewed (KIP-360)
//! - v4: PRODUCER_FENCED instead of INVALID_PRODUCER_EPOCH
//! - v5: transactions may end with TRANSACTION_ABORTABLE (KIP-890)

use riverrun_core_derive::Message;

/// The request of `InitProducerId`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 22, versions = "0-5", flexible = "2+")]
pub struct InitProducerIdRequest {
    #[kafka(nullable = "0+")]
    pub transactional_id: Option<String>,
    pub transaction_timeout_ms: i32,
    #[kafka(versions = "3+", default = "-1")]
    pub producer_id: i64,
    #[kafka(versions = "3+", default = "-1")]
    pub producer_epoch: i16,
    /// Version 6, which Kafka has not released (KIP-939).
    #[kafka(versions = "6+")]
    pub enable2_pc: bool,
    /// Version 6, which Kafka has not released (KIP-939).
    #[kafka(versions = "6+")]
    pub keep_prepared_txn: bool,
}

/// The response of `InitProducerId`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 22, versions = "0-5", flexible = "2+")]
pub struct InitProducerIdResponse {
    /// How long the client should wait for the sake of a quota.
    #[kafka(ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(default = "-1")]
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// Producer of the transaction that is open, or -1 (KIP-939).
    #[kafka(versions = "6+", default = "-1")]
    pub ongoing_txn_producer_id: i64,
    #[kafka(versions = "6+", default = "-1")]
    pub ongoing_txn_producer_epoch: i16,
}
