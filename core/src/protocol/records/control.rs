//! The value of a transaction's end marker, a control record that commits or aborts (KIP-98).

use riverrun_core_derive::Message;

/// The value of an end marker.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(versions = "0", flexible = "none")]
pub struct EndTxnMarker {
    pub coordinator_epoch: i32,
}
