//! Metadata-log records of a partition: type 3 states it whole, type 5 changes some of its fields (KIP-631).

use riverrun_core_derive::Message;

use crate::Uuid;

/// States a partition whole.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 3, versions = "0-2", flexible = "0+")]
pub struct PartitionRecord {
    #[kafka(default = "-1")]
    pub partition_id: i32,
    pub topic_id: Uuid,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub removing_replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    #[kafka(default = "-1")]
    pub leader: i32,
    /// 1 while the leader recovers from an unclean election.
    #[kafka(tagged = "0+", tag = 0)]
    pub leader_recovery_state: i8,
    #[kafka(default = "-1")]
    pub leader_epoch: i32,
    #[kafka(default = "-1")]
    pub partition_epoch: i32,
    #[kafka(versions = "1+")]
    pub directories: Vec<Uuid>,
    /// Replicas outside the in-sync set that have all committed records (KIP-966).
    #[kafka(versions = "2+", nullable = "2+", tagged = "2+", tag = 1, default = "null")]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// Who was eligible when last known (KIP-966).
    #[kafka(versions = "2+", nullable = "2+", tagged = "2+", tag = 2, default = "null")]
    pub last_known_elr: Option<Vec<i32>>,
}

/// Changes those fields of a partition that are present.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 5, versions = "0-2", flexible = "0+")]
pub struct PartitionChangeRecord {
    #[kafka(default = "-1")]
    pub partition_id: i32,
    pub topic_id: Uuid,
    #[kafka(nullable = "0+", tagged = "0+", tag = 0, default = "null")]
    pub isr: Option<Vec<i32>>,
    /// -1 for no leader, -2 for unchanged.
    #[kafka(tagged = "0+", tag = 1, default = "-2")]
    pub leader: i32,
    #[kafka(nullable = "0+", tagged = "0+", tag = 2, default = "null")]
    pub replicas: Option<Vec<i32>>,
    #[kafka(nullable = "0+", tagged = "0+", tag = 3, default = "null")]
    pub removing_replicas: Option<Vec<i32>>,
    #[kafka(nullable = "0+", tagged = "0+", tag = 4, default = "null")]
    pub adding_replicas: Option<Vec<i32>>,
    /// 1 while the leader recovers from an unclean election.
    #[kafka(tagged = "0+", tag = 5, default = "-1")]
    pub leader_recovery_state: i8,
    #[kafka(versions = "1+", nullable = "1+", tagged = "1+", tag = 8, default = "null")]
    pub directories: Option<Vec<Uuid>>,
    /// Replicas outside the in-sync set that have all committed records (KIP-966).
    #[kafka(versions = "2+", nullable = "2+", tagged = "2+", tag = 6, default = "null")]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// Who was eligible when last known (KIP-966).
    #[kafka(versions = "2+", nullable = "2+", tagged = "2+", tag = 7, default = "null")]
    pub last_known_elr: Option<Vec<i32>>,
}
