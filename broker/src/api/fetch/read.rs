//! Reading one partition for a fetch: what it answers, and where the records are.

use std::ops::Range;

use bytes::Bytes;
use riverrun_core::{
    log::FileSpan,
    protocol::{
        ErrorCode,
        messages::fetch::{AbortedTransaction, EpochEndOffset, FetchPartition, PartitionData},
    },
    record::{Compression, batches},
};

use crate::{
    api::{check_leader_epoch, read_code},
    storage::{Fetch as Found, Offsets, Partition, PartitionReadError, ReadIsolation, concatenated},
};

/// From this size on records are sent from the file; below it one more system call costs more than the copy.
const FILE_BYTES_MIN: usize = 16 * 1024;

/// What bounds the answer to a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    pub(super) isolation: ReadIsolation,
    /// Whether the client knows zstd.
    pub(super) reads_zstd: bool,
    /// Whether records may stay in their file until they are sent.
    pub(super) takes_files: bool,
}

/// What a look at the partitions found.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// By the token or index of the partition.
    pub(super) parts: Vec<(u64, Part)>,
    pub(super) bytes: usize,
    /// Bytes of them that are in memory.
    pub(super) memory_bytes: usize,
    /// Whether it is to be sent without waiting for more.
    pub(super) complete: bool,
}

/// A partition's part of the answer.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) data: PartitionData,
    /// Where the records are, if not in `data`.
    pub(super) file: Option<FileSpan>,
}

impl Part {
    pub(super) fn refused(index: i32, code: ErrorCode) -> Self {
        let data = PartitionData {
            partition_index: index,
            error_code: code.code(),
            high_watermark: -1,
            records: Some(Bytes::new()),
            ..Default::default()
        };
        Self { data, file: None }
    }

    /// Bytes of its records.
    pub(super) fn bytes(&self) -> usize {
        self.memory_bytes() + self.file.as_ref().map_or(0, FileSpan::size_in_bytes)
    }

    fn memory_bytes(&self) -> usize {
        self.data.records.as_ref().map_or(0, Bytes::len)
    }

    /// Whether it says that something is wrong, which no client should wait to hear.
    pub(super) fn failed(&self) -> bool {
        self.data.error_code != ErrorCode::None.code() || self.data.diverging_epoch.epoch >= 0
    }
}

/// About what an answer has besides its partitions, and each of those besides its records.
const ANSWER_OVERHEAD_BYTES: usize = 24;
const PART_OVERHEAD_BYTES: usize = 48;

impl Answer {
    /// About what it is on the wire.
    pub(super) fn wire_bytes(&self) -> usize {
        self.bytes + ANSWER_OVERHEAD_BYTES + PART_OVERHEAD_BYTES * self.parts.len()
    }

    pub(super) fn push(&mut self, token: u64, part: Part) {
        self.bytes += part.bytes();
        self.memory_bytes += part.memory_bytes();
        self.complete |= part.failed();
        self.parts.push((token, part));
    }
}

/// Reads a partition, after what `before` has already. Up to `memory_max` bytes of all may be in memory.
pub(super) fn read(
    partition: &Partition,
    wanted: &FetchPartition,
    limits: &Limits,
    before: &Answer,
    memory_max: usize,
) -> Part {
    let index = wanted.partition;
    if let Err(code) = check_leader_epoch(partition, wanted.current_leader_epoch) {
        return Part::refused(index, code);
    }
    if let Some(diverging_epoch) = diverging_epoch(partition, wanted) {
        let data = PartitionData { diverging_epoch, ..described(index, partition.offsets(), limits) };
        return Part { data, file: None };
    }
    loop {
        match read_records(partition, wanted, limits, before, memory_max) {
            Ok(Some(part)) => return part,
            // The log was compacted in between. It takes another rewritten segment to come here again.
            Ok(None) => {}
            Err(error) => return Part::refused(index, read_code(&error)),
        }
    }
}

