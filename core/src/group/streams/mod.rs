//! Streams groups (KIP-1071): the coordinator knows the topology of the application, creates its internal topics and
//! gives each member its tasks. Part of the [group coordinator](super), whose calling contract holds here too.
//!
//! All of a group is in its records, and only their replay changes it. What a restart may forget is the topology on the
//! topics of now, who asked for a shutdown, and the count of changes of the endpoints.
//!
//! The way of a call: `heartbeat` finds the member; `update` brings topology, epoch and `target` up to date
//! and takes the next step (`reconciliation`) of the member; `fence` takes members out.
//!
//! Source: Kafka `coordinator.group.streams`.

mod assignor;
pub(super) mod codec;
mod configured;
mod describe;
mod endpoints;
mod fence;
mod group;
mod heartbeat;
mod offsets;
mod partitions;
mod reconciliation;
mod record;
mod request;
mod status;
mod target;
mod tasks;
#[cfg(test)]
mod tests;
mod topology;
mod update;
mod weight;

pub use assignor::{AssignorInput, AssignorMember, SubtopologyTasks, assign};
pub use configured::{ConfiguredSubtopology, ConfiguredTopology, InternalTopic, TopicProblem};
pub use describe::{DescribedStreamsGroup, DescribedStreamsMember, DescribedSubtopology};
pub(super) use group::StreamsGroup;
pub use record::{ActiveTasks, AssignedTasks, CurrentTasks, Endpoint, StreamsEpoch, StreamsMemberInfo, StreamsRecord};
pub use request::{EndpointPartitions, GroupStatus, StreamsHeartbeat, StreamsHeartbeatResponse, ToldTopology};
pub use status::StatusCode;
pub use tasks::{TaskSet, Tasks, has_task, task_count};
pub use topology::{CopartitionGroup, InvalidTopology, Subtopology, TopicInfo, Topology, TopologyEpoch};
