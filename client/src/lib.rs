//! Pure-Rust async Kafka producer, consumer and admin client, over TCP or in process.
#![deny(missing_docs)]
#![deny(clippy::indexing_slicing)]

mod backoff;
pub mod consumer;
mod error;
pub mod producer;
pub mod transport;

pub use error::{CallError, ClientError, ConnectError};
