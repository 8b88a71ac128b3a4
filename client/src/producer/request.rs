//! A Produce request made of batches, and its response taken apart into their answers. Version 13 names topics by id;
//! it is used once all ids are known.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use riverrun_core::{
    Uuid,
    protocol::{
        ErrorCode, ResponseBody,
        messages::{
            ProduceRequest, ProduceResponse,
            produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData},
        },
    },
};

use super::{accumulator::Outgoing, batch::Failure, completion::Written, outcome::Answer, settings::Settings};
use crate::{cluster::Image, error::CallError};

/// The first version that names topics by id.
pub(super) const TOPIC_IDS_FROM: i16 = 13;

/// The ids of the batches' topics, if all are known.
pub(super) fn topic_ids(image: &Image, sent: &[Outgoing]) -> Option<HashMap<Arc<str>, Uuid>> {
    let id = |outgoing: &Outgoing| {
        let topic = &outgoing.topic_partition.topic;
        Some((Arc::clone(topic), image.topic(topic)?.id?))
    };
    sent.iter().map(id).collect()
}

/// The request with these batches, in wire form.
pub(super) fn request<'a>(
    settings: &Settings,
    ids: Option<&HashMap<Arc<str>, Uuid>>,
    batches: impl Iterator<Item = (&'a Outgoing, Bytes)>,
) -> ProduceRequest {
    let mut topic_data: Vec<TopicProduceData> = Vec::new();
    for (outgoing, records) in batches {
        let name = &outgoing.topic_partition.topic;
        let data = PartitionProduceData { index: outgoing.topic_partition.partition, records: Some(records) };
        match topic_data.iter_mut().find(|topic| *topic.name == **name) {
            Some(topic) => topic.partition_data.push(data),
            None => topic_data.push(TopicProduceData {
                name: name.to_string(),
                topic_id: ids.and_then(|ids| ids.get(name).copied()).unwrap_or_default(),
                partition_data: vec![data],
            }),
        }
    }
    let timeout_ms = i32::try_from(settings.request_timeout.as_millis()).unwrap_or(i32::MAX);
    ProduceRequest { acks: settings.acks.to_wire(), timeout_ms, topic_data, ..Default::default() }
}

/// The answers to the batches of one request, in their order.
pub(super) fn answers(
    sent: &[Outgoing],
    ids: Option<&HashMap<Arc<str>, Uuid>>,
    result: Result<Option<ResponseBody>, CallError>,
) -> Vec<Answer> {
    let response = match result {
        Ok(Some(body)) => ProduceResponse::try_from(body).map_err(|_| CallError::OutOfStep),
        // Nobody promised an answer.
        Ok(None) => {
            let written = || Answer::Written(Written { offset: -1, log_append_time: None });
            return sent.iter().map(|_| written()).collect();
        }
        Err(error) => Err(error),
    };
    let response = match response {
        Ok(response) => response,
        Err(error) => return sent.iter().map(|_| Answer::Failed(Failure::Call(error.clone()))).collect(),
    };
    let mut by_topic: HashMap<(String, Uuid), HashMap<i32, PartitionProduceResponse>> = HashMap::new();
    for topic in response.responses {
        let partitions = topic.partition_responses.into_iter().map(|partition| (partition.index, partition));
        by_topic.entry((topic.name, topic.topic_id)).or_default().extend(partitions);
    }
    let answer = |outgoing: &Outgoing| {
        let name = &outgoing.topic_partition.topic;
        let key = match ids {
            Some(ids) => (String::new(), ids.get(name).copied().unwrap_or_default()),
            None => (name.to_string(), Uuid::ZERO),
        };
        // A transport that hands messages over as they are leaves both name and id in.
        let key_in_process = (name.to_string(), ids.and_then(|ids| ids.get(name).copied()).unwrap_or_default());
        let topic = by_topic.get(&key).or_else(|| by_topic.get(&key_in_process));
        match topic.and_then(|partitions| partitions.get(&outgoing.topic_partition.partition)) {
            Some(partition) => answer_of(partition),
            None => Answer::Failed(Failure::Call(CallError::OutOfStep)),
        }
    };
    sent.iter().map(answer).collect()
}

fn answer_of(partition: &PartitionProduceResponse) -> Answer {
    let log_append_time = Some(partition.log_append_time_ms).filter(|time| *time >= 0);
    match ErrorCode::from_code(partition.error_code) {
        ErrorCode::None => Answer::Written(Written { offset: partition.base_offset, log_append_time }),
        // Written before, so long ago that the broker has forgotten where.
        ErrorCode::DuplicateSequenceNumber => Answer::Written(Written { offset: -1, log_append_time }),
        code => Answer::Failed(Failure::Broker { code, message: partition.error_message.as_deref().map(Arc::from) }),
    }
}
