//! The settings of the group coordinator, named as Kafka's broker settings.
//!
//! Not here: parsing and documentation for users; the broker's configuration table fills this struct.

use super::{Assignor, MigrationPolicy};
use crate::share::group::ShareGroupConfig;

/// Limits and periods of a [`GroupShard`](super::GroupShard). The defaults are Kafka's where Kafka bounds the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`: the shortest session a member may ask for. Default 6 s.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`: the longest session a member may ask for. Default 30 min.
    pub session_timeout_ms_max: i32,
    /// `group.max.size`: members of one group, those waiting for their first join included. Default 10 000; Kafka has
    /// no bound of its own.
    pub members_max: usize,
    /// Groups in one shard, above which no new one is made. Default 100 000. Not a Kafka setting.
    pub groups_max: usize,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after the first. Default 3 s.
    /// Raising it saves rebalances when many members start together, and delays every start.
    pub initial_rebalance_delay_ms: i64,
    /// How long the join of a member that has no id yet may be parked before it is taken for dead: such a member
    /// cannot heartbeat. Default 5 min, fixed in Kafka.
    pub new_member_join_timeout_ms: i64,
    /// `offsets.retention.minutes`, in milliseconds. Default 7 days.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`. Default 10 min.
    pub offsets_retention_check_interval_ms: i64,
    /// `offset.metadata.max.bytes`: the longest text stored with a committed offset. Default 4096.
    pub offset_metadata_bytes_max: usize,
    /// What holds for groups of the consumer protocol (KIP-848).
    pub consumer: ConsumerConfig,
    /// What holds for groups of the streams protocol (KIP-1071).
    pub streams: StreamsConfig,
    /// `group.share.*`: those of share groups.
    pub share: ShareGroupConfig,
}

/// The settings `group.consumer.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// `group.consumer.session.timeout.ms`: silence after which a member is taken for dead. Default 45 s; a group may
    /// set its own.
    pub session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`: how often members are told to call. Default 5 s; a group may set its own.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms`: the time between two assignments of a group. Default 1 s; a group may
    /// set its own.
    pub assignment_interval_ms: i32,
    /// `group.consumer.max.size`: members of one group. Default 10 000; Kafka has no bound of its own.
    pub members_max: usize,
    /// `group.consumer.assignors`: those that run, the default first.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`: which groups change their type while they have members. Default both.
    pub migration: MigrationPolicy,
    /// How old the list of topics that match a pattern may become. Default 10 min, fixed in Kafka.
    pub regex_refresh_interval_ms: i64,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            members_max: 10_000,
            assignors: Assignor::ALL.into(),
            migration: MigrationPolicy::Bidirectional,
            regex_refresh_interval_ms: 600_000,
        }
    }
}

/// The settings `group.streams.*`. A group may set its own, except for the number of members.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamsConfig {
    /// `group.streams.session.timeout.ms`: silence after which a member is taken for dead. Default 45 s.
    pub session_timeout_ms: i32,
    /// `group.streams.heartbeat.interval.ms`: how often members are told to call. Default 5 s.
    pub heartbeat_interval_ms: i32,
    /// `group.streams.assignment.interval.ms`: the time between two assignments of a group. Default 1 s.
    pub assignment_interval_ms: i32,
    /// `group.streams.initial.rebalance.delay.ms`: how long a group without members waits for more after the first.
    /// Default 3 s.
    pub initial_rebalance_delay_ms: i32,
    /// `group.streams.num.standby.replicas`: copies of each task's state. Default 0.
    pub standby_replicas: i32,
    /// `group.streams.max.size`: members of one group. Default 10 000; Kafka has no bound of its own.
    pub members_max: usize,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            initial_rebalance_delay_ms: 3_000,
            standby_replicas: 0,
            members_max: 10_000,
        }
    }
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            members_max: 10_000,
            groups_max: 100_000,
            initial_rebalance_delay_ms: 3_000,
            new_member_join_timeout_ms: 300_000,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
            offset_metadata_bytes_max: 4_096,
            consumer: ConsumerConfig::default(),
            streams: StreamsConfig::default(),
            share: ShareGroupConfig::default(),
        }
    }
}
