//! Which file is which: its number in the file system, and a checksum of how it begins.
//!
//! The number alone does not do: it is given to another file once this one is deleted, and it stays when a file is
//! truncated and written anew. The checksum covers only bytes that have been read as complete lines, at most
//! [`HEAD_MAX`]: these never change in a file that only grows.

use std::{fmt, fs::Metadata, path::Path, str::FromStr};

/// Most bytes that the checksum covers.
pub(super) const HEAD_MAX: usize = 1024;

/// A file's number: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    pub(super) inode: u64,
}

impl FileId {
    /// The number of a file.
    #[cfg(unix)]
    pub(super) fn of(_: &Path, metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Where files have no number that the standard library tells, the name stands in: a rename then looks like a
    /// truncation.
    #[cfg(not(unix))]
    pub(super) fn of(path: &Path, _: &Metadata) -> Self {
        Self { device: 0, inode: crate::random::seed(&path.to_string_lossy(), 0) >> 12 }
    }
}

/// How many bytes and their CRC-32C; written as `1024-90ab12cd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) bytes: usize,
    crc: u32,
}

impl Fingerprint {
    /// Of a file's first bytes.
    pub(super) fn of(head: &[u8]) -> Self {
        Self { bytes: head.len(), crc: riverrun_core::record::crc32c(head) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.bytes, self.crc)
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (bytes, crc) = text.split_once('-').ok_or(())?;
        let bytes = bytes.parse().ok().filter(|bytes| *bytes <= HEAD_MAX).ok_or(())?;
        Ok(Self { bytes, crc: u32::from_str_radix(crc, 16).map_err(|_| ())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let fingerprint = Fingerprint::of(b"123456789");
        assert_eq!(fingerprint.to_string(), "9-e3069283");
        assert_eq!("9-e3069283".parse(), Ok(fingerprint));
        for text in ["", "9", "9-", "x-1", "4096-00000000", "-1-0"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(()), "{text}");
        }
    }
}
