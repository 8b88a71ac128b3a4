//! InitProducerId (API key 22): an id for an idempotent producer (KIP-98), or a transactional id taken over, with whoever
//! had it before fenced. v3: a transactional producer may go on with its next epoch (KIP-360; an idempotent one gets a new
//! id, which serves as well); v4: PRODUCER_FENCED; v6: two-phase commit (KIP-939), which Kafka 4.3 does not serve either.

use std::sync::Arc;

use riverrun_core::{
    protocol::{
        ErrorCode,
        messages::{InitProducerIdRequest, InitProducerIdResponse},
    },
    transaction::{InitRequest, ProducerIdAndEpoch, TransactionalId},
};

use super::transactional;
use crate::{
    Reply, RequestContext,
    node::Node,
    transactions::{CoordinatorError, Shard},
};

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: InitProducerIdRequest) -> Reply {
    let Some(transactional_id) = request.transactional_id else { return idempotent(node) };
    let producer = transactional::producer(request.producer_id, request.producer_epoch);
    let init = InitRequest {
        transactional_id: TransactionalId::from(transactional_id),
        timeout_ms: request.transaction_timeout_ms,
        expected: (request.producer_id >= 0 && request.producer_epoch >= 0).then_some(producer),
        two_phase_commit: request.enable2_pc,
        keep_prepared: request.keep_prepared_txn,
    };
    let shard = match node.transactions.shard_of(init.transactional_id.as_str()) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(transactional::code(&error))),
    };
    let knows_fenced = context.api_version >= 4;
    // A task of its own: a caller that goes away does not leave half of it.
    let taking_over = node.tasks.spawn_on(take_over(Arc::clone(node), shard, init), &node.runtime);
    Reply::later(async move {
        match taking_over.await.unwrap_or(Err(CoordinatorError::NotAvailable)) {
            Ok(producer) => given(producer.id.0, producer.epoch.0),
            Err(error) => refused(transactional::code_for(&error, knows_fenced)),
        }
    })
}

async fn take_over(
    node: Arc<Node>,
    shard: Arc<Shard>,
    request: InitRequest,
) -> Result<ProducerIdAndEpoch, CoordinatorError> {
    let fresh = if shard.ask(|machine| machine.needs_producer_id(request.transactional_id.as_str()))? {
        Some(node.fresh_producer_id().await?)
    } else {
        None
    };
    shard.command(&node, |machine, now_ms| machine.init_producer_id(&request, fresh, now_ms)).await
}

fn idempotent(node: &Arc<Node>) -> Reply {
    match node.next_producer_id() {
        Ok((id, committed)) => Reply::later(async move {
            match committed.await {
                Ok(()) => given(id.0, 0),
                Err(_) => refused(ErrorCode::KafkaStorageError),
            }
        }),
        Err(error) => {
            tracing::error!(%error, "no producer id");
            Reply::now(refused(ErrorCode::KafkaStorageError))
        }
    }
}

fn given(producer_id: i64, producer_epoch: i16) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id, producer_epoch, ..Default::default() }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: code.code(), producer_epoch: -1, ..Default::default() }
}
