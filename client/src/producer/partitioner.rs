//! Which partition a record goes to. By key as Kafka's Java client does; without a key, to one partition until a batch
//! is full, then to another one (KIP-480, KIP-794), so that batches fill up. That stickiness is the accumulator's:
//! a partitioner only says that it leaves the choice to it.

use std::fmt;

use super::murmur2::murmur2;

/// Chooses partitions.
pub trait Partitioner: Send + Sync + fmt::Debug + 'static {
    /// The partition, from 0 to below `partition_count`, or `None` to stay with one partition until a batch is full.
    fn partition(&self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>, partition_count: i32) -> Option<i32>;
}

/// By the key's hash, as Kafka's Java client; records without a key stay together.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyPartitioner;

impl Partitioner for KeyPartitioner {
    fn partition(&self, _topic: &str, key: Option<&[u8]>, _value: Option<&[u8]>, partition_count: i32) -> Option<i32> {
        key.map(|key| partition_for_key(key, partition_count))
    }
}

/// The partition of a key among `partition_count`, as Kafka's Java client computes it.
///
/// # Panics
/// If `partition_count` is not positive.
pub fn partition_for_key(key: &[u8], partition_count: i32) -> i32 {
    (murmur2(key) & i32::MAX) % partition_count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_key_or_sticky() {
        assert_eq!(KeyPartitioner.partition("t", None, Some(b"v"), 3), None);
        assert_eq!(KeyPartitioner.partition("t", Some(b"foobar"), None, 10), Some((-790_332_482 & i32::MAX) % 10));
    }
}
