//! Logs at rest. Of a log that nobody uses its offsets and sizes are known and nothing else: no file is open, no segment,
//! index or producer in memory. The first append or read wakes it. So a broker starts without looking into the folders
//! of partitions that have not changed, however many there are.
//!
//! What is known is written down as a [`Bookmark`], for all logs of a data directory in one file: when the broker stops,
//! and every minute while it runs. A bookmark names a place in the log before which all was synced. At a start:
//!
//! - after a clean stop, the log rests if its bookmark stands at its recovery point;
//! - after a crash, the log rests if the file that grew last is as long as the bookmark says and no later one follows:
//!   nothing has been written since. Otherwise what is behind the bookmark is read and checked, see
//!   [`super::recovery`].
//!
//! A bookmark is believed as far as it is confirmed: waking a log that does not end where it says is an error, like any
//! other damage, and takes the log offline.

use std::{collections::BTreeMap, fmt::Write as _, io, path::Path};

use super::{
    CheckpointError, LeaderEpochs, Log, OpenError, StorageError, checkpoint, recovery, roll::write_whole,
    segment::file_name, vfs::Vfs,
};
use crate::{TopicPartition, Uuid};

/// A place in a log before which all was synced, and what is known of the log up to there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The first offset there is.
    pub log_start_offset: i64,
    /// The offset before which all was synced.
    pub offset: i64,
    /// The base offset of the segment that grows.
    pub segment: i64,
    /// Bytes of that segment before `offset`.
    pub position: u64,
    /// Bytes of the segments before it.
    pub bytes_before: u64,
    /// How many segments there are.
    pub segment_count: u32,
    /// Whether this is the log's end, with nothing behind it that is not synced.
    pub at_end: bool,
    /// Whether a transaction was open: such a log does not rest.
    pub open_transactions: bool,
    /// The largest timestamp of the oldest segment, -1 for none; `None` if it is not known.
    pub oldest_timestamp: Option<i64>,
    /// Which leader epoch began where.
    pub epochs: LeaderEpochs,
}

impl Bookmark {
    /// Bytes of the log.
    pub fn size_in_bytes(&self) -> u64 {
        self.bytes_before + self.position
    }

    /// Whether nothing was written behind it: then nothing has to be checked.
    pub(super) fn is_end(&self, vfs: &dyn Vfs, folder: &Path) -> Result<bool, OpenError> {
        let bases = match vfs.list(folder) {
            Ok(names) => recovery::segment_bases(&names),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(recovery::io_error("list", folder)(error)),
        };
        if bases.last() != Some(&self.segment) || u32::try_from(bases.len()) != Ok(self.segment_count) {
            return Ok(false);
        }
        let path = folder.join(file_name(self.segment, "log"));
        let failed = recovery::io_error("measure", &path);
        vfs.open(&path).and_then(|file| file.len()).map(|length| length == self.position).map_err(failed)
    }

