//! The codecs of a batch's record block: their names and numbers, and the one way in and out of them.
//!
//! What comes out is held to [`DecompressLimits`] while it comes out; a size that the input states is never taken as
//! the size of an allocation.

mod gzip;
mod lz4;
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;
#[cfg(not(feature = "zstd"))]
#[path = "zstd_absent.rs"]
mod zstd;

use std::{
    fmt,
    io::{self, Read},
    ops::RangeInclusive,
    str::FromStr,
};

use bytes::Bytes;

use super::{BatchError, BuildError};

/// How the records of a batch are compressed (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Gzip.
    Gzip,
    /// Snappy, in the block framing of Java's xerial library.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard (KIP-110); needs the feature `zstd`.
    Zstd,
}

/// Why a text names no codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression type `{name}`: expected none, gzip, snappy, lz4 or zstd")]
pub struct ParseCompressionError {
    /// The text.
    pub name: String,
}

impl Compression {
    /// All codecs, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in a batch's attributes.
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec of that number.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build contains it.
    pub fn is_available(self) -> bool {
        match self {
            Self::None | Self::Gzip | Self::Snappy | Self::Lz4 => true,
            Self::Zstd => zstd::AVAILABLE,
        }
    }

    /// The levels that can be asked of it, if it has any (KIP-390).
    pub fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(gzip::LEVELS),
            Self::Lz4 => Some(lz4::LEVELS),
            Self::Zstd => Some(zstd::LEVELS),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(name: &str) -> Result<Self, ParseCompressionError> {
        let found = Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| ParseCompressionError { name: name.to_owned() })
    }
}

/// What a reader is ready to spend on one compressed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecompressLimits {
    /// Bytes that the records may have when decompressed. Default 128 MiB: far above what a producer puts into one
    /// batch, far below what a few kilobytes of hostile input could unfold to. Memory grows with what really comes
    /// out, not with this.
    pub max_bytes: usize,
}

impl Default for DecompressLimits {
    fn default() -> Self {
        Self { max_bytes: 128 << 20 }
    }
}

pub(super) fn decompress(codec: Compression, block: &Bytes, limits: &DecompressLimits) -> Result<Bytes, BatchError> {
    if !codec.is_available() {
        return Err(BatchError::CodecNotBuilt { codec });
    }
    let limit = limits.max_bytes;
    let read = match codec {
        Compression::None => return Ok(block.clone()),
        Compression::Gzip => read_to_limit(gzip::reader(block), block.len(), limit),
        Compression::Snappy => return decompress_snappy(block, limit),
        Compression::Lz4 => read_to_limit(lz4::reader(block), block.len(), limit),
        Compression::Zstd => zstd::reader(block, limit).and_then(|reader| read_to_limit(reader, block.len(), limit)),
    };
    let data = read.map_err(|source| BatchError::Decompress { codec, source })?;
    if data.len() > limit {
        return Err(BatchError::DecompressedTooLarge { codec, limit });
    }
    Ok(Bytes::from(data))
}

fn decompress_snappy(block: &[u8], limit: usize) -> Result<Bytes, BatchError> {
    let codec = Compression::Snappy;
    match snappy::decompress(block, limit) {
        Ok(data) => Ok(Bytes::from(data)),
        Err(snappy::Failure::TooLarge) => Err(BatchError::DecompressedTooLarge { codec, limit }),
        Err(snappy::Failure::Broken(source)) => Err(BatchError::Decompress { codec, source }),
    }
}

/// What to expect of a block before it is read; most batches of text shrink to about a quarter.
const EXPECTED_RATIO: usize = 4;

/// Reads to the end, but at most one byte past `limit`, by which the caller sees that there was more.
fn read_to_limit(reader: impl Read, block_len: usize, limit: usize) -> io::Result<Vec<u8>> {
    let most = limit.saturating_add(1);
    let mut data = Vec::with_capacity(block_len.saturating_mul(EXPECTED_RATIO).min(most));
    reader.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut data)?;
    Ok(data)
}

