//! InitProducerId: API key 22, versions 0-5, flexible from 2.
//!
//! - v2: flexible form
//! - v3: request gains `producer_id`, `producer_epoch`

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
    #[kafka(versions = "6+")]
    pub enable2_pc: bool,
    #[kafka(versions = "6+")]
    pub keep_prepared_txn: bool,
}

/// The response of `InitProducerId`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 22, versions = "0-5", flexible = "2+")]
pub struct InitProducerIdResponse {
    #[kafka(ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(default = "-1")]
    pub producer_id: i64,
    pub producer_epoch: i16,
    #[kafka(versions = "6+", default = "-1")]
    pub ongoing_txn_producer_id: i64,
    #[kafka(versions = "6+", default = "-1")]
    pub ongoing_txn_producer_epoch: i16,
}
