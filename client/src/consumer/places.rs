//! Where to begin: the group's committed offsets, and the beginning, the end or a time where there is none.

use std::{collections::HashMap, sync::Arc};

use riverrun_core::TopicPartition;

use super::{
    Consumer,
    assignment::{Place, at, reset_place},
    error::ConsumeError,
    offsets,
    poll::{Asked, Event},
    record::{OffsetAndMetadata, OffsetAndTimestamp},
};
use crate::error::ClientError;

impl Consumer {
    /// Asks where to begin, for partitions that do not know.
    pub(super) fn find_places(&mut self) {
        let policy = self.settings.auto_offset_reset;
        let has_group = self.group.is_some();
        let (mut committed, mut times) = (Vec::new(), HashMap::new());
        let mut nowhere = Vec::new();
        for (partition, reading) in self.assignment.iter_mut().filter(|(_, reading)| !reading.asking) {
            if reading.place == Place::Committed && !has_group {
                match reset_place(policy) {
                    Some(place) => reading.place = place,
                    None => {
                        nowhere.push(partition.clone());
                        continue;
                    }
                }
            }
            match reading.place {
                Place::Committed => committed.push((partition.clone(), reading.fence)),
                Place::Time(time) => {
                    times.insert(partition.clone(), (time, reading.fence));
                }
                Place::At { .. } => continue,
            }
            reading.asking = true;
        }
        for topic_partition in nowhere {
            self.fail(ConsumeError::NoOffset { topic_partition });
        }
        let limit = self.settings.api_timeout;
        if let (Some(group), false) = (&self.group, committed.is_empty()) {
            let group = Arc::clone(group);
            let partitions = committed.iter().map(|(partition, _)| partition.clone()).collect();
            let found = offsets::committed(group, partitions, limit);
            self.work.start(async move { Event::Committed(committed, found.await) });
        }
        if !times.is_empty() {
            let asked = times.iter().map(|(partition, (_, fence))| (partition.clone(), *fence)).collect();
            let times = times.into_iter().map(|(partition, (time, _))| (partition, time)).collect();
            let isolation = self.settings.isolation.to_wire();
            let found = offsets::list_offsets(Arc::clone(&self.cluster), times, isolation, limit);
            self.work.start(async move { Event::Offsets(asked, found.await) });
        }
    }

    pub(super) fn learn_committed(
        &mut self,
        asked: Asked,
        result: Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError>,
    ) {
        let policy = self.settings.auto_offset_reset;
        let mut nowhere = Vec::new();
        let (found, failure) = match result {
            Ok(found) => (Some(found), None),
            Err(error) => (None, Some(error)),
        };
        for (partition, fence) in asked {
            let Some(reading) = self.assignment.get_mut(&partition).filter(|reading| reading.fence == fence) else {
                continue;
            };
            reading.asking = false;
            let Some(found) = &found else { continue };
            match (found.get(&partition), reset_place(policy)) {
                (Some(OffsetAndMetadata { offset, leader_epoch, .. }), _) => {
                    let (position, leader_epoch) = (*offset, *leader_epoch);
                    reading.place = Place::At { position, fetch_offset: position, leader_epoch };
                }
                (None, Some(place)) => reading.place = place,
                (None, None) => nowhere.push(partition),
            }
        }
        for topic_partition in nowhere {
            self.fail(ConsumeError::NoOffset { topic_partition });
        }
        if let Some(error) = failure {
            self.fail(error);
        }
    }

    pub(super) fn learn_offsets(
        &mut self,
        asked: Asked,
        result: Result<HashMap<TopicPartition, Option<OffsetAndTimestamp>>, ClientError>,
    ) {
        for (partition, fence) in asked {
            let Some(reading) = self.assignment.get_mut(&partition).filter(|reading| reading.fence == fence) else {
                continue;
            };
            reading.asking = false;
            if let Ok(Some(Some(found))) = result.as_ref().map(|found| found.get(&partition)) {
                reading.place = at(found.offset);
            }
        }
        if let Err(error) = result {
            self.fail(error);
        }
    }
}