/// `None` if the records and the aborted transactions do not belong together.
fn read_records(
    partition: &Partition,
    wanted: &FetchPartition,
    limits: &Limits,
    before: &Answer,
    memory_max: usize,
) -> Result<Option<Part>, PartitionReadError> {
    let (offset, isolation) = (wanted.fetch_offset, limits.isolation);
    // The first records of a response come whatever their size, or a large batch would stop its readers for ever.
    let at_least_one = before.bytes == 0;
    let left = limits.max_bytes.saturating_sub(before.bytes);
    let max_bytes = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(left);
    let memory_left = memory_max.saturating_sub(before.memory_bytes);
    let (first_max, worth_bytes) =
        if limits.takes_files { (max_bytes, FILE_BYTES_MIN) } else { (max_bytes.min(memory_left), usize::MAX) };
    let mut found = partition.fetch(offset, first_max, at_least_one, isolation, worth_bytes)?;
    if limits.takes_files && memory_needed(&found.records) > memory_left {
        found = partition.fetch(offset, max_bytes.min(memory_left), at_least_one, isolation, usize::MAX)?;
    }
    let data = described(wanted.partition, found.offsets, limits);
    let records = match found.records {
        Found::Memory(batches) => concatenated(batches),
        Found::File(span) => {
            if limits.takes_files && can_be_sent(&span) {
                let range = offset..found.offsets.last_stable;
                let Some(aborted_transactions) = aborted(partition, limits, range, found.swaps)? else {
                    return Ok(None);
                };
                let data = PartitionData { aborted_transactions, ..data };
                return Ok(Some(Part { data, file: Some(span) }));
            }
            partition.load(&span, offset, max_bytes, at_least_one, isolation)?
        }
    };
    if !limits.reads_zstd && has_zstd(&records) {
        return Ok(Some(Part::refused(wanted.partition, ErrorCode::UnsupportedCompressionType)));
    }
    let aborted_transactions = match end_of(&records, limits) {
        Some(end) => match aborted(partition, limits, offset..end, found.swaps)? {
            Some(aborted_transactions) => aborted_transactions,
            None => return Ok(None),
        },
        None => data.aborted_transactions.clone(),
    };
    Ok(Some(Part { data: PartitionData { aborted_transactions, records: Some(records), ..data }, file: None }))
}

/// Whether records are better sent from their file than read.
fn can_be_sent(span: &FileSpan) -> bool {
    span.size_in_bytes() >= FILE_BYTES_MIN && span.place().0.as_os_file().is_some()
}

/// The memory that an answer with these records takes.
fn memory_needed(found: &Found) -> usize {
    match found {
        Found::Memory(batches) => batches.iter().map(Bytes::len).sum(),
        Found::File(span) if can_be_sent(span) => 0,
        Found::File(span) => span.size_in_bytes(),
    }
}

/// What is said of a partition beside records.
fn described(index: i32, offsets: Offsets, limits: &Limits) -> PartitionData {
    PartitionData {
        partition_index: index,
        high_watermark: offsets.high_watermark,
        last_stable_offset: offsets.last_stable,
        log_start_offset: offsets.log_start,
        // Null for whoever reads everything, as in Kafka.
        aborted_transactions: (limits.isolation == ReadIsolation::Committed).then(Vec::new),
        // Never null: librdkafka takes null for a broken response.
        records: Some(Bytes::new()),
        ..Default::default()
    }
}

/// The aborted transactions with records in a range. The client passes over them: the bytes go out as they are. A range
/// that is too long, as that of records which stay in their file may be, names some in vain, as Kafka's does. `None` if
/// the log was compacted since `swaps` were counted.
fn aborted(
    partition: &Partition,
    limits: &Limits,
    range: Range<i64>,
    swaps: u64,
) -> Result<Option<Option<Vec<AbortedTransaction>>>, PartitionReadError> {
    if limits.isolation != ReadIsolation::Committed {
        return Ok(Some(None));
    }
    let wire = |aborted: riverrun_core::log::AbortedTransaction| AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
    };
    let found = partition.aborted_transactions(range.start, range.end, swaps)?;
    Ok(found.map(|found| Some(found.into_iter().map(wire).collect())))
}

/// The offset after the last batch, for those to whom it matters.
fn end_of(records: &Bytes, limits: &Limits) -> Option<i64> {
    if limits.isolation != ReadIsolation::Committed {
        return None;
    }
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
