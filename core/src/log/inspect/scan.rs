//! The batches of a file, one after the other, and the stretches between them that are no batches. A reader of the log
//! stops at damage; this one says where it begins and goes on where something sound follows.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;

use crate::{
    log::{
        recovery::Reader,
        tear::{Suspect, find_sound, is_blank},
        vfs::{Vfs, VfsFile},
    },
    record::{BatchError, BatchHeader, HEADER_LEN, RecordBatch},
};

/// A batch larger than this is only loaded if its checksum holds: a damaged length may name most of the file.
const LOADED_UNCHECKED_MAX: u64 = 64 << 20;

/// What stands at a place of the file.
#[derive(Debug)]
pub enum Scanned {
    /// A batch, whole, whose checksum may be wrong.
    Batch(ScannedBatch),
    /// Bytes that cannot be read as a batch.
    Damaged(DamagedBytes),
}

/// A batch of the file.
#[derive(Debug)]
pub struct ScannedBatch {
    /// Where it begins.
    pub position: u64,
    /// The batch.
    pub batch: RecordBatch,
    /// What is wrong with it, if its checksum is not that of its bytes.
    pub damage: Option<BatchError>,
}

/// Bytes that are no batch.
#[derive(Debug)]
pub struct DamagedBytes {
    /// Where they begin.
    pub position: u64,
    /// How many they are.
    pub length: u64,
    /// Why the first of them begin no batch.
    pub error: BatchError,
    /// Whether something sound follows them; else the file ends with them.
    pub resumes: bool,
    /// Whether they are zeros up to the end of the file: room for batches to come.
    pub blank: bool,
}

/// Iterator over what stands in a file of batches.
#[derive(Debug)]
pub struct BatchScan {
    reader: Reader,
    position: u64,
    /// The offset that follows what was read so far.
    next_offset: i64,
    failed: bool,
}

impl BatchScan {
    /// Scans the file at `path` from its first byte to where it ends now.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(vfs: &dyn Vfs, path: &Path) -> io::Result<Self> {
        let file = vfs.open(path)?;
        let length = file.len()?;
        Ok(Self::of_file(file, length))
    }

    /// Scans the first `length` bytes of a file.
    pub fn of_file(file: Arc<dyn VfsFile>, length: u64) -> Self {
        Self { reader: Reader::new(file, length), position: 0, next_offset: -1, failed: false }
    }

    /// How far the scan has come, in bytes.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes there are to scan.
    pub fn length(&self) -> u64 {
        self.reader.length
    }

    /// Goes on at `position`.
    pub(super) fn skip_to(&mut self, position: u64) {
        self.position = position;
    }

    fn suspect(&self, position: u64) -> Suspect<'_> {
        // The search takes only what begins behind the offset that is missing: the first one may be 0.
        Suspect { file: &*self.reader.file, position, length: self.reader.length, next_offset: self.next_offset }
    }

    fn scan(&mut self) -> io::Result<Scanned> {
        let position = self.position;
        let available = self.reader.length - position;
        let header = match BatchHeader::parse(&self.reader.bytes(position, HEADER_LEN, None)?) {
            Ok(header) => header,
            Err(error) => return self.damaged(error),
        };
        let size = header.size_in_bytes();
        if size as u64 > available {
            let available = usize::try_from(available).unwrap_or(usize::MAX);
            return self.damaged(BatchError::TooShort { needed: size, available });
        }
        if size as u64 > LOADED_UNCHECKED_MAX {
            let computed = self.suspect(position).content_crc(position, size as u64)?;
            if computed != header.crc {
                return self.damaged(BatchError::CrcMismatch { stated: header.crc, computed });
            }
        }
        let batch = match RecordBatch::parse(self.reader.bytes(position, size, None)?) {
            Ok(batch) => batch,
            Err(error) => return self.damaged(error),
        };
        let damage = batch.verify_crc().err();
        if let Some(error) = damage {
            // The length is not covered by the checksum. It is believed if it leads to where a batch begins.
            if !self.begins_batch(position + size as u64, &header)? {
                return self.damaged(error);
            }
            self.position = position + size as u64;
            self.next_offset = self.next_offset.max(header.next_offset());
            return Ok(Scanned::Batch(ScannedBatch { position, batch, damage: Some(error) }));
        }
        self.position = position + size as u64;
        self.next_offset = self.next_offset.max(header.next_offset());
        Ok(Scanned::Batch(ScannedBatch { position, batch, damage: None }))
    }

    /// Whether the file ends at `position`, or the batch after `before` begins there.
    fn begins_batch(&mut self, position: u64, before: &BatchHeader) -> io::Result<bool> {
        if position == self.reader.length {
            return Ok(true);
        }
        let bytes: Bytes = self.reader.bytes(position, HEADER_LEN, None)?;
        Ok(BatchHeader::parse(&bytes).is_ok_and(|header| header.base_offset > before.base_offset))
    }

    fn damaged(&mut self, error: BatchError) -> io::Result<Scanned> {
        let position = self.position;
        let sound = find_sound(&self.suspect(position))?.filter(|sound| *sound > position);
        let end = sound.unwrap_or(self.reader.length);
        self.position = end;
        let (length, resumes) = (end - position, end < self.reader.length);
        let blank = !resumes && is_blank(&self.suspect(position))?;
        Ok(Scanned::Damaged(DamagedBytes { position, length, error, resumes, blank }))
    }
}

