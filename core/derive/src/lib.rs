//! Derives the versioned Kafka codec of a message struct from attributes on its fields.
