//! What a log finds in its folder when it is opened.
//!
//! Segments that end at or before the recovery point were synced: their indexes are trusted. All later ones are walked
//! batch by batch, checksums included, and their indexes, the producers and the epochs built anew. Where the walk
//! stops before the end of the file, two things can have happened:
//!
//! - **A torn tail.** The machine or process died in mid-write: nothing sound follows, or the damaged bytes contain a
//!   sector that was never written (zeros up to a 512-byte boundary), as a power cut leaves behind when later sectors
//!   reached the disk first. The file is cut there. Nothing that was synced is touched.
//! - **Corruption.** A sound batch follows, and every sector was written: bits have changed. Nothing is cut, and
//!   the log refuses to open, naming file and position (invariant L9).
//!
//! Recovering what was recovered changes nothing (L7).

use std::{io, path::Path};

use bytes::Bytes;

use super::{
    OpenError,
    epochs::LeaderEpochs,
    producers::Producers,
    segment::{Segment, file_name},
    vfs::{self, Vfs},
};
use crate::record::{BatchHeader, HEADER_LEN, RecordBatch};

const SECTOR: u64 = 512;
/// How many zeros at a sector's end say that it was never written.
const UNWRITTEN: usize = 16;
const MAGIC_AT: usize = crate::record::MAGIC_OFFSET;

/// What was found and done when a log was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes whose batches were read and checked.
    pub bytes_checked: u64,
    /// Torn bytes that were cut off the end.
    pub bytes_cut: u64,
}

/// Takes in every batch that a walk passes.
pub(super) struct Learned<'l> {
    pub(super) producers: &'l mut Producers,
    pub(super) epochs: &'l mut LeaderEpochs,
    pub(super) report: &'l mut Recovery,
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let file = path.display().to_string();
    move |source| OpenError::Io { action, file, source }
}

/// The base offsets of the segments in a folder, in order; leftovers of interrupted work are removed.
pub(super) fn segments_in(vfs: &dyn Vfs, folder: &Path) -> Result<Vec<i64>, OpenError> {
    let mut bases = Vec::new();
    for name in vfs.list(folder).map_err(io_error("list", folder))? {
        let path = folder.join(&name);
        if name.ends_with(".deleted") || name.ends_with(".tmp") || name.ends_with(".cleaned") {
            vfs.remove(&path).map_err(io_error("remove", &path))?;
        } else if let Some(base) = name.strip_suffix(".log").and_then(|base| base.parse::<i64>().ok())
            && name == file_name(base, "log")
        {
            bases.push(base);
        }
    }
    Ok(bases)
}

/// Walks a segment's whole file: builds its index, teaches producers and epochs, cuts a torn tail off. `synced` is the
/// offset up to which nothing may be missing.
pub(super) fn recover_segment(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    index_interval: u64,
    synced: i64,
    learned: &mut Learned<'_>,
) -> Result<(), OpenError> {
    let path = segment.path("log");
    let length = segment.size;
    segment.reset();
    let mut position = 0;
    while position < length {
        match read_batch(vfs, segment, position, length).map_err(io_error("read", &path))? {
            Ok(batch) => {
                let header = *batch.header();
                learned.producers.update(&header);
                learned.epochs.assign(header.partition_leader_epoch, header.base_offset);
                segment.note(&header, position, index_interval);
                position = segment.size;
            }
            Err(reason) => {
                let corrupt = |reason| OpenError::Corrupt { file: path.display().to_string(), position, reason };
                if segment.next_offset < synced {
                    return Err(corrupt(format!("{reason}, in what had been synced up to offset {synced}")));
                }
                if !is_torn(vfs, segment, position, length).map_err(io_error("read", &path))? {
                    return Err(corrupt(reason));
                }
                learned.report.bytes_cut += length - position;
                segment.cut(vfs).map_err(io_error("truncate", &path))?;
                // Else what was cut could come back under what is written in its place, and be taken for corruption.
                segment.file(vfs).and_then(|file| file.sync_data()).map_err(io_error("sync", &path))?;
                break;
            }
        }
    }
    if segment.next_offset < synced {
        let reason = format!("it ends at offset {}, but was synced up to {synced}", segment.next_offset);
        return Err(OpenError::Corrupt { file: path.display().to_string(), position: segment.size, reason });
    }
    // What was read may be in the page cache only.
    segment.dirty = true;
    learned.report.bytes_checked += segment.size;
    Ok(())
}

