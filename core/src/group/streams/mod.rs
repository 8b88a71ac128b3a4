//! Streams groups (KIP-1071): the coordinator knows the topology of the application, creates its internal topics and
//! gives each member its tasks.
//!
//! Source: Kafka `coordinator.group.streams`.

mod assignor;
mod configured;
mod partitions;
mod status;
mod tasks;
#[cfg(test)]
mod tests;
mod topology;

pub use assignor::{AssignorInput, AssignorMember, SubtopologyTasks, assign};
pub use configured::{ConfiguredSubtopology, ConfiguredTopology, InternalTopic, TopicProblem};
pub use status::StatusCode;
pub use tasks::{TaskSet, Tasks, has_task, task_count};
pub use topology::{CopartitionGroup, InvalidTopology, Subtopology, TopicInfo, Topology, TopologyEpoch};
