//! The record of a classic consumer group in `__consumer_offsets`: key type 2, value versions 0-4.

use bytes::Bytes;
use riverrun_core_derive::Message;

/// Which group.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 2, versions = "0", flexible = "none")]
pub struct GroupMetadataKey {
    #[kafka(versions = "0")]
    pub group: String,
}

/// A generation of the group, with all members; a record without value deletes the group.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 2, versions = "0-4", flexible = "4+")]
pub struct GroupMetadataValue {
    pub protocol_type: String,
    pub generation: i32,
    #[kafka(nullable = "0+")]
    pub protocol: Option<String>,
    #[kafka(nullable = "0+")]
    pub leader: Option<String>,
    #[kafka(versions = "2+", default = "-1", ignorable)]
    pub current_state_timestamp: i64,
    pub members: Vec<MemberMetadata>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct MemberMetadata {
    pub member_id: String,
    /// The name of a static member (KIP-345).
    #[kafka(versions = "3+", nullable = "3+", default = "null", ignorable)]
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    #[kafka(versions = "1+", default = "-1", ignorable)]
    pub rebalance_timeout: i32,
    pub session_timeout: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}