/// Appends `records`, compressed, to `output`.
pub(super) fn compress(
    codec: Compression,
    level: Option<i32>,
    records: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), BuildError> {
    if !codec.is_available() {
        return Err(BuildError::CodecNotBuilt { codec });
    }
    if let Some(level) = level
        && let Some(range) = codec.levels()
        && !range.contains(&level)
    {
        return Err(BuildError::Level { codec, level, lowest: *range.start(), highest: *range.end() });
    }
    let written = match codec {
        Compression::None => {
            output.extend_from_slice(records);
            Ok(())
        }
        Compression::Gzip => gzip::compress(level, records, output),
        Compression::Snappy => snappy::compress(records, output),
        Compression::Lz4 => lz4::compress(records, output),
        Compression::Zstd => zstd::compress(level, records, output),
    };
    written.map_err(|source| BuildError::Compress { codec, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DecompressLimits = DecompressLimits { max_bytes: 1 << 20 };

    fn codecs() -> impl Iterator<Item = Compression> {
        Compression::ALL.into_iter().filter(|codec| *codec != Compression::None && codec.is_available())
    }

    fn compressed(codec: Compression, records: &[u8]) -> Bytes {
        let mut output = b"front".to_vec();
        compress(codec, None, records, &mut output).unwrap();
        assert_eq!(output[..5], *b"front");
        Bytes::from(output).slice(5..)
    }

    #[test]
    fn names_and_numbers() {
        for codec in Compression::ALL {
            assert_eq!(codec.to_string().parse(), Ok(codec));
            assert_eq!(Compression::from_id(codec.id()), Some(codec));
        }
        assert_eq!("LZ4".parse(), Ok(Compression::Lz4));
        assert!("brotli".parse::<Compression>().is_err());
        assert_eq!(Compression::from_id(5), None);
    }

    #[test]
    fn what_goes_in_comes_out() {
        let text = b"All the world's a stage, and all the men and women merely players. ".repeat(3000);
        for codec in codecs() {
            for records in [&text[..], &text[..1], &[]] {
                let block = compressed(codec, records);
                assert_eq!(decompress(codec, &block, &LIMITS).unwrap(), records, "{codec}");
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; LIMITS.max_bytes + 1];
        for codec in codecs() {
            let block = compressed(codec, &zeros);
            let result = decompress(codec, &block, &LIMITS);
            let at_limit = matches!(result, Err(BatchError::DecompressedTooLarge { limit, .. }) if limit == 1 << 20);
            assert!(at_limit, "{codec}: {result:?}");
            let exact = compressed(codec, &zeros[1..]);
            assert_eq!(decompress(codec, &exact, &LIMITS).unwrap().len(), LIMITS.max_bytes, "{codec}");
        }
    }

    #[test]
    fn broken_blocks_are_errors() {
        for codec in codecs() {
            let result = decompress(codec, &Bytes::from_static(b"this was never compressed"), &LIMITS);
            assert!(matches!(result, Err(BatchError::Decompress { .. })), "{codec}: {result:?}");
        }
    }

    #[test]
    fn levels_are_checked() {
        for (codec, level) in [(Compression::Gzip, 0), (Compression::Gzip, 10), (Compression::Zstd, 23)] {
            let result = compress(codec, Some(level), b"x", &mut Vec::new());
            if codec.is_available() {
                assert!(matches!(result, Err(BuildError::Level { .. })), "{codec} {level}");
            }
        }
        for (codec, level) in [(Compression::Gzip, 9), (Compression::Lz4, 9), (Compression::Zstd, -5)] {
            if codec.is_available() {
                compress(codec, Some(level), b"x", &mut Vec::new()).unwrap();
            }
        }
    }

    #[test]
    fn lz4_frames_are_written_as_kafka_writes_them() {
        let block = compressed(Compression::Lz4, b"x");
        // Magic; then version 1 with independent blocks and nothing else; then 64 KiB blocks.
        assert_eq!(block[..6], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40]);
    }
}
