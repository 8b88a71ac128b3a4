//! The records of `__share_group_state` (KIP-932): a whole state of a share partition (key type 0), and a change to one (1).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The key of `ShareSnapshot`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 0, versions = "0", flexible = "none")]
pub struct ShareSnapshotKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub topic_id: Uuid,
    #[kafka(versions = "0")]
    pub partition: i32,
}

/// The value of `ShareSnapshot`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 0, versions = "0", flexible = "0+")]
pub struct ShareSnapshotValue {
    pub snapshot_epoch: i32,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    /// Records past the start offset whose delivery is over; -1 if it is not known.
    #[kafka(tagged = "0+", tag = 0, default = "-1")]
    pub delivery_complete_count: i32,
    pub create_timestamp: i64,
    pub write_timestamp: i64,
    pub state_batches: Vec<StateBatch>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct StateBatch {
    pub first_offset: i64,
    pub last_offset: i64,
    /// 0: available; 2: acknowledged; 4: archived.
    pub delivery_state: i8,
    pub delivery_count: i16,
}

/// The key of `ShareUpdate`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 1, versions = "0", flexible = "none")]
pub struct ShareUpdateKey {
    #[kafka(versions = "0")]
    pub group_id: String,
    #[kafka(versions = "0")]
    pub topic_id: Uuid,
    #[kafka(versions = "0")]
    pub partition: i32,
}

/// The value of `ShareUpdate`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 1, versions = "0", flexible = "0+")]
pub struct ShareUpdateValue {
    pub snapshot_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    /// Records past the start offset whose delivery is over; -1 if it is not known.
    #[kafka(tagged = "0+", tag = 0, default = "-1")]
    pub delivery_complete_count: i32,
    pub state_batches: Vec<StateBatch>,
}
