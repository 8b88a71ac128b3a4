//! The record of a committed offset in `__consumer_offsets`: key type 1 (type 0 is its older twin, of the same form),
//! value versions 0-4.

use riverrun_core_derive::Message;

use crate::Uuid;

/// Which offset: group, topic and partition.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 1, versions = "0", flexible = "none")]
pub struct OffsetCommitKey {
    #[kafka(versions = "0")]
    pub group: String,
    #[kafka(versions = "0")]
    pub topic: String,
    #[kafka(versions = "0")]
    pub partition: i32,
}

/// The committed offset; a record without value deletes it.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 1, versions = "0-4", flexible = "4+")]
pub struct OffsetCommitValue {
    pub offset: i64,
    #[kafka(versions = "3+", default = "-1", ignorable)]
    pub leader_epoch: i32,
    pub metadata: String,
    pub commit_timestamp: i64,
    #[kafka(versions = "1", default = "-1", ignorable)]
    pub expire_timestamp: i64,
    #[kafka(versions = "4+", tagged = "4+", tag = 0, ignorable)]
    pub topic_id: Uuid,
}
