//! Gzip (RFC 1952). Several members one after the other are read as one, as Java does.

use std::{
    io::{self, Read, Write},
    ops::RangeInclusive,
};

use flate2::{bufread::MultiGzDecoder, write::GzEncoder};

/// As `compression.gzip.level` allows; 6 without it.
pub(super) const LEVELS: RangeInclusive<i32> = 1..=9;

pub(super) fn reader(block: &[u8]) -> impl Read {
    MultiGzDecoder::new(block)
}

pub(super) fn compress(level: Option<i32>, records: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let level = level.and_then(|level| u32::try_from(level).ok()).map(flate2::Compression::new);
    let mut encoder = GzEncoder::new(output, level.unwrap_or_default());
    encoder.write_all(records)?;
    encoder.finish()?;
    Ok(())
}
