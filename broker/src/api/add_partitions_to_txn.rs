//! AddPartitionsToTxn (API key 24): partitions join a transaction before they are written to (KIP-98). v2: PRODUCER_FENCED;
//! v4: several transactions, and asking only whether partitions are in one (KIP-890): brokers ask so.
//!
//! If one partition does not exist, none joins.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use riverrun_core::{
    TopicPartition,
    metadata::Image,
    protocol::{
        ErrorCode,
        messages::{
            AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
            add_partitions_to_txn::{
                AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
                AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
            },
        },
    },
    transaction::{AddPartitionsRequest, TransactionVersion, TransactionalId},
};

use super::transactional;
use crate::{Reply, RequestContext, node::Node};

/// The first version that serves several transactions, and whose clients follow the second protocol.
const BATCHED: i16 = 4;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: AddPartitionsToTxnRequest) -> Reply {
    let version = context.api_version;
    if version >= BATCHED {
        let results: Vec<_> = request.transactions.into_iter().map(|txn| add(node, version, txn)).collect();
        return Reply::later(async move {
            let results_by_transaction = join_all(results).await;
            AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() }
        });
    }
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
    };
    let result = add(node, version, transaction);
    Reply::later(async move {
        let results_by_topic_v3_and_below = result.await.topic_results;
        AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() }
    })
}

fn add(
    node: &Arc<Node>,
    version: i16,
    transaction: AddPartitionsToTxnTransaction,
) -> impl Future<Output = AddPartitionsToTxnResult> + Send + use<> {
    let AddPartitionsToTxnTransaction { transactional_id, producer_id, producer_epoch, verify_only, topics } =
        transaction;
    let producer = transactional::producer(producer_id, producer_epoch);
    let partitions = partitions_of(&topics);
    let id = TransactionalId::from(transactional_id);
    let unknown = unknown(&node.image(), &partitions);
    let shard = node.transactions.shard_of(id.as_str());
    let deciding = match (shard, unknown.is_empty()) {
        (Err(error), true) => Err(all(&partitions, transactional::code(&error))),
        (_, false) => {
            let mut codes = all(&partitions, ErrorCode::OperationNotAttempted);
            codes.extend(unknown.into_iter().map(|partition| (partition, ErrorCode::UnknownTopicOrPartition)));
            Err(codes)
        }
        (Ok(shard), true) if verify_only => {
            let verify = |partition: &TopicPartition| {
                let verified = shard.ask(|machine| machine.verify(&id, producer, partition));
                let code = match verified {
                    Ok(Ok(())) => ErrorCode::None,
                    Ok(Err(error)) => ErrorCode::from(&error),
                    Err(error) => transactional::code(&error),
                };
                (partition.clone(), code)
            };
            Err(partitions.iter().map(verify).collect())
        }
        (Ok(shard), true) => {
            let client_version = if version >= BATCHED { TransactionVersion::V2 } else { TransactionVersion::V0 };
            let partitions = partitions.clone();
            let request = AddPartitionsRequest { transactional_id: id.clone(), producer, partitions, client_version };
            Ok(shard.command(node, |machine, now_ms| machine.add_partitions(&request, now_ms)))
        }
    };
    async move {
        let codes = match deciding {
            Ok(added) => {
                let added = added.await.map_err(|error| transactional::code_for(&error, version >= 2));
                all(&partitions, added.err().unwrap_or(ErrorCode::None))
            }
            Err(codes) => codes,
        };
        AddPartitionsToTxnResult { transactional_id: id.to_string(), topic_results: by_topic(&topics, &codes) }
    }
}

fn partitions_of(topics: &[AddPartitionsToTxnTopic]) -> Vec<TopicPartition> {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let name: Arc<str> = topic.name.as_str().into();
        topic.partitions.iter().map(move |index| TopicPartition::new(Arc::clone(&name), *index)).collect::<Vec<_>>()
    };
    topics.iter().flat_map(of_topic).collect()
}

fn unknown(image: &Image, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
    let is_unknown = |tp: &&TopicPartition| image.partition(&tp.topic, tp.partition).is_none();
    partitions.iter().filter(is_unknown).cloned().collect()
}

fn all(partitions: &[TopicPartition], code: ErrorCode) -> BTreeMap<TopicPartition, ErrorCode> {
    partitions.iter().map(|partition| (partition.clone(), code)).collect()
}

fn by_topic(
    topics: &[AddPartitionsToTxnTopic],
    codes: &BTreeMap<TopicPartition, ErrorCode>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topic = |topic: &AddPartitionsToTxnTopic| {
        let name: Arc<str> = topic.name.as_str().into();
        let partition = |index: &i32| {
            let code = codes.get(&TopicPartition::new(Arc::clone(&name), *index));
            let code = code.copied().unwrap_or(ErrorCode::UnknownServerError);
            AddPartitionsToTxnPartitionResult { partition_index: *index, partition_error_code: code.code() }
        };
        let results_by_partition = topic.partitions.iter().map(partition).collect();
        AddPartitionsToTxnTopicResult { name: topic.name.clone(), results_by_partition }
    };
    topics.iter().map(topic).collect()
}
