//! Whether a batch may be appended, and in which form: the produce rules, as pure checks of one batch against one config.
//!
//! A producer's bytes are kept as they are unless the topic's `compression.type` or timestamp rule forces another form.
//! Source: Kafka's `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`.

use bytes::{Bytes, BytesMut};

use super::{AppendError, LogConfig, MessageTimestampType};
use crate::record::{
    BatchBuilder, BatchError, BatchHeader, BatchOptions, DecompressLimits, RecordBatch, Records, TimestampType,
    batches, patch_log_append_time, validate_header, validate_records,
};

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: every rule applies.
    Client,
    /// The broker itself, its coordinators for example: what it writes is trusted to be what it means.
    Coordinator,
}

/// A batch that may be appended. Its bytes are final but for base offset and leader epoch.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) batch: RecordBatch,
    pub(super) log_append_time: Option<i64>,
}

/// Checks one batch, and brings it to the form the topic wants.
pub(super) fn accept(
    bytes: Bytes,
    origin: AppendOrigin,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Accepted, AppendError> {
    let batch = single_batch(bytes)?;
    batch.verify_crc()?;
    let header = *batch.header();
    if origin == AppendOrigin::Client {
        check_header(&header)?;
        check_size(&batch, config)?;
    }
    let limits = DecompressLimits::default();
    let must_see_times = origin == AppendOrigin::Client
        && config.message_timestamp_type == MessageTimestampType::CreateTime
        && config.message_timestamp_before_max_ms != i64::MAX;
    let must_see_keys = origin == AppendOrigin::Client && config.cleanup_policy.compact;
    let codec = config.compression.filter(|codec| *codec != header.attributes.compression());
    if must_see_keys || must_see_times || codec.is_some() {
        let records = batch.decode(&limits)?;
        if must_see_times {
            check_times(&records, config, now_ms)?;
        }
        let summary = validate_records(&records)?;
        if must_see_keys && summary.first_null_key.is_some() {
            return Err(AppendError::InvalidRecord { reason: "a compacted topic takes only records with a key" });
        }
        if let Some(codec) = codec
            && origin == AppendOrigin::Client
        {
            let transactional = header.attributes.is_transactional();
            let options = BatchOptions { compression: codec, transactional, ..BatchOptions::default() };
            let rebuilt = rebuild(&header, &records, options)?;
            // Another codec may need more room.
            check_size(&rebuilt, config)?;
            return stamp(rebuilt, origin, config, now_ms);
        }
    }
    stamp(batch, origin, config, now_ms)
}

fn single_batch(bytes: Bytes) -> Result<RecordBatch, AppendError> {
    let mut all = batches(bytes);
    let first = all.next().transpose()?;
    match (first, all.next().transpose()?) {
        (Some(batch), None) if all.rest().is_empty() => Ok(batch),
        (Some(_), None) => {
            Err(BatchError::TooShort { needed: crate::record::HEADER_LEN, available: all.rest().len() }.into())
        }
        (None, _) if !all.rest().is_empty() => {
            Err(BatchError::TooShort { needed: crate::record::HEADER_LEN, available: all.rest().len() }.into())
        }
        (None, _) => Err(AppendError::NotOneBatch { count: 0 }),
        (Some(_), Some(_)) => Err(AppendError::NotOneBatch { count: 2 + all.count() }),
    }
}

fn check_header(header: &BatchHeader) -> Result<(), AppendError> {
    let invalid = |reason| Err(AppendError::InvalidRecord { reason });
    if header.base_offset != 0 {
        return invalid("a producer's batch has base offset 0");
    }
    if validate_header(header).is_err() {
        return invalid("the count of records does not match the offsets");
    }
    if header.attributes.is_control() {
        return invalid("a producer may not write control records");
    }
    if header.has_producer_id() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return invalid("a batch with a producer id has an epoch and a sequence number");
    }
    Ok(())
}

fn check_size(batch: &RecordBatch, config: &LogConfig) -> Result<(), AppendError> {
    let bytes = batch.bytes().len();
    let limit = usize::try_from(config.max_message_bytes).unwrap_or_default();
    if bytes > limit {
        return Err(AppendError::TooLarge { bytes, limit });
    }
    let limit = usize::try_from(config.segment_bytes).unwrap_or_default();
    if bytes > limit { Err(AppendError::LargerThanSegment { bytes, limit }) } else { Ok(()) }
}

/// The header tells the latest timestamp of a batch; the earliest only its records do.
fn check_times(records: &Records, config: &LogConfig, now_ms: i64) -> Result<(), AppendError> {
    for record in records {
        check_time(record?.timestamp, config, now_ms)?;
    }
    Ok(())
}

fn check_time(timestamp: i64, config: &LogConfig, now_ms: i64) -> Result<(), AppendError> {
    let earliest = now_ms.saturating_sub(config.message_timestamp_before_max_ms);
    let latest = now_ms.saturating_add(config.message_timestamp_after_max_ms);
    // -1 is Kafka's own for "none"; it is not measured.
    if timestamp >= 0 && !(earliest..=latest).contains(&timestamp) {
        return Err(AppendError::InvalidTimestamp { timestamp, earliest, latest });
    }
    Ok(())
}

/// Applies the topic's timestamp rule.
fn stamp(batch: RecordBatch, origin: AppendOrigin, config: &LogConfig, now_ms: i64) -> Result<Accepted, AppendError> {
    if origin == AppendOrigin::Coordinator {
        return Ok(Accepted { batch, log_append_time: None });
    }
    if config.message_timestamp_type == MessageTimestampType::LogAppendTime {
        let mut bytes = BytesMut::from(batch.into_bytes());
        patch_log_append_time(&mut bytes, now_ms)?;
        return Ok(Accepted { batch: RecordBatch::parse(bytes.freeze())?, log_append_time: Some(now_ms) });
    }
    if batch.header().attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(AppendError::ForeignClock);
    }
    check_time(batch.header().max_timestamp, config, now_ms)?;
    Ok(Accepted { batch, log_append_time: None })
}

/// Writes the records anew, in the codec the topic wants.
fn rebuild(header: &BatchHeader, records: &Records, options: BatchOptions) -> Result<RecordBatch, AppendError> {
    let mut builder = BatchBuilder::new(options);
    if header.has_producer_id() {
        builder.set_producer(header.producer_id, header.producer_epoch, header.base_sequence);
    }
    let unfit = |_| AppendError::InvalidRecord { reason: "the batch does not fit the topic's compression.type" };
    for record in records {
        let record = record?;
        let headers: Vec<_> = record.headers.iter().map(|header| (header.key(), header.value)).collect();
        let headers = headers.iter().map(|(key, value)| (key.as_ref(), *value));
        builder.append(record.timestamp, record.key, record.value, headers).map_err(unfit)?;
    }
    Ok(RecordBatch::parse(builder.build().map_err(unfit)?)?)
}
