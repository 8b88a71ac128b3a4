//! Encoded responses on their way out, for vectored writes: record bytes are sent from where they lie.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};
use riverrun_core::protocol::Frame;

/// Segments in the order in which they leave. Invariant: none is empty.
#[derive(Debug, Default)]
pub(super) struct OutBuffer {
    segments: VecDeque<Bytes>,
    size: usize,
}

impl OutBuffer {
    /// Adds a frame at the end.
    pub(super) fn push(&mut self, frame: Frame) {
        for segment in frame.into_segments() {
            if !segment.is_empty() {
                self.size += segment.len();
                self.segments.push_back(segment);
            }
        }
    }

    /// Adds a SASL token that travels without a header: its length and itself.
    pub(super) fn push_bare(&mut self, token: &Bytes) {
        let length = u32::try_from(token.len()).unwrap_or(u32::MAX).to_be_bytes();
        for segment in [Bytes::copy_from_slice(&length), token.clone()] {
            if !segment.is_empty() {
                self.size += segment.len();
                self.segments.push_back(segment);
            }
        }
    }
}

impl Buf for OutBuffer {
    fn remaining(&self) -> usize {
        self.size
    }

    fn chunk(&self) -> &[u8] {
        self.segments.front().map_or(&[], Bytes::as_ref)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.size, "advanced past the end");
        self.size -= count;
        while let Some(front) = self.segments.front_mut() {
            if count < front.len() {
                front.advance(count);
                break;
            }
            count -= front.len();
            self.segments.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        slices.iter_mut().zip(&self.segments).map(|(slice, segment)| *slice = IoSlice::new(segment)).count()
    }
}

#[cfg(test)]
mod tests {
    use riverrun_core::protocol::{ApiKey, encode_response, messages::FetchResponse};

    use super::*;

    #[test]
    fn bytes_leave_in_order_however_they_are_cut() {
        let mut buffer = OutBuffer::default();
        let mut expected = Vec::new();
        for id in 0..3 {
            let response = FetchResponse { session_id: id, ..Default::default() };
            let frame = encode_response(&response.into(), 12, id).unwrap();
            expected.extend_from_slice(&frame.to_bytes());
            buffer.push(frame);
        }
        assert_eq!(ApiKey::Fetch.code(), 1);
        let mut sent = Vec::new();
        while buffer.has_remaining() {
            let count = buffer.chunk().len().min(7);
            sent.extend_from_slice(&buffer.chunk()[..count]);
            buffer.advance(count);
        }
        assert_eq!(sent, expected);
    }
}
