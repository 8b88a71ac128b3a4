//! DescribeTransactions (API key 65): what the coordinator knows of transactional ids (KIP-664).

use riverrun_core::{
    TopicPartition,
    protocol::{
        ErrorCode,
        messages::{
            DescribeTransactionsRequest, DescribeTransactionsResponse,
            describe_transactions::{TopicData, TransactionState},
        },
    },
    transaction::TransactionalId,
};

use super::transactional;
use crate::{node::Node, transactions::CoordinatorError};

pub(super) fn handle(node: &Node, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    let describe = |id: String| describe(node, id);
    let transaction_states = request.transactional_ids.into_iter().map(describe).collect();
    DescribeTransactionsResponse { transaction_states, ..Default::default() }
}

fn describe(node: &Node, transactional_id: String) -> TransactionState {
    let id = TransactionalId::from(transactional_id.as_str());
    let shard = node.transactions.shard_of(&transactional_id);
    let described = shard.and_then(|shard| shard.ask(|machine| machine.describe(&id))?.map_err(CoordinatorError::from));
    match described {
        Ok(described) => TransactionState {
            error_code: ErrorCode::None.code(),
            transactional_id,
            transaction_state: described.state.name().to_owned(),
            transaction_timeout_ms: described.timeout_ms,
            transaction_start_time_ms: described.started_ms.unwrap_or(-1),
            producer_id: described.producer.id.0,
            producer_epoch: described.producer.epoch.0,
            topics: by_topic(&described.partitions),
        },
        Err(error) => {
            TransactionState { error_code: transactional::code(&error).code(), transactional_id, ..Default::default() }
        }
    }
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<TopicData> {
    let topics = partitions.chunk_by(|a, b| a.topic == b.topic);
    let topic = |of_topic: &[TopicPartition]| {
        let partitions = of_topic.iter().map(|tp| tp.partition).collect();
        Some(TopicData { topic: of_topic.first()?.topic.to_string(), partitions })
    };
    topics.filter_map(topic).collect()
}
