//! EndTxn (API key 26): a producer commits or aborts. Answered once that is decided for good; the markers follow (KIP-98).
//! v2: PRODUCER_FENCED; v5: each transaction has an epoch of its own, and the answer tells the next one (KIP-890).

use std::sync::Arc;

use riverrun_core::{
    protocol::{
        ErrorCode,
        messages::{EndTxnRequest, EndTxnResponse},
    },
    transaction::{EndRequest, ProducerIdAndEpoch, TransactionVersion, TransactionalId},
};

use super::transactional;
use crate::{
    Reply, RequestContext,
    node::Node,
    transactions::{CoordinatorError, Shard},
};

/// The first version whose clients follow the second protocol.
const EPOCH_PER_TRANSACTION: i16 = 5;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: EndTxnRequest) -> Reply {
    let version = context.api_version;
    let refused = |code: ErrorCode| EndTxnResponse { error_code: code.code(), ..Default::default() };
    let shard = match node.transactions.shard_of(&request.transactional_id) {
        Ok(shard) => shard,
        Err(error) => return Reply::now(refused(transactional::code(&error))),
    };
    let bumps = version >= EPOCH_PER_TRANSACTION;
    let command = EndRequest {
        transactional_id: TransactionalId::from(request.transactional_id),
        producer: transactional::producer(request.producer_id, request.producer_epoch),
        commit: request.committed,
        client_version: if bumps { TransactionVersion::V2 } else { TransactionVersion::V0 },
    };
    // A task of its own: a caller that goes away does not leave half of it.
    let ending = node.tasks.spawn_on(end(Arc::clone(node), shard, command), &node.runtime);
    Reply::later(async move {
        match ending.await.unwrap_or(Err(CoordinatorError::NotAvailable)) {
            Ok(ProducerIdAndEpoch { id, epoch }) if bumps => {
                EndTxnResponse { producer_id: id.0, producer_epoch: epoch.0, ..Default::default() }
            }
            Ok(_) => refused(ErrorCode::None),
            Err(error) => refused(transactional::code_for(&error, version >= 2)),
        }
    })
}

async fn end(node: Arc<Node>, shard: Arc<Shard>, request: EndRequest) -> Result<ProducerIdAndEpoch, CoordinatorError> {
    let id = request.transactional_id.as_str();
    // An id that is not known needs none here: the request is refused.
    let is_needed = shard.ask(|machine| machine.get(id).is_some() && machine.needs_producer_id(id))?;
    let fresh = if is_needed { Some(node.fresh_producer_id().await?) } else { None };
    shard.command(&node, |machine, now_ms| machine.end(&request, fresh, now_ms)).await
}
