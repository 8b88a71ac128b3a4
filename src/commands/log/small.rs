//! The files beside segments, entry by entry, as text and as objects.

use std::{io, path::Path};

use anyhow::{Context, Result, bail};
use riverrun::core::log::{
    LogDirectory, ReadOnlyVfs,
    inspect::{
        AbortedEntry, DataFile, OffsetEntry, SnapshotEntry, TimeEntry, aborted_entries, offset_entries,
        snapshot_entries, time_entries,
    },
    read_bookmarks, read_epochs, read_offsets, read_topic_id,
};
use serde_json::{Value, json};

use super::render::time_text;

type Entries = Box<dyn Iterator<Item = io::Result<(String, Value)>>>;

/// The entries of a file that holds no batches.
pub(super) fn entries(path: &Path, kind: DataFile) -> Result<Entries> {
    let cannot = || format!("cannot read {}", path.display());
    let vfs = &ReadOnlyVfs;
    Ok(match kind {
        DataFile::OffsetIndex(base) => Box::new(offset_entries(vfs, path, base).with_context(cannot)?.map(|entry| {
            let OffsetEntry { offset, position } = entry?;
            let object = json!({ "type": "offset_entry", "offset": offset, "position": position });
            Ok((format!("offset: {offset} position: {position}"), object))
        })),
        DataFile::TimeIndex(base) => Box::new(time_entries(vfs, path, base).with_context(cannot)?.map(|entry| {
            let TimeEntry { timestamp, offset } = entry?;
            let object = json!({ "type": "time_entry", "timestamp": timestamp, "offset": offset });
            Ok((format!("timestamp: {} offset: {offset}", time_text(timestamp)), object))
        })),
        DataFile::TransactionIndex(_) => {
            Box::new(aborted_entries(vfs, path).with_context(cannot)?.map(|entry| Ok(aborted(entry?))))
        }
        DataFile::ProducerSnapshot(_) => {
            let producers = snapshot_entries(vfs, path).with_context(cannot)?.with_context(cannot)?;
            Box::new(producers.into_iter().map(|producer| Ok(snapshot(producer))))
        }
        DataFile::LeaderEpochs => {
            let epochs = read_epochs(vfs, path)?.unwrap_or_default();
            listed(epochs, |(epoch, offset)| {
                let object = json!({ "type": "leader_epoch", "epoch": epoch, "offset": offset });
                (format!("epoch: {epoch} offset: {offset}"), object)
            })
        }
        DataFile::OffsetCheckpoint => listed(read_offsets(vfs, path)?, |(partition, offset)| {
            let (topic, index) = (&*partition.topic, partition.partition);
            let object = json!({ "type": "checkpoint", "topic": topic, "partition": index, "offset": offset });
            (format!("topic: {topic} partition: {index} offset: {offset}"), object)
        }),
        DataFile::Bookmarks => listed(read_bookmarks(vfs, path)?, |(partition, mark)| {
            let object = json!({
                "type": "bookmark",
                "topic": &*partition.topic,
                "partition": partition.partition,
                "offset": mark.offset,
                "log_start_offset": mark.log_start_offset,
                "segment": mark.segment,
                "position": mark.position,
                "at_end": mark.at_end,
            });
            let text = format!(
                "topic: {} partition: {} logStartOffset: {} offset: {} segment: {} position: {} atEnd: {}",
                partition.topic,
                partition.partition,
                mark.log_start_offset,
                mark.offset,
                mark.segment,
                mark.position,
                mark.at_end
            );
            (text, object)
        }),
        DataFile::PartitionMetadata => listed(read_topic_id(vfs, path)?, |id| {
            (format!("topicId: {id}"), json!({ "type": "partition_metadata", "topic_id": id.to_string() }))
        }),
        DataFile::MetaProperties => {
            let directory = path.parent().unwrap_or(path);
            listed(LogDirectory::identity_at(vfs, directory)?, |identity| {
                let text = format!(
                    "clusterId: {} nodeId: {} directoryId: {}",
                    identity.cluster_id, identity.node_id, identity.directory_id
                );
                let object = json!({
                    "type": "meta_properties",
                    "cluster_id": identity.cluster_id,
                    "node_id": identity.node_id.0,
                    "directory_id": identity.directory_id.to_string(),
                });
                (text, object)
            })
        }
        DataFile::Segment(_) | DataFile::MetadataSnapshot | DataFile::Known | DataFile::Leftover(_) => {
            bail!("{} has no entries", path.display())
        }
    })
}

fn listed<T: 'static>(
    all: impl IntoIterator<Item = T, IntoIter: 'static>,
    show: impl Fn(T) -> (String, Value) + 'static,
) -> Entries {
    Box::new(all.into_iter().map(move |each| Ok(show(each))))
}

fn aborted(entry: AbortedEntry) -> (String, Value) {
    let AbortedEntry { producer_id, first_offset, last_offset, last_stable_offset } = entry;
    let text = format!(
        "producerId: {producer_id} firstOffset: {first_offset} lastOffset: {last_offset} lastStableOffset: \
         {last_stable_offset}"
    );
    let object = json!({
        "type": "aborted_transaction",
        "producer_id": producer_id,
        "first_offset": first_offset,
        "last_offset": last_offset,
        "last_stable_offset": last_stable_offset,
    });
    (text, object)
}

fn snapshot(producer: SnapshotEntry) -> (String, Value) {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let text = format!(
        "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {} lastSequence: \
         {} lastOffset: {}",
        producer.producer_id,
        producer.producer_epoch,
        producer.coordinator_epoch,
        shown(producer.transaction_first_offset.map(|offset| offset.to_string())),
        time_text(producer.last_timestamp),
        shown(producer.last_batch.map(|batch| batch.last_sequence.to_string())),
        shown(producer.last_batch.map(|batch| batch.last_offset.to_string())),
    );
    let object = json!({
        "type": "producer",
        "producer_id": producer.producer_id,
        "producer_epoch": producer.producer_epoch,
        "coordinator_epoch": producer.coordinator_epoch,
        "current_transaction_first_offset": producer.transaction_first_offset,
        "last_timestamp": producer.last_timestamp,
        "last_sequence": producer.last_batch.map(|batch| batch.last_sequence),
        "last_offset": producer.last_batch.map(|batch| batch.last_offset),
    });
    (text, object)
}
