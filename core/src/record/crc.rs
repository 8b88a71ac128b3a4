//! The checksum of a batch: CRC-32C (Castagnoli) over everything from the attributes to the end. Base offset, length,
//! leader epoch, magic and the checksum itself lie outside, so the broker can set the first and third without it.

/// CRC-32C of `bytes`, by the processor's own instruction where it has one.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn matches_the_published_check_value() {
        // RFC 3720, B.4, and the "check" value of the CRC catalogue.
        assert_eq!(super::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
    }
}
