//! A load generator that costs next to nothing: requests are encoded once and replayed, answers are looked at only as far
//! as an error code or a record count. What is then measured is the broker.
//!
//! - [`pipeline`]: one connection, blocking, so many requests in flight: two system calls per turn.
//! - [`crowd`]: many connections by one thread, as fast as answers come or at a fixed rate (open loop).
//! - [`fetch`], [`tail`]: reading a log that is there, and waiting for what comes next.
//! - [`bare`], [`disk`]: what the system takes for the same without a broker.
//! - [`meter`], [`histogram`], [`process`]: the measured window, its latencies, the broker's CPU time and memory.
//! - [`connection`], [`admin`], [`request`], [`payload`]: what they are built from.
//! - [`cli`]: one subcommand per workload, each of which ends in a [`Report`].
//!
//! What it is not: a client. It follows no leader, retries nothing, and an error code ends the run, because a run with
//! errors in it measures something else.

pub mod admin;
pub mod bare;
pub mod cli;
pub mod common;
pub mod connection;
pub mod crowd;
pub mod disk;
pub mod fetch;
pub mod histogram;
pub mod memory;
pub mod meter;
pub mod payload;
pub mod pipeline;
pub mod process;
pub mod report;
pub mod request;
pub mod tail;

pub use common::Common;
pub use report::{Latency, Report};
