//! ListTransactions: API key 66, versions 0-2, flexible from 0.
//!
//! Lists the transactions this broker coordinates.
//!
//! - v1: request gains `duration_filter`; KIP-994
//! - v2: request gains `transactional_id_pattern`; KIP-1152

use riverrun_core_derive::Message;

/// The request of `ListTransactions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 66, versions = "0-2", flexible = "0+")]
pub struct ListTransactionsRequest {
    pub state_filters: Vec<String>,
    pub producer_id_filters: Vec<i64>,
    #[kafka(versions = "1+", default = "-1")]
    pub duration_filter: i64,
    #[kafka(versions = "2+", nullable = "2+", default = "null")]
    pub transactional_id_pattern: Option<String>,
}

/// The response of `ListTransactions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 66, versions = "0-2", flexible = "0+")]
pub struct ListTransactionsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub unknown_state_filters: Vec<String>,
    pub transaction_states: Vec<TransactionState>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TransactionState {
    pub transactional_id: String,
    pub producer_id: i64,
    pub transaction_state: String,
}
