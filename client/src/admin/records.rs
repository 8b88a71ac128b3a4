//! Deleting the oldest records of partitions (DeleteRecords, KIP-107).

use std::{collections::HashMap, sync::Arc};

use riverrun_core::{
    TopicPartition,
    protocol::messages::{
        DeleteRecordsRequest,
        delete_records::{DeleteRecordsPartition, DeleteRecordsTopic},
    },
};

use super::{
    Admin, BROKER_TIMEOUT_MS, Results, item,
    route::{leader_moved, settle},
};
use crate::{ClientError, consumer::by_topic};

impl Admin {
    /// Deletes the records before the given offsets; `None` stands for all there are. Gives the first offset left.
    ///
    /// # Errors
    /// If the leaders cannot be asked; refusals are in the results.
    pub async fn delete_records(
        &self,
        before: &HashMap<TopicPartition, Option<i64>>,
    ) -> Result<Results<TopicPartition, i64>, ClientError> {
        settle(self.timeout, before.keys().cloned(), leader_moved, |open, _| async move {
            let routed = self.by_leader(open).await?;
            let ask = |leader: crate::cluster::Coordinator, partitions: Vec<TopicPartition>| async move {
                let request = delete_request(&partitions, before);
                let response = self.pool.call(&leader.address, |_| request).await?;
                let results = response.topics.into_iter().flat_map(|topic| {
                    let name: Arc<str> = topic.name.into();
                    topic.partitions.into_iter().map(move |partition| {
                        let key = TopicPartition { topic: Arc::clone(&name), partition: partition.partition_index };
                        (key, item(partition.error_code, None, partition.low_watermark))
                    })
                });
                Ok(results.collect::<Vec<_>>())
            };
            Ok(routed.ask(ask).await)
        })
        .await
    }
}

fn delete_request(
    partitions: &[TopicPartition],
    before: &HashMap<TopicPartition, Option<i64>>,
) -> DeleteRecordsRequest {
    let topics = by_topic(partitions).into_iter().map(|(name, indexes)| {
        let partition = |partition: i32| {
            let key = TopicPartition { topic: Arc::clone(name), partition };
            // On the wire -1 is the high watermark.
            let offset = before.get(&key).copied().flatten().unwrap_or(-1);
            DeleteRecordsPartition { partition_index: partition, offset }
        };
        DeleteRecordsTopic { name: name.to_string(), partitions: indexes.into_iter().map(partition).collect() }
    });
    DeleteRecordsRequest { topics: topics.collect(), timeout_ms: BROKER_TIMEOUT_MS }
}
