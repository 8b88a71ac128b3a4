//! DescribeProducers (API key 61): the idempotent and transactional producers that partitions remember, with where their
//! open transactions began (KIP-664).

use riverrun_core::{
    log::ActiveProducer,
    protocol::{
        ErrorCode,
        messages::{
            DescribeProducersRequest, DescribeProducersResponse,
            describe_producers::{PartitionResponse, ProducerState, TopicResponse},
        },
    },
};

use crate::node::Node;

pub(super) fn handle(node: &Node, request: &DescribeProducersRequest) -> DescribeProducersResponse {
    let image = node.image();
    let topics = request.topics.iter().map(|topic| {
        let id = image.topic(&topic.name).map(|known| known.id);
        let partitions = topic.partition_indexes.iter().map(|index| {
            let partition = id.and_then(|id| node.storage.partition(id, *index));
            let producers = partition.and_then(|partition| partition.active_producers());
            PartitionResponse {
                partition_index: *index,
                error_code: if producers.is_some() { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition }
                    .code(),
                active_producers: producers.unwrap_or_default().into_iter().map(state).collect(),
                ..Default::default()
            }
        });
        TopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    DescribeProducersResponse { topics: topics.collect(), ..Default::default() }
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch.into(),
        last_sequence: producer.last_sequence.unwrap_or(-1),
        last_timestamp: producer.last_timestamp.unwrap_or(-1),
        coordinator_epoch: producer.coordinator_epoch.unwrap_or(-1),
        current_txn_start_offset: producer.transaction_first_offset.unwrap_or(-1),
    }
}
