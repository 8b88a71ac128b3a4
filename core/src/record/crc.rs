//! The checksum of a batch: CRC-32C (Castagnoli) over everything from the attributes to the end. Base offset, length,
//! leader epoch, magic and the checksum itself lie outside, so the broker can set the first and third without it.

/// CRC-32C of `bytes`, by the processor's own instruction where it has one.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// CRC-32C of two stretches as if they were one.
pub(super) fn crc32c_of_two(first: &[u8], second: &[u8]) -> u32 {
    let mut sum = Crc32c::new();
    sum.update(first);
    sum.update(second);
    sum.finish()
}

/// CRC-32C of bytes that come in pieces.
#[derive(Debug)]
pub(crate) struct Crc32c(crc_fast::Digest);

impl Crc32c {
    pub(crate) fn new() -> Self {
        Self(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(&self) -> u32 {
        // The algorithm has 32 bits, its container 64.
        u32::try_from(self.0.finalize()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn matches_the_published_check_value() {
        // RFC 3720, B.4, and the "check" value of the CRC catalogue.
        assert_eq!(super::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(super::crc32c_of_two(b"1234", b"56789"), 0xe306_9283);
    }
}
