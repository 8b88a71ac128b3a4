//! Reading the primitives of the wire format out of one frame, within bounds.
//!
//! Invariants: a [`Reader`] never reads past its end, never allocates for a length or count before it has been checked
//! against what is left of the frame, and hands out no more decoded memory than its budget. Byte fields are slices that
//! share the frame. Nesting depth is that of the message types, so hostile bytes cannot make it recurse.
//! Source: Kafka's protocol guide ("Protocol Primitive Types"), KIP-482 for compact forms and tagged fields.

use bytes::Bytes;

use super::error::{DecodeError, DecodeErrorKind};
use crate::Uuid;

/// The longest string Kafka writes or accepts.
pub(crate) const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// How much one decoded frame may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// Upper bound of the memory that decoded structs, arrays and strings of one frame take. Byte and record fields
    /// share the frame and do not count. Default: 64 MiB, above what a metadata reply for 200,000 partitions needs.
    pub decoded_bytes_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { decoded_bytes_max: 64 << 20 }
    }
}

impl DecodeLimits {
    /// The same limits with another memory budget.
    #[must_use]
    pub fn with_decoded_bytes_max(mut self, bytes: usize) -> Self {
        self.decoded_bytes_max = bytes;
        self
    }
}

/// A cursor over one frame, with the memory budget of its decoded form.
#[derive(Debug)]
pub struct Reader<'a> {
    frame: &'a Bytes,
    position: usize,
    end: usize,
    budget: usize,
    flexible: bool,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Reader<'a> {
    /// Starts at the first byte of `frame`.
    pub fn new(frame: &'a Bytes, limits: &DecodeLimits) -> Self {
        Self { frame, position: 0, end: frame.len(), budget: limits.decoded_bytes_max, flexible: false }
    }

    /// How many bytes are left, in the tagged field if one is being read.
    pub fn remaining(&self) -> usize {
        self.end.saturating_sub(self.position)
    }

    /// Whether the message at hand is in its flexible form (compact lengths, tagged fields).
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Checks that nothing is left over.
    ///
    /// # Errors
    /// [`DecodeErrorKind::TrailingBytes`] if there is.
    pub fn finish(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error(DecodeErrorKind::TrailingBytes(left))),
        }
    }

    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(self.position, kind)
    }

    /// Takes `needed` bytes of decoded form from the budget.
    pub(crate) fn charge(&mut self, needed: usize) -> Result<()> {
        match self.budget.checked_sub(needed) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.error(DecodeErrorKind::BudgetExceeded { needed, left: self.budget })),
        }
    }

    /// The next `count` bytes, borrowed.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let left = self.remaining();
        let truncated = DecodeErrorKind::Truncated { needed: count, left };
        if count > left {
            return Err(self.error(truncated));
        }
        let end = self.position + count;
        match self.frame.get(self.position..end) {
            Some(bytes) => {
                self.position = end;
                Ok(bytes)
            }
            None => Err(self.error(truncated)),
        }
    }

    /// The next `count` bytes, sharing the frame.
    pub(crate) fn take_shared(&mut self, count: usize) -> Result<Bytes> {
        let taken = self.take(count)?;
        Ok(self.frame.slice_ref(taken))
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        Ok(self.i8()? != 0)
    }

    pub(crate) fn i8(&mut self) -> Result<i8> {
        self.take_array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        self.take_array().map(i16::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.take_array().map(u16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        self.take_array().map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.take_array().map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.take_array().map(i64::from_be_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        self.take_array().map(f64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid> {
        self.take_array().map(Uuid)
    }

    /// An unsigned variable-length integer of at most 32 bits.
    pub(crate) fn uvarint(&mut self) -> Result<u32> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take_array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::VarintTooLong))
    }

    /// A length that may be null: compact (KIP-482) in flexible form, else the signed integer that `fixed` reads.
    fn length(&mut self, fixed: impl FnOnce(&mut Self) -> Result<i32>) -> Result<Option<usize>> {
        if self.flexible {
            return Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize));
        }
        let length = fixed(self)?;
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.error(DecodeErrorKind::NegativeLength(length.into()))),
        }
    }

    /// A string with a 2-byte length, or a compact one.
    pub(crate) fn string(&mut self) -> Result<Option<String>> {
        let Some(length) = self.length(|r| r.i16().map(i32::from))? else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            return Err(self.error(DecodeErrorKind::StringTooLong(length)));
        }
        let bytes = self.take(length)?;
        self.charge(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(self.error(DecodeErrorKind::NotUtf8)),
        }
    }

    /// Bytes or records with a 4-byte length, or a compact one; they share the frame.
    pub(crate) fn bytes(&mut self) -> Result<Option<Bytes>> {
        match self.length(Self::i32)? {
            Some(length) => self.take_shared(length).map(Some),
            None => Ok(None),
        }
    }

    /// An element count, checked against what is left of the frame and charged to the budget: `element_size` is the
    /// least number of bytes one element takes on the wire, `element_memory` what it takes in memory.
    pub(crate) fn count(&mut self, element_size: usize, element_memory: usize) -> Result<Option<usize>> {
        let Some(count) = self.length(Self::i32)? else { return Ok(None) };
        let (element_size, left) = (element_size.max(1), self.remaining());
        if count > left / element_size {
            return Err(self.error(DecodeErrorKind::CountTooLarge { count, element_size, left }));
        }
        self.charge(count.saturating_mul(element_memory))?;
        Ok(Some(count))
    }

    /// Reads the tagged fields at the end of a struct, if the message is flexible. `known` is called for each tag, with
    /// the reader confined to that field; it returns false for a tag it does not know, whose bytes are skipped.
    pub(crate) fn tagged_fields(&mut self, mut known: impl FnMut(&mut Self, u32) -> Result<bool>) -> Result<()> {
        if !self.flexible {
            return Ok(());
        }
        let mut previous = None;
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            if let Some(previous) = previous.filter(|previous| *previous >= tag) {
                return Err(self.error(DecodeErrorKind::TagOrder { previous, tag }));
            }
            previous = Some(tag);
            let (needed, left) = (self.uvarint()? as usize, self.remaining());
            if needed > left {
                return Err(self.error(DecodeErrorKind::Truncated { needed, left }));
            }
            let outer_end = std::mem::replace(&mut self.end, self.position + needed);
            if known(self, tag)? {
                match self.remaining() {
                    0 => {}
                    left => return Err(self.error(DecodeErrorKind::TaggedFieldTooLong(left))),
                }
            } else {
                self.position = self.end;
            }
            self.end = outer_end;
        }
        Ok(())
    }
}
