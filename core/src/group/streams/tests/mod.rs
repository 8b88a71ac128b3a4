//! Tests of streams groups: the pure parts, stories of one group, and random schedules.

mod assignor;
mod golden;
mod java_client;
mod random;
mod stories;
mod topology;
mod world;
