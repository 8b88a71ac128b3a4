//! LZ4 frames. Written as Kafka's own writer does: independent blocks of 64 KiB, no checksums, no content size. Read
//! is any standard frame, but one alone: Kafka never writes a second, and stops after the first too.

use std::{
    io::{self, Read, Write},
    ops::RangeInclusive,
};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// As `compression.lz4.level` allows. The encoder has the fast mode only, so the level changes nothing.
pub(super) const LEVELS: RangeInclusive<i32> = 1..=17;

/// Reports the end after the first frame. It must not be read past that: the decoder would start on a next frame with
/// the buffers of the last.
pub(super) fn reader(block: &[u8]) -> impl Read {
    FrameDecoder::new(block)
}

pub(super) fn compress(records: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, output);
    encoder.write_all(records)?;
    encoder.finish()?;
    Ok(())
}
