//! A stream-processing framework with its Kafka-compatible broker inside.

pub use riverrun_broker as broker;
pub use riverrun_client as client;
pub use riverrun_connect as connect;
pub use riverrun_core as core;
pub use riverrun_streams as streams;
