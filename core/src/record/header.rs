//! The fixed header of a batch, and nothing after it.
//!
//! All numbers are big-endian.
//!
//! | offset | bytes | field                  | note                                                            |
//! |-------:|------:|------------------------|-----------------------------------------------------------------|
//! |      0 |     8 | base offset            | set by the broker; 0 from a producer                            |
//! |      8 |     4 | batch length           | bytes after this field, so the whole is 12 more                 |
//! |     12 |     4 | partition leader epoch | set by the broker; -1 from a producer                           |
//! |     16 |     1 | magic                  | 2; at this place in all formats                                 |
//! |     17 |     4 | CRC-32C                | of everything from the next field to the end                    |
//! |     21 |     2 | attributes             | see [`Attributes`]                                              |
//! |     23 |     4 | last offset delta      | kept when compaction removes the last record                    |
//! |     27 |     8 | base timestamp         | of the first record, or the delete horizon                      |
//! |     35 |     8 | max timestamp          | of all records, or the time of the append                       |
//! |     43 |     8 | producer id            | -1: none                                                        |
//! |     51 |     2 | producer epoch         | -1: none                                                        |
//! |     53 |     4 | base sequence          | -1: none                                                        |
//! |     57 |     4 | record count           |                                                                 |
//! |     61 |       | records                | compressed as one block                                         |
//!
//! Source: Kafka's `DefaultRecordBatch`.

use super::{BatchError, Compression};

/// Where the base offset lies, 8 bytes.
pub const BASE_OFFSET_OFFSET: usize = 0;
/// Where the batch length lies, 4 bytes.
pub const BATCH_LENGTH_OFFSET: usize = BASE_OFFSET_OFFSET + size_of::<i64>();
/// Bytes up to and including the length field: what must be added to the length to get the whole.
pub const LENGTH_OVERHEAD: usize = BATCH_LENGTH_OFFSET + size_of::<i32>();
/// Where the partition leader epoch lies, 4 bytes.
pub const PARTITION_LEADER_EPOCH_OFFSET: usize = LENGTH_OVERHEAD;
/// Where the format's number lies, 1 byte.
pub const MAGIC_OFFSET: usize = PARTITION_LEADER_EPOCH_OFFSET + size_of::<i32>();
/// Where the checksum lies, 4 bytes.
pub const CRC_OFFSET: usize = MAGIC_OFFSET + size_of::<i8>();
/// Where the attributes lie, 2 bytes; the checksum covers from here to the end.
pub const ATTRIBUTES_OFFSET: usize = CRC_OFFSET + size_of::<u32>();
/// Where the last offset delta lies, 4 bytes.
pub const LAST_OFFSET_DELTA_OFFSET: usize = ATTRIBUTES_OFFSET + size_of::<i16>();
/// Where the base timestamp lies, 8 bytes.
pub const BASE_TIMESTAMP_OFFSET: usize = LAST_OFFSET_DELTA_OFFSET + size_of::<i32>();
/// Where the largest timestamp lies, 8 bytes.
pub const MAX_TIMESTAMP_OFFSET: usize = BASE_TIMESTAMP_OFFSET + size_of::<i64>();
/// Where the producer id lies, 8 bytes.
pub const PRODUCER_ID_OFFSET: usize = MAX_TIMESTAMP_OFFSET + size_of::<i64>();
/// Where the producer epoch lies, 2 bytes.
pub const PRODUCER_EPOCH_OFFSET: usize = PRODUCER_ID_OFFSET + size_of::<i64>();
/// Where the base sequence lies, 4 bytes.
pub const BASE_SEQUENCE_OFFSET: usize = PRODUCER_EPOCH_OFFSET + size_of::<i16>();
/// Where the number of records lies, 4 bytes.
pub const RECORD_COUNT_OFFSET: usize = BASE_SEQUENCE_OFFSET + size_of::<i32>();
/// Bytes of the header, and where the records start.
pub const HEADER_LEN: usize = RECORD_COUNT_OFFSET + size_of::<i32>();
/// The one format number supported.
pub const MAGIC: i8 = 2;

