//! What transactional ids weigh, and which are refused when there is no room.

use std::sync::Arc;

use crate::{
    ProducerId, TopicPartition,
    budget::StateBudget,
    transaction::{TransactionConfig, TransactionMetadata, TransactionRecord, TransactionShard},
};

fn record(id: &str, partitions: i32) -> TransactionRecord {
    let mut value = TransactionMetadata::new(ProducerId(1), 1_000, 0);
    value.partitions = (0..partitions).map(|partition| TopicPartition::new("t", partition)).collect();
    TransactionRecord { transactional_id: id.into(), value: Some(value) }
}

#[test]
fn who_is_there_begins_transactions_when_no_other_may_come() {
    let budget = StateBudget::unlimited();
    let mut shard = TransactionShard::new(TransactionConfig::default()).within(Arc::clone(&budget));
    for id in 0..100 {
        shard.replay(&record(&format!("id{id}"), 0));
    }
    budget.set_limit(budget.used() * 8 / 7);
    assert!(!shard.admits(&[record("another", 0)]));
    assert!(shard.admits(&[record("id0", 10)]));
    assert!(!shard.admits(&[record("id0", 100_000)]), "all of the budget is the bound");
    let many: Vec<_> = (0..100).map(|id| record(&format!("id{id}"), 10)).collect();
    assert!(shard.admits(&many[..1]) && !shard.admits(&many), "and of what is asked together, all counts");
    shard.replay(&record("id0", 10));
    assert!(shard.admits(&[record("id0", 0)]), "a transaction ends whatever happens");
    let empty = TransactionRecord { transactional_id: "id0".into(), value: None };
    assert!(shard.admits(std::slice::from_ref(&empty)));
    shard.charged();
}