impl Iterator for BatchScan {
    type Item = io::Result<Scanned>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.position >= self.reader.length {
            return None;
        }
        let scanned = self.scan();
        self.failed = scanned.is_err();
        Some(scanned)
    }
}

impl std::iter::FusedIterator for BatchScan {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::SimulatedVfs,
        record::{BatchBuilder, BatchOptions, CRC_OFFSET, MAGIC_OFFSET},
    };

    fn batch(base_offset: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
        builder.append(0, None, Some(b"value"), []).unwrap();
        builder.append(0, None, Some(b"value"), []).unwrap();
        builder.build().unwrap().to_vec()
    }

    #[test]
    fn room_is_told_from_damage() {
        let (vfs, path) = (SimulatedVfs::in_memory(), Path::new("/x.log"));
        for (behind, expected) in [(vec![0; 700], true), ([vec![0; 700], vec![1]].concat(), false)] {
            vfs.create(path).unwrap().write_at(0, &[batch(2), behind].concat()).unwrap();
            let last = BatchScan::open(&vfs, path).unwrap().last().unwrap().unwrap();
            assert!(matches!(last, Scanned::Damaged(found) if found.blank == expected && !found.resumes));
        }
    }

    /// What a scan finds: base offsets, negative where the checksum is wrong, and lengths of damaged stretches.
    fn scan(bytes: &[u8]) -> (Vec<i64>, Vec<(u64, u64, bool)>) {
        let (vfs, path) = (SimulatedVfs::in_memory(), Path::new("/x.log"));
        vfs.create(path).unwrap().write_at(0, bytes).unwrap();
        let (mut offsets, mut damaged) = (Vec::new(), Vec::new());
        for scanned in BatchScan::open(&vfs, path).unwrap() {
            match scanned.unwrap() {
                Scanned::Batch(found) => {
                    let sign = if found.damage.is_some() { -1 } else { 1 };
                    offsets.push(sign * found.batch.header().base_offset);
                }
                Scanned::Damaged(found) => damaged.push((found.position, found.length, found.resumes)),
            }
        }
        (offsets, damaged)
    }

    #[test]
    fn a_scan_goes_on_behind_damage() {
        let size = batch(2).len() as u64;
        let sound = [batch(2), batch(4), batch(6)].concat();
        assert_eq!(scan(&sound), (vec![2, 4, 6], vec![]));
        let changed = |at: u64| {
            let mut bytes = sound.clone();
            bytes[usize::try_from(at).unwrap()] ^= 0x40;
            bytes
        };
        assert_eq!(scan(&changed(size + CRC_OFFSET as u64)), (vec![2, -4, 6], vec![]));
        assert_eq!(scan(&changed(size + MAGIC_OFFSET as u64)), (vec![2, 6], vec![(size, size, true)]));
        // The length: far too long.
        assert_eq!(scan(&changed(size + 8)), (vec![2, 6], vec![(size, size, true)]));
        let torn = &sound[..sound.len() - 3];
        assert_eq!(scan(torn), (vec![2, 4], vec![(2 * size, size - 3, false)]));
        let zeros = [sound.as_slice(), &[0; 700]].concat();
        assert_eq!(scan(&zeros), (vec![2, 4, 6], vec![(3 * size, 700, false)]));
        assert_eq!(scan(&[]), (vec![], vec![]));
    }
}
