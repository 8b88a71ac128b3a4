//! The partitions that a consumer reads, and how far it is in each. Pure state.
//!
//! A partition has two places: the position is the next record to be handed out, the fetch offset is where the next
//! fetch begins, further on by what has been fetched ahead. A fence numbers the times that the place was set anew;
//! what was fetched under another fence is thrown away.

use std::{collections::BTreeMap, sync::Arc};

use riverrun_core::TopicPartition;
use tokio::time::Instant;

use super::{
    error::ConsumeError,
    offsets::{EARLIEST, LATEST},
    record::OffsetAndMetadata,
    settings::AutoOffsetReset,
};

/// The partitions, in order.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    partitions: BTreeMap<TopicPartition, Reading>,
    next_fence: u64,
}

/// One partition.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) place: Place,
    pub(super) paused: bool,
    /// Changes whenever the place is set anew.
    pub(super) fence: u64,
    /// A question about the place is on its way.
    pub(super) asking: bool,
    /// Not fetched before this, after an error.
    pub(super) not_before: Option<Instant>,
    pub(super) failures: u32,
}

/// Where in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the group has committed; if it has not, as the reset policy says.
    Committed,
    /// At the offset of a timestamp; see [`EARLIEST`], [`LATEST`].
    Time(i64),
    /// Known.
    At {
        position: i64,
        fetch_offset: i64,
        /// Epoch of the leader that wrote the record before the position.
        leader_epoch: Option<i32>,
    },
}

impl Reading {
    pub(super) fn position(&self) -> Option<i64> {
        match self.place {
            Place::At { position, .. } => Some(position),
            Place::Committed | Place::Time(_) => None,
        }
    }

    /// What would be committed now.
    pub(super) fn consumed(&self) -> Option<OffsetAndMetadata> {
        match self.place {
            Place::At { position, leader_epoch, .. } => {
                Some(OffsetAndMetadata { offset: position, leader_epoch, metadata: String::new() })
            }
            Place::Committed | Place::Time(_) => None,
        }
    }
}

impl Assignment {
    pub(super) fn contains(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    pub(super) fn all(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    pub(super) fn get(&self, partition: &TopicPartition) -> Option<&Reading> {
        self.partitions.get(partition)
    }

    pub(super) fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut Reading> {
        self.partitions.get_mut(partition)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Reading)> {
        self.partitions.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&TopicPartition, &mut Reading)> {
        self.partitions.iter_mut()
    }

    /// Adds a partition whose place is still to be found.
    pub(super) fn add(&mut self, partition: TopicPartition, place: Place) {
        let fence = self.fence();
        let reading = Reading { place, paused: false, fence, asking: false, not_before: None, failures: 0 };
        self.partitions.entry(partition).or_insert(reading);
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    pub(super) fn clear(&mut self) {
        self.partitions.clear();
    }

    fn fence(&mut self) -> u64 {
        self.next_fence += 1;
        self.next_fence
    }

    /// Sets the place anew.
    pub(super) fn set_place(&mut self, partition: &TopicPartition, place: Place) -> Result<(), ConsumeError> {
        let fence = self.fence();
        let missing = || ConsumeError::NotAssigned { topic_partition: partition.clone() };
        let reading = self.partitions.get_mut(partition).ok_or_else(missing)?;
        reading.place = place;
        reading.fence = fence;
        reading.asking = false;
        reading.not_before = None;
        Ok(())
    }

    /// What is to be committed for these partitions, or for all.
    pub(super) fn consumed(&self, only: Option<&[TopicPartition]>) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        let wanted = |partition: &TopicPartition| only.is_none_or(|only| only.contains(partition));
        let consumed = self.partitions.iter().filter(|(partition, _)| wanted(partition));
        consumed.filter_map(|(partition, reading)| Some((partition.clone(), reading.consumed()?))).collect()
    }
}

/// The place at a known offset.
pub(super) fn at(offset: i64) -> Place {
    Place::At { position: offset, fetch_offset: offset, leader_epoch: None }
}

/// The place that a reset policy names.
pub(super) fn reset_place(policy: AutoOffsetReset) -> Option<Place> {
    match policy {
        AutoOffsetReset::Earliest => Some(Place::Time(EARLIEST)),
        AutoOffsetReset::Latest => Some(Place::Time(LATEST)),
        AutoOffsetReset::None => None,
    }
}

/// What a consumer is to read.
#[derive(Default, Clone)]
pub(super) enum Subscription {
    #[default]
    None,
    /// Partitions named by the application.
    Manual,
    /// Topics, shared with the group.
    Topics(Vec<Arc<str>>),
    /// Topics that exist and that this accepts, shared with the group.
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Manual => f.write_str("Manual"),
            Self::Topics(topics) => f.debug_tuple("Topics").field(topics).finish(),
            Self::Matching(_) => f.write_str("Matching"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_place_has_a_new_fence() {
        let partition = TopicPartition::new("t", 0);
        let mut assignment = Assignment::default();
        assert!(assignment.set_place(&partition, at(1)).is_err());
        assignment.add(partition.clone(), Place::Committed);
        let before = assignment.get(&partition).unwrap().fence;
        assert!(assignment.consumed(None).is_empty());
        assignment.set_place(&partition, at(7)).unwrap();
        assert_ne!(assignment.get(&partition).unwrap().fence, before);
        assert_eq!(assignment.consumed(None)[&partition].offset, 7);
        assert!(assignment.consumed(Some(&[])).is_empty());
    }
}
