//! EndTxn: API key 26, versions 0-5, flexible from 3.
//!
//! Commits or aborts a transaction.
//!
//! - v3: flexible form (KIP-482)
//! - v4: transactions may end with TRANSACTION_ABORTABLE (KIP-890)
//! - v5: response gains `producer_id`, `producer_epoch`; the epoch rises with each transaction (KIP-890)

use riverrun_core_derive::Message;

/// The request of `EndTxn`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 26, versions = "0-5", flexible = "3+")]
pub struct EndTxnRequest {
    pub transactional_id: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// Whether to commit; false aborts.
    pub committed: bool,
}

/// The response of `EndTxn`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 26, versions = "0-5", flexible = "3+")]
pub struct EndTxnResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub producer_id: i64,
    #[kafka(versions = "5+", default = "-1", ignorable)]
    pub producer_epoch: i16,
}
