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
            // Compaction leaves batches without records, for their producer's sake; no codec reads "nothing".
            _ if block.is_empty() => block,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchOptions};

    fn batch(value: &[u8]) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.append(0, None, Some(value), []).unwrap();
        builder.build().unwrap()
    }

    #[test]
    fn batches_are_cut_apart_and_an_incomplete_last_one_is_left() {
        let (one, two) = (batch(b"one"), batch(b"and two"));
        let both = Bytes::from([&one[..], &two[..]].concat());
        for cut in 0..both.len() {
            let mut found = batches(both.slice(..cut));
            let whole = usize::from(cut >= one.len());
            assert_eq!(found.by_ref().map(Result::unwrap).count(), whole, "cut at {cut}");
            assert_eq!(found.rest().len(), cut - whole * one.len());
        }
        let found: Vec<_> = batches(both).map(|batch| batch.unwrap().into_bytes()).collect();
        assert_eq!(found, [one, two]);
    }

    #[test]
    fn an_unreadable_batch_ends_with_an_error() {
        let mut bytes = batch(b"one").to_vec();
        bytes.extend_from_slice(&[0; 30]);
        let mut found = batches(bytes.into());
        assert!(found.next().unwrap().is_ok());
        assert!(matches!(found.next(), Some(Err(BatchError::UnsupportedMagic { magic: 0 }))));
        assert!(found.next().is_none());
    }

    #[test]
    fn exactly_one_is_wanted() {
        let one = batch(b"one");
        let short = RecordBatch::parse(one.slice(..one.len() - 1));
        assert!(matches!(short, Err(BatchError::TooShort { needed, .. }) if needed == one.len()));
        let long = RecordBatch::parse(Bytes::from([&one[..], &[0, 0]].concat()));
        assert!(matches!(long, Err(BatchError::TrailingBytes { count: 2 })));
    }

    #[test]
    fn a_batch_emptied_by_compaction_has_no_records() {
        let header = BatchHeader {
            batch_length: 49,
            record_count: 0,
            attributes: BatchHeader::parse(&batch(b"")).unwrap().attributes.with_compression(Compression::Gzip),
            ..BatchHeader::parse(&batch(b"")).unwrap()
        };
        let empty = RecordBatch::parse(Bytes::copy_from_slice(&header.to_bytes())).unwrap();
        assert!(empty.decode(&DecompressLimits::default()).unwrap().iter().next().is_none());
    }
}
