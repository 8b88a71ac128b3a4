//! The Riverrun broker: the tokio shell around `riverrun-core`.
//!
//! A [`Broker`] runs on the host's tokio runtime and serves the Kafka protocol over TCP, to clients in the same process,
//! or both; the two ways in lead to the same handlers. What a broker *decides* is in core; here are sockets, threads,
//! timers and the files' owner.
//!
//! | module | what |
//! |---|---|
//! | `api` | one file per Kafka API: wire messages to domain calls and back |
//! | `listener` | TCP connections: frames in, responses out in order |
//! | `storage` | the data directory, partitions, group commit, retention, compaction |
//! | `metadata`, `topics` | the metadata log and what follows from its changes |
//! | `groups` | the driver of the group coordinator |
//! | `quotas` | what clients use is counted, and those beyond their quota wait |
//! | `security` | listeners' protocols, TLS, principals |
//! | [`config`] | Kafka's broker settings, one table |
//!
//! Not here: replication.

#![deny(missing_docs)]
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod api;
mod broker;
mod builder;
mod clock;
pub mod config;
mod context;
mod endpoint;
mod error;
mod groups;
mod limits;
mod listener;
mod log_limit;
mod metadata;
mod node;
mod quotas;
mod reply;
mod security;
mod share;
mod start;
mod storage;
mod topics;
mod transactions;
mod transport;

pub use broker::Broker;
pub use builder::BrokerBuilder;
pub use context::RequestContext;
pub use error::{ShutdownError, StartError};
pub use reply::Reply;
pub use security::Principal;
