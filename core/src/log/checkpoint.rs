//! Kafka's small text files: offset checkpoints of a data directory, the leader-epoch checkpoint and the metadata of a
//! partition. Each is replaced as a whole, so that a crash leaves the old or the new one.
//!
//! ```text
//! 0                      version
//! 2                      number of entries
//! orders 0 1042          topic, partition, offset       (in leader-epoch-checkpoint: epoch, start offset)
//! orders 1 977
//! ```
//! Source: Kafka's `CheckpointFile`, `OffsetCheckpointFile`, `LeaderEpochCheckpointFile`, `PartitionMetadataFile`.

use std::{collections::BTreeMap, fmt::Write as _, io, path::Path};

use super::vfs::{self, Vfs};
use crate::{TopicPartition, Uuid};

/// Why a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("cannot access {file}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file's text is not of its format.
    #[error("{file} is malformed: {problem}; remove it to have it rebuilt")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

pub(super) fn read_text(vfs: &dyn Vfs, path: &Path) -> Result<Option<String>, CheckpointError> {
    let file = || path.display().to_string();
    match vfs::read(vfs, path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| CheckpointError::Malformed { file: file(), problem: "it is no text" }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckpointError::Io { file: file(), source }),
    }
}

pub(super) fn write_text(vfs: &dyn Vfs, path: &Path, text: &str) -> Result<(), CheckpointError> {
    vfs::replace(vfs, path, text.as_bytes())
        .map_err(|source| CheckpointError::Io { file: path.display().to_string(), source })
}

/// The lines after version and count, checked against both.
pub(super) fn entries<'t>(text: &'t str, path: &Path) -> Result<Vec<&'t str>, CheckpointError> {
    let malformed = |problem| CheckpointError::Malformed { file: path.display().to_string(), problem };
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("0") {
        return Err(malformed("its version is not 0"));
    }
    let count: usize =
        lines.next().and_then(|line| line.trim().parse().ok()).ok_or_else(|| malformed("it states no count"))?;
    let entries: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    if entries.len() == count { Ok(entries) } else { Err(malformed("it has not as many entries as it states")) }
}

/// Reads an offset checkpoint; empty if there is none.
///
/// # Errors
/// [`CheckpointError`].
pub fn read_offsets(vfs: &dyn Vfs, path: &Path) -> Result<BTreeMap<TopicPartition, i64>, CheckpointError> {
    let Some(text) = read_text(vfs, path)? else { return Ok(BTreeMap::new()) };
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let topic = words.next()?;
        let partition = words.next()?.parse().ok()?;
        let offset = words.next()?.parse().ok()?;
        Some((TopicPartition::new(topic, partition), offset))
    };
    let malformed =
        || CheckpointError::Malformed { file: path.display().to_string(), problem: "an entry is malformed" };
    entries(&text, path)?.into_iter().map(|line| entry(line).ok_or_else(malformed)).collect()
}

/// Replaces an offset checkpoint.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn write_offsets(
    vfs: &dyn Vfs,
    path: &Path,
    offsets: &BTreeMap<TopicPartition, i64>,
) -> Result<(), CheckpointError> {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
    }
    write_text(vfs, path, &text)
}

/// Reads a leader-epoch checkpoint as pairs of epoch and start offset; `None` if there is none.
///
/// # Errors
/// [`CheckpointError`].
pub fn read_epochs(vfs: &dyn Vfs, path: &Path) -> Result<Option<Vec<(i32, i64)>>, CheckpointError> {
    let Some(text) = read_text(vfs, path)? else { return Ok(None) };
    let entry = |line: &str| {
        let (epoch, offset) = line.trim().split_once(' ')?;
        Some((epoch.parse().ok()?, offset.parse().ok()?))
    };
    let malformed =
        || CheckpointError::Malformed { file: path.display().to_string(), problem: "an entry is malformed" };
    entries(&text, path)?.into_iter().map(|line| entry(line).ok_or_else(malformed)).collect::<Result<_, _>>().map(Some)
}

/// Replaces a leader-epoch checkpoint.
///
/// # Errors
/// [`CheckpointError::Io`].
pub(super) fn write_epochs(vfs: &dyn Vfs, path: &Path, epochs: &[(i32, i64)]) -> Result<(), CheckpointError> {
    let mut text = format!("0\n{}\n", epochs.len());
    for (epoch, start) in epochs {
        let _ = writeln!(text, "{epoch} {start}");
    }
    write_text(vfs, path, &text)
}

/// Reads the topic id out of `partition.metadata`; `None` if there is no such file.
///
/// # Errors
/// [`CheckpointError`].
pub fn read_topic_id(vfs: &dyn Vfs, path: &Path) -> Result<Option<Uuid>, CheckpointError> {
    let Some(text) = read_text(vfs, path)? else { return Ok(None) };
    let malformed = |problem| CheckpointError::Malformed { file: path.display().to_string(), problem };
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:")).ok_or_else(|| malformed("no topic_id"))?;
    id.trim().parse().map(Some).map_err(|_| malformed("its topic_id is no id"))
}

/// Writes `partition.metadata`.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn write_topic_id(vfs: &dyn Vfs, path: &Path, topic_id: Uuid) -> Result<(), CheckpointError> {
    write_text(vfs, path, &topic_id_text(topic_id))
}

/// The content of `partition.metadata`.
pub(super) fn topic_id_text(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::SimulatedVfs;

    #[test]
    fn offsets_and_epochs_read_back() {
        let vfs = SimulatedVfs::in_memory();
        let path = Path::new("/data/recovery-point-offset-checkpoint");
        assert!(read_offsets(&vfs, path).expect("none is fine").is_empty());
        let offsets = BTreeMap::from([(TopicPartition::new("a", 0), 5), (TopicPartition::new("b-c.d", 12), 0)]);
        write_offsets(&vfs, path, &offsets).expect("writes");
        assert_eq!(read_offsets(&vfs, path).expect("reads"), offsets);
        assert_eq!(vfs::read(&vfs, path).expect("is there"), b"0\n2\na 0 5\nb-c.d 12 0\n");
        write_epochs(&vfs, path, &[(0, 0), (3, 17)]).expect("writes");
        assert_eq!(read_epochs(&vfs, path).expect("reads"), Some(vec![(0, 0), (3, 17)]));
    }

    #[test]
    fn a_checkpoint_that_lies_is_refused() {
        let vfs = SimulatedVfs::in_memory();
        let path = Path::new("/data/x");
        for text in ["", "1\n0\n", "0\n2\na 0 1\n", "0\n1\na zero 1\n", "0\n-1\n"] {
            vfs::replace(&vfs, path, text.as_bytes()).expect("writes");
            assert!(read_offsets(&vfs, path).is_err(), "{text:?}");
        }
    }

    #[test]
    fn partition_metadata_holds_the_topic_id() {
        let vfs = SimulatedVfs::in_memory();
        let path = Path::new("/data/t-0/partition.metadata");
        let id = Uuid([7; 16]);
        write_topic_id(&vfs, path, id).expect("writes");
        assert_eq!(read_topic_id(&vfs, path).expect("reads"), Some(id));
    }
}
