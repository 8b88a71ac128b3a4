//! Writing a batch. Records are encoded straight into the buffer that becomes the batch; the header goes in front, and
//! the block is compressed, when it is built. Source: Kafka's `MemoryRecordsBuilder`.

use bytes::Bytes;

use super::{
    Attributes, BatchHeader, Compression, HEADER_LEN, LENGTH_OVERHEAD, MAGIC, RecordRef, TimestampType, compression,
    patch::seal,
    varint::{MAX_VARINT_LEN, put_varlong, varlong_len},
};

/// What a batch is to be, apart from its records. The default is a plain producer's: no compression, no producer id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOptions {
    /// How the records are compressed.
    pub compression: Compression,
    /// The codec's level, for gzip 1-9 and for zstd -131072 to 22; `None` is the codec's default. Snappy has none,
    /// and lz4 is always written at its fast one.
    pub compression_level: Option<i32>,
    /// Offset of the first record. A producer leaves it 0, the broker sets it.
    pub base_offset: i64,
    /// Epoch of the partition's leader. A producer leaves it -1, the broker sets it.
    pub partition_leader_epoch: i32,
    /// Producer session; -1 for none.
    pub producer_id: i64,
    /// Epoch of the session; -1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record; -1 for none.
    pub base_sequence: i32,
    /// Whether the records belong to a transaction.
    pub transactional: bool,
    /// Whether the records are a broker's markers.
    pub control: bool,
    /// The broker's time, which all records then have (`LogAppendTime`); `None` leaves each its own.
    pub log_append_time_ms: Option<i64>,
    /// When tombstones in this batch may go (KIP-534); only compaction sets it.
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            compression_level: None,
            base_offset: 0,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
            control: false,
            log_append_time_ms: None,
            delete_horizon_ms: None,
        }
    }
}

/// Why a batch could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is nothing in it.
    #[error("a batch needs at least one record")]
    Empty,
    /// The record, or the batch with it, passes the 2 GiB that the format can state.
    #[error("the batch would have {size} bytes, more than the format can state")]
    TooLarge {
        /// Bytes that it would have.
        size: usize,
    },
    /// Offsets must rise, start at the base offset at the earliest and end within 2³¹ of it.
    #[error("offset {offset} cannot follow in a batch whose next is {expected} and base {base_offset}")]
    Offset {
        /// The offset that was given.
        offset: i64,
        /// The smallest one possible.
        expected: i64,
        /// First offset of the batch.
        base_offset: i64,
    },
    /// The codec has no such level.
    #[error("{codec} has levels from {lowest} to {highest}, not {level}")]
    Level {
        /// The codec in use.
        codec: Compression,
        /// The level that was asked for.
        level: i32,
        /// Its lowest level.
        lowest: i32,
        /// Its highest level.
        highest: i32,
    },
    /// The codec is not part of this build.
    #[error("this build has no support for {codec}: enable the feature `{codec}`")]
    CodecNotBuilt {
        /// The codec that was asked for.
        codec: Compression,
    },
    /// The codec failed.
    #[error("cannot compress records with {codec}")]
    Compress {
        /// The codec in use.
        codec: Compression,
        /// What it says.
        #[source]
        source: std::io::Error,
    },
}

/// Collects records into one batch.
///
/// ```
/// use riverrun_core::record::{BatchBuilder, BatchOptions, DecompressLimits, RecordBatch};
///
/// let mut builder = BatchBuilder::new(BatchOptions::default());
/// builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), [("trace", Some(b"7".as_slice()))])?;
/// let batch = RecordBatch::parse(builder.build()?)?;
/// batch.verify_crc()?;
/// for record in &batch.decode(&DecompressLimits::default())? {
///     assert_eq!(record?.value, Some(b"value".as_slice()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records, uncompressed.
    buffer: Vec<u8>,
    /// One record's headers, encoded, while their length is not known. Kept for its memory.
    scratch: Vec<u8>,
    base_timestamp: i64,
    max_timestamp: i64,
    record_count: i32,
    /// The smallest delta that the next record may have.
    next_delta: i32,
}

impl BatchBuilder {
    /// Starts a batch.
    pub fn new(options: BatchOptions) -> Self {
        Self::with_capacity(options, 0)
    }

