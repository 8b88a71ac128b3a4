//! What the coordinator knows of topics and of the settings of groups: the metadata image at one version.
//!
//! Also here: the hash by which a group notices that a topic it subscribes to has come, gone or grown. It is stored with
//! the group's epoch, so it is Kafka's to the bit: XXH3 over each topic's id, name and partitions, then over the hashes
//! of all topics by name. Racks of partitions are left out: a single node has but one.
//!
//! Source: Kafka `coordinator.group.Utils.{computeTopicHash, computeGroupHash}`; KIP-1101.

use std::{collections::BTreeMap, sync::Arc};

use twox_hash::XxHash3_64;

use crate::{
    Uuid,
    group::GroupId,
    metadata::{ConfigResource, Image, Topic},
};

/// The first byte of what is hashed of a topic: the version of the method.
const TOPIC_HASH_VERSION: u8 = 0;

/// The metadata at one version.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    image: Arc<Image>,
    version: i64,
}

impl Topics {
    /// The metadata `image`, which is at least of `version`.
    pub fn new(image: Arc<Image>, version: i64) -> Self {
        Self { image, version }
    }

    pub(in crate::group) fn version(&self) -> i64 {
        self.version
    }

    pub(super) fn topic(&self, name: &str) -> Option<&Topic> {
        self.image.topic(name).map(AsRef::as_ref)
    }

    /// How many partitions a topic has, if it exists.
    pub(in crate::group) fn partition_count(&self, name: &str) -> Option<i32> {
        self.topic(name).map(partition_count)
    }

    pub(in crate::group) fn name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.image.topic_by_id(id).map(|topic| &topic.name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.image.topics().map(|topic| &topic.name)
    }

    /// A whole number that is set for a group.
    pub(in crate::group) fn group_setting(&self, group: &GroupId, name: &str) -> Option<i32> {
        let configs = self.image.configs(&ConfigResource::Group(group.as_str().into()));
        configs.get(name)?.trim().parse().ok()
    }

    /// How many partitions each of these topics has, by id; those that do not exist are left out.
    pub(super) fn partition_counts<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> BTreeMap<Uuid, i32> {
        let known = names.into_iter().filter_map(|name| self.topic(name));
        known.map(|topic| (topic.id, partition_count(topic))).collect()
    }

    /// The hash of the topics with these names, which come in order; 0 if none exists.
    pub(in crate::group) fn metadata_hash<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> i64 {
        let mut topics = names.into_iter().filter_map(|name| self.topic(name)).peekable();
        if topics.peek().is_none() {
            return 0;
        }
        let mut hashed = Vec::new();
        for topic in topics {
            hashed.extend_from_slice(&topic_hash(topic).to_le_bytes());
        }
        XxHash3_64::oneshot(&hashed).cast_signed()
    }
}

fn partition_count(topic: &Topic) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

fn topic_hash(topic: &Topic) -> i64 {
    let mut hashed = Vec::new();
    hashed.push(TOPIC_HASH_VERSION);
    let id = u128::from_be_bytes(topic.id.0);
    // The high half first, each half with its lowest byte first.
    hashed.extend_from_slice(&id.rotate_left(64).to_le_bytes());
    let mut length: u32 = 0;
    for unit in topic.name.encode_utf16() {
        hashed.extend_from_slice(&unit.to_le_bytes());
        length = length.wrapping_add(1);
    }
    hashed.extend_from_slice(&length.to_le_bytes());
    let count = partition_count(topic);
    hashed.extend_from_slice(&count.to_le_bytes());
    for index in 0..count {
        hashed.extend_from_slice(&index.to_le_bytes());
    }
    XxHash3_64::oneshot(&hashed).cast_signed()
}
