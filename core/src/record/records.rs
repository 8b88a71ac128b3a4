//! The records of one batch, decompressed, and the lazy iterators over them.
//!
//! A record, after its length as a varint:
//!
//! | bytes  | field           | note                                                  |
//! |-------:|-----------------|-------------------------------------------------------|
//! |      1 | attributes      | unused                                                |
//! | varlong| timestamp delta | from the batch's base timestamp                       |
//! | varint | offset delta    | from the batch's base offset                          |
//! | varint | key length      | negative: null                                        |
//! |        | key             |                                                       |
//! | varint | value length    | negative: null                                        |
//! |        | value           |                                                       |
//! | varint | header count    | then as often: key length, key, value length, value   |
//!
//! A record is checked to its last byte, headers included, before it is handed out; so walking its headers cannot
//! fail. Source: Kafka's `DefaultRecord`.

use std::{borrow::Cow, iter::FusedIterator};

use bytes::Bytes;

use super::{
    BatchError, BatchHeader, FieldProblem, RecordField, TimestampType,
    varint::{take_varint, take_varlong},
};

/// The records of one batch, not compressed any more. Cheap to clone: the bytes are shared.
#[derive(Debug, Clone)]
pub struct Records {
    data: Bytes,
    base_offset: i64,
    base_timestamp: i64,
    /// The time of all records, where the broker stamped them.
    append_time: Option<i64>,
    record_count: i32,
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch; the producer's clock or the broker's. -1: none.
    pub timestamp: i64,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order, duplicates included.
    pub headers: HeadersRef<'a>,
}

/// The headers of one record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadersRef<'a> {
    count: usize,
    /// As many well-formed headers as `count` says, to the last byte.
    bytes: &'a [u8],
}

/// One header, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// The key's bytes: UTF-8, unless a producer broke the rule.
    pub key_bytes: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// A place between two records of a [`Records`], for a reader that stops and goes on later. Starts at the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordCursor {
    position: usize,
    read: i32,
    failed: bool,
}

impl Records {
    pub(super) fn new(header: &BatchHeader, data: Bytes) -> Self {
        let append_time = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        Self {
            data,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time,
            record_count: header.record_count,
        }
    }

    /// What the records' offsets count from.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// How many records the header states; the iterator says if that is not so.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Bytes of the records, decompressed.
    pub fn size_in_bytes(&self) -> usize {
        self.data.len()
    }

    /// Reads from the first record to the last. After an error there is nothing more.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { records: self, cursor: RecordCursor::default() }
    }

    /// Reads the record at `cursor` and moves it on; `None` at the end and after an error.
    pub fn read(&self, cursor: &mut RecordCursor) -> Option<Result<RecordRef<'_>, BatchError>> {
        if cursor.failed {
            return None;
        }
        let mut rest = self.data.get(cursor.position..).unwrap_or_default();
        if cursor.read >= self.record_count {
            if rest.is_empty() {
                return None;
            }
            cursor.failed = true;
            return Some(Err(BatchError::BytesAfterLastRecord { count: rest.len(), record_count: self.record_count }));
        }
        let record_index = cursor.read;
        match take_record(&mut rest, self) {
            Ok(record) => {
                cursor.position = self.data.len() - rest.len();
                cursor.read += 1;
                Some(Ok(record))
            }
            Err(Defect { field, problem }) => {
                cursor.failed = true;
                Some(Err(BatchError::MalformedRecord { record_index, field, problem }))
            }
        }
    }

    /// `part`, which came out of one of these records, as [`Bytes`] that share the batch's memory and keep it alive.
    /// A slice from elsewhere is copied.
    pub fn share(&self, part: &[u8]) -> Bytes {
        let (whole, part_range) = (self.data.as_ptr_range(), part.as_ptr_range());
        if whole.start <= part_range.start && part_range.end <= whole.end {
            self.data.slice_ref(part)
        } else {
            Bytes::copy_from_slice(part)
        }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<RecordRef<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// Iterator of [`Records::iter`].
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    records: &'a Records,
    cursor: RecordCursor,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.records.read(&mut self.cursor)
    }
}

impl FusedIterator for RecordIter<'_> {}

impl<'a> HeadersRef<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in the wire's form, without their count.
    pub(super) fn encoded(&self) -> &'a [u8] {
        self.bytes
    }

    /// From the first to the last.
    pub fn iter(&self) -> Headers<'a> {
        Headers { rest: *self }
    }
}

