//! Metadata-log record that hands a block of producer ids to a broker: type 15 (KIP-730).

use riverrun_core_derive::Message;

/// Hands out the ids below `next_producer_id`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 15, versions = "0", flexible = "0+")]
pub struct ProducerIdsRecord {
    pub broker_id: i32,
    #[kafka(default = "-1")]
    pub broker_epoch: i64,
    pub next_producer_id: i64,
}
