//! Whole batches, still in their wire form: cutting them out of a buffer, checking them, opening them.

use std::iter::FusedIterator;

use bytes::Bytes;

use super::{
    ATTRIBUTES_OFFSET, BatchError, BatchHeader, Compression, DecompressLimits, HEADER_LEN, Records, compression,
    crc32c, header::peek_size,
};

/// The bytes of exactly one batch, with its header read. Cheap to clone: the bytes are shared.
#[derive(Debug, Clone)]
pub struct RecordBatch {
    header: BatchHeader,
    bytes: Bytes,
}

impl RecordBatch {
    /// Takes `bytes` as one batch.
    ///
    /// # Errors
    /// If the header is unreadable ([`BatchHeader::parse`]), or `bytes` is shorter or longer than it says.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        let needed = header.size_in_bytes();
        match bytes.len().checked_sub(needed) {
            None => Err(BatchError::TooShort { needed, available: bytes.len() }),
            Some(0) => Ok(Self { header, bytes }),
            Some(count) => Err(BatchError::TrailingBytes { count }),
        }
    }

    /// Takes one batch off the front of `bytes`; `None`, and `bytes` as it was, if no whole batch is there.
    ///
    /// # Errors
    /// If the header is unreadable; `bytes` stays as it was.
    pub fn split_from(bytes: &mut Bytes) -> Result<Option<Self>, BatchError> {
        let Some(size) = peek_size(bytes)? else { return Ok(None) };
        if bytes.len() < size {
            return Ok(None);
        }
        let header = BatchHeader::parse(bytes)?;
        Ok(Some(Self { header, bytes: bytes.split_to(size) }))
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header and all.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The whole batch, without copying.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Compares the checksum in the header with that of the bytes.
    ///
    /// # Errors
    /// [`BatchError::CrcMismatch`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c(self.bytes.get(ATTRIBUTES_OFFSET..).unwrap_or_default());
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::CrcMismatch { stated: self.header.crc, computed })
        }
    }

    /// Opens the records, decompressing them if need be; without compression nothing is copied. The checksum is not
    /// looked at: whoever reads bytes of unknown origin calls [`RecordBatch::verify_crc`] first.
    ///
    /// # Errors
    /// If the records cannot be decompressed, or exceed `limits` when they are.
    pub fn decode(&self, limits: &DecompressLimits) -> Result<Records, BatchError> {
        let block = self.bytes.slice(HEADER_LEN.min(self.bytes.len())..);
        let data = match self.header.attributes.compression() {
            Compression::None => block,
            codec => compression::decompress(codec, &block, limits)?,
        };
        Ok(Records::new(&self.header, data))
    }
}

/// The batches that lie one after the other in `bytes`, as in a fetch response or a segment. An incomplete last one,
/// which a fetch may well end with, ends the iteration silently; an unreadable one ends it with an error.
pub fn batches(bytes: Bytes) -> Batches {
    Batches { rest: bytes }
}

/// Iterator of [`batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    /// What has not been read: after the end, the incomplete last batch.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = RecordBatch::split_from(&mut self.rest).transpose();
        if matches!(next, Some(Err(_))) {
            self.rest.clear();
        }
        next
    }
}

impl FusedIterator for Batches {}
