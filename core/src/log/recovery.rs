//! What a log finds in its folder when it is opened.
//!
//! Segments that end at or before the recovery point were synced: their indexes are trusted. All later ones are walked
//! batch by batch, checksums included, and their indexes, the producers and the epochs built anew. What a checksum does
//! not cover is held against the batch before: offsets follow each other, epochs never fall. Where the walk
//! stops before the end of the file, one of three things has happened:
//!
//! - **Room.** There are zeros to the end, where room had been made for batches to come ([`super::room`]), or their bytes
//!   never reached the disk. The file is cut there.
//! - **A torn tail.** The machine or process died in mid-write: nothing sound follows, or the damaged bytes contain a
//!   sector that was never written (zeros up to a 512-byte boundary), as a power cut leaves behind when later sectors
//!   reached the disk first. The file is cut there. Nothing that was synced is touched.
//! - **Corruption.** A sound batch follows, or this one is sound but for what its checksum does not cover, and every
//!   sector was written: bits have changed. Nothing is cut, and
//!   the log refuses to open, naming file and position (invariant L9).
//!
//! Recovering what was recovered changes nothing (L7).

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    OpenError, OpenProgress,
    epochs::LeaderEpochs,
    marker::EndMarker,
    producers::Producers,
    segment::{Segment, SegmentError, file_name},
    tear,
    txn_index::TransactionIndex,
    vfs::{self, Vfs, VfsFile},
};
use crate::record::{BatchHeader, HEADER_LEN, RecordBatch};

/// How much is read at once; a larger batch is read alone.
const CHUNK: usize = 1 << 20;

/// What was found and done when a log was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes whose batches were read and checked.
    pub bytes_checked: u64,
    /// Torn bytes that were cut off the end. Zeros without anything behind them are not counted.
    pub bytes_cut: u64,
}

/// Takes in every batch that a walk passes.
pub(super) struct Learned<'l> {
    pub(super) producers: &'l mut Producers,
    /// The offset before which the producers are known, from a snapshot.
    pub(super) snapshot_at: i64,
    pub(super) epochs: &'l mut LeaderEpochs,
    pub(super) report: &'l mut Recovery,
    pub(super) progress: Option<&'l OpenProgress>,
    /// The epoch of the batch before, -1 before the first.
    pub(super) epoch: i32,
    /// Whether offsets may be missing, as compaction leaves them.
    pub(super) gaps_allowed: bool,
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let file = path.display().to_string();
    move |source| OpenError::Io { action, file, source }
}

/// What of a segment is not known to be sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unchecked {
    /// Where it begins; what is before has been taken in already.
    pub(super) from: u64,
    /// Bytes of the file.
    pub(super) length: u64,
    /// The offset up to which nothing may be missing.
    pub(super) synced: i64,
}

/// What of a segment is known to be sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    /// Where it ends.
    pub(super) position: u64,
    /// The offset that it ends before, if that is known.
    pub(super) ends: Option<i64>,
    pub(super) interval: u64,
    /// Up to where the producers are known.
    pub(super) snapshot_at: i64,
}

/// The base offsets of the segments among the names of a folder, in order.
pub(super) fn segment_bases(names: &[String]) -> Vec<i64> {
    offsets_of(names, "log")
}

/// The offsets of the producer snapshots among the names of a folder, in order.
pub(super) fn snapshot_offsets(names: &[String]) -> Vec<i64> {
    offsets_of(names, "snapshot")
}

fn offsets_of(names: &[String], suffix: &str) -> Vec<i64> {
    let offset = |name: &String| {
        let offset = name.strip_suffix(suffix)?.strip_suffix('.')?.parse().ok()?;
        (*name == file_name(offset, suffix)).then_some(offset)
    };
    names.iter().filter_map(offset).collect()
}

