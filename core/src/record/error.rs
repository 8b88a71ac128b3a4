//! Why bytes are no readable record batch. One enum for reading; building has its own ([`super::BuildError`]).

use std::fmt;

use super::Compression;

/// Why a batch, or a record in it, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the header or the length it states.
    #[error("batch needs {needed} bytes, {available} are there")]
    TooShort {
        /// Bytes that had to be there.
        needed: usize,
        /// Bytes that were.
        available: usize,
    },
    /// More bytes than the one batch that was expected.
    #[error("{count} bytes follow the batch")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A message format other than 2: either of before Kafka 0.11, or not a batch at all.
    #[error("message format {magic} is not supported, only 2 is")]
    UnsupportedMagic {
        /// The format's number as found.
        magic: i8,
    },
    /// The stated length is smaller than a header.
    #[error("batch length {batch_length} is too small for a header")]
    InvalidLength {
        /// The length field as found.
        batch_length: i32,
    },
    /// The header's offsets cannot be: a negative base or delta, or a last offset past the largest number.
    #[error("batch cannot start at offset {base_offset} and end {last_offset_delta} later")]
    InvalidOffsets {
        /// First offset as found.
        base_offset: i64,
        /// Distance of the last offset as found.
        last_offset_delta: i32,
    },
    /// A negative number of records.
    #[error("record count {record_count} is negative")]
    InvalidRecordCount {
        /// The count as found.
        record_count: i32,
    },
    /// The attributes name a codec that does not exist.
    #[error("unknown compression codec {id}")]
    UnknownCodec {
        /// Number of the codec as found, 5 to 7.
        id: u8,
    },
    /// The codec exists, but this build does not contain it.
    #[error("this build has no support for {codec}: enable the feature `{codec}`")]
    CodecNotBuilt {
        /// The codec that was asked for.
        codec: Compression,
    },
    /// The bytes are not what was written.
    #[error("checksum is {computed:#010x}, the batch states {stated:#010x}")]
    CrcMismatch {
        /// Checksum in the header.
        stated: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// The compressed block is broken.
    #[error("cannot decompress {codec} records")]
    Decompress {
        /// The codec in use.
        codec: Compression,
        /// What the decoder says.
        #[source]
        source: std::io::Error,
    },
    /// The block grows beyond what the caller allows.
    #[error("{codec} records exceed the limit of {limit} bytes when decompressed")]
    DecompressedTooLarge {
        /// The codec in use.
        codec: Compression,
        /// The limit that was given.
        limit: usize,
    },
    /// A record's own bytes make no sense.
    #[error("record {record_index}: {field} {problem}")]
    MalformedRecord {
        /// Index of the record in its batch, from 0.
        record_index: i32,
        /// Which part of the record.
        field: RecordField,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// Bytes are left after the number of records that the header states.
    #[error("{count} bytes follow the last of {record_count} records")]
    BytesAfterLastRecord {
        /// Bytes left over.
        count: usize,
        /// Records that the header states.
        record_count: i32,
    },
    /// Records do not count up by one from the base offset, as a producer's must.
    #[error("record {record_index} has offset delta {offset_delta}")]
    OffsetGap {
        /// Index of the record in its batch, from 0: the delta it should have.
        record_index: i32,
        /// The delta it has.
        offset_delta: i64,
    },
    /// The header's record count and last offset delta contradict each other.
    #[error("{record_count} records cannot span {last_offset_delta} offsets after the first")]
    CountMismatch {
        /// Records that the header states.
        record_count: i32,
        /// Distance of the last offset that the header states.
        last_offset_delta: i32,
    },
}

/// A part of one record, in the order in which they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordField {
    /// The record's own length.
    Length,
    /// The attributes byte, unused so far.
    Attributes,
    /// Timestamp, as a distance from the batch's base.
    TimestampDelta,
    /// Offset, as a distance from the batch's base.
    OffsetDelta,
    /// Length of the key.
    KeyLength,
    /// The key.
    Key,
    /// Length of the value.
    ValueLength,
    /// The value.
    Value,
    /// Number of headers.
    HeaderCount,
    /// Length of a header's key.
    HeaderKeyLength,
    /// A header's key.
    HeaderKey,
    /// Length of a header's value.
    HeaderValueLength,
    /// A header's value.
    HeaderValue,
}

/// What is wrong with a part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldProblem {
    /// It ends before it is whole.
    Truncated,
    /// A variable-length number goes on past the bytes its type can need.
    NumberTooLong,
    /// It is negative and must not be.
    Negative,
    /// It is more than the bytes left can hold.
    TooLarge,
    /// The record's length says that more should follow than its parts need, or fewer.
    LengthMismatch,
    /// Added to the batch's base it leaves the range of offsets.
    OutOfRange,
}

impl fmt::Display for RecordField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "length",
            Self::Attributes => "attributes",
            Self::TimestampDelta => "timestamp delta",
            Self::OffsetDelta => "offset delta",
            Self::KeyLength => "key length",
            Self::Key => "key",
            Self::ValueLength => "value length",
            Self::Value => "value",
            Self::HeaderCount => "header count",
            Self::HeaderKeyLength => "header key length",
            Self::HeaderKey => "header key",
            Self::HeaderValueLength => "header value length",
            Self::HeaderValue => "header value",
        })
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "is cut off",
            Self::NumberTooLong => "is a number of too many bytes",
            Self::Negative => "is negative",
            Self::TooLarge => "is larger than the bytes left",
            Self::LengthMismatch => "does not match the record's parts",
            Self::OutOfRange => "leads out of range",
        })
    }
}
