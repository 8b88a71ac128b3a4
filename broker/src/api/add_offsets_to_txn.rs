//! AddOffsetsToTxn (API key 25): a group's positions are to be part of a transaction: the partition of `__consumer_offsets`
//! that holds the group joins it (KIP-98). v2: PRODUCER_FENCED. From TxnOffsetCommit v5 on it joins by itself.

use std::sync::Arc;

use riverrun_core::{
    protocol::{
        ErrorCode,
        messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse},
    },
    transaction::{AddPartitionsRequest, TransactionVersion, TransactionalId},
};

use super::transactional;
use crate::{Reply, RequestContext, node::Node};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: AddOffsetsToTxnRequest) -> Reply {
    let answer = |code: ErrorCode| AddOffsetsToTxnResponse { error_code: code.code(), ..Default::default() };
    let shard = match node.transactions.shard_of(&request.transactional_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(answer(transactional::code(&error))),
    };
    let Some(partition) = node.groups.partition_of(&request.group_id) else {
        return Reply::now(answer(ErrorCode::CoordinatorNotAvailable));
    };
    let command = AddPartitionsRequest {
        transactional_id: TransactionalId::from(request.transactional_id),
        producer: transactional::producer(request.producer_id, request.producer_epoch),
        partitions: vec![partition],
        client_version: TransactionVersion::V0,
    };
    let added = shard.command(node, |machine, now_ms| machine.add_partitions(&command, now_ms));
    let knows_fenced = context.api_version >= 2;
    Reply::later(async move {
        let code = added.await.map_err(|error| transactional::code_for(&error, knows_fenced));
        answer(code.err().unwrap_or(ErrorCode::None))
    })
}
