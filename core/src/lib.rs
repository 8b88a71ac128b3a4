//! The broker core of Riverrun.
//!
//! Everything a Kafka-compatible broker *decides* lives here: the wire protocol, record batches, the log, the group and
//! transaction coordinators and the metadata image. What it deliberately has not: an async runtime, sockets, a clock, randomness.
//! Time and random numbers come in as arguments, disks through a `Vfs` trait, so that the same code runs in
//! production, in unit tests under virtual time and in a seeded simulation.

pub mod budget;
pub mod fetch_session;
pub mod group;
pub mod log;
pub mod metadata;
pub mod protocol;
pub mod quota;
pub mod record;
#[cfg(feature = "sasl")]
pub mod sasl;
pub mod share;
pub mod transaction;

mod types;

pub use types::{LeaderEpoch, NodeId, ProducerEpoch, ProducerId, TopicPartition, Uuid};
