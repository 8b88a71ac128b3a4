//! A Fetch request to one broker for all partitions that it leads, without a session (KIP-227: id 0, epoch -1), and its
//! response taken apart. From version 13 topics go by id.

use std::{collections::HashMap, sync::Arc};

use riverrun_core::{
    TopicPartition, Uuid,
    protocol::{
        ErrorCode, Request,
        messages::{
            FetchRequest, FetchResponse,
            fetch::{FetchPartition, FetchTopic, PartitionData},
        },
    },
};

use super::settings::Settings;
use crate::{
    cluster::{Image, Pool, REQUEST_TIMEOUT},
    error::{CallError, ClientError},
    transport::BrokerAddress,
};

/// The last version that names topics.
const NAMES_UP_TO: i16 = 12;

/// What is asked for of one partition.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) topic_partition: TopicPartition,
    pub(super) fence: u64,
    pub(super) offset: i64,
    pub(super) leader_epoch: Option<i32>,
}

/// What came of one partition.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) wanted: Wanted,
    pub(super) code: ErrorCode,
    pub(super) data: PartitionData,
}

/// Fetches from one broker.
pub(super) async fn fetch(
    pool: Arc<Pool>,
    address: BrokerAddress,
    image: Arc<Image>,
    settings: Arc<Settings>,
    wanted: Vec<Wanted>,
) -> Result<Vec<Got>, ClientError> {
    let ids: Option<HashMap<Arc<str>, Uuid>> = wanted
        .iter()
        .map(|wanted| {
            let topic = &wanted.topic_partition.topic;
            Some((Arc::clone(topic), image.topic(topic)?.id?))
        })
        .collect();
    let version_max = if ids.is_some() { i16::MAX } else { NAMES_UP_TO };
    let limit = REQUEST_TIMEOUT + settings.fetch_max_wait;
    let build = |_| request(&settings, ids.as_ref(), &wanted);
    let response = pool.call_within(&address, limit, version_max, build).await?;
    let code = ErrorCode::from_code(response.error_code);
    if code != ErrorCode::None {
        return Err(CallError::Broker { api: FetchRequest::KEY, code }.into());
    }
    Ok(sort_out(response, ids.as_ref(), wanted))
}

fn request(settings: &Settings, ids: Option<&HashMap<Arc<str>, Uuid>>, wanted: &[Wanted]) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for Wanted { topic_partition, offset, leader_epoch, .. } in wanted {
        let partition = FetchPartition {
            partition: topic_partition.partition,
            current_leader_epoch: leader_epoch.unwrap_or(-1),
            fetch_offset: *offset,
            partition_max_bytes: settings.partition_max_bytes,
            ..Default::default()
        };
        let name = &topic_partition.topic;
        match topics.iter_mut().find(|topic| *topic.topic == **name) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic: name.to_string(),
                topic_id: ids.and_then(|ids| ids.get(name).copied()).unwrap_or_default(),
                partitions: vec![partition],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: i32::try_from(settings.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: settings.fetch_min_bytes,
        max_bytes: settings.fetch_max_bytes,
        isolation_level: settings.isolation.to_wire(),
        topics,
        ..Default::default()
    }
}

fn sort_out(response: FetchResponse, ids: Option<&HashMap<Arc<str>, Uuid>>, wanted: Vec<Wanted>) -> Vec<Got> {
    let mut by_partition: HashMap<TopicPartition, Wanted> =
        wanted.into_iter().map(|wanted| (wanted.topic_partition.clone(), wanted)).collect();
    let names: HashMap<Uuid, &Arc<str>> = ids.into_iter().flatten().map(|(name, id)| (*id, name)).collect();
    let mut got = Vec::new();
    for topic in response.responses {
        let name = match names.get(&topic.topic_id) {
            Some(name) => Arc::clone(name),
            None => Arc::from(topic.topic),
        };
        for data in topic.partitions {
            let key = TopicPartition { topic: Arc::clone(&name), partition: data.partition_index };
            if let Some(wanted) = by_partition.remove(&key) {
                got.push(Got { wanted, code: ErrorCode::from_code(data.error_code), data });
            }
        }
    }
    got
}
