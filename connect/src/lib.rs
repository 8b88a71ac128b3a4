//! Source and sink connectors with Kafka Connect's contract.
//!
//! - [`connector`]: the traits [`Source`] and [`Sink`], their calling contract, and the registry that names them.
//! - [`mod@config`]: what a connector can be told, from a file or from a program.
//! - [`record`]: what flows through.
//! - [`converter`]: the form of keys and values in the log.
//! - [`worker`]: the standalone runtime, [`Worker`]: runs connectors, keeps offsets, restarts what fails.
//! - [`connectors`]: those that come along: host metrics, file tail, JSON-lines file, console, data generator.
//!
//! Delivery is at least once: a stored source offset never covers a record that the cluster has not acknowledged (C1),
//! and a committed sink offset never lies beyond a successful [`Sink::flush`] (C2).
//!
//! There is no distributed worker and no REST interface in this crate yet, and no transforms; types that those will
//! need (tables of keys, task configurations as texts, serializable statuses, Kafka Connect's offset format) are in
//! that shape already.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod base64;
pub mod config;
pub mod connector;
pub mod connectors;
pub mod converter;
mod offload;
pub mod offsets;
mod random;
pub mod record;
pub mod worker;

pub use config::{ConfigFile, Configuration, Properties};
pub use connector::{Connectors, Sink, SinkContext, Source, SourceContext, TaskError};
pub use record::{Data, Header, SinkRecord, SourceOffset, SourcePartition, SourcePosition, SourceRecord};
pub use worker::{Worker, WorkerBuilder};

/// For the code that [`config!`] writes.
#[doc(hidden)]
pub use config::ConfigReader as __ConfigReader;

/// Keeps the examples of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
