//! Pure-Rust async Kafka producer, consumer and admin client, over TCP or in process.
