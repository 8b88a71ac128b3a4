//! The clock of a consumer group: the group counts the changes of its subscriptions, the target assignment is of one of
//! these counts, and each member has reached one of them. All three are compared with each other.

use std::fmt;

/// A point in the life of a group: of the group itself, of its target assignment, or the one a member has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i32);

impl Epoch {
    /// A member that joins says this of itself.
    pub const JOINING: Self = Self(0);
    /// A member that leaves for good says this.
    pub const LEAVING: Self = Self(-1);
    /// A static member that will be back says this, and is at this epoch until somebody takes its place.
    pub const AWAY: Self = Self(-2);

    /// The epoch after this one.
    pub(in crate::group) fn next(self) -> Self {
        Self(self.0.wrapping_add(1).max(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
