//! Cutting response frames out of the byte stream: a 4-byte big-endian length, then as many bytes. No I/O here.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::CallError;

const LENGTH_PREFIX: usize = 4;

/// Collects bytes and gives whole frames.
#[derive(Debug)]
pub(super) struct FrameDecoder {
    buffer: BytesMut,
    limit: usize,
}

impl FrameDecoder {
    /// Frames above `limit` bytes are refused before any memory is taken for them.
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(16 << 10), limit }
    }

    /// Where further bytes are to be appended.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next frame, without its length, once it is complete.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_PREFIX>() else {
            self.buffer.reserve(16 << 10);
            return Ok(None);
        };
        let announced = i32::from_be_bytes(*prefix);
        let too_large = || CallError::TooLarge { size: u64::from(announced.cast_unsigned()), limit: self.limit };
        let length = usize::try_from(announced).ok().filter(|length| *length <= self.limit).ok_or_else(too_large)?;
        let missing = (LENGTH_PREFIX + length).saturating_sub(self.buffer.len());
        if missing > 0 {
            // Room for what is announced, but taken as bytes come: an announcement alone costs no more than this.
            self.buffer.reserve(missing.min(1 << 20));
            return Ok(None);
        }
        self.buffer.advance(LENGTH_PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole() {
        let mut decoder = FrameDecoder::new(8);
        let mut frames = Vec::new();
        for byte in [0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 1, b'c'] {
            decoder.buffer().extend_from_slice(&[byte]);
            frames.extend(decoder.next().unwrap());
        }
        assert_eq!(frames, [Bytes::from("ab"), Bytes::new(), Bytes::from("c")]);
    }

    #[test]
    fn large_and_negative_lengths_are_refused() {
        for prefix in [[0, 0, 0, 9], [255, 255, 255, 255]] {
            let mut decoder = FrameDecoder::new(8);
            decoder.buffer().extend_from_slice(&prefix);
            assert!(matches!(decoder.next(), Err(CallError::TooLarge { limit: 8, .. })));
        }
    }
}