/// Removes what interrupted work has left.
pub(super) fn remove_leftovers(vfs: &dyn Vfs, folder: &Path, names: &[String]) -> Result<(), OpenError> {
    for name in names {
        if name.ends_with(".deleted") || name.ends_with(".tmp") || name.ends_with(".cleaned") {
            let path = folder.join(name);
            vfs.remove(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

/// Walks what of a segment's file is not known to be sound: builds its index, teaches producers and epochs, cuts a torn
/// tail off.
pub(super) fn recover_segment(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    unchecked: &Unchecked,
    index_interval: u64,
    learned: &mut Learned<'_>,
) -> Result<(), OpenError> {
    let path = segment.path("log");
    let Unchecked { from, length, synced } = *unchecked;
    if from == 0 {
        segment.reset();
    }
    // What was aborted before a snapshot within the segment is in the file.
    if from == 0 && segment.base_offset >= learned.snapshot_at {
        segment.aborted = TransactionIndex::none();
    } else if from == 0 {
        segment.aborted = TransactionIndex::on_disk_before(learned.snapshot_at);
    }
    let mut position = from;
    let file = segment.file(vfs).map_err(io_error("open", &path))?;
    let mut reader = Reader::new(file, length);
    while position < length {
        // What was rebuilt so far is in memory, and as good as lost in a crash: the next opening walks again.
        if learned.progress.is_some_and(OpenProgress::is_stopped) {
            return Err(OpenError::Stopped);
        }
        match read_batch(&mut reader, segment, position, learned).map_err(io_error("read", &path))? {
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
                match end_of(vfs, segment, position, length).map_err(io_error("read", &path))? {
                    End::Blank => {}
                    End::Torn => learned.report.bytes_cut += length - position,
                    End::Damaged => return Err(corrupt(reason)),
                }
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
    learned.report.bytes_checked += segment.size.saturating_sub(from);
    Ok(())
}

/// Reads a file from front to back in large pieces.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) file: Arc<dyn VfsFile>,
    pub(super) length: u64,
    chunk: Bytes,
    chunk_at: u64,
}

impl Reader {
    pub(super) fn new(file: Arc<dyn VfsFile>, length: u64) -> Self {
        Self { file, length, chunk: Bytes::new(), chunk_at: 0 }
    }

    /// The `length` bytes at `position`, fewer at the end of the file.
    pub(super) fn bytes(&mut self, position: u64, length: usize, progress: Option<&OpenProgress>) -> io::Result<Bytes> {
        let held = position.checked_sub(self.chunk_at).and_then(|from| usize::try_from(from).ok());
        if let Some(from) = held.filter(|from| from + length <= self.chunk.len()) {
            return Ok(self.chunk.slice(from..from + length));
        }
        let left = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(CHUNK.max(length))];
        let read = self.file.read_at(position, &mut bytes)?;
        bytes.truncate(read);
        if let Some(progress) = progress {
            let read_before = (self.chunk_at + self.chunk.len() as u64).max(position);
            progress.checked((position + read as u64).saturating_sub(read_before));
        }
        (self.chunk, self.chunk_at) = (bytes.into(), position);
        Ok(self.chunk.slice(..length.min(read)))
    }
}

/// Reads the batch at `position` and checks it in full: header, checksum, and that its offsets go on.
fn read_batch(
    reader: &mut Reader,
    segment: &Segment,
    position: u64,
    learned: &Learned<'_>,
) -> io::Result<Result<RecordBatch, String>> {
    let parsed = match BatchHeader::parse(&reader.bytes(position, HEADER_LEN, learned.progress)?) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if position + parsed.size_in_bytes() as u64 > reader.length {
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
    let bytes = reader.bytes(position, parsed.size_in_bytes(), learned.progress)?;
    Ok(RecordBatch::parse(bytes)
        .and_then(|batch| batch.verify_crc().map(|()| batch))
        .map_err(|error| error.to_string()))
}

/// What there is of a file behind its last sound batch.
enum End {
    /// Nothing but zeros, which hold no record.
    Blank,
    /// What a death in mid-write leaves behind.
    Torn,
    Damaged,
}

fn end_of(vfs: &dyn Vfs, segment: &mut Segment, position: u64, length: u64) -> io::Result<End> {
    let file = segment.file(vfs)?;
    let suspect = tear::Suspect { file: &*file, position, length, next_offset: segment.next_offset };
    if tear::is_blank(&suspect)? {
        return Ok(End::Blank);
    }
    Ok(if tear::is_torn(&suspect)? { End::Torn } else { End::Damaged })
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

/// Takes in the sound part of the segment that grew last: its end is found from the last index entry on, by headers
/// alone. False if its indexes cannot be relied on, or do not lead to where it ends.
pub(super) fn trust_segment(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    sound: &Sound,
    producers: &mut Producers,
) -> Result<bool, SegmentError> {
    if sound.position == 0 || !segment.load_index_up_to(vfs, sound.position)? {
        return Ok(false);
    }
    segment.size = sound.position;
    match take_in(vfs, segment, sound, producers) {
        Ok(end) => {
            segment.next_offset = end;
            Ok(sound.ends.is_none_or(|ends| ends == end))
        }
        // A walk of the whole says better what is wrong with a batch; and it may be none, but room that a power cut has
        // brought back.
        Err(SegmentError::IndexIsWrong | SegmentError::Damaged { .. }) => Ok(false),
        Err(error @ SegmentError::Io(_)) => Err(error),
    }
}

fn take_in(
    vfs: &dyn Vfs,
    segment: &mut Segment,
    sound: &Sound,
    producers: &mut Producers,
) -> Result<i64, SegmentError> {
    segment.aborted = TransactionIndex::on_disk_before(sound.snapshot_at);
    if let Some(first) = segment.walk(vfs, 0)?.next_batch()? {
        segment.first_timestamp = first.header.max_timestamp;
    }
    let snapshot_at = sound.snapshot_at;
    // The snapshot may be older than the last index entry.
    if let Some(indexed) = segment.last_indexed_offset().filter(|indexed| snapshot_at <= *indexed) {
        let mut walk = segment.walk_from_offset(vfs, snapshot_at)?;
        while let Some(placed) = walk.next_batch()?.filter(|placed| placed.header.last_offset() < indexed) {
            if placed.header.base_offset >= snapshot_at
                && let Some(aborted) = producers.apply(&placed.header, walk.marker(&placed)?)
            {
                segment.aborted.push(aborted);
            }
        }
    }
    let mut walk = segment.walk_from_last_entry(vfs)?;
    let mut noted = walk.starts_at_entry();
    let mut end = segment.base_offset;
    while let Some(placed) = walk.next_batch()? {
        // The batch with the last entry was noted when that was written.
        if std::mem::take(&mut noted) {
            segment.resume_behind(&placed.header);
        } else {
            segment.note(&placed.header, placed.position, sound.interval);
        }
        if placed.header.base_offset >= snapshot_at
            && let Some(aborted) = producers.apply(&placed.header, walk.marker(&placed)?)
        {
            segment.aborted.push(aborted);
        }
        end = placed.header.next_offset();
    }
    Ok(end)
}

/// The offsets of the producer snapshots in a folder, in order.
pub(super) fn snapshots_in(vfs: &dyn Vfs, folder: &Path) -> io::Result<Vec<i64>> {
    Ok(snapshot_offsets(&vfs.list(folder)?))
}

/// Removes the snapshots behind `offset`: what they stand for may not have survived, and other batches may come to stand
/// at those offsets.
pub(super) fn drop_snapshots_after(
    vfs: &dyn Vfs,
    folder: &Path,
    snapshots: &mut Vec<i64>,
    offset: i64,
) -> Result<(), OpenError> {
    let kept = snapshots.partition_point(|at| *at <= offset);
    let dropped = snapshots.split_off(kept);
    for at in &dropped {
        let path = folder.join(file_name(*at, "snapshot"));
        vfs.remove(&path).map_err(io_error("remove", &path))?;
    }
    if dropped.is_empty() { Ok(()) } else { vfs.sync_dir(folder).map_err(io_error("sync", folder)) }
}

/// The newest sound producer snapshot at or below `offset`, and its offset.
pub(super) fn newest_snapshot(
    vfs: &dyn Vfs,
    folder: &Path,
    snapshots: &[i64],
    offset: i64,
) -> Result<(i64, Producers), OpenError> {
    for at in snapshots.iter().copied().rev().filter(|at| *at <= offset) {
        let path = folder.join(file_name(at, "snapshot"));
        let bytes = vfs::read(vfs, &path).map_err(io_error("read", &path))?;
        if let Some(producers) = Producers::decode(&bytes) {
            return Ok((at, producers));
        }
        // It is derived, so a damaged one is worth nothing and costs nothing.
        vfs.remove(&path).map_err(io_error("remove", &path))?;
    }
    Ok((0, Producers::bounded(usize::MAX)))
}
