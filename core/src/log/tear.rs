//! Evidence of what happened to a damaged batch: whether something sound comes after it, and whether a sector that was
//! never written lies in it. What follows from that stands in [`super::recovery`].

use std::io;

use super::vfs::VfsFile;
use crate::record::{
    ATTRIBUTES_OFFSET, BATCH_LENGTH_OFFSET, BatchHeader, CRC_OFFSET, Crc32c, HEADER_LEN, LENGTH_OVERHEAD, MAGIC,
    MAGIC_OFFSET,
};

const SECTOR: u64 = 512;
/// How many zeros at a sector's end say that it was never written.
const UNWRITTEN: usize = 16;
/// Bytes that are searched at a time.
const CHUNK: u64 = 256 << 10;
/// How many times the rest of the file the search may read to verify checksums. Only a file that was made to look like
/// many batches in one comes near it; it is then not taken for torn.
const EFFORT: u64 = 4;

/// A damaged batch at `position` of a file of `length` bytes, where one was to start with offset `next_offset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspect<'f> {
    pub(super) file: &'f dyn VfsFile,
    pub(super) position: u64,
    pub(super) length: u64,
    pub(super) next_offset: i64,
}

impl Suspect<'_> {
    fn bytes(&self, position: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; length];
        if self.file.read_at(position, &mut bytes)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// The checksum of what would be a batch of `length` bytes at `position`. Read in pieces: what a damaged header states
    /// may be as long as the file.
    pub(super) fn content_crc(&self, position: u64, length: u64) -> io::Result<u32> {
        let (mut at, end) = (position + ATTRIBUTES_OFFSET as u64, position + length);
        let mut sum = Crc32c::new();
        while at < end {
            let part = (end - at).min(CHUNK);
            sum.update(&self.bytes(at, part)?);
            at += part;
        }
        Ok(sum.finish())
    }
}

/// Whether nothing was ever written there: room that was made for batches to come, for example.
pub(super) fn is_blank(suspect: &Suspect<'_>) -> io::Result<bool> {
    let mut at = suspect.position;
    while at < suspect.length {
        let part = (suspect.length - at).min(CHUNK);
        if suspect.bytes(at, part)?.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += part;
    }
    Ok(true)
}

/// Whether the damage is what a death in mid-write leaves behind.
pub(super) fn is_torn(suspect: &Suspect<'_>) -> io::Result<bool> {
    match find_sound(suspect)? {
        Some(sound) => has_unwritten_sector(suspect, sound),
        None => Ok(true),
    }
}

/// Where the damage ends and sound content is known to be: the end of the damaged batch if its checksum holds all the
/// same, else the start of a sound batch behind it.
pub(super) fn find_sound(suspect: &Suspect<'_>) -> io::Result<Option<u64>> {
    if let Some(end) = sound_content(suspect)? {
        return Ok(Some(end));
    }
    let mut effort = (suspect.length - suspect.position).saturating_mul(EFFORT);
    let mut start = suspect.position + 1;
    while start + HEADER_LEN as u64 <= suspect.length {
        let length = (suspect.length - start).min(CHUNK);
        let chunk = suspect.bytes(start, length)?;
        for (skip, window) in chunk.windows(HEADER_LEN).enumerate() {
            if window.get(MAGIC_OFFSET) != Some(&MAGIC.cast_unsigned()) {
                continue;
            }
            let position = start + skip as u64;
            let Some(header) = could_follow(suspect, window, position) else { continue };
            let size = header.size_in_bytes() as u64;
            let Some(left) = effort.checked_sub(size) else { return Ok(Some(position)) };
            effort = left;
            if suspect.content_crc(position, size)? == header.crc {
                return Ok(Some(position));
            }
        }
        // The first place for which this chunk held no whole header.
        start += (length + 1).saturating_sub(HEADER_LEN as u64).max(1);
    }
    Ok(None)
}

/// A header that could be that of a later batch of the same log.
fn could_follow(suspect: &Suspect<'_>, bytes: &[u8], position: u64) -> Option<BatchHeader> {
    let header = BatchHeader::parse(bytes).ok()?;
    let whole = position + header.size_in_bytes() as u64 <= suspect.length;
    (header.base_offset > suspect.next_offset && whole).then_some(header)
}

/// The end of the damaged batch, if its checksum holds with the length it states, or up to the end of the file: only
/// what the checksum does not cover is damaged then.
fn sound_content(suspect: &Suspect<'_>) -> io::Result<Option<u64>> {
    let available = suspect.length - suspect.position;
    if available < HEADER_LEN as u64 {
        return Ok(None);
    }
    let front = suspect.bytes(suspect.position, HEADER_LEN as u64)?;
    let field =
        |at: usize| front.get(at..).and_then(|bytes| bytes.first_chunk()).copied().map_or(0, u32::from_be_bytes);
    let stated = u64::from(field(BATCH_LENGTH_OFFSET)) + LENGTH_OVERHEAD as u64;
    for length in [stated, available] {
        if (HEADER_LEN as u64..=available).contains(&length)
            && suspect.content_crc(suspect.position, length)? == field(CRC_OFFSET)
        {
            return Ok(Some(suspect.position + length));
        }
    }
    Ok(None)
}

/// Whether the sector in which `sound` lies was written, as what is in it from there on tells. The first bytes of a
/// batch are zeros and tell nothing.
fn was_written(suspect: &Suspect<'_>, sound: u64) -> io::Result<bool> {
    let sector_end = sound.next_multiple_of(SECTOR).min(suspect.length);
    Ok(suspect.bytes(sound, sector_end - sound)?.iter().any(|byte| *byte != 0))
}

/// Whether between the damage and `sound` a sector ends in zeros where there must have been something else.
fn has_unwritten_sector(suspect: &Suspect<'_>, sound: u64) -> io::Result<bool> {
    let mut from = suspect.position;
    while from < sound {
        let to = ((from / SECTOR + 1) * SECTOR).min(sound);
        if to == sound && from > suspect.position && was_written(suspect, sound)? {
            break;
        }
        let part = suspect.bytes(from, to - from)?;
        // A sound batch may end in a few zeros; a sector that was never written ends in many.
        let many = part.len() >= UNWRITTEN && part.iter().rev().take(UNWRITTEN).all(|byte| *byte == 0);
        // Of a batch that begins close to a sector's end only its offset is known.
        let should_be = suspect.next_offset.to_be_bytes();
        let offset_lost = from == suspect.position
            && part.len() < UNWRITTEN
            && part.iter().all(|byte| *byte == 0)
            && should_be.iter().take(part.len()).any(|byte| *byte != 0);
        if many || offset_lost {
            return Ok(true);
        }
        from = to;
    }
    Ok(false)
}