impl<'a> IntoIterator for HeadersRef<'a> {
    type Item = HeaderRef<'a>;
    type IntoIter = Headers<'a>;

    fn into_iter(self) -> Headers<'a> {
        self.iter()
    }
}

/// Iterator of [`HeadersRef::iter`].
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: HeadersRef<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<HeaderRef<'a>> {
        self.rest.count = self.rest.count.checked_sub(1)?;
        // Cannot fail: the record was checked before its headers were handed out.
        take_header(&mut self.rest.bytes).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rest.count, Some(self.rest.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl FusedIterator for Headers<'_> {}

impl<'a> HeaderRef<'a> {
    /// The key as text; bytes that are no UTF-8 become replacement characters, as in Kafka's own consumer.
    pub fn key(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key_bytes)
    }
}

struct Defect {
    field: RecordField,
    problem: FieldProblem,
}

impl RecordField {
    fn is(self, problem: FieldProblem) -> Defect {
        Defect { field: self, problem }
    }
}

#[inline]
fn take_record<'a>(input: &mut &'a [u8], batch: &Records) -> Result<RecordRef<'a>, Defect> {
    use FieldProblem::{LengthMismatch, OutOfRange};

    let mut body = take_block(input, RecordField::Length, RecordField::Length)?
        .ok_or(RecordField::Length.is(FieldProblem::Negative))?;
    let (_attributes, rest) = body.split_first().ok_or(RecordField::Attributes.is(FieldProblem::Truncated))?;
    body = rest;
    let timestamp_delta = take_varlong(&mut body).map_err(|problem| RecordField::TimestampDelta.is(problem))?;
    let offset_delta = take_varint(&mut body).map_err(|problem| RecordField::OffsetDelta.is(problem))?;
    let offset = batch.base_offset.checked_add(i64::from(offset_delta)).filter(|_| offset_delta >= 0);
    let offset = offset.ok_or(RecordField::OffsetDelta.is(OutOfRange))?;
    let key = take_block(&mut body, RecordField::KeyLength, RecordField::Key)?;
    let value = take_block(&mut body, RecordField::ValueLength, RecordField::Value)?;
    let headers = take_headers(&mut body)?;
    if !body.is_empty() {
        return Err(RecordField::Length.is(LengthMismatch));
    }
    // Java wraps around here; doing the same keeps every timestamp a producer can send readable.
    let timestamp = batch.append_time.unwrap_or(batch.base_timestamp.wrapping_add(timestamp_delta));
    Ok(RecordRef { offset, timestamp, key, value, headers })
}

#[inline]
fn take_headers<'a>(body: &mut &'a [u8]) -> Result<HeadersRef<'a>, Defect> {
    let count = take_varint(body).map_err(|problem| RecordField::HeaderCount.is(problem))?;
    let count = usize::try_from(count).map_err(|_| RecordField::HeaderCount.is(FieldProblem::Negative))?;
    // A header takes two bytes at least; so an absurd count fails here, and not after a long walk.
    if count > body.len() / 2 {
        return Err(RecordField::HeaderCount.is(FieldProblem::TooLarge));
    }
    let bytes = *body;
    for _ in 0..count {
        take_header(body)?;
    }
    let used = bytes.len() - body.len();
    Ok(HeadersRef { count, bytes: bytes.get(..used).unwrap_or_default() })
}

#[inline]
fn take_header<'a>(body: &mut &'a [u8]) -> Result<HeaderRef<'a>, Defect> {
    let key_bytes = take_block(body, RecordField::HeaderKeyLength, RecordField::HeaderKey)?
        .ok_or(RecordField::HeaderKeyLength.is(FieldProblem::Negative))?;
    let value = take_block(body, RecordField::HeaderValueLength, RecordField::HeaderValue)?;
    Ok(HeaderRef { key_bytes, value })
}

/// Takes a length and as many bytes; a negative length is null.
#[inline]
fn take_block<'a>(
    input: &mut &'a [u8],
    length_field: RecordField,
    field: RecordField,
) -> Result<Option<&'a [u8]>, Defect> {
    let length = take_varint(input).map_err(|problem| length_field.is(problem))?;
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    let (block, rest) = input.split_at_checked(length).ok_or(field.is(FieldProblem::TooLarge))?;
    *input = rest;
    Ok(Some(block))
}