/// Reads the batch at `position` and checks it in full: header, checksum, and that its offsets go on.
fn read_batch(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    position: u64,
    length: u64,
) -> io::Result<Result<RecordBatch, String>> {
    let file = segment.file(vfs)?;
    let mut header = [0; HEADER_LEN];
    let read = file.read_at(position, &mut header)?;
    let parsed = match BatchHeader::parse(header.get(..read).unwrap_or_default()) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if position + parsed.size_in_bytes() as u64 > length {
        return Ok(Err(format!("a batch of {} bytes reaches beyond the end of the file", parsed.size_in_bytes())));
    }
    if parsed.base_offset < segment.next_offset {
        return Ok(Err(format!("offset {} does not follow {}", parsed.base_offset, segment.next_offset - 1)));
    }
    let mut bytes = vec![0; parsed.size_in_bytes()];
    let read = file.read_at(position, &mut bytes)?;
    bytes.truncate(read);
    Ok(RecordBatch::parse(Bytes::from(bytes))
        .and_then(|batch| batch.verify_crc().map(|()| batch))
        .map_err(|error| error.to_string()))
}

/// Whether the damage at `position` is what a death in mid-write leaves behind.
fn is_torn(vfs: &dyn Vfs, segment: &mut Segment, position: u64, length: u64) -> io::Result<bool> {
    let file = segment.file(vfs)?;
    let wanted = usize::try_from(length - position).map_err(|_| io::Error::other("the tail does not fit in memory"))?;
    let mut tail = vec![0; wanted];
    let read = file.read_at(position, &mut tail)?;
    tail.truncate(read);
    let Some(sound) = sound_batch_in(&tail, segment.next_offset) else { return Ok(true) };
    Ok(has_unwritten_sector(tail.get(..sound).unwrap_or_default(), position, segment.next_offset))
}

/// Where in `tail`, after its first byte, a whole sound batch begins that could follow `next_offset`.
fn sound_batch_in(tail: &[u8], next_offset: i64) -> Option<usize> {
    (1..tail.len().saturating_sub(HEADER_LEN - 1)).find(|&from| {
        let Some(rest) = tail.get(from..) else { return false };
        if rest.get(MAGIC_AT) != Some(&2) {
            return false;
        }
        let Ok(header) = BatchHeader::parse(rest) else { return false };
        let Some(whole) = rest.get(..header.size_in_bytes()) else { return false };
        header.base_offset >= next_offset
            && RecordBatch::parse(Bytes::copy_from_slice(whole)).is_ok_and(|batch| batch.verify_crc().is_ok())
    })
}

/// Whether `damaged`, which begins at `position` of the file with what should be a batch at `next_offset`, holds zeros up
/// to the end of one of its sectors, where there must have been something else.
fn has_unwritten_sector(damaged: &[u8], position: u64, next_offset: i64) -> bool {
    let mut from = 0;
    while from < damaged.len() {
        let left_in_sector = SECTOR - (position + from as u64) % SECTOR;
        let to = (from + usize::try_from(left_in_sector).unwrap_or(damaged.len())).min(damaged.len());
        let part = damaged.get(from..to).unwrap_or_default();
        // A sound batch may end in a few zeros; a sector that was never written ends in many.
        let many = part.len() >= UNWRITTEN && part.iter().rev().take(UNWRITTEN).all(|byte| *byte == 0);
        // Of a batch that begins close to a sector's end only its offset is known.
        let should_be_offset = next_offset.to_be_bytes();
        let offset_lost = from == 0
            && part.len() < UNWRITTEN
            && part.iter().all(|byte| *byte == 0)
            && should_be_offset.iter().take(part.len()).any(|byte| *byte != 0);
        if many || offset_lost {
            return true;
        }
        from = to;
    }
    false
}

/// Learns from a segment that need not be checked: its headers alone.
pub(super) fn learn_from(vfs: &dyn Vfs, segment: &mut Segment, producers: &mut Producers) -> io::Result<()> {
    let mut walk = segment.walk(vfs, 0)?;
    while let Some(placed) = walk.next_batch()? {
        producers.update(&placed.header);
    }
    Ok(())
}

/// The newest sound producer snapshot at or below `offset`, and its offset.
pub(super) fn newest_snapshot(vfs: &dyn Vfs, folder: &Path, offset: i64) -> Result<(i64, Producers), OpenError> {
    let names = vfs.list(folder).map_err(io_error("list", folder))?;
    let mut offsets: Vec<i64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".snapshot")?.parse().ok())
        .filter(|at| *at <= offset)
        .collect();
    offsets.sort_unstable();
    for at in offsets.into_iter().rev() {
        let path = folder.join(file_name(at, "snapshot"));
        let bytes = vfs::read(vfs, &path).map_err(io_error("read", &path))?;
        if let Some(producers) = Producers::decode(&bytes) {
            return Ok((at, producers));
        }
        // It is derived, so a damaged one is worth nothing and costs nothing.
        vfs.remove(&path).map_err(io_error("remove", &path))?;
    }
    Ok((0, Producers::default()))
}
