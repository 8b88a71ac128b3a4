//! The end of a topic. Its partitions and settings go with its record; its data is the log's to remove.
//!
//! Source: Kafka `ReplicationControlManager.deleteTopics`; KIP-516 (by id).

use super::{Image, MetadataRecord};
use crate::{
    Uuid,
    protocol::{ErrorCode, records::RemoveTopicRecord},
};

/// Why a topic is not deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    /// No topic has that name.
    #[error("topic '{name}' does not exist")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// No topic has that id.
    #[error("no topic has the id {topic_id}")]
    UnknownId {
        /// The id.
        topic_id: Uuid,
    },
}

impl From<&DeleteTopicError> for ErrorCode {
    fn from(error: &DeleteTopicError) -> Self {
        match error {
            DeleteTopicError::UnknownName { .. } => Self::UnknownTopicOrPartition,
            DeleteTopicError::UnknownId { .. } => Self::UnknownTopicId,
        }
    }
}

impl Image {
    /// The records that delete the topic of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn delete_topic(&self, name: &str) -> Result<Vec<MetadataRecord>, DeleteTopicError> {
        let topic = self.topic(name).ok_or_else(|| DeleteTopicError::UnknownName { name: name.to_owned() })?;
        Ok(removal(topic.id))
    }

    /// The records that delete the topic with that id.
    ///
    /// # Errors
    /// If there is none.
    pub fn delete_topic_by_id(&self, topic_id: Uuid) -> Result<Vec<MetadataRecord>, DeleteTopicError> {
        let topic = self.topic_by_id(topic_id).ok_or(DeleteTopicError::UnknownId { topic_id })?;
        Ok(removal(topic.id))
    }
}

fn removal(topic_id: Uuid) -> Vec<MetadataRecord> {
    vec![MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id })]
}
