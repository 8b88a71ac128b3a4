//! The settings of the group coordinator, named as Kafka's broker settings.
//!
//! Not here: parsing and documentation for users; the broker's configuration table fills this struct.

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
        }
    }
}
