//! Writing the primitives of the wire format, without copying record payloads.
//!
//! A [`Writer`] collects small values in one buffer; a byte field of at least [`SHARED_BYTES_MIN`] bytes becomes a segment
//! of its own that shares the caller's memory. The result is a [`Frame`], made for a vectored write.
//! Source: Kafka's protocol guide ("Protocol Primitive Types"), KIP-482 for compact forms and tagged fields.

use bytes::Bytes;

use super::{
    error::{EncodeError, EncodeErrorKind},
    reader::STRING_BYTES_MAX,
};
use crate::Uuid;

/// From this length on a byte field is shared, not copied: below it, one more segment costs more than the copy.
pub const SHARED_BYTES_MIN: usize = 1024;

/// The size of the length prefix before each frame.
const LENGTH_PREFIX: usize = 4;

/// Room for what comes before, between and after the shared segments: enough for most.
const STRETCH: usize = 128;

type Result<T> = std::result::Result<T, EncodeError>;

/// One encoded frame: its length prefix and content, as segments to be written one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    segments: Vec<Bytes>,
    size: usize,
}

impl Frame {
    /// The segments in order; the first begins with the length prefix.
    pub fn segments(&self) -> &[Bytes] {
        &self.segments
    }

    /// The segments in order, owned.
    pub fn into_segments(self) -> Vec<Bytes> {
        self.segments
    }

    /// The size of all segments together, length prefix included.
    pub fn size_in_bytes(&self) -> usize {
        self.size
    }

    /// Everything in one piece, length prefix included. Copies.
    pub fn to_bytes(&self) -> Bytes {
        concatenate(&self.segments, self.size)
    }

    /// The content without the length prefix, in one piece: what a decoder takes. Copies.
    pub fn content(&self) -> Bytes {
        self.to_bytes().split_off(LENGTH_PREFIX)
    }
}

/// A stretch of an encoded frame, one of [`super::encode_response_apart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FramePart {
    /// Encoded bytes.
    Bytes(Bytes),
    /// The content of the byte field of this number, which its sender has elsewhere.
    Apart(usize),
}

/// Collects the encoded form of one message.
#[derive(Debug, Default)]
pub struct Writer {
    /// Finished segments; the first may still get its length prefix, so it is kept writable.
    first: Option<Vec<u8>>,
    shared: Vec<Bytes>,
    shared_size: usize,
    buffer: Vec<u8>,
    flexible: bool,
    /// For each byte field in its order, how many bytes of content are to be announced but not written; 0 for those that
    /// are written.
    apart: Vec<usize>,
    byte_field_count: usize,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that announces the content of some byte fields, and leaves it out.
    pub(crate) fn with_apart(apart: Vec<usize>) -> Self {
        Self { apart, ..Self::default() }
    }

    /// Whether the message at hand is in its flexible form (compact lengths, tagged fields).
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// How many bytes have been written, or announced.
    pub fn size_in_bytes(&self) -> usize {
        self.first.as_ref().map_or(0, Vec::len) + self.shared_size + self.buffer.len()
    }

    /// Starts a frame: leaves room for its length prefix.
    pub(crate) fn begin_frame(&mut self) {
        self.buffer.reserve(STRETCH);
        self.buffer.extend_from_slice(&[0; LENGTH_PREFIX]);
    }

    /// Ends the frame that [`Writer::begin_frame`] has started.
    pub(crate) fn finish_frame(mut self) -> Result<Frame> {
        let size = self.size_in_bytes();
        let content = size.saturating_sub(LENGTH_PREFIX);
        let prefix = i32::try_from(content).map_err(|_| EncodeError::new(EncodeErrorKind::TooLong(content)))?;
        let first = self.first.as_mut().unwrap_or(&mut self.buffer);
        if let Some(place) = first.first_chunk_mut::<LENGTH_PREFIX>() {
            *place = prefix.to_be_bytes();
        }
        Ok(Frame { segments: self.into_segments(), size })
    }

    /// The same for a writer that leaves content out.
    pub(crate) fn finish_frame_apart(mut self) -> Result<Vec<FramePart>> {
        let apart = std::mem::take(&mut self.apart);
        let mut left_out = apart.into_iter().enumerate().filter(|(_, length)| *length > 0);
        let frame = self.finish_frame()?;
        let part = |segment: Bytes| match segment.is_empty().then(|| left_out.next()).flatten() {
            Some((field, _)) => FramePart::Apart(field),
            None => FramePart::Bytes(segment),
        };
        Ok(frame.segments.into_iter().map(part).collect())
    }

