//! Sending records.
mod batch;
mod completion;
mod error;
mod murmur2;
mod partitioner;
mod queue;
mod record;
pub use error::*;
pub use murmur2::murmur2;
pub use partitioner::*;
pub use record::*;
/// How many replicas must have a record before it counts as written (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// All that are in sync.
    #[default]
    All,
    /// The leader.
    Leader,
    /// None: the broker does not answer.
    None,
}
