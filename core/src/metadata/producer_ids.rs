//! Producer ids are given out in blocks, so that one record serves many producers; what a broker does not use of a
//! block is lost, and no id is ever given out twice.
//!
//! Source: KIP-730; Kafka `ProducerIdControlManager`.

use std::ops::Range;

use super::{Image, MetadataRecord};
use crate::{NodeId, ProducerId, protocol::records::ProducerIdsRecord};

/// How many ids a block has, as in Kafka.
pub const PRODUCER_ID_BLOCK_LEN: i64 = 1_000;

/// A block of producer ids of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerIdBlock {
    ids: Range<i64>,
}

impl ProducerIdBlock {
    /// Takes the next id; `None` if all are taken.
    pub fn take(&mut self) -> Option<ProducerId> {
        self.ids.next().map(ProducerId)
    }
}

/// All producer ids are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no producer ids are left")]
pub struct ProducerIdsExhausted;

impl Image {
    /// The next block, and the record that says it is given out: to be durable before any of its ids is used.
    ///
    /// # Errors
    /// If the ids are used up, after 2^63 of them.
    pub fn next_producer_id_block(
        &self,
        broker: NodeId,
        broker_epoch: i64,
    ) -> Result<(ProducerIdBlock, Vec<MetadataRecord>), ProducerIdsExhausted> {
        let first = self.next_producer_id();
        let next_producer_id = first.checked_add(PRODUCER_ID_BLOCK_LEN).ok_or(ProducerIdsExhausted)?;
        let record = ProducerIdsRecord { broker_id: broker.0, broker_epoch, next_producer_id };
        Ok((ProducerIdBlock { ids: first..next_producer_id }, vec![MetadataRecord::ProducerIds(record)]))
    }
}
