//! The record of a transactional id in `__transaction_state`: key type 0, value versions 0-1.

use riverrun_core_derive::Message;

/// Which transactional id.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 0, versions = "0", flexible = "none")]
pub struct TransactionLogKey {
    #[kafka(versions = "0")]
    pub transactional_id: String,
}

/// The state of its current transaction.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 0, versions = "0-1", flexible = "1+")]
pub struct TransactionLogValue {
    pub producer_id: i64,
    #[kafka(versions = "1+", tagged = "1+", tag = 0, default = "-1")]
    pub previous_producer_id: i64,
    #[kafka(versions = "1+", tagged = "1+", tag = 1, default = "-1")]
    pub next_producer_id: i64,
    pub producer_epoch: i16,
    #[kafka(versions = "1+", tagged = "1+", tag = 3, default = "-1")]
    pub next_producer_epoch: i16,
    pub transaction_timeout_ms: i32,
    /// 0 empty, 1 ongoing, 2 prepare commit, 3 prepare abort, 4 complete commit, 5 complete abort, 6 dead, 7 prepare epoch fence.
    pub transaction_status: i8,
    #[kafka(nullable = "0+")]
    pub transaction_partitions: Option<Vec<PartitionsSchema>>,
    pub transaction_last_update_timestamp_ms: i64,
    pub transaction_start_timestamp_ms: i64,
    #[kafka(versions = "1+", tagged = "1+", tag = 2)]
    pub client_transaction_version: i16,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct PartitionsSchema {
    pub topic: String,
    pub partition_ids: Vec<i32>,
}
