//! Cutting a byte stream into frames: four bytes of length, then as many bytes.
//!
//! Invariant: memory grows with the bytes that have arrived, never with a length that was only announced.

use bytes::{Buf, Bytes, BytesMut};

/// What the peer's first read brings room for, and the least each further one does.
const READ_BYTES: usize = 64 * 1024;

/// A frame whose length prefix is no length, or more than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame of {size} bytes; socket.request.max.bytes, or before authentication sasl.server.max.receive.size, allows {limit}{}", self.guess())]
pub(super) struct FrameTooLarge {
    pub(super) size: i64,
    pub(super) limit: usize,
}

impl FrameTooLarge {
    /// What the peer seems to speak instead, if the length is the beginning of something well known.
    fn guess(&self) -> &'static str {
        let Ok(size) = u32::try_from(self.size) else { return "" };
        match &size.to_be_bytes() {
            b"GET " | b"HEAD" | b"POST" | b"PUT " | b"OPTI" => {
                " (this looks like HTTP; Kafka's protocol is spoken here)"
            }
            [0x16, 0x03, ..] => " (this looks like TLS; the listener is PLAINTEXT: set security.protocol=PLAINTEXT)",
            _ => "",
        }
    }
}

/// Bytes received and not handled yet.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    bytes: BytesMut,
    limit: usize,
}

impl FrameBuffer {
    /// An empty buffer for frames of up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: BytesMut::new(), limit }
    }

    /// Allows frames of up to `limit` bytes from now on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Where the next bytes go.
    pub(super) fn space(&mut self) -> &mut BytesMut {
        // Back to the front if no frame is held any more: that is in the processor's cache, and a connection of small
        // requests then never touches the rest.
        let is_at_front = self.bytes.is_empty() && self.bytes.try_reclaim(READ_BYTES);
        // Doubling keeps the cost of growing a large frame linear.
        let wanted = READ_BYTES.max(self.bytes.len());
        if !is_at_front && self.bytes.capacity() - self.bytes.len() < READ_BYTES / 4 {
            self.bytes.reserve(wanted);
        }
        &mut self.bytes
    }

    /// How long the next frame is, if that much of it has arrived.
    pub(super) fn announced(&self) -> Result<Option<usize>, FrameTooLarge> {
        let Some(prefix) = self.bytes.first_chunk::<4>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        let too_large = FrameTooLarge { size: i64::from(announced), limit: self.limit };
        let size = usize::try_from(announced).map_err(|_| too_large)?;
        if size > self.limit { Err(too_large) } else { Ok(Some(size)) }
    }

    /// The next whole frame without its length, if it has arrived.
    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        let Some(size) = self.announced()? else { return Ok(None) };
        if self.bytes.len() - 4 < size {
            return Ok(None);
        }
        self.bytes.advance(4);
        Ok(Some(self.bytes.split_to(size).freeze()))
    }

    /// Whether part of a frame is there.
    pub(super) fn is_mid_frame(&self) -> bool {
        !self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole() {
        let mut buffer = FrameBuffer::new(10);
        buffer.space().extend_from_slice(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(buffer.next_frame(), Ok(Some(Bytes::from_static(&[7, 8]))));
        assert_eq!(buffer.next_frame(), Ok(Some(Bytes::new())));
        assert_eq!(buffer.next_frame(), Ok(None));
        assert!(buffer.is_mid_frame());
        buffer.space().extend_from_slice(&[0, 11]);
        assert_eq!(buffer.next_frame(), Err(FrameTooLarge { size: 11, limit: 10 }));
    }

    #[test]
    fn small_frames_come_to_lie_in_the_same_place() {
        let mut buffer = FrameBuffer::new(10);
        let mut receive = |held: &mut Vec<Bytes>| {
            let space = buffer.space();
            assert!(space.capacity() >= READ_BYTES / 4);
            space.extend_from_slice(&[0, 0, 0, 1, 7]);
            let frame = buffer.next_frame().unwrap().unwrap();
            let place = frame.as_ptr();
            held.push(frame);
            place
        };
        let first = receive(&mut Vec::new());
        assert_eq!(receive(&mut Vec::new()), first);
        let mut held = Vec::new();
        assert_eq!(receive(&mut held), first);
        assert_ne!(receive(&mut held), first, "while a frame is held, nothing takes its place");
        assert_eq!(held, [&[7][..], &[7]]);
    }

    #[test]
    fn other_protocols_are_recognised() {
        let said = |begin: &[u8]| {
            let mut buffer = FrameBuffer::new(10);
            buffer.space().extend_from_slice(begin);
            buffer.next_frame().unwrap_err().to_string()
        };
        assert!(said(b"GET / HTTP/1.1").contains("HTTP"));
        assert!(said(&[0x16, 3, 1, 2, 0]).contains("TLS"));
        assert!(!said(&[0x7f, 3, 1, 2]).contains("looks like"));
    }

    #[test]
    fn a_negative_length_is_refused() {
        let mut buffer = FrameBuffer::new(10);
        buffer.space().extend_from_slice(&[0xff; 4]);
        assert_eq!(buffer.next_frame(), Err(FrameTooLarge { size: -1, limit: 10 }));
    }
}