const _: () = assert!(MAGIC_OFFSET == 16, "every message format has its number here");
const _: () = assert!(ATTRIBUTES_OFFSET == 21 && HEADER_LEN == 61, "the layout is Kafka's");

/// Smallest value of the length field: a header and no records, as compaction may leave it.
const MIN_BATCH_LENGTH: usize = HEADER_LEN - LENGTH_OVERHEAD;

/// Whose clock the records' timestamps come from (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's: each record has its own.
    #[default]
    CreateTime,
    /// The broker's: all records have the batch's max timestamp.
    LogAppendTime,
}

/// The flags of a batch. Bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon; the rest is
/// unused and kept as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    bits: i16,
    compression: Compression,
}

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

impl Attributes {
    /// Reads the wire form.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`] for the codec numbers 5 to 7.
    pub fn from_bits(bits: i16) -> Result<Self, BatchError> {
        let [_, low] = (bits & CODEC_MASK).to_be_bytes();
        let compression = Compression::from_id(low).ok_or(BatchError::UnknownCodec { id: low })?;
        Ok(Self { bits, compression })
    }

    /// The wire form.
    pub fn bits(self) -> i16 {
        self.bits
    }

    /// How the records are compressed.
    pub fn compression(self) -> Compression {
        self.compression
    }

    /// Whose clock the timestamps come from.
    pub fn timestamp_type(self) -> TimestampType {
        if self.bits & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the records belong to a transaction.
    pub fn is_transactional(self) -> bool {
        self.bits & TRANSACTIONAL != 0
    }

    /// Whether the records are markers of the broker's and not for users.
    pub fn is_control(self) -> bool {
        self.bits & CONTROL != 0
    }

    /// Whether the base timestamp is the time after which tombstones may go (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.bits & DELETE_HORIZON != 0
    }

    /// The same with another codec.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { bits: (self.bits & !CODEC_MASK) | i16::from(compression.id()), compression }
    }

    /// The same with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppendTime)
    }

    /// The same, transactional or not.
    #[must_use]
    pub fn with_transactional(self, on: bool) -> Self {
        self.with(TRANSACTIONAL, on)
    }

    /// The same, control or not.
    #[must_use]
    pub fn with_control(self, on: bool) -> Self {
        self.with(CONTROL, on)
    }

    /// The same, with a delete horizon or without.
    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Self {
        self.with(DELETE_HORIZON, on)
    }

    fn with(self, flag: i16, on: bool) -> Self {
        Self { bits: if on { self.bits | flag } else { self.bits & !flag }, ..self }
    }
}

