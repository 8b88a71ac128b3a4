//! AddPartitionsToTxn: API key 24, versions 0-5, flexible from 3.
//!
//! Adds partitions to a transaction before anything is written to them. Clients stop at version 3; from version 4
//! brokers ask on behalf of producers, for several transactions at once.
//!
//! - v3: flexible form (KIP-482)
//! - v4: request gains `transactions`; response gains `error_code`, `results_by_transaction`; several transactions
//!   (KIP-890)
//! - v5: transactions may end with TRANSACTION_ABORTABLE (KIP-890)

use riverrun_core_derive::Message;

/// The request of `AddPartitionsToTxn`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 24, versions = "0-5", flexible = "3+")]
pub struct AddPartitionsToTxnRequest {
    #[kafka(versions = "4+")]
    pub transactions: Vec<AddPartitionsToTxnTransaction>,
    #[kafka(versions = "0-3")]
    pub v3_and_below_transactional_id: String,
    #[kafka(versions = "0-3")]
    pub v3_and_below_producer_id: i64,
    #[kafka(versions = "0-3")]
    pub v3_and_below_producer_epoch: i16,
    #[kafka(versions = "0-3")]
    pub v3_and_below_topics: Vec<AddPartitionsToTxnTopic>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AddPartitionsToTxnTopic {
    pub name: String,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AddPartitionsToTxnTransaction {
    #[kafka(versions = "4+")]
    pub transactional_id: String,
    #[kafka(versions = "4+")]
    pub producer_id: i64,
    #[kafka(versions = "4+")]
    pub producer_epoch: i16,
    #[kafka(versions = "4+")]
    pub verify_only: bool,
    #[kafka(versions = "4+")]
    pub topics: Vec<AddPartitionsToTxnTopic>,
}

/// The response of `AddPartitionsToTxn`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 24, versions = "0-5", flexible = "3+")]
pub struct AddPartitionsToTxnResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    #[kafka(versions = "4+", ignorable)]
    pub error_code: i16,
    #[kafka(versions = "4+")]
    pub results_by_transaction: Vec<AddPartitionsToTxnResult>,
    #[kafka(versions = "0-3")]
    pub results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AddPartitionsToTxnTopicResult {
    pub name: String,
    pub results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AddPartitionsToTxnPartitionResult {
    pub partition_index: i32,
    pub partition_error_code: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AddPartitionsToTxnResult {
    #[kafka(versions = "4+")]
    pub transactional_id: String,
    #[kafka(versions = "4+")]
    pub topic_results: Vec<AddPartitionsToTxnTopicResult>,
}
