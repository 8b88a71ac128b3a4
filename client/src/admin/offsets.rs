//! Offsets: of partitions, and those that groups have committed.

use std::{collections::HashMap, sync::Arc};

use riverrun_core::{
    TopicPartition,
    protocol::{
        ApiKey,
        messages::{
            OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
            offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
            offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
            offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics},
        },
    },
};

use super::{
    Admin, Results, item,
    route::{Round, coordinator_moved, coordinator_moved_or_lags, settle},
};
use crate::{
    ClientError,
    cluster::{REQUEST_TIMEOUT, retrying},
    consumer::{
        EARLIEST, IsolationLevel, LATEST, OffsetAndMetadata, OffsetAndTimestamp, by_topic, check, list_offsets,
    },
};

/// The last version of OffsetCommit and OffsetFetch that names topics: here groups may have offsets of topics that
/// are gone, and those have no id.
const NAMES_UP_TO: i16 = 9;

/// Which offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first record still there.
    Earliest,
    /// After the last record.
    Latest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record whose timestamp, in milliseconds since the Unix epoch, is at or after this.
    Timestamp(i64),
}

impl Admin {
    /// Offsets of partitions; nothing where no record matches.
    ///
    /// # Errors
    /// If a leader cannot be asked.
    pub async fn list_offsets(
        &self,
        specs: &HashMap<TopicPartition, OffsetSpec>,
    ) -> Result<HashMap<TopicPartition, Option<OffsetAndTimestamp>>, ClientError> {
        let time = |spec: &OffsetSpec| match spec {
            OffsetSpec::Earliest => EARLIEST,
            OffsetSpec::Latest => LATEST,
            OffsetSpec::MaxTimestamp => -3,
            OffsetSpec::Timestamp(time) => *time,
        };
        let times = specs.iter().map(|(partition, spec)| (partition.clone(), time(spec))).collect();
        let isolation = IsolationLevel::ReadUncommitted.to_wire();
        list_offsets(Arc::clone(self.client.cluster()), times, isolation, self.timeout).await
    }

