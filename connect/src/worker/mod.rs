//! The standalone runtime: a [`Worker`] runs connectors in this process, against any cluster.
//!
//! Each task is a supervised loop of its own; nothing is shared between them but the offsets topic and the board of
//! statuses. Time comes from tokio, so tests run in virtual time. The guarantees are those of the
//! [crate](crate#); how each is kept stands in `source_task` and `sink_task`.

mod backoff;
mod client;
mod cluster;
mod dead_letters;
mod error;
mod runtime;
mod sink_task;
mod source_task;
mod standalone;
mod status;
mod supervisor;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use cluster::{Cluster, ClusterError, Output, TopicSpec};
pub use error::{AddError, StartError};
pub use standalone::{Worker, WorkerBuilder};
pub use status::{ConnectorStatus, State, TaskStatus};
