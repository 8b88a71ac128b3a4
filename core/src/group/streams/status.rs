//! What a heartbeat tells a member of the state of its group besides its tasks.
//!
//! Source: KIP-1071; Kafka `StreamsGroupHeartbeatResponse.Status`.

/// The kinds of status on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum StatusCode {
    /// The member runs an older topology than the group.
    StaleTopology = 0,
    /// Topics of the user are missing.
    MissingSourceTopics = 1,
    /// Topics have numbers of partitions that do not fit together.
    IncorrectlyPartitionedTopics = 2,
    /// Topics that the coordinator creates are missing so far.
    MissingInternalTopics = 3,
    /// A member asked the whole application to shut down.
    ShutdownApplication = 4,
    /// There is no assignment yet because it waits for more members.
    AssignmentDelayed = 5,
}

impl StatusCode {
    /// The number on the wire.
    pub fn code(self) -> i8 {
        self as i8
    }
}