    /// What was written, as segments.
    fn into_segments(self) -> Vec<Bytes> {
        let mut segments = Vec::with_capacity(self.shared.len() + 2);
        segments.extend(self.first.map(Bytes::from));
        segments.extend(self.shared);
        if !self.buffer.is_empty() || segments.is_empty() {
            segments.push(self.buffer.into());
        }
        segments
    }

    /// What was written, in one piece. Copies if a payload was shared.
    pub fn into_bytes(self) -> Bytes {
        if self.first.is_none() {
            return self.buffer.into();
        }
        let size = self.size_in_bytes();
        concatenate(&self.into_segments(), size)
    }

    fn push_segment(&mut self, segment: Bytes) {
        let before = std::mem::replace(&mut self.buffer, Vec::with_capacity(STRETCH));
        if self.first.is_none() {
            self.first = Some(before);
        } else if !before.is_empty() {
            self.shared_size += before.len();
            self.shared.push(before.into());
        }
        self.shared_size += segment.len();
        self.shared.push(segment);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.buffer.push(u8::from(value));
    }

    pub(crate) fn i8(&mut self, value: i8) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn f64(&mut self, value: f64) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.buffer.extend_from_slice(&value.0);
    }

    /// An unsigned variable-length integer.
    pub(crate) fn uvarint(&mut self, mut value: u32) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.buffer.push(low & 0x7f);
            }
            self.buffer.push(low | 0x80);
        }
    }

    /// A tag, size or other unsigned number that the format limits to 31 bits.
    fn size(&mut self, size: usize) -> Result<()> {
        match i32::try_from(size) {
            Ok(_) => {
                #[expect(clippy::cast_possible_truncation, reason = "just checked to fit in 31 bits")]
                self.uvarint(size as u32);
                Ok(())
            }
            Err(_) => Err(EncodeError::new(EncodeErrorKind::TooLong(size))),
        }
    }

    pub(crate) fn string(&mut self, value: Option<&str>) -> Result<()> {
        let Some(value) = value else {
            if self.flexible {
                self.uvarint(0);
            } else {
                self.i16(-1);
            }
            return Ok(());
        };
        let too_long = EncodeError::new(EncodeErrorKind::TooLong(value.len()));
        if value.len() > STRING_BYTES_MAX {
            return Err(too_long);
        }
        if self.flexible {
            self.size(value.len() + 1)?;
        } else {
            self.i16(i16::try_from(value.len()).map_err(|_| too_long)?);
        }
        self.buffer.extend_from_slice(value.as_bytes());
        Ok(())
    }

    pub(crate) fn bytes(&mut self, value: Option<&Bytes>) -> Result<()> {
        let apart = self.apart.get(self.byte_field_count).copied().unwrap_or_default();
        self.byte_field_count += 1;
        if apart > 0 {
            self.count(Some(apart))?;
            // An empty segment marks the place; there is no other way to make one.
            self.push_segment(Bytes::new());
            self.shared_size += apart;
            return Ok(());
        }
        self.count(value.map(Bytes::len))?;
        match value {
            Some(value) if value.len() >= SHARED_BYTES_MIN => self.push_segment(value.clone()),
            Some(value) => self.buffer.extend_from_slice(value),
            None => {}
        }
        Ok(())
    }

    /// The length of a byte field or array, or null.
    pub(crate) fn count(&mut self, count: Option<usize>) -> Result<()> {
        match (count, self.flexible) {
            (None, true) => self.uvarint(0),
            (None, false) => self.i32(-1),
            (Some(count), true) => self.size(count.saturating_add(1))?,
            (Some(count), false) => {
                self.i32(i32::try_from(count).map_err(|_| EncodeError::new(EncodeErrorKind::TooLong(count)))?);
            }
        }
        Ok(())
    }

    /// One tagged field: its tag, its size, and what `value` writes.
    pub(crate) fn tagged_field(&mut self, tag: u32, value: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut content = Self { flexible: true, ..Self::default() };
        value(&mut content)?;
        self.uvarint(tag);
        self.size(content.size_in_bytes())?;
        for segment in content.into_segments() {
            if segment.len() >= SHARED_BYTES_MIN {
                self.push_segment(segment);
            } else {
                self.buffer.extend_from_slice(&segment);
            }
        }
        Ok(())
    }
}

fn concatenate(segments: &[Bytes], size: usize) -> Bytes {
    if let [only] = segments {
        return only.clone();
    }
    let mut whole = Vec::with_capacity(size);
    for segment in segments {
        whole.extend_from_slice(segment);
    }
    whole.into()
}
