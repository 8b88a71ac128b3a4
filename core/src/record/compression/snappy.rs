//! Snappy, in the two ways that clients put it into batches: Java in xerial's framing, most others as one raw block.
//! Both are read; the framing is written, which every client reads.
//!
//! | bytes | field                                        |
//! |------:|----------------------------------------------|
//! |     8 | magic: 0x82, `SNAPPY`, 0                     |
//! |     4 | version, 1                                   |
//! |     4 | lowest version that a reader must know, 1    |
//! |     4 | length of a block                            |
//! |       | the block, raw Snappy; then the next length  |
//!
//! Numbers are big-endian. A whole header may stand again where a length is expected: a stream appended to a stream.
//! Source: `SnappyOutputStream` and `SnappyInputStream` of snappy-java.

use std::io;

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: u32 = 1;
const FRAME_HEADER_LEN: usize = MAGIC.len() + 4 + 4;
/// What the Java library takes unless told otherwise.
const BLOCK_LEN: usize = 32 << 10;

/// No Snappy element says more than 64 bytes in less than 3, so a block that promises more than this is a lie.
const MAX_RATIO: usize = 22;

/// Why a Snappy block was not read.
pub(super) enum Failure {
    /// It would exceed the limit.
    TooLarge,
    /// It is broken.
    Broken(io::Error),
}

pub(super) fn decompress(block: &[u8], max_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut output = Vec::new();
    let mut decoder = Decoder::new();
    let Some(mut rest) = strip_frame_header(block)? else {
        append_block(&mut decoder, block, max_bytes, &mut output)?;
        return Ok(output);
    };
    while !rest.is_empty() {
        if let Some(after) = strip_frame_header(rest)? {
            rest = after;
            continue;
        }
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| broken("a block's length is cut off"))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (block, after) = after.split_at_checked(length).ok_or_else(|| broken("a block is cut off"))?;
        append_block(&mut decoder, block, max_bytes, &mut output)?;
        rest = after;
    }
    Ok(output)
}

fn strip_frame_header(input: &[u8]) -> Result<Option<&[u8]>, Failure> {
    let Some(after_magic) = input.strip_prefix(&MAGIC) else { return Ok(None) };
    let Some(([_, _, _, _, lowest @ ..], rest)) = after_magic.split_first_chunk::<8>() else {
        return Err(broken("the frame header is cut off"));
    };
    if u32::from_be_bytes(*lowest) > VERSION {
        return Err(broken("the framing is of a newer version"));
    }
    Ok(Some(rest))
}

fn append_block(decoder: &mut Decoder, block: &[u8], max_bytes: usize, output: &mut Vec<u8>) -> Result<(), Failure> {
    let stated = decompress_len(block).map_err(|error| Failure::Broken(error.into()))?;
    if stated > block.len().saturating_mul(MAX_RATIO) {
        return Err(broken("a block states more than it can hold"));
    }
    let start = output.len();
    let end = start.saturating_add(stated);
    if end > max_bytes {
        return Err(Failure::TooLarge);
    }
    output.resize(end, 0);
    let room = output.get_mut(start..).unwrap_or_default();
    decoder.decompress(block, room).map_err(|error| Failure::Broken(error.into()))?;
    Ok(())
}

pub(super) fn compress(records: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSION.to_be_bytes());
    output.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    let mut scratch = vec![0; max_compress_len(records.len().min(BLOCK_LEN))];
    for chunk in records.chunks(BLOCK_LEN) {
        let length = encoder.compress(chunk, &mut scratch)?;
        let block = scratch.get(..length).unwrap_or_default();
        output.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        output.extend_from_slice(block);
    }
    Ok(())
}

fn broken(what: &'static str) -> Failure {
    Failure::Broken(io::Error::new(io::ErrorKind::InvalidData, what))
}

const _: () = assert!(FRAME_HEADER_LEN == 16, "the layout is xerial's");
const _: () = assert!(BLOCK_LEN < u32::MAX as usize / 2, "a compressed block's length fits its field");

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &[u8]) -> Option<Vec<u8>> {
        decompress(block, 1 << 20).ok()
    }

    #[test]
    fn both_forms_are_read() {
        let text = b"many words, many words, many words";
        let raw = Encoder::new().compress_vec(text).unwrap();
        assert_eq!(read(&raw).unwrap(), text);
        let mut framed = Vec::new();
        compress(text, &mut framed).unwrap();
        assert_eq!(framed[..8], MAGIC);
        assert_eq!(read(&framed).unwrap(), text);
    }

    #[test]
    fn long_input_takes_several_blocks() {
        let text: Vec<u8> = (0..100_000u32).flat_map(u32::to_be_bytes).collect();
        let mut framed = Vec::new();
        compress(&text, &mut framed).unwrap();
        assert_eq!(read(&framed).unwrap(), text);
    }

    #[test]
    fn a_stream_may_follow_a_stream() {
        let mut framed = Vec::new();
        compress(b"one ", &mut framed).unwrap();
        compress(b"two", &mut framed).unwrap();
        assert_eq!(read(&framed).unwrap(), b"one two");
    }

    #[test]
    fn a_lying_length_takes_no_memory() {
        // A raw block that states 4 GiB - 1 in five bytes.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'a'];
        assert!(matches!(decompress(&lie, usize::MAX), Err(Failure::Broken(_))));
    }

    #[test]
    fn newer_framing_is_refused() {
        let mut framed = Vec::new();
        compress(b"x", &mut framed).unwrap();
        framed[15] = 2;
        assert!(read(&framed).is_none());
    }
}