/// The 61 bytes before the records, with the wire's own numbers: `-1` for an absent producer or epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; in a compacted batch, of the first it once had.
    pub base_offset: i64,
    /// Bytes after the length field.
    pub batch_length: i32,
    /// Epoch of the leader that appended it; -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Format number, always 2 in a parsed header.
    pub magic: i8,
    /// Checksum as stated; see [`super::RecordBatch::verify_crc`].
    pub crc: u32,
    /// The flags.
    pub attributes: Attributes,
    /// Distance of the last offset from the base.
    pub last_offset_delta: i32,
    /// What records' timestamps count from, in milliseconds.
    pub base_timestamp: i64,
    /// Largest timestamp of the records, or the time of the append, in milliseconds.
    pub max_timestamp: i64,
    /// Producer session that wrote it; -1 for none.
    pub producer_id: i64,
    /// Epoch of that session; -1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record; -1 for none.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which may go on past it. The checksum is not verified: it needs the
    /// whole batch.
    ///
    /// # Errors
    /// A header that is cut off, of another format, or whose numbers cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_OFFSET)
            && magic.cast_signed() != MAGIC
        {
            return Err(BatchError::UnsupportedMagic { magic: magic.cast_signed() });
        }
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::TooShort { needed: HEADER_LEN, available: bytes.len() });
        };
        let header = Self {
            base_offset: i64::from_be_bytes(field::<BASE_OFFSET_OFFSET, 8>(bytes)),
            batch_length: i32::from_be_bytes(field::<BATCH_LENGTH_OFFSET, 4>(bytes)),
            partition_leader_epoch: i32::from_be_bytes(field::<PARTITION_LEADER_EPOCH_OFFSET, 4>(bytes)),
            magic: i8::from_be_bytes(field::<MAGIC_OFFSET, 1>(bytes)),
            crc: u32::from_be_bytes(field::<CRC_OFFSET, 4>(bytes)),
            attributes: Attributes::from_bits(i16::from_be_bytes(field::<ATTRIBUTES_OFFSET, 2>(bytes)))?,
            last_offset_delta: i32::from_be_bytes(field::<LAST_OFFSET_DELTA_OFFSET, 4>(bytes)),
            base_timestamp: i64::from_be_bytes(field::<BASE_TIMESTAMP_OFFSET, 8>(bytes)),
            max_timestamp: i64::from_be_bytes(field::<MAX_TIMESTAMP_OFFSET, 8>(bytes)),
            producer_id: i64::from_be_bytes(field::<PRODUCER_ID_OFFSET, 8>(bytes)),
            producer_epoch: i16::from_be_bytes(field::<PRODUCER_EPOCH_OFFSET, 2>(bytes)),
            base_sequence: i32::from_be_bytes(field::<BASE_SEQUENCE_OFFSET, 4>(bytes)),
            record_count: i32::from_be_bytes(field::<RECORD_COUNT_OFFSET, 4>(bytes)),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), BatchError> {
        check_length(self.batch_length)?;
        if self.base_offset < 0
            || self.last_offset_delta < 0
            || self.base_offset.checked_add(i64::from(self.last_offset_delta)).is_none()
        {
            return Err(BatchError::InvalidOffsets {
                base_offset: self.base_offset,
                last_offset_delta: self.last_offset_delta,
            });
        }
        if self.record_count < 0 {
            return Err(BatchError::InvalidRecordCount { record_count: self.record_count });
        }
        Ok(())
    }

    /// Bytes of the whole batch, header included.
    pub fn size_in_bytes(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0).saturating_add(LENGTH_OVERHEAD)
    }

    /// Offset of the last record; in a compacted batch, of the last it once had.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset after the last: where the next batch starts at the earliest.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Whether an idempotent or transactional producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id >= 0
    }

    /// Sequence number of the last record, -1 if there is no producer. Sequences wrap from 2³¹-1 to 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        // Wrapping past the largest number sets the sign bit, which is cleared to go on from 0.
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }

    /// The wire form.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put::<BASE_OFFSET_OFFSET, 8>(&mut bytes, self.base_offset.to_be_bytes());
        put::<BATCH_LENGTH_OFFSET, 4>(&mut bytes, self.batch_length.to_be_bytes());
        put::<PARTITION_LEADER_EPOCH_OFFSET, 4>(&mut bytes, self.partition_leader_epoch.to_be_bytes());
        put::<MAGIC_OFFSET, 1>(&mut bytes, self.magic.to_be_bytes());
        put::<CRC_OFFSET, 4>(&mut bytes, self.crc.to_be_bytes());
        put::<ATTRIBUTES_OFFSET, 2>(&mut bytes, self.attributes.bits().to_be_bytes());
        put::<LAST_OFFSET_DELTA_OFFSET, 4>(&mut bytes, self.last_offset_delta.to_be_bytes());
        put::<BASE_TIMESTAMP_OFFSET, 8>(&mut bytes, self.base_timestamp.to_be_bytes());
        put::<MAX_TIMESTAMP_OFFSET, 8>(&mut bytes, self.max_timestamp.to_be_bytes());
        put::<PRODUCER_ID_OFFSET, 8>(&mut bytes, self.producer_id.to_be_bytes());
        put::<PRODUCER_EPOCH_OFFSET, 2>(&mut bytes, self.producer_epoch.to_be_bytes());
        put::<BASE_SEQUENCE_OFFSET, 4>(&mut bytes, self.base_sequence.to_be_bytes());
        put::<RECORD_COUNT_OFFSET, 4>(&mut bytes, self.record_count.to_be_bytes());
        bytes
    }
}

