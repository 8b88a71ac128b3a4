//! Stands where Zstandard would, in a build without the feature `zstd`. Nothing here is called: `AVAILABLE` is asked
//! first, and the caller is told that the codec is not built.

use std::{
    io::{self, Read},
    ops::RangeInclusive,
};

pub(super) const AVAILABLE: bool = false;

pub(super) const LEVELS: RangeInclusive<i32> = -131_072..=22;

pub(super) fn reader(_block: &[u8], _max_bytes: usize) -> io::Result<impl Read> {
    Err::<io::Empty, _>(io::ErrorKind::Unsupported.into())
}

pub(super) fn compress(_level: Option<i32>, _records: &[u8], _output: &mut Vec<u8>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