    /// Starts a batch with room for `bytes` of header and records; more is made as needed.
    pub fn with_capacity(options: BatchOptions, bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes.max(HEADER_LEN));
        buffer.resize(HEADER_LEN, 0);
        let base_timestamp = options.delete_horizon_ms.unwrap_or(-1);
        Self { options, buffer, scratch: Vec::new(), base_timestamp, max_timestamp: -1, record_count: 0, next_delta: 0 }
    }

    /// Adds a record at the next offset. `timestamp` is in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`], [`BuildError::Offset`]; the batch is then as before.
    pub fn append<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Result<(), BuildError> {
        self.append_delta(self.next_delta, timestamp, key, value, headers)
    }

    /// Adds a record at `offset`, leaving a gap before it if that is not the next: how compaction keeps offsets.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`], [`BuildError::Offset`]; the batch is then as before.
    pub fn append_at<'h>(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Result<(), BuildError> {
        let delta = self.delta_of(offset)?;
        self.append_delta(delta, timestamp, key, value, headers)
    }

    fn append_delta<'h>(
        &mut self,
        delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Result<(), BuildError> {
        self.scratch.clear();
        let mut header_count = 0i64;
        for (key, value) in headers {
            put_block(&mut self.scratch, Some(key.as_bytes()));
            put_block(&mut self.scratch, value);
            header_count += 1;
        }
        self.append_with_scratch(delta, timestamp, key, value, header_count)
    }

    /// Adds a record of another batch at its own offset, its headers to the byte as they are.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`], [`BuildError::Offset`]; the batch is then as before.
    pub fn copy(&mut self, record: &RecordRef<'_>) -> Result<(), BuildError> {
        let delta = self.delta_of(record.offset)?;
        self.scratch.clear();
        self.scratch.extend_from_slice(record.headers.encoded());
        let header_count = i64::try_from(record.headers.len()).unwrap_or(i64::MAX);
        self.append_with_scratch(delta, record.timestamp, record.key, record.value, header_count)
    }

    /// Adds a record whose headers stand in `scratch`.
    fn append_with_scratch(
        &mut self,
        delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        header_count: i64,
    ) -> Result<(), BuildError> {
        let next_delta = delta.checked_add(1).ok_or_else(|| self.offset_error(i64::from(delta)))?;
        let first = self.record_count == 0;
        if first && self.options.delete_horizon_ms.is_none() {
            self.base_timestamp = timestamp;
        }
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let body_len = 1
            + varlong_len(timestamp_delta)
            + varlong_len(i64::from(delta))
            + block_len(key)
            + block_len(value)
            + varlong_len(header_count)
            + self.scratch.len();
        let size = self.buffer.len().saturating_add(MAX_VARINT_LEN).saturating_add(body_len);
        if i32::try_from(size).is_err() {
            return Err(BuildError::TooLarge { size });
        }
        put_len(&mut self.buffer, body_len);
        self.buffer.push(0);
        put_varlong(&mut self.buffer, timestamp_delta);
        put_varlong(&mut self.buffer, i64::from(delta));
        put_block(&mut self.buffer, key);
        put_block(&mut self.buffer, value);
        put_varlong(&mut self.buffer, header_count);
        self.buffer.extend_from_slice(&self.scratch);

        self.max_timestamp = if first { timestamp } else { self.max_timestamp.max(timestamp) };
        self.record_count += 1;
        self.next_delta = next_delta;
        Ok(())
    }

    fn delta_of(&self, offset: i64) -> Result<i32, BuildError> {
        let delta = offset.checked_sub(self.options.base_offset).and_then(|delta| i32::try_from(delta).ok());
        delta.filter(|&delta| delta >= self.next_delta).ok_or_else(|| self.offset_error(offset))
    }

    fn offset_error(&self, offset: i64) -> BuildError {
        let base_offset = self.options.base_offset;
        BuildError::Offset { offset, expected: base_offset.saturating_add(self.next_delta.into()), base_offset }
    }

    /// Makes the batch end at `offset` though its last record lies before: compaction keeps the range of a batch.
    ///
    /// # Errors
    /// [`BuildError::Offset`] if `offset` lies before the last record.
    pub fn set_last_offset(&mut self, offset: i64) -> Result<(), BuildError> {
        let end = offset.checked_add(1).ok_or_else(|| self.offset_error(offset))?;
        self.next_delta = self.delta_of(end)?;
        Ok(())
    }

    /// Sets the producer session; a producer knows it only when the batch is about to be sent.
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.options.producer_id = producer_id;
        self.options.producer_epoch = producer_epoch;
        self.options.base_sequence = base_sequence;
    }

    /// How many records are in it.
    pub fn len(&self) -> usize {
        usize::try_from(self.record_count).unwrap_or(0)
    }

    /// Whether no record is in it.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes that the batch will have, header included: exact without compression, else those before it.
    pub fn size_estimate(&self) -> usize {
        self.buffer.len()
    }

    /// Largest timestamp so far; -1 while it is empty.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Finishes the batch.
    ///
    /// # Errors
    /// [`BuildError::Empty`], or if it cannot be compressed.
    pub fn build(mut self) -> Result<Bytes, BuildError> {
        if self.record_count == 0 {
            return Err(BuildError::Empty);
        }
        let codec = self.options.compression;
        if codec != Compression::None {
            let records = self.buffer.get(HEADER_LEN..).unwrap_or_default();
            let mut compressed = vec![0; HEADER_LEN];
            compression::compress(codec, self.options.compression_level, records, &mut compressed)?;
            self.buffer = compressed;
        }
        let size = self.buffer.len();
        let batch_length = i32::try_from(size - LENGTH_OVERHEAD).map_err(|_| BuildError::TooLarge { size })?;
        let header = self.header(batch_length);
        let Some((front, records)) = self.buffer.split_first_chunk_mut() else { return Err(BuildError::Empty) };
        seal(front, records, header);
        Ok(Bytes::from(self.buffer))
    }

    fn header(&self, batch_length: i32) -> BatchHeader {
        let options = &self.options;
        let timestamp_type = match options.log_append_time_ms {
            Some(_) => TimestampType::LogAppendTime,
            None => TimestampType::CreateTime,
        };
        BatchHeader {
            base_offset: options.base_offset,
            batch_length,
            partition_leader_epoch: options.partition_leader_epoch,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default()
                .with_compression(options.compression)
                .with_timestamp_type(timestamp_type)
                .with_transactional(options.transactional)
                .with_control(options.control)
                .with_delete_horizon(options.delete_horizon_ms.is_some()),
            last_offset_delta: self.next_delta - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: options.log_append_time_ms.unwrap_or(self.max_timestamp),
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.record_count,
        }
    }
}

