//! The states of a transactional id and how one leads to another.
//!
//! ```text
//!            init                 add partitions
//!   new ───────────► ┌───────┐ ──────────────────► ┌─────────┐ ◄─┐ add partitions
//!             ┌────► │ Empty │                     │ Ongoing │ ──┘
//!             │      └───────┘                     └─────────┘
//!             │ init   │     ▲ init        commit │       │ abort, timeout, init
//!             │        │     │                    ▼       ▼
//!             │        │  ┌────────────────┐ ┌───────────────┐ ┌──────────────┐
//!             │        │  │                │ │ PrepareCommit │ │ PrepareAbort │ ◄── abort of nothing (v2):
//!             │        │  │                │ └───────────────┘ └──────────────┘     from Empty, Complete*
//!             │        │  │                │         │ markers       │ markers
//!             │        │  │                ▼         ▼               ▼
//!             │        │  │        ┌────────────────┐ ┌───────────────┐
//!             └────────┼──┴─────── │ CompleteCommit │ │ CompleteAbort │ ──► Ongoing: add partitions
//!                      │           └────────────────┘ └───────────────┘
//!                      ▼ unused for transactional.id.expiration.ms      │
//!                   ┌──────┐ ◄──────────────────────────────────────────┘
//!                   │ Dead │ forgotten: a tombstone
//!                   └──────┘
//! ```
//!
//! | from | event | to | record | answer |
//! |---|---|---|---|---|
//! | – , Empty, Complete* | init | Empty | next epoch; a new producer id if epochs are used up | id and epoch |
//! | Ongoing | init | PrepareAbort | next epoch, so that the old producer is fenced | CONCURRENT_TRANSACTIONS: ask again |
//! | Prepare* | init, add, end of the same kind | same | – | CONCURRENT_TRANSACTIONS |
//! | Empty, Complete*, Ongoing | add partitions | Ongoing | the partitions | – |
//! | Ongoing | end | PrepareCommit, PrepareAbort | v2: next epoch | v2: the new epoch |
//! | Ongoing | timeout | PrepareAbort | next epoch | – |
//! | Empty, Complete* | abort, v2 | PrepareAbort without partitions | next epoch | the new epoch |
//! | Complete* | the same end again, v2: with the epoch before | same | – | the epoch |
//! | Prepare* | markers are written | Complete* | epochs used up: the next producer id, epoch 0 | – |
//! | Empty, Complete* | unused for too long | Dead | tombstone | – |
//!
//! Every other pair is refused with INVALID_TXN_STATE. Source: Kafka `TransactionState`.

/// Where a transactional id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    /// A producer owns it, and has no transaction.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// It will be committed: markers are being written.
    PrepareCommit,
    /// It will be aborted: markers are being written.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
    /// It is being forgotten. Never stored.
    Dead,
    /// Its producer is being fenced. Never stored, and here only for its name.
    PrepareEpochFence,
}

impl TransactionState {
    const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// Finds a state by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The number in a record.
    pub fn id(self) -> i8 {
        match self {
            Self::Empty => 0,
            Self::Ongoing => 1,
            Self::PrepareCommit => 2,
            Self::PrepareAbort => 3,
            Self::CompleteCommit => 4,
            Self::CompleteAbort => 5,
            Self::Dead => 6,
            Self::PrepareEpochFence => 7,
        }
    }

    /// The state of that number.
    pub fn from_id(id: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.id() == id)
    }

    /// Whether its end is decided and its markers are still to be written.
    pub fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    /// Whether it may be forgotten when nobody has used it for long.
    pub(super) fn may_expire(self) -> bool {
        matches!(self, Self::Empty | Self::CompleteCommit | Self::CompleteAbort)
    }
}

/// The protocol a producer follows in its transaction (`transaction.version`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionVersion {
    /// The first protocol: a producer keeps its epoch until it is fenced.
    #[default]
    V0,
    /// The same with records of a newer version. No client asks for it.
    V1,
    /// KIP-890: each transaction has an epoch of its own.
    V2,
}

impl TransactionVersion {
    /// The feature's level.
    pub fn level(self) -> i16 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The version of that level; a newer one is taken for the newest known.
    pub fn from_level(level: i16) -> Self {
        match level {
            ..=0 => Self::V0,
            1 => Self::V1,
            2.. => Self::V2,
        }
    }

    /// Whether the epoch rises with every end of a transaction.
    pub fn bumps_epoch(self) -> bool {
        self >= Self::V2
    }
}
