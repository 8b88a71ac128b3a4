//! Zstandard (KIP-110), through the C library.

use std::{
    io::{self, Cursor, Read},
    ops::RangeInclusive,
};

use zstd::{bulk::Compressor, stream::read::Decoder, zstd_safe::compress_bound};

pub(super) const AVAILABLE: bool = true;

/// As `compression.zstd.level` allows; 3 without it.
pub(super) const LEVELS: RangeInclusive<i32> = -131_072..=22;

/// Largest window that a frame may ask for, as in the C and Java libraries: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// What a frame may always ask for: 8 MiB, the window of level 19. A writer that does not know how much will come, as
/// Java's, asks for its level's whole window even for a handful of bytes.
const WINDOW_LOG_MIN: u32 = 23;

/// A frame's window is memory that the decoder takes at once, so beyond the least it is held to `max_bytes`.
pub(super) fn reader(block: &[u8], max_bytes: usize) -> io::Result<impl Read> {
    let needed = max_bytes.checked_next_power_of_two().map_or(WINDOW_LOG_MAX, usize::trailing_zeros);
    let mut decoder = Decoder::with_buffer(block)?;
    decoder.window_log_max(needed.clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX))?;
    Ok(decoder)
}

/// Compresses in one go: knowing the size, the library takes tables that fit it.
pub(super) fn compress(level: Option<i32>, records: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    output.reserve(compress_bound(records.len()));
    let start = output.len();
    let mut output = Cursor::new(output);
    output.set_position(start as u64);
    Compressor::new(level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL))?.compress_to_buffer(records, &mut output)?;
    Ok(())
}
