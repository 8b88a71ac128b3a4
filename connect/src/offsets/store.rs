//! The compacted topic of source offsets, with its present content in memory.
//!
//! Read once, to where it ends at that moment; from then on this worker is taken to be the only one that writes offsets
//! of its connectors. Records in the topic that are no offsets are left alone.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures::future::try_join_all;
use riverrun_client::ProducerRecord;

use super::{OffsetKey, decode_offset, encode_offset};
use crate::{
    connector::StoredOffsets,
    record::{SourceOffset, SourcePartition},
    worker::{Cluster, ClusterError, Output, TopicSpec},
};

/// A source partition's new offset; `None` forgets it.
pub(crate) type Change = (SourcePartition, Option<SourceOffset>);

/// The offsets of all sources of a worker.
#[derive(Debug)]
pub(crate) struct OffsetStore<C: Cluster> {
    topic: TopicSpec,
    output: C::Output,
    /// By connector and partition. Held for look-ups and changes, never over an await.
    offsets: Mutex<HashMap<String, HashMap<SourcePartition, Stored>>>,
}

#[derive(Debug)]
struct Stored {
    /// The key's bytes as they were found, or first written.
    key: Bytes,
    offset: Option<SourceOffset>,
}

impl<C: Cluster> OffsetStore<C> {
    /// Creates the topic if it is missing and `create` says so, and reads it.
    pub(crate) async fn open(cluster: &C, topic: TopicSpec, create: bool) -> Result<Self, ClusterError> {
        if create {
            cluster.ensure_topic(&topic).await?;
        }
        let output = cluster.output("connect-offsets").await?;
        let mut offsets: HashMap<String, HashMap<SourcePartition, Stored>> = HashMap::new();
        for (key, value) in cluster.read_all(&topic.name).await? {
            let Some(key) = key else { continue };
            let decoded = OffsetKey::decode(key).and_then(|key| {
                let offset = value.as_deref().map(decode_offset).transpose()?;
                Ok((key, offset))
            });
            match decoded {
                Ok((key, offset)) => {
                    let of_connector = offsets.entry(key.connector).or_default();
                    of_connector.insert(key.partition, Stored { key: key.bytes, offset });
                }
                Err(error) => tracing::warn!(topic = %topic.name, "skipping a record that is no offset: {error}"),
            }
        }
        Ok(Self { topic, output, offsets: Mutex::new(offsets) })
    }

    /// The stored offsets of a connector.
    pub(crate) fn of(&self, connector: &str) -> StoredOffsets {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        let of_connector = offsets.get(connector).into_iter().flatten();
        of_connector.filter_map(|(partition, stored)| Some((partition.clone(), stored.offset.clone()?))).collect()
    }

    /// Stores changes; done when all are acknowledged. Dropped before, some may be stored and some not.
    pub(crate) async fn write(&self, connector: &str, changes: &[Change]) -> Result<(), ClusterError> {
        let mut deliveries = Vec::with_capacity(changes.len());
        for (partition, offset) in changes {
            let mut record = ProducerRecord::to(self.topic.name.clone()).key(self.key(connector, partition));
            record.value = offset.as_ref().map(encode_offset);
            deliveries.push(self.output.send(record).await?);
        }
        try_join_all(deliveries).await?;
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        let of_connector = offsets.entry(connector.to_owned()).or_default();
        for (partition, offset) in changes {
            let key = || OffsetKey::new(connector, partition.clone()).bytes;
            match (of_connector.get_mut(partition), offset) {
                (Some(stored), offset) => stored.offset.clone_from(offset),
                (None, offset) => {
                    let stored = Stored { key: key(), offset: offset.clone() };
                    drop(of_connector.insert(partition.clone(), stored));
                }
            }
        }
        of_connector.retain(|_, stored| stored.offset.is_some());
        Ok(())
    }

    fn key(&self, connector: &str, partition: &SourcePartition) -> Bytes {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        match offsets.get(connector).and_then(|of_connector| of_connector.get(partition)) {
            Some(stored) => stored.key.clone(),
            None => OffsetKey::new(connector, partition.clone()).bytes,
        }
    }
}
