//! Fetch (API key 1): batches out of logs, waiting for more if there are too few (KIP-74 for the size limits).
//!
//! v9, v12: leader epochs and divergence (KIP-320, KIP-595); v10: zstd; v13: topic ids (KIP-516). Sessions (v7, KIP-227)
//! are not kept: the response always says session 0, which makes every request a full one.
//!
//! A request that finds less than `min_bytes` waits for a high watermark to move, not by looking again and again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use riverrun_core::{
    Uuid,
    protocol::{
        ErrorCode,
        messages::{
            FetchRequest, FetchResponse,
            fetch::{AbortedTransaction, EpochEndOffset, FetchPartition, FetchableTopicResponse, PartitionData},
        },
    },
    record::{Compression, batches},
};
use tokio::time::Instant;

use super::{check_leader_epoch, read_code};
use crate::{
    Reply, RequestContext,
    node::Node,
    storage::{FetchWaiter, Partition, PartitionReadError, ReadIsolation},
};

const READ_COMMITTED: i8 = 1;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: FetchRequest) -> Reply {
    let whole = |code: ErrorCode| Reply::now(FetchResponse { error_code: code.code(), ..Default::default() });
    if request.session_epoch > 0 {
        return whole(ErrorCode::FetchSessionIdNotFound);
    }
    let replica_id = if context.api_version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    if replica_id >= 0 {
        // Nobody replicates this broker, and a client that claims to could read above the high watermark.
        return whole(ErrorCode::InvalidRequest);
    }
    let fetch = Fetch::new(node, context, request);
    let response = fetch.read();
    if response.complete || fetch.max_wait.is_zero() {
        return Reply::now(response.message);
    }
    let deadline = Instant::now() + fetch.max_wait;
    let stopping = node.stopping.clone();
    Reply::later(async move {
        let waiter = Arc::new(FetchWaiter::default());
        // Registered before reading, so that nothing that comes after the read is missed.
        let registrations: Vec<_> = fetch.partitions().map(|partition| partition.watch(&waiter)).collect();
        let message = loop {
            let response = fetch.read();
            if response.complete || stopping.is_cancelled() {
                break response.message;
            }
            tokio::select! {
                () = waiter.grown(fetch.min_bytes.saturating_sub(response.bytes)) => {}
                () = tokio::time::sleep_until(deadline) => break fetch.read().message,
                () = stopping.cancelled() => {}
            }
        };
        drop(registrations);
        message
    })
}

/// A fetch request whose topics have been looked up.
struct Fetch {
    api_version: i16,
    max_wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    isolation: ReadIsolation,
    topics: Vec<Topic>,
    node: Arc<Node>,
}

struct Topic {
    name: String,
    id: Uuid,
    partitions: Vec<(FetchPartition, Result<Arc<Partition>, ErrorCode>)>,
}

struct Read {
    message: FetchResponse,
    bytes: usize,
    /// Whether it is to be sent without waiting for more.
    complete: bool,
}

impl Fetch {
    fn new(node: &Arc<Node>, context: &RequestContext, request: FetchRequest) -> Self {
        let by_id = context.api_version >= 13;
        let image = node.image();
        let topics = request.topics.into_iter().map(|topic| {
            let known = if by_id { image.topic_by_id(topic.topic_id) } else { image.topic(&topic.topic) };
            let partitions = topic.partitions.into_iter().map(|wanted| {
                let partition = match known {
                    Some(known) => {
                        let partition = node.storage.partition(known.id, wanted.partition);
                        partition.ok_or(ErrorCode::UnknownTopicOrPartition)
                    }
                    None if by_id => Err(ErrorCode::UnknownTopicId),
                    None => Err(ErrorCode::UnknownTopicOrPartition),
                };
                (wanted, partition)
            });
            Topic { name: topic.topic, id: topic.topic_id, partitions: partitions.collect() }
        });
        let to_size = |value: i32| usize::try_from(value).unwrap_or(0);
        Self {
            api_version: context.api_version,
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
            min_bytes: to_size(request.min_bytes),
            max_bytes: to_size(request.max_bytes.min(node.start_config.fetch_max_bytes)),
            isolation: if request.isolation_level == READ_COMMITTED {
                ReadIsolation::Committed
            } else {
                ReadIsolation::HighWatermark
            },
            topics: topics.collect(),
            node: Arc::clone(node),
        }
    }

    fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics.iter().flat_map(|topic| &topic.partitions).filter_map(|(_, partition)| partition.as_ref().ok())
    }

    fn read(&self) -> Read {
        // Clients that do not take what they asked for must not fill the memory; the others go on, in smaller steps.
        let unsent_max = usize::try_from(self.node.start_config.riverrun_responses_max_bytes).unwrap_or(0);
        let max_bytes = self.max_bytes.min(unsent_max.saturating_sub(self.node.connections.unsent_bytes()));
        let mut bytes = 0;
        let mut complete = false;
        let mut responses = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (wanted, partition) in &topic.partitions {
                let data = match partition {
                    Ok(partition) => self.read_partition(partition, wanted, max_bytes, bytes),
                    Err(code) => refused(wanted.partition, *code),
                };
                bytes += data.records.as_ref().map_or(0, Bytes::len);
                complete |= data.error_code != ErrorCode::None.code() || data.diverging_epoch.epoch >= 0;
                partitions.push(data);
            }
            responses.push(FetchableTopicResponse { topic: topic.name.clone(), topic_id: topic.id, partitions });
        }
        complete |= bytes >= self.min_bytes.min(max_bytes.max(1)) || self.topics.is_empty();
        Read { message: FetchResponse { responses, ..Default::default() }, bytes, complete }
    }

    /// The aborted transactions with records among those that were read. The client passes over them: the bytes go out as
    /// they are.
    fn aborted_transactions(
        &self,
        partition: &Partition,
        from: i64,
        records: &Bytes,
    ) -> Result<Option<Vec<AbortedTransaction>>, PartitionReadError> {
        if self.isolation != ReadIsolation::Committed {
            return Ok(None);
        }
        let Some(end) = end_of(records) else { return Ok(Some(Vec::new())) };
        let wire = |aborted: riverrun_core::log::AbortedTransaction| AbortedTransaction {
            producer_id: aborted.producer_id,
            first_offset: aborted.first_offset,
        };
        Ok(Some(partition.aborted_transactions(from, end)?.into_iter().map(wire).collect()))
    }

    fn read_partition(
        &self,
        partition: &Partition,
        wanted: &FetchPartition,
        response_max_bytes: usize,
        bytes_before: usize,
    ) -> PartitionData {
        let index = wanted.partition;
        if let Err(code) = check_leader_epoch(partition, wanted.current_leader_epoch) {
            return refused(index, code);
        }
        let offsets = partition.offsets();
        let found = PartitionData {
            partition_index: index,
            high_watermark: offsets.high_watermark,
            last_stable_offset: offsets.last_stable,
            log_start_offset: offsets.log_start,
            // Null for whoever reads everything, as in Kafka.
            aborted_transactions: (self.isolation == ReadIsolation::Committed).then(Vec::new),
            // Never null: librdkafka takes null for a broken response.
            records: Some(Bytes::new()),
            ..Default::default()
        };
        if let Some(diverging) = diverging_epoch(partition, wanted) {
            return PartitionData { diverging_epoch: diverging, ..found };
        }
        let left = response_max_bytes.saturating_sub(bytes_before);
        let max_bytes = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(left);
        // The first records of a response come whatever their size, or a large batch would stop its readers for ever.
        match partition.read(wanted.fetch_offset, max_bytes, bytes_before == 0, self.isolation) {
            Ok(read) if self.api_version < 10 && has_zstd(&read.records) => {
                refused(index, ErrorCode::UnsupportedCompressionType)
            }
            Ok(read) => match self.aborted_transactions(partition, wanted.fetch_offset, &read.records) {
                Ok(aborted_transactions) => PartitionData {
                    high_watermark: read.high_watermark,
                    last_stable_offset: read.last_stable_offset,
                    log_start_offset: read.log_start_offset,
                    aborted_transactions,
                    records: Some(read.records),
                    ..found
                },
                Err(error) => refused(index, read_code(&error)),
            },
            Err(error) => refused(index, read_code(&error)),
        }
    }
}

/// The offset after the last batch.
fn end_of(records: &Bytes) -> Option<i64> {
    batches(records.clone()).map_while(Result::ok).last().map(|batch| batch.header().next_offset())
}

/// Where the log parted from the history the fetcher knows, if it did (KIP-595).
fn diverging_epoch(partition: &Partition, wanted: &FetchPartition) -> Option<EpochEndOffset> {
    if wanted.last_fetched_epoch < 0 {
        return None;
    }
    let (epoch, end_offset) = partition.end_of_epoch(wanted.last_fetched_epoch)?;
    let diverges = epoch < wanted.last_fetched_epoch || end_offset < wanted.fetch_offset;
    diverges.then_some(EpochEndOffset { epoch, end_offset })
}

fn has_zstd(records: &Bytes) -> bool {
    let mut codecs = batches(records.clone()).filter_map(|batch| Some(batch.ok()?.header().attributes.compression()));
    codecs.any(|codec| codec == Compression::Zstd)
}

fn refused(index: i32, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: index,
        error_code: code.code(),
        high_watermark: -1,
        records: Some(Bytes::new()),
        ..Default::default()
    }
}
