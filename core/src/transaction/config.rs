//! The settings of the transaction coordinator, named as Kafka's broker settings.

/// Limits and periods of a [`TransactionShard`](super::TransactionShard).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`: the longest a transaction may be open. Default 15 min.
    pub timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`: how long an unused transactional id is remembered. Default 7 days.
    pub expiration_ms: i64,
    /// Transactional ids in one shard, above which no new one is taken on. Default 100 000. Not a Kafka setting.
    pub transactions_max: usize,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self { timeout_ms_max: 900_000, expiration_ms: 7 * 24 * 60 * 60 * 1_000, transactions_max: 100_000 }
    }
}
