//! The states of a classic group and how one leads to another. The states of a consumer group follow from where its
//! members stand.
//!
//! ```text
//!                 first member joins
//!        ┌───────┐ ────────────────────────► ┌─────────────────────┐ ◄──────────────────┐
//!  new ─►│ Empty │                           │ PreparingRebalance  │ ◄───────────┐      │
//!        └───────┘ ◄──────────────────────── └─────────────────────┘             │      │
//!            │       all gone: record          │ all joined, or time is up       │      │
//!    deleted │                                 ▼                                 │      │
//!    expired │                               ┌─────────────────────┐ join, leave,│      │
//!            ▼                               │ CompletingRebalance │ silence ────┘      │
//!        ┌───────┐                           └─────────────────────┘                    │
//!        │ Dead  │                             │ leader syncs: record                   │
//!        └───────┘                             ▼                                        │
//!                                            ┌────────┐ join with change, leave, silence│
//!                                            │ Stable │ ────────────────────────────────┘
//!                                            └────────┘
//! ```
//!
//! | from | event | to | answers | records |
//! |---|---|---|---|---|
//! | Empty | join | PreparingRebalance; waits for the initial delay, again as long as members arrive | – | – |
//! | PreparingRebalance | join, leave, silence; now all members wait and nobody is pending | CompletingRebalance, generation + 1 | all joins | – |
//! | PreparingRebalance | rebalance timeout; dynamic members that did not join are removed | CompletingRebalance, generation + 1; Empty if nobody is left | all joins | if Empty: the generation |
//! | PreparingRebalance | rebalance timeout; only silent static members are left | PreparingRebalance, waits again | – | – |
//! | CompletingRebalance | sync of the leader | Stable, by replay of the record | all syncs parked | the generation with its assignments |
//! | CompletingRebalance | sync of another | same | parked | – |
//! | CompletingRebalance | join unchanged | same | the join, with this generation | – |
//! | CompletingRebalance | join changed, new member, leave, silence, no sync in time | PreparingRebalance | all syncs: REBALANCE_IN_PROGRESS | – |
//! | Stable | sync | same | the sync | – |
//! | Stable | join of a follower, unchanged | same | the join, with this generation | – |
//! | Stable | join of the leader, join changed, new member, leave, silence, no sync in time | PreparingRebalance | – | – |
//! | Stable | static member returns under a new member id, with the same protocol and topics | same | the join | the generation with the new id |
//! | Empty | delete, or all offsets expired | Dead: the group is forgotten by replay | – | tombstones |
//!
//! Source: Kafka `ClassicGroupState`, `ClassicGroup`.

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// No members; possibly offsets.
    Empty,
    /// Waiting for the members to join the next generation.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
    /// Only of streams groups: the topics of the topology are not as it needs them.
    NotReady,
    /// Only of consumer and streams groups: members are to get a new assignment, which is not decided.
    Assigning,
    /// Only of consumer and streams groups: members are on their way to a new assignment.
    Reconciling,
    /// Does not exist (only seen in descriptions).
    Dead,
}

impl GroupState {
    const ALL: [Self; 8] = [
        Self::Empty,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
        Self::NotReady,
        Self::Assigning,
        Self::Reconciling,
        Self::Dead,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::NotReady => "NotReady",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Dead => "Dead",
        }
    }

    /// Finds a state by its name, in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(name))
    }
}
