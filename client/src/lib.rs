//! Pure-Rust async Kafka producer, consumer and admin client, over TCP or in process.
//!
//! A [`Client`] stands for a cluster; from it come a [`Producer`], a [`Consumer`] and an [`Admin`]. All three speak the
//! Kafka protocol through a [`Transport`](transport::Transport): TCP, or calls into a broker in the same process. What
//! decides (the batches of a producer, the membership in a group, who gets which partition) is machines without I/O
//! inside a thin tokio shell.
//!
//! It needs a tokio runtime with I/O and time enabled. Dropping any of its parts never blocks; `close().await` is what
//! ends them in an orderly way. Errors tell whether trying again can help (`is_retriable`) and whether the broker may
//! have done what was asked all the same (`may_have_side_effects`).

#![deny(missing_docs)]
#![deny(clippy::indexing_slicing)]

pub mod admin;
mod backoff;
mod client;
mod cluster;
pub mod consumer;
mod error;
pub mod producer;
pub mod transport;

pub use admin::{
    Admin, AlterConfig, ConfigEntry, ConfigResource, GroupDescription, GroupListing, NewTopic, OffsetSpec, Refused,
    TopicDescription, TopicListing,
};
pub use client::Client;
pub use consumer::{
    AutoOffsetReset, CommitError, ConsumeError, Consumer, ConsumerBuilder, ConsumerConfigError, ConsumerEvent,
    ConsumerGroupMetadata, ConsumerRecord, ConsumerRecords, IsolationLevel, OffsetAndMetadata, OffsetAndTimestamp,
    PartitionInfo,
    assignor::{
        Assignments, Assignor, ClusterTopics, CooperativeSticky, GroupMember, Range, RebalanceProtocol, RoundRobin,
    },
};
pub use error::{CallError, ClientError, ConnectError};
pub use producer::{
    Acks, Delivery, KeyPartitioner, Partitioner, ProduceError, Producer, ProducerBuilder, ProducerConfigError,
    ProducerRecord, RecordMetadata, SendError,
};
pub use riverrun_core::{TopicPartition, record::Compression};
