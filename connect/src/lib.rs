//! Source and sink connectors with Kafka Connect's contract.
