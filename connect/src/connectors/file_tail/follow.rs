//! One file being followed: from bytes to complete lines with positions. Blocking; knows nothing of other files.
//!
//! ```text
//! 0 ………… position …………… position + ahead ………… length
//! lines sent   │ unfinished line    │ not read yet
//!              └ pending (its first max_line_bytes)
//! ```

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::fingerprint::{FileId, Fingerprint, HEAD_MAX};
use crate::record::{SourceOffset, SourcePartition};

/// A complete line.
#[derive(Debug)]
pub(super) struct Line {
    /// The file's name as first seen.
    pub(super) file: Arc<str>,
    /// The line without its end.
    pub(super) bytes: Vec<u8>,
    /// True if the line was longer.
    pub(super) cut: bool,
    /// The file.
    pub(super) partition: SourcePartition,
    /// The position behind the line.
    pub(super) offset: SourceOffset,
}

/// What came of a look at the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing new.
    AtEnd,
    /// Something was read, and there may be more.
    Read,
    /// The file was truncated; it is read from its beginning at the next look.
    Restarted,
}

/// A file and how far it was read.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) id: FileId,
    pub(super) name: Arc<str>,
    pub(super) partition: SourcePartition,
    file: File,
    /// The file's first bytes, of those before `position`.
    head: Vec<u8>,
    fingerprint: Fingerprint,
    /// Behind the last line sent.
    position: u64,
    /// Of the unfinished line, at most `max_line_bytes`.
    pending: Vec<u8>,
    /// How many bytes of the unfinished line were read, including those not in `pending`.
    ahead: u64,
    max_line_bytes: usize,
}

impl Follow {
    /// Opens a file to read it from its beginning.
    pub(super) fn open(path: &Path, max_line_bytes: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let id = FileId::of(path, &file.metadata()?);
        let name: Arc<str> = path.to_string_lossy().into();
        let partition = partition(&name, id);
        let (head, pending, fingerprint) = (Vec::new(), Vec::new(), Fingerprint::of(&[]));
        Ok(Self { id, name, partition, file, head, fingerprint, position: 0, pending, ahead: 0, max_line_bytes })
    }

    /// Goes to a stored offset; false, and still at the beginning, if that offset is of another file.
    pub(super) fn resume(&mut self, partition: &SourcePartition, offset: &SourceOffset) -> io::Result<bool> {
        let Some((position, fingerprint)) = read_offset(offset) else { return Ok(false) };
        let head = self.read_head(fingerprint.bytes)?;
        if Fingerprint::of(&head) != fingerprint || self.file.metadata()?.len() < position {
            return Ok(false);
        }
        if let Some(name) = partition.get("filename").and_then(|name| name.as_str()) {
            self.name = name.into();
        }
        self.partition = partition.clone();
        self.position = position;
        self.head = head;
        self.fingerprint = fingerprint;
        Ok(true)
    }

    /// Goes behind the last complete line.
    pub(super) fn skip_to_end(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let mut tail = Vec::new();
        let start = length.saturating_sub(self.max_line_bytes as u64);
        self.file.seek(SeekFrom::Start(start))?;
        self.file.by_ref().take(length - start).read_to_end(&mut tail)?;
        let complete = tail.iter().rposition(|byte| *byte == b'\n').map(|index| start + index as u64 + 1);
        self.position = complete.unwrap_or(start);
        self.head = self.read_head(usize::try_from(self.position).unwrap_or(HEAD_MAX).min(HEAD_MAX))?;
        self.fingerprint = Fingerprint::of(&self.head);
        Ok(())
    }

    /// Reads up to `budget` bytes; complete lines go to `lines`.
    pub(super) fn read(&mut self, budget: usize, lines: &mut Vec<Line>) -> io::Result<Progress> {
        let length = self.file.metadata()?.len();
        let from = self.position + self.ahead;
        if length < from {
            return Ok(self.restart());
        }
        if length == from {
            return Ok(Progress::AtEnd);
        }
        let mut bytes = Vec::with_capacity(budget.min(usize::try_from(length - from).unwrap_or(budget)));
        self.file.seek(SeekFrom::Start(from))?;
        self.file.by_ref().take(budget as u64).read_to_end(&mut bytes)?;
        // Looked at after reading: if the file still begins as it did, the bytes read belong to it.
        if self.read_head(self.head.len())? != self.head {
            return Ok(self.restart());
        }
        self.split(&bytes, lines);
        Ok(Progress::Read)
    }

    /// The unfinished line, as a line: for a file that nobody writes to any more.
    pub(super) fn finish(&mut self, lines: &mut Vec<Line>) {
        if self.ahead > 0 {
            self.end_line(lines);
        }
    }

    fn restart(&mut self) -> Progress {
        tracing::warn!(file = %self.name, position = self.position, "truncated; reading it from its beginning");
        self.position = 0;
        self.ahead = 0;
        self.pending.clear();
        self.head.clear();
        self.fingerprint = Fingerprint::of(&[]);
        Progress::Restarted
    }

    fn split(&mut self, bytes: &[u8], lines: &mut Vec<Line>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.ahead += piece.len() as u64;
            let room = self.max_line_bytes.saturating_add(1).saturating_sub(self.pending.len());
            self.pending.extend_from_slice(piece.get(..piece.len().min(room)).unwrap_or_default());
            if piece.ends_with(b"\n") {
                self.end_line(lines);
            }
        }
    }

    /// Sends what is pending, which ends at `position + ahead`.
    fn end_line(&mut self, lines: &mut Vec<Line>) {
        let room = HEAD_MAX - self.head.len();
        if room > 0 {
            self.head.extend(self.pending.iter().take(room));
            self.fingerprint = Fingerprint::of(&self.head);
        }
        let whole = self.pending.len() as u64 == self.ahead;
        let mut bytes = std::mem::take(&mut self.pending);
        self.position += self.ahead;
        self.ahead = 0;
        if whole && bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        let cut = bytes.len() > self.max_line_bytes || !whole;
        bytes.truncate(self.max_line_bytes);
        lines.push(Line {
            file: self.name.clone(),
            bytes,
            cut,
            partition: self.partition.clone(),
            offset: write_offset(self.position, self.fingerprint),
        });
    }

    fn read_head(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::with_capacity(bytes);
        if bytes > 0 {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.by_ref().take(bytes as u64).read_to_end(&mut head)?;
        }
        Ok(head)
    }
}

fn partition(name: &str, id: FileId) -> SourcePartition {
    SourcePartition::of("filename", name).with("inode", id.inode)
}

/// The inode and the folder of a stored source partition.
pub(super) fn read_partition(partition: &SourcePartition) -> Option<(u64, PathBuf)> {
    let name = partition.get("filename")?.as_str()?;
    Some((partition.get("inode")?.as_u64()?, Path::new(name).parent()?.to_owned()))
}

fn write_offset(position: u64, fingerprint: Fingerprint) -> SourceOffset {
    SourceOffset::of("position", position).with("fingerprint", fingerprint.to_string())
}

fn read_offset(offset: &SourceOffset) -> Option<(u64, Fingerprint)> {
    let fingerprint = offset.get("fingerprint")?.as_str()?.parse().ok()?;
    Some((offset.get("position")?.as_u64()?, fingerprint))
}