    fn write(&self, line: &mut String) {
        let Self { topic_id, log_start_offset, offset, segment, position, bytes_before, segment_count, .. } = self;
        let (at_end, open) = (u8::from(self.at_end), u8::from(self.open_transactions));
        let oldest = self.oldest_timestamp.map_or_else(|| "?".to_owned(), |timestamp| timestamp.to_string());
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "{topic_id} {log_start_offset} {offset} {segment} {position} {bytes_before} {segment_count} {at_end} {open} \
             {oldest} {}",
            self.epochs.entries().len(),
        );
        for (epoch, start) in self.epochs.entries() {
            let _ = write!(line, " {epoch} {start}");
        }
    }

    fn read<'w>(words: &mut impl Iterator<Item = &'w str>) -> Option<Self> {
        fn number<'w, T: std::str::FromStr>(words: &mut impl Iterator<Item = &'w str>) -> Option<T> {
            words.next()?.parse().ok()
        }
        let topic_id = number(words)?;
        let log_start_offset = number(words)?;
        let offset = number(words)?;
        let segment = number(words)?;
        let position = number(words)?;
        let bytes_before = number(words)?;
        let segment_count = number(words)?;
        let at_end = number::<u8>(words)? == 1;
        let open_transactions = number::<u8>(words)? == 1;
        let oldest_timestamp = match words.next()? {
            "?" => None,
            timestamp => Some(timestamp.parse().ok()?),
        };
        let count: usize = number(words)?;
        let mut epochs = Vec::new();
        for _ in 0..count {
            epochs.push((number(words)?, number(words)?));
        }
        let sound = 0 <= log_start_offset && log_start_offset <= offset && segment <= offset && words.next().is_none();
        let epochs = LeaderEpochs::new(epochs);
        let bookmark = Self {
            topic_id,
            log_start_offset,
            offset,
            segment,
            position,
            bytes_before,
            segment_count,
            at_end,
            open_transactions,
            oldest_timestamp,
            epochs,
        };
        (sound && bookmark.epochs.entries().len() == count).then_some(bookmark)
    }
}

/// Reads the bookmarks of a data directory; none if there is no such file. One that is malformed counts as none as well:
/// it saves work, and nothing depends on it.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn read_bookmarks(vfs: &dyn Vfs, path: &Path) -> Result<BTreeMap<TopicPartition, Bookmark>, CheckpointError> {
    let text = match checkpoint::read_text(vfs, path) {
        Ok(Some(text)) => text,
        Ok(None) | Err(CheckpointError::Malformed { .. }) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let Ok(lines) = checkpoint::entries(&text, path) else { return Ok(BTreeMap::new()) };
    let mut topic = std::sync::Arc::<str>::from("");
    let entry = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        if name != &*topic {
            // Partitions of a topic stand together, and share its name.
            topic = name.into();
        }
        let partition = words.next()?.parse().ok()?;
        Some((TopicPartition::new(std::sync::Arc::clone(&topic), partition), Bookmark::read(&mut words)?))
    };
    Ok(lines.into_iter().map(entry).collect::<Option<_>>().unwrap_or_default())
}

/// The content of the file of bookmarks.
pub fn encode_bookmarks<'b>(bookmarks: impl ExactSizeIterator<Item = (&'b TopicPartition, &'b Bookmark)>) -> String {
    let mut text = format!("0\n{}\n", bookmarks.len());
    for (partition, bookmark) in bookmarks {
        let _ = write!(text, "{} {} ", partition.topic, partition.partition);
        bookmark.write(&mut text);
        text.push('\n');
    }
    text
}

/// How far a log was synced, and where in its files that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyncedPlace {
    pub(super) offset: i64,
    pub(super) segment: i64,
    pub(super) position: u64,
}

/// Replaces the file of bookmarks by one with this content, of [`encode_bookmarks`].
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn write_bookmarks(vfs: &dyn Vfs, path: &Path, content: &str) -> Result<(), CheckpointError> {
    checkpoint::write_text(vfs, path, content)
}

