//! Record batches, format version 2 (`magic` 2), the only form in which Riverrun stores or sends records.
//!
//! A batch is a 61-byte header ([`BatchHeader`]) and a block of records, the block compressed as a whole. The broker
//! looks at the header alone and keeps a producer's bytes verbatim; whoever wants the records calls
//! [`RecordBatch::decode`] and gets an iterator that borrows from the buffer and allocates nothing per record.
//! [`BatchBuilder`] is the other direction.
//!
//! What it is not: it knows neither offsets' rules across batches (the log), nor which producer may write (producer
//! state), nor message formats 0 and 1, which Kafka 4 refuses too.
//!
//! Invariants: nothing read here can panic or make it allocate more than [`DecompressLimits`] allows; a length is
//! believed only as far as bytes are there to back it; header keys keep their order and their duplicates.
//!
//! Source: KIP-98 (the format), KIP-82 (headers), KIP-110 (zstd), KIP-534 (delete horizon); Kafka's
//! `DefaultRecordBatch`, `DefaultRecord`.

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod batch;
mod builder;
mod compression;
mod control;
mod crc;
mod error;
mod header;
mod patch;
mod records;
mod validate;
mod varint;

pub use batch::{Batches, RecordBatch, batches};
pub use builder::{BatchBuilder, BatchOptions, BuildError, record_size};
pub use compression::{Compression, DecompressLimits, ParseCompressionError};
pub use control::{ControlRecord, ControlRecordError, ControlRecordType, EndTransactionMarker};
pub(crate) use crc::Crc32c;
pub use crc::crc32c;
pub use error::{BatchError, FieldProblem, RecordField};
pub use header::{
    ATTRIBUTES_OFFSET, Attributes, BASE_OFFSET_OFFSET, BASE_SEQUENCE_OFFSET, BASE_TIMESTAMP_OFFSET,
    BATCH_LENGTH_OFFSET, BatchHeader, CRC_OFFSET, HEADER_LEN, LAST_OFFSET_DELTA_OFFSET, LENGTH_OVERHEAD, MAGIC,
    MAGIC_OFFSET, MAX_TIMESTAMP_OFFSET, PARTITION_LEADER_EPOCH_OFFSET, PRODUCER_EPOCH_OFFSET, PRODUCER_ID_OFFSET,
    RECORD_COUNT_OFFSET, TimestampType,
};
pub use patch::{
    PATCHED_PREFIX_LEN, emptied, patch_base_offset_and_epoch, patch_log_append_time, patch_producer, patched_prefix,
};
pub use records::{HeaderRef, Headers, HeadersRef, RecordCursor, RecordIter, RecordRef, Records};
pub use validate::{RecordsSummary, validate_header, validate_records};