/// Bytes that a record takes in a batch at most, its own length included: to see beforehand whether one more fits.
pub fn record_size<'h>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
) -> usize {
    // Length, attributes, timestamp delta, offset delta, header count.
    const FIXED: usize = MAX_VARINT_LEN + 1 + super::varint::MAX_VARLONG_LEN + MAX_VARINT_LEN + MAX_VARINT_LEN;
    let headers = headers.into_iter().map(|(key, value)| block_len(Some(key.as_bytes())) + block_len(value));
    FIXED + block_len(key) + block_len(value) + headers.sum::<usize>()
}

fn block_len(block: Option<&[u8]>) -> usize {
    block.map_or(1, |block| len_len(block.len()) + block.len())
}

fn put_block(output: &mut Vec<u8>, block: Option<&[u8]>) {
    match block {
        None => put_varlong(output, -1),
        Some(block) => {
            put_len(output, block.len());
            output.extend_from_slice(block);
        }
    }
}

fn len_len(len: usize) -> usize {
    varlong_len(i64::try_from(len).unwrap_or(i64::MAX))
}

fn put_len(output: &mut Vec<u8>, len: usize) {
    put_varlong(output, i64::try_from(len).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{DecompressLimits, RecordBatch};

    #[test]
    fn header_follows_from_the_records() {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset: 40, ..BatchOptions::default() });
        assert!(builder.is_empty());
        builder.append(20, Some(b"k"), None, []).unwrap();
        builder.append_at(45, 50, None, Some(b""), []).unwrap();
        builder.append(30, None, None, [("h", None), ("h", Some(b"1".as_slice()))]).unwrap();
        builder.set_last_offset(99).unwrap();
        let size = builder.size_estimate();
        let batch = RecordBatch::parse(builder.build().unwrap()).unwrap();
        batch.verify_crc().unwrap();
        let header = batch.header();
        assert_eq!(header.size_in_bytes(), size);
        assert_eq!((header.base_offset, header.last_offset(), header.record_count), (40, 99, 3));
        assert_eq!((header.base_timestamp, header.max_timestamp), (20, 50));
        let records = batch.decode(&DecompressLimits::default()).unwrap();
        let records: Vec<_> = records.iter().map(Result::unwrap).collect();
        assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [40, 45, 46]);
        assert_eq!(records.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [20, 50, 30]);
        assert_eq!((records[0].key, records[0].value), (Some(b"k".as_slice()), None));
        assert_eq!((records[1].key, records[1].value), (None, Some(b"".as_slice())));
        let headers: Vec<_> = records[2].headers.iter().map(|h| (h.key(), h.value)).collect();
        assert_eq!(headers, [("h".into(), None), ("h".into(), Some(b"1".as_slice()))]);
    }

    #[test]
    fn offsets_only_rise() {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset: 10, ..BatchOptions::default() });
        builder.append(0, None, None, []).unwrap();
        for offset in [9, 10, i64::MIN, i64::MAX, 10 + (1 << 31)] {
            assert!(matches!(builder.append_at(offset, 0, None, None, []), Err(BuildError::Offset { .. })));
        }
        assert!(builder.set_last_offset(9).is_err());
        builder.set_last_offset(10).unwrap();
        assert_eq!(builder.len(), 1);
    }

    #[test]
    fn nothing_is_no_batch() {
        assert!(matches!(BatchBuilder::new(BatchOptions::default()).build(), Err(BuildError::Empty)));
    }

    #[test]
    fn size_is_known_beforehand() {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let headers = [("a", Some(b"bc".as_slice())), ("d", None)];
        builder.append(i64::MIN, None, None, []).unwrap();
        let before = builder.size_estimate();
        builder.append(i64::MAX, Some(b"key"), Some(&[0; 100]), headers).unwrap();
        let bound = record_size(Some(b"key"), Some(&[0; 100]), headers);
        assert!((builder.size_estimate() - before..).contains(&bound));
        assert!(bound <= builder.size_estimate() - before + 24);
    }
}
