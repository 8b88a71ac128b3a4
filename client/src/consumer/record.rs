//! What comes out of a consumer.

use std::{sync::Arc, vec};

use bytes::Bytes;
use riverrun_core::TopicPartition;

/// One record read from a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch: the producer's, or the broker's in a topic with `LogAppendTime`.
    pub timestamp: i64,
    /// The key. It shares the memory of the fetched batch: copy it to keep it for long.
    pub key: Option<Bytes>,
    /// The value; the same holds.
    pub value: Option<Bytes>,
    /// Headers, in order, duplicates included.
    pub headers: Vec<(Arc<str>, Option<Bytes>)>,
    /// Epoch of the leader that wrote it, if the batch states it.
    pub leader_epoch: Option<i32>,
}

impl ConsumerRecord {
    /// The partition it comes from.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition }
    }
}

/// What one poll brought, by partition; within a partition in the order of offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerRecords {
    partitions: Vec<(TopicPartition, Vec<ConsumerRecord>)>,
}

impl ConsumerRecords {
    /// Adds records after those of the same partition that are there already.
    pub(crate) fn push(&mut self, partition: TopicPartition, mut records: Vec<ConsumerRecord>) {
        if records.is_empty() {
            return;
        }
        match self.partitions.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, known)) => known.append(&mut records),
            None => self.partitions.push((partition, records)),
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.partitions.iter().map(|(_, records)| records.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The partitions that have records here.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.iter().map(|(partition, _)| partition)
    }

    /// The records of one partition.
    pub fn records(&self, partition: &TopicPartition) -> &[ConsumerRecord] {
        let found = self.partitions.iter().find(|(known, _)| known == partition);
        found.map_or(&[], |(_, records)| records.as_slice())
    }

    /// All records, partition by partition.
    pub fn iter(&self) -> impl Iterator<Item = &ConsumerRecord> {
        self.partitions.iter().flat_map(|(_, records)| records)
    }

    /// The batches, one per partition.
    pub fn into_partitions(self) -> impl Iterator<Item = (TopicPartition, Vec<ConsumerRecord>)> {
        self.partitions.into_iter()
    }
}

/// All records by value, partition by partition.
#[derive(Debug)]
pub struct IntoRecords {
    rest: vec::IntoIter<(TopicPartition, Vec<ConsumerRecord>)>,
    current: vec::IntoIter<ConsumerRecord>,
}

impl Iterator for IntoRecords {
    type Item = ConsumerRecord;

    fn next(&mut self) -> Option<ConsumerRecord> {
        loop {
            if let Some(record) = self.current.next() {
                return Some(record);
            }
            let (_, records) = self.rest.next()?;
            self.current = records.into_iter();
        }
    }
}

impl IntoIterator for ConsumerRecords {
    type Item = ConsumerRecord;
    type IntoIter = IntoRecords;

    fn into_iter(self) -> IntoRecords {
        IntoRecords { rest: self.partitions.into_iter(), current: Vec::new().into_iter() }
    }
}

/// An offset to be committed, or one that was: the offset of the next record to be processed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetAndMetadata {
    /// The offset.
    pub offset: i64,
    /// Epoch of the leader that wrote the record before it, if known.
    pub leader_epoch: Option<i32>,
    /// Free text kept beside it.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset without text.
    pub fn new(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: String::new() }
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self::new(offset)
    }
}

/// An offset found by timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// The first offset whose record's timestamp is at or after the one asked for.
    pub offset: i64,
    /// That record's timestamp, in milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Epoch of the leader that wrote it, if known.
    pub leader_epoch: Option<i32>,
}

/// What a consumer is in its group at present; a producer needs it to commit offsets in a transaction (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupMetadata {
    /// The group.
    pub group_id: Arc<str>,
    /// The generation that the member is part of, if it is.
    pub generation_id: Option<i32>,
    /// The member's id, if it has one.
    pub member_id: Option<Arc<str>>,
    /// The member's static name, if it has one (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
}

/// What [`Consumer::poll_event`](super::Consumer::poll_event) has to tell.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// Records.
    Records(ConsumerRecords),
    /// These partitions go to other members once poll is called again; until then offsets can be committed for them.
    Revoked(Vec<TopicPartition>),
    /// These partitions have been taken away: others may have them already, and commits for them will fail.
    Lost(Vec<TopicPartition>),
    /// These partitions are now this member's, besides those it had. Reading starts at the next poll; until then
    /// [`seek`](super::Consumer::seek) decides where.
    Assigned(Vec<TopicPartition>),
    /// Nothing came within the time given.
    Idle,
}
