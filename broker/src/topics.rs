//! Topics come and go: the metadata decides, the data directory follows, and so do the groups' positions.

use std::{collections::BTreeMap, sync::Arc};

use riverrun_core::{
    TopicPartition, Uuid,
    metadata::{
        AlterConfigsError, ConfigAlteration, ConfigResource, CreatePartitions, CreatePartitionsError, CreateTopic,
        CreateTopicError, Creation, DeleteTopicError, Image, Topic,
    },
};

use crate::{
    groups::OFFSETS_TOPIC,
    metadata::ChangeError,
    node::Node,
    storage::{Committed, StorageOpenError},
};

/// Why a topic is not made, changed or deleted; `E` is the reason of the metadata.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError<E> {
    #[error("{0}")]
    Refused(E),
    #[error(transparent)]
    Storage(#[from] StorageOpenError),
    #[error("topics cannot be deleted: delete.topic.enable is false")]
    DeletionDisabled,
    #[error("{name} is the broker's own")]
    Internal { name: String },
}

/// The outcome of a change: what was decided, and when it is durable.
pub(crate) type Changed<T, E> = Result<(T, Committed), ChangeError<TopicError<E>>>;

impl Node {
    /// Makes a topic.
    pub(crate) fn create_topic(&self, request: &CreateTopic) -> Changed<Creation, CreateTopicError> {
        let created = self.metadata.change(
            |image| {
                let creation = image.create_topic(request, &self.cluster(), &self.rules());
                let mut creation = creation.map_err(TopicError::Refused)?;
                Ok((std::mem::take(&mut creation.records), creation))
            },
            |image, _| self.open_partitions(image, &request.name, 0),
        );
        if created.is_err() && !request.validate_only && self.image().topic_by_id(request.topic_id).is_none() {
            self.storage.remove_topic(request.topic_id);
        }
        created
    }

    /// Adds partitions to a topic.
    pub(crate) fn create_partitions(&self, request: &CreatePartitions) -> Changed<(), CreatePartitionsError> {
        let mut had = 0;
        self.metadata
            .change(
                |image| {
                    had = image.topic(&request.topic).map_or(0, |topic| topic.partitions.len());
                    let records = image.create_partitions(request, &self.cluster()).map_err(TopicError::Refused)?;
                    Ok((records, had))
                },
                |image, had| self.open_partitions(image, &request.topic, *had),
            )
            .map(|(_, committed)| ((), committed))
    }

    fn open_partitions<E>(&self, image: &Image, topic: &str, from: usize) -> Result<(), TopicError<E>> {
        let Some(topic) = image.topic(topic) else { return Ok(()) };
        let config = self.topic_config(image, &topic.name);
        let new = topic.partitions.iter().skip(from);
        let new: Vec<_> = new
            .map(|(index, partition)| (TopicPartition::new(Arc::clone(&topic.name), *index), partition.leader_epoch))
            .collect();
        self.storage.open_partitions(topic.id, &new, &config, None)?;
        Ok(())
    }

    /// Deletes a topic, by name or by id.
    pub(crate) fn delete_topic(&self, wanted: &TopicRef) -> Changed<Arc<Topic>, DeleteTopicError> {
        let (topic, committed) = self.metadata.change(
            |image| {
                if !self.start_config.delete_topic_enable {
                    return Err(TopicError::DeletionDisabled);
                }
                let records = match wanted {
                    TopicRef::Name(name) => image.delete_topic(name),
                    TopicRef::Id(id) => image.delete_topic_by_id(*id),
                };
                let records = records.map_err(TopicError::Refused)?;
                let topic = match wanted {
                    TopicRef::Name(name) => image.topic(name),
                    TopicRef::Id(id) => image.topic_by_id(*id),
                };
                match topic {
                    Some(topic) if &*topic.name == OFFSETS_TOPIC => {
                        Err(TopicError::Internal { name: topic.name.to_string() })
                    }
                    Some(topic) => Ok((records, Arc::clone(topic))),
                    None => Err(TopicError::Refused(DeleteTopicError::UnknownId { topic_id: Uuid::ZERO })),
                }
            },
            |_, _| Ok(()),
        )?;
        self.storage.remove_topic(topic.id);
        self.groups.forget_partitions(|partition| partition.topic == topic.name);
        Ok((topic, committed))
    }

    /// Makes the topic that holds groups and their positions, unless it is there.
    pub(crate) fn create_offsets_topic(&self) -> Result<(), ChangeError<TopicError<CreateTopicError>>> {
        let config = &self.start_config;
        let request = CreateTopic {
            name: OFFSETS_TOPIC.to_owned(),
            topic_id: self.random_uuid(),
            partition_count: Some(config.offsets_topic_num_partitions),
            replication_factor: Some(1),
            configs: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                ("compression.type".to_owned(), "producer".to_owned()),
                ("segment.bytes".to_owned(), config.offsets_topic_segment_bytes.to_string()),
            ]),
            ..CreateTopic::default()
        };
        match self.create_topic(&request) {
            Ok(_) => {
                let shards = self.groups.open(self.storage.partitions(request.topic_id));
                // Nothing is in them yet, so this does not block.
                self.groups.load(&shards);
                Ok(())
            }
            // Somebody else was quicker, and opens the shards.
            Err(ChangeError::Refused(TopicError::Refused(CreateTopicError::AlreadyExists { .. }))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Alters settings step by step.
    pub(crate) fn alter_configs(
        &self,
        resource: &ConfigResource,
        alterations: &[ConfigAlteration],
        validate_only: bool,
    ) -> Result<Committed, ChangeError<AlterConfigsError>> {
        self.change_configs(validate_only, |image| image.alter_configs(resource, alterations, &self.rules()))
    }

    /// Sets exactly these settings.
    pub(crate) fn set_configs(
        &self,
        resource: &ConfigResource,
        wanted: &BTreeMap<String, String>,
        validate_only: bool,
    ) -> Result<Committed, ChangeError<AlterConfigsError>> {
        self.change_configs(validate_only, |image| image.set_configs(resource, wanted, &self.rules()))
    }

    fn change_configs(
        &self,
        validate_only: bool,
        decide: impl FnOnce(&Image) -> Result<Vec<riverrun_core::metadata::MetadataRecord>, AlterConfigsError>,
    ) -> Result<Committed, ChangeError<AlterConfigsError>> {
        let decide =
            |image: &Image| decide(image).map(|records| (if validate_only { Vec::new() } else { records }, ()));
        let ((), committed) = self.metadata.change(decide, |_, ()| Ok(()))?;
        if !validate_only {
            self.apply_configs();
        }
        Ok(committed)
    }
}

/// How a request names a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicRef {
    Name(String),
    Id(Uuid),
}
