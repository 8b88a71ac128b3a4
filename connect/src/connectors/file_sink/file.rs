//! A file of lines with a durable end: blocking, no records, no runtime.
//!
//! Positions: `written` is where the next line goes, `flushed` what the last successful fsync covered. The file beside it,
//! if wanted, is one JSON object, replaced atomically after each fsync:
//! `{"bytes": flushed, "offsets": {"topic": {"0": next}}}`.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use riverrun_core::TopicPartition;
use serde::{Deserialize, Serialize};

/// What failed, on which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {step} failed", path.display())]
pub(super) struct LineFileError {
    path: PathBuf,
    step: &'static str,
    recovered: bool,
    source: io::Error,
}

impl LineFileError {
    /// True if the file is as it was before the call, so that the call may be tried again: a full disk may have room
    /// later.
    pub(super) fn is_retriable(&self) -> bool {
        self.recovered
    }
}

/// How far the file was at the last flush.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Bookmark {
    bytes: u64,
    /// Per topic and partition the offset of the first record that is not in the file.
    offsets: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// The file, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    written: u64,
    flushed: u64,
    /// Next offset by partition, only when records are to be in the file exactly once.
    offsets: Option<HashMap<TopicPartition, i64>>,
}

impl LineFile {
    /// Opens or creates the file and cuts off what is not complete.
    pub(super) fn open(path: &Path, deduplicate: bool) -> Result<Self, LineFileError> {
        let at = |step| move |source| LineFileError { path: path.to_owned(), step, recovered: false, source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(at("creating its folder"))?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(at("opening"))?;
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                at("locking")(io::Error::other("another connector or process writes to it; give each its own file"))
            }
            fs::TryLockError::Error(source) => at("locking")(source),
        })?;
        let length = file.metadata().map_err(at("reading its length"))?.len();
        let mut end = end_of_last_line(&mut file, length).map_err(at("looking for its last line"))?;
        let mut offsets = None;
        if deduplicate {
            let bookmark = read_bookmark(path).map_err(at("reading its offsets"))?;
            let mut known = HashMap::new();
            match bookmark {
                Some(bookmark) => {
                    end = end.min(bookmark.bytes);
                    for (topic, partitions) in bookmark.offsets {
                        let of_topic = partitions.into_iter();
                        known.extend(of_topic.map(|(p, next)| (TopicPartition::new(topic.as_str(), p), next)));
                    }
                }
                // What is there already stays; what comes after it is cut off if a crash precedes the first flush.
                None => write_bookmark(path, end, &known).map_err(at("writing its offsets"))?,
            }
            offsets = Some(known);
        }
        if end < length {
            tracing::warn!(path = %path.display(), bytes = length - end, "cutting off what was not flushed");
            file.set_len(end).map_err(at("cutting off its torn end"))?;
            file.sync_all().map_err(at("syncing"))?;
        }
        file.seek(SeekFrom::Start(end)).map_err(at("seeking its end"))?;
        Ok(Self { path: path.to_owned(), file, written: end, flushed: end, offsets })
    }

    /// Appends lines, all or none of them.
    pub(super) fn append(&mut self, lines: &[(TopicPartition, i64, String)]) -> Result<(), LineFileError> {
        let mut buffer = String::new();
        let mut next = HashMap::new();
        for (partition, offset, line) in lines {
            if let Some(known) = &self.offsets {
                let known = next.get(partition).or(known.get(partition)).copied();
                if known.is_some_and(|known| *offset < known) {
                    continue;
                }
                next.insert(partition.clone(), offset + 1);
            }
            buffer.push_str(line);
            buffer.push('\n');
        }
        if let Err(source) = self.file.write_all(buffer.as_bytes()) {
            let recovered =
                self.file.set_len(self.written).and_then(|()| self.file.seek(SeekFrom::Start(self.written))).is_ok();
            return Err(LineFileError { path: self.path.clone(), step: "writing", recovered, source });
        }
        self.written += buffer.len() as u64;
        if let Some(known) = &mut self.offsets {
            known.extend(next);
        }
        Ok(())
    }

    /// Makes all lines durable, then the offsets that they stand for.
    pub(super) fn flush(&mut self) -> Result<(), LineFileError> {
        if self.flushed == self.written {
            return Ok(());
        }
        let path = self.path.clone();
        let at = |step| move |source| LineFileError { path, step, recovered: false, source };
        self.file.sync_data().map_err(at.clone()("syncing"))?;
        if let Some(offsets) = &self.offsets {
            write_bookmark(&self.path, self.written, offsets).map_err(at("writing its offsets"))?;
        }
        self.flushed = self.written;
        Ok(())
    }
}

/// The position behind the last line feed.
fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(index) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + index as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn read_bookmark(path: &Path) -> io::Result<Option<Bookmark>> {
    match fs::read(beside(path, ".offsets")) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_bookmark(path: &Path, bytes: u64, offsets: &HashMap<TopicPartition, i64>) -> io::Result<()> {
    let mut bookmark = Bookmark { bytes, ..Bookmark::default() };
    for (partition, next) in offsets {
        bookmark.offsets.entry(partition.topic.to_string()).or_default().insert(partition.partition, *next);
    }
    let new = beside(path, ".offsets.new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&bookmark)?)?;
    file.sync_all()?;
    fs::rename(&new, beside(path, ".offsets"))?;
    sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes a rename durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems give no handle on a folder to sync.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(offset: i64) -> (TopicPartition, i64, String) {
        (TopicPartition::new("t", 0), offset, format!("{{\"n\":{offset}}}"))
    }

    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/out.jsonl");
        let mut file = LineFile::open(&path, false).unwrap();
        file.append(&[line(0), line(1)]).unwrap();
        file.flush().unwrap();
        drop(file);
        let mut whole = fs::read(&path).unwrap();
        whole.extend(b"{\"n\":");
        whole.extend(vec![b'x'; 70_000]);
        fs::write(&path, whole).unwrap();
        let mut file = LineFile::open(&path, false).unwrap();
        file.append(&[line(2)]).unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
        fs::write(&path, "no line feed at all").unwrap();
        drop(LineFile::open(&path, false).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn with_offsets_each_record_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut file = LineFile::open(&path, true).unwrap();
        file.append(&[line(0), line(1)]).unwrap();
        file.flush().unwrap();
        file.append(&[line(2)]).unwrap();
        drop(file);
        // The crash came before the second flush: record 2 is in the file, and its offset is not committed.
        let mut file = LineFile::open(&path, true).unwrap();
        file.append(&[line(1), line(2), line(3)]).unwrap();
        file.append(&[line(3)]).unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    }

    #[test]
    fn with_offsets_a_crash_before_the_first_flush_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "from before\n").unwrap();
        LineFile::open(&path, true).unwrap().append(&[line(0)]).unwrap();
        LineFile::open(&path, true).unwrap().append(&[line(0)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "from before\n{\"n\":0}\n");
    }

    #[test]
    fn two_writers_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let _first = LineFile::open(&path, false).unwrap();
        let error = LineFile::open(&path, false).unwrap_err();
        assert!(crate::connector::error_chain(&error).contains("another connector or process"), "{error}");
    }
}
