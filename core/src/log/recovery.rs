//! What a log finds in its folder when it is opened.
//!
//! Segments that end at or before the recovery point were synced: their indexes are trusted. All later ones are walked
//! batch by batch, checksums included, and their indexes, the producers and the epochs built anew. What a checksum does
//! not cover is held against the batch before: offsets follow each other, epochs never fall. Where the walk
//! stops before the end of the file, two things can have happened:
//!
//! - **A torn tail.** The machine or process died in mid-write: nothing sound follows, or the damaged bytes contain a
//!   sector that was never written (zeros up to a 512-byte boundary), as a power cut leaves behind when later sectors
//!   reached the disk first. The file is cut there. Nothing that was synced is touched.
//! - **Corruption.** A sound batch follows, or this one is sound but for what its checksum does not cover, and every
//!   sector was written: bits have changed. Nothing is cut, and
//!   the log refuses to open, naming file and position (invariant L9).
//!
//! Recovering what was recovered changes nothing (L7).

use std::{io, path::Path};

use bytes::Bytes;

use super::{
    OpenError,
    epochs::LeaderEpochs,
    marker::EndMarker,
    producers::Producers,
    segment::{Segment, SegmentError, file_name},
    tear,
    txn_index::TransactionIndex,
    vfs::{self, Vfs},
};
use crate::record::{BatchHeader, HEADER_LEN, RecordBatch};

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
    /// The offset before which the producers are known, from a snapshot.
    pub(super) snapshot_at: i64,
    pub(super) epochs: &'l mut LeaderEpochs,
    pub(super) report: &'l mut Recovery,
    /// The epoch of the batch before, -1 before the first.
    pub(super) epoch: i32,
    /// Whether offsets may be missing, as compaction leaves them.
    pub(super) gaps_allowed: bool,
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
    // What was aborted before the snapshot can be told only from the batches, and is when it is asked for.
    let all_seen = segment.base_offset >= learned.snapshot_at;
    segment.aborted = if all_seen { TransactionIndex::Known(Vec::new()) } else { TransactionIndex::Unknown };
    let mut position = 0;
    while position < length {
        match read_batch(vfs, segment, position, length, learned).map_err(io_error("read", &path))? {
            Ok(batch) => {
                let header = *batch.header();
                learned.epoch = header.partition_leader_epoch;
                if header.base_offset >= learned.snapshot_at {
                    let marker = EndMarker::of(&batch).unwrap_or_default();
                    if let Some(aborted) = learned.producers.apply(&header, marker) {
                        segment.aborted.push(aborted);
                    }
                }
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
    learned: &Learned<'_>,
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
    let gap = parsed.base_offset > segment.next_offset;
    if parsed.base_offset < segment.next_offset || (gap && !learned.gaps_allowed) {
        return Ok(Err(format!("offset {} does not follow {}", parsed.base_offset, segment.next_offset - 1)));
    }
    if parsed.partition_leader_epoch < learned.epoch {
        let (found, before) = (parsed.partition_leader_epoch, learned.epoch);
        return Ok(Err(format!("leader epoch {found} comes after {before}")));
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
    let suspect = tear::Suspect { file: &*file, position, length, next_offset: segment.next_offset };
    match tear::find_sound(&suspect)? {
        Some(sound) => tear::has_unwritten_sector(&suspect, sound),
        None => Ok(true),
    }
}

/// Visits the batches of a segment that need not be checked: their headers, and the markers among them.
pub(super) fn each_batch(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    mut visit: impl FnMut(&BatchHeader, Option<EndMarker>),
) -> Result<(), SegmentError> {
    let mut walk = segment.walk(vfs, 0)?;
    while let Some(placed) = walk.next_batch()? {
        visit(&placed.header, walk.marker(&placed)?);
    }
    Ok(())
}

/// Finds the end of the segment that grew last, after it was closed: from its last index entry on, by headers alone.
/// False if its indexes cannot be relied on.
pub(super) fn trust_segment(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    index_interval: u64,
    offset: i64,
    producers: &mut Producers,
) -> Result<bool, SegmentError> {
    if segment.size == 0 || !segment.load_index(vfs)? {
        return Ok(false);
    }
    let mut walk = segment.walk_from_last_entry(vfs)?;
    let mut noted = walk.starts_at_entry();
    let mut end = segment.base_offset;
    while let Some(placed) = walk.next_batch()? {
        if end == segment.base_offset && placed.header.base_offset > offset {
            // The snapshot at the end is gone: batches before this one have to be seen as well.
            return Ok(false);
        }
        // The batch with the last entry was noted when that was written.
        if std::mem::take(&mut noted) {
            segment.resume_behind(&placed.header);
        } else {
            segment.note(&placed.header, placed.position, index_interval);
        }
        if placed.header.base_offset >= offset {
            producers.apply(&placed.header, walk.marker(&placed)?);
        }
        end = placed.header.next_offset();
    }
    segment.next_offset = end;
    Ok(true)
}

/// The offsets of the producer snapshots in a folder, in order.
pub(super) fn snapshots_in(vfs: &dyn Vfs, folder: &Path) -> io::Result<Vec<i64>> {
    let names = vfs.list(folder)?;
    let offset = |name: &String| {
        let offset = name.strip_suffix(".snapshot")?.parse().ok()?;
        (*name == file_name(offset, "snapshot")).then_some(offset)
    };
    Ok(names.iter().filter_map(offset).collect())
}

/// Removes the snapshots behind `offset`: what they stand for may not have survived, and other batches may come to stand
/// at those offsets.
pub(super) fn drop_snapshots_after(vfs: &dyn Vfs, folder: &Path, offset: i64) -> Result<(), OpenError> {
    let offsets = snapshots_in(vfs, folder).map_err(io_error("list", folder))?;
    let mut dropped = false;
    for at in offsets.into_iter().filter(|at| *at > offset) {
        let path = folder.join(file_name(at, "snapshot"));
        vfs.remove(&path).map_err(io_error("remove", &path))?;
        dropped = true;
    }
    if dropped { vfs.sync_dir(folder).map_err(io_error("sync", folder)) } else { Ok(()) }
}

/// The newest sound producer snapshot at or below `offset`, and its offset.
pub(super) fn newest_snapshot(vfs: &dyn Vfs, folder: &Path, offset: i64) -> Result<(i64, Producers), OpenError> {
    let offsets = snapshots_in(vfs, folder).map_err(io_error("list", folder))?;
    for at in offsets.into_iter().rev().filter(|at| *at <= offset) {
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
