//! Pure-Rust async Kafka producer, consumer and admin client, over TCP or in process.
#![deny(missing_docs)]
#![deny(clippy::indexing_slicing)]

mod backoff;
mod client;
mod cluster;
pub mod consumer;
mod error;
pub mod producer;
pub mod transport;

pub use client::Client;
pub use consumer::{
    CommitError, ConsumeError, ConsumerEvent, ConsumerGroupMetadata, ConsumerRecord, ConsumerRecords,
    OffsetAndMetadata, OffsetAndTimestamp,
};
pub use error::{CallError, ClientError, ConnectError};
pub use producer::{
    Acks, Delivery, ProduceError, Producer, ProducerBuilder, ProducerConfigError, ProducerRecord, RecordMetadata,
    SendError,
};
pub use riverrun_core::{TopicPartition, record::Compression};
