//! Typed stream-processing DSL with Kafka Streams' semantics.
