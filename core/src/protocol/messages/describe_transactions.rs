//! DescribeTransactions: API key 65, versions 0, flexible from 0.
//!
//! Describes transactions by their transactional id.

use riverrun_core_derive::Message;

/// The request of `DescribeTransactions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 65, versions = "0", flexible = "0+")]
pub struct DescribeTransactionsRequest {
    pub transactional_ids: Vec<String>,
}

/// The response of `DescribeTransactions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 65, versions = "0", flexible = "0+")]
pub struct DescribeTransactionsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub transaction_states: Vec<TransactionState>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TransactionState {
    pub error_code: i16,
    pub transactional_id: String,
    pub transaction_state: String,
    pub transaction_timeout_ms: i32,
    pub transaction_start_time_ms: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub topics: Vec<TopicData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct TopicData {
    pub topic: String,
    pub partitions: Vec<i32>,
}