/// Bytes of the batch at the front of `bytes`, or nothing if not even its length is there.
pub(super) fn peek_size(bytes: &[u8]) -> Result<Option<usize>, BatchError> {
    if let Some(&magic) = bytes.get(MAGIC_OFFSET)
        && magic.cast_signed() != MAGIC
    {
        return Err(BatchError::UnsupportedMagic { magic: magic.cast_signed() });
    }
    let Some(prefix) = bytes.first_chunk::<LENGTH_OVERHEAD>() else { return Ok(None) };
    let [.., a, b, c, d] = *prefix;
    check_length(i32::from_be_bytes([a, b, c, d])).map(Some)
}

fn check_length(batch_length: i32) -> Result<usize, BatchError> {
    match usize::try_from(batch_length) {
        Ok(length) if length >= MIN_BATCH_LENGTH => Ok(length.saturating_add(LENGTH_OVERHEAD)),
        _ => Err(BatchError::InvalidLength { batch_length }),
    }
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "the range is asserted to lie within the array when this is compiled")]
fn field<const OFFSET: usize, const LEN: usize>(header: &[u8; HEADER_LEN]) -> [u8; LEN] {
    const { assert!(OFFSET + LEN <= HEADER_LEN) };
    let mut bytes = [0; LEN];
    bytes.copy_from_slice(&header[OFFSET..OFFSET + LEN]);
    bytes
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "the range is asserted to lie within the array when this is compiled")]
pub(super) fn put<const OFFSET: usize, const LEN: usize>(header: &mut [u8; HEADER_LEN], bytes: [u8; LEN]) {
    const { assert!(OFFSET + LEN <= HEADER_LEN) };
    header[OFFSET..OFFSET + LEN].copy_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            base_offset: 7,
            batch_length: 49,
            partition_leader_epoch: 3,
            magic: MAGIC,
            crc: 0xdead_beef,
            attributes: Attributes::default().with_compression(Compression::Lz4).with_transactional(true),
            last_offset_delta: 4,
            base_timestamp: -1,
            max_timestamp: i64::MAX,
            producer_id: 11,
            producer_epoch: 2,
            base_sequence: i32::MAX - 1,
            record_count: 5,
        }
    }

    #[test]
    fn round_trip() {
        let bytes = header().to_bytes();
        assert_eq!(BatchHeader::parse(&bytes).unwrap(), header());
    }

    #[test]
    fn derived_numbers() {
        let header = header();
        assert_eq!(header.size_in_bytes(), HEADER_LEN);
        assert_eq!(header.last_offset(), 11);
        assert_eq!(header.next_offset(), 12);
        assert_eq!(header.last_sequence(), 2, "MAX-1, MAX, 0, 1, 2");
    }

    #[test]
    fn every_flag_has_its_bit() {
        let none = Attributes::default();
        assert_eq!(none.with_timestamp_type(TimestampType::LogAppendTime).bits(), 0x08);
        assert_eq!(none.with_transactional(true).bits(), 0x10);
        assert_eq!(none.with_control(true).bits(), 0x20);
        assert_eq!(none.with_delete_horizon(true).bits(), 0x40);
        assert!(Attributes::from_bits(0x78).unwrap().is_control());
        assert!(matches!(Attributes::from_bits(5), Err(BatchError::UnknownCodec { id: 5 })));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let parse = |header: BatchHeader| BatchHeader::parse(&header.to_bytes());
        assert!(matches!(parse(BatchHeader { magic: 1, ..header() }), Err(BatchError::UnsupportedMagic { magic: 1 })));
        for batch_length in [48, 0, -1, i32::MIN] {
            assert!(matches!(parse(BatchHeader { batch_length, ..header() }), Err(BatchError::InvalidLength { .. })));
        }
        for (base_offset, last_offset_delta) in [(-1, 0), (0, -1), (i64::MAX, 1)] {
            let header = BatchHeader { base_offset, last_offset_delta, ..header() };
            assert!(matches!(parse(header), Err(BatchError::InvalidOffsets { .. })));
        }
        assert!(matches!(
            parse(BatchHeader { record_count: -1, ..header() }),
            Err(BatchError::InvalidRecordCount { record_count: -1 })
        ));
        for len in 0..HEADER_LEN {
            let bytes = header().to_bytes();
            assert!(matches!(BatchHeader::parse(&bytes[..len]), Err(BatchError::TooShort { needed: 61, .. })));
        }
    }
}