impl Log {
    /// Where the log can be taken up again without reading what is before; `None` if that is not known, as of a log
    /// that is offline.
    pub fn bookmark(&self) -> Option<Bookmark> {
        if let Some(resting) = &self.resting {
            let bookmark = Bookmark { log_start_offset: self.log_start_offset, ..(**resting).clone() };
            return self.unreadable.is_none().then_some(bookmark);
        }
        let (end, active) = (self.log_end_offset(), self.segments.values().next_back()?);
        let synced = if self.recovery_point == end {
            SyncedPlace { offset: end, segment: active.base_offset, position: active.size }
        } else {
            self.synced.filter(|synced| synced.offset == self.recovery_point)?
        };
        if self.unreadable.is_some() {
            return None;
        }
        let before = self.segments.range(..synced.segment);
        let oldest = self.segments.values().next()?;
        let oldest_timestamp = oldest.largest_timestamp_if_known();
        // A later segment than that of the bookmark does not count yet.
        let segment_count = u32::try_from(before.clone().count()).unwrap_or(u32::MAX).saturating_add(1);
        Some(Bookmark {
            topic_id: self.topic_id,
            log_start_offset: self.log_start_offset.min(synced.offset),
            offset: synced.offset,
            segment: synced.segment,
            position: synced.position,
            bytes_before: before.map(|(_, segment)| segment.size).sum(),
            segment_count,
            at_end: synced.offset == end && self.segments.values().all(|segment| !segment.dirty || segment.size == 0),
            open_transactions: self.producers.first_unstable_offset().is_some(),
            oldest_timestamp: if segment_count > 1 || synced.offset == end { oldest_timestamp } else { None },
            epochs: {
                let mut epochs = self.epochs.clone();
                epochs.truncate_to(synced.offset.max(1));
                epochs
            },
        })
    }

    /// Whether only its offsets are known, and its files are not open.
    pub fn is_resting(&self) -> bool {
        self.resting.is_some()
    }

    /// Writes down what is known of the segment that grows, its index and the producers, so that the next opening need not
    /// read it, whatever comes in between. Nothing is synced: whoever reads these files holds them against the batches.
    /// True if there was anything to write.
    ///
    /// # Errors
    /// [`StorageError`]; the log goes on, it only costs the next opening more.
    pub fn settle(&mut self) -> Result<bool, StorageError> {
        let end = self.log_end_offset();
        if self.is_resting() || self.offline.is_some() || self.settled == end || self.size_in_bytes() == 0 {
            return Ok(false);
        }
        let failed = |path: &Path| {
            let file = path.display().to_string();
            move |source| StorageError { action: "write", file, source }
        };
        self.write_active_aborted()?;
        let path = self.folder.join(file_name(end, "snapshot"));
        write_whole(&*self.vfs, &path, &self.producers.encode()).map_err(failed(&path))?;
        if let Some(active) = self.segments.values_mut().next_back() {
            let path = active.path("index");
            active.extend_index(&*self.vfs).map_err(failed(&path))?;
        }
        self.prune_snapshots()?;
        self.settled = end;
        Ok(true)
    }

    /// Lets the log rest at `bookmark`, which is its end.
    pub(super) fn rest_at(&mut self, bookmark: &Bookmark) {
        self.log_start_offset = self.log_start_offset.max(bookmark.log_start_offset).min(bookmark.offset);
        self.high_watermark = bookmark.offset;
        self.recovery_point = bookmark.offset;
        self.epochs = bookmark.epochs.clone();
        self.resting = Some(Box::new(bookmark.clone()));
    }

    /// Opens the files of a log at rest. Does nothing if it does not rest.
    pub(super) fn wake(&mut self) -> Result<(), OpenError> {
        let Some(bookmark) = self.resting.take() else { return Ok(()) };
        let (log_start, high_watermark) = (self.log_start_offset, self.high_watermark);
        // Whether it rests since a clean stop or since a crash, now or an earlier time: what is behind the bookmark, snapshots
        // of records that were lost for example, is not believed.
        let opened = self.open_files(false, Some(&bookmark), None).and_then(|()| {
            let end = self.log_end_offset();
            if end == bookmark.offset {
                return Ok(());
            }
            let file = self.folder.join(file_name(bookmark.segment, "log")).display().to_string();
            let reason = format!("it ends at offset {end}, but was closed at offset {}", bookmark.offset);
            Err(OpenError::Corrupt { file, position: bookmark.position, reason })
        });
        if let Err(error) = &opened {
            self.segments.clear();
            (self.log_start_offset, self.high_watermark) = (log_start, high_watermark);
            self.resting = Some(bookmark);
            self.unreadable = Some(super::error::with_causes(error));
            self.offline = self.unreadable.clone();
        }
        opened
    }
}
