//! Metadata-log records of a topic's life: type 2 creates it, type 9 removes it with its partitions (KIP-631).

use riverrun_core_derive::Message;

use crate::Uuid;

/// Creates a topic.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 2, versions = "0", flexible = "0+")]
pub struct TopicRecord {
    pub name: String,
    pub topic_id: Uuid,
}

/// Removes a topic and its partitions.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 9, versions = "0", flexible = "0+")]
pub struct RemoveTopicRecord {
    pub topic_id: Uuid,
}
