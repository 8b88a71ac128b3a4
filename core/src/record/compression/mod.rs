//! The codecs of a batch's record block: their names and numbers, and the one way in and out of them.

use std::{fmt, str::FromStr};

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
            Self::None => true,
            Self::Gzip | Self::Snappy | Self::Lz4 | Self::Zstd => false,
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

pub(super) fn decompress(codec: Compression, _block: &[u8], _limits: &DecompressLimits) -> Result<Bytes, BatchError> {
    Err(BatchError::CodecNotBuilt { codec })
}

pub(super) fn compress(
    codec: Compression,
    _level: Option<i32>,
    _records: &[u8],
    _output: &mut Vec<u8>,
) -> Result<(), BuildError> {
    Err(BuildError::CodecNotBuilt { codec })
}
