//! A stream-processing framework with its Kafka-compatible broker inside.
