//! InitProducerId (API key 22): an id for an idempotent producer (KIP-98). v3: a producer may ask for a new epoch
//! (KIP-360), and gets a new id instead, which serves as well.
//!
//! A transactional id is answered with INVALID_REQUEST, which no client retries: transactions are not served, and their
//! APIs are not advertised.

use std::sync::Arc;

use riverrun_core::protocol::{
    ErrorCode,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use crate::{Reply, node::Node};

pub(super) fn handle(node: &Arc<Node>, request: &InitProducerIdRequest) -> Reply {
    let refused =
        |code: ErrorCode| InitProducerIdResponse { error_code: code.code(), producer_epoch: -1, ..Default::default() };
    if let Some(transactional_id) = &request.transactional_id {
        tracing::warn!(transactional_id, "transactions are not supported: the transactional producer was refused");
        return Reply::now(refused(ErrorCode::InvalidRequest));
    }
    match node.next_producer_id() {
        Ok((id, committed)) => Reply::later(async move {
            match committed.await {
                Ok(()) => InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..Default::default() },
                Err(_) => refused(ErrorCode::KafkaStorageError),
            }
        }),
        Err(error) => {
            tracing::error!(%error, "no producer id");
            Reply::now(refused(ErrorCode::KafkaStorageError))
        }
    }
}