    /// The offsets that a group has committed, for these partitions or, with `None`, for all that it has.
    ///
    /// # Errors
    /// If the coordinator cannot be asked; refusals are in the results.
    pub async fn list_group_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Results<TopicPartition, OffsetAndMetadata>, ClientError> {
        let group: Arc<str> = group.into();
        let fetched = retrying(self.timeout, || async {
            let coordinator = self.cluster().find_coordinator(&group).await?;
            let build = |version| fetch_request(version, &group, partitions);
            let pool = &self.pool;
            let response = pool.call_within(&coordinator.address, REQUEST_TIMEOUT, NAMES_UP_TO, build).await?;
            check(ApiKey::OffsetFetch, response.error_code)?;
            response.groups.iter().try_for_each(|group| check(ApiKey::OffsetFetch, group.error_code))?;
            Ok(response)
        });
        let response = fetched.await?;
        let mut results = Results::new();
        let mut take = |name: &Arc<str>, partition, offset: i64, epoch: i32, metadata: Option<String>, code| {
            let leader_epoch = Some(epoch).filter(|epoch| *epoch >= 0);
            let committed = OffsetAndMetadata { offset, leader_epoch, metadata: metadata.unwrap_or_default() };
            let result = item(code, None, committed);
            // An offset of -1 says that there is none.
            if result.as_ref().map_or(true, |committed| committed.offset >= 0) {
                results.insert(TopicPartition { topic: Arc::clone(name), partition }, result);
            }
        };
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for p in topic.partitions {
                let epoch = p.committed_leader_epoch;
                take(&name, p.partition_index, p.committed_offset, epoch, p.metadata, p.error_code);
            }
        }
        for topic in response.groups.into_iter().flat_map(|group| group.topics) {
            let name: Arc<str> = topic.name.into();
            for p in topic.partitions {
                let epoch = p.committed_leader_epoch;
                take(&name, p.partition_index, p.committed_offset, epoch, p.metadata, p.error_code);
            }
        }
        Ok(results)
    }

    /// Sets offsets of a group that has no members at present.
    ///
    /// # Errors
    /// If the coordinator cannot be asked; refusals are in the results.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<Results<TopicPartition, ()>, ClientError> {
        settle(self.timeout, offsets.keys().cloned(), coordinator_moved_or_lags, |open, _| async move {
            let coordinator = self.cluster().find_coordinator(&group.into()).await?;
            let build = |_| commit_request(group, offsets.iter().filter(|(partition, _)| open.contains(partition)));
            let response = self.pool.call_within(&coordinator.address, REQUEST_TIMEOUT, NAMES_UP_TO, build).await?;
            let answers = response.topics.into_iter().flat_map(|topic| {
                let name: Arc<str> = topic.name.into();
                topic.partitions.into_iter().map(move |partition| {
                    let key = TopicPartition { topic: Arc::clone(&name), partition: partition.partition_index };
                    (key, item(partition.error_code, None, ()))
                })
            });
            Ok(Round::of(answers))
        })
        .await
    }

    /// Makes a group forget the offsets of partitions that none of its members is subscribed to.
    ///
    /// # Errors
    /// If the coordinator cannot be asked, or refuses as a whole, as it does when there is no such group; other
    /// refusals are in the results.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Results<TopicPartition, ()>, ClientError> {
        settle(self.timeout, partitions.iter().cloned(), coordinator_moved, |open, _| async move {
            let coordinator = self.cluster().find_coordinator(&group.into()).await?;
            let response = self.pool.call(&coordinator.address, |_| delete_request(group, &open)).await?;
            check(ApiKey::OffsetDelete, response.error_code)?;
            let answers = response.topics.into_iter().flat_map(|topic| {
                let name: Arc<str> = topic.name.into();
                topic.partitions.into_iter().map(move |partition| {
                    let key = TopicPartition { topic: Arc::clone(&name), partition: partition.partition_index };
                    (key, item(partition.error_code, None, ()))
                })
            });
            Ok(Round::of(answers))
        })
        .await
    }
}

fn delete_request(group: &str, partitions: &[TopicPartition]) -> OffsetDeleteRequest {
    let topics = by_topic(partitions).into_iter().map(|(name, indexes)| {
        let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
        OffsetDeleteRequestTopic { name: name.to_string(), partitions: indexes.into_iter().map(partition).collect() }
    });
    OffsetDeleteRequest { group_id: group.to_owned(), topics: topics.collect() }
}

fn fetch_request(version: i16, group: &str, partitions: Option<&[TopicPartition]>) -> OffsetFetchRequest {
    let topics = partitions.map(by_topic);
    let mut request = OffsetFetchRequest { require_stable: version >= 7, ..Default::default() };
    if version >= 8 {
        let topics = topics.map(|topics| {
            let topic = |(name, partition_indexes): (&Arc<str>, Vec<i32>)| OffsetFetchRequestTopics {
                name: name.to_string(),
                partition_indexes,
                ..Default::default()
            };
            topics.into_iter().map(topic).collect()
        });
        request.groups = vec![OffsetFetchRequestGroup { group_id: group.to_owned(), topics, ..Default::default() }];
    } else {
        request.group_id = group.to_owned();
        request.topics = topics.map(|topics| {
            let topic = |(name, partition_indexes): (&Arc<str>, Vec<i32>)| OffsetFetchRequestTopic {
                name: name.to_string(),
                partition_indexes,
            };
            topics.into_iter().map(topic).collect()
        });
    }
    request
}

fn commit_request<'a>(
    group: &str,
    offsets: impl Iterator<Item = (&'a TopicPartition, &'a OffsetAndMetadata)>,
) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for (partition, offset) in offsets {
        let entry = OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(offset.metadata.clone()),
        };
        match topics.iter_mut().find(|topic| *topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => topics.push(OffsetCommitRequestTopic {
                name: partition.topic.to_string(),
                partitions: vec![entry],
                ..Default::default()
            }),
        }
    }
    OffsetCommitRequest { group_id: group.to_owned(), topics, ..Default::default() }
}
