//! What the paths on the command line are: files, folders of partitions, data directories.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use riverrun::core::{
    TopicPartition,
    log::{
        ReadOnlyVfs, Vfs,
        inspect::{DataFile, partition_of_folder},
    },
};

use super::Selection;

/// Something to look into.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    File(PathBuf, DataFile),
    Partition(PathBuf),
    DataDirectory(PathBuf),
}

impl Target {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let metadata = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
        // The name counts, and "." has none.
        let path = if path.file_name().is_some() { path.to_owned() } else { std::path::absolute(path)? };
        if metadata.is_dir() {
            let path = path.canonicalize().unwrap_or(path);
            let names = ReadOnlyVfs.list(&path).with_context(|| format!("cannot list {}", path.display()))?;
            let has = |wanted: fn(&DataFile) -> bool| {
                names.iter().filter_map(|name| DataFile::of_name(name)).any(|file| wanted(&file))
            };
            if has(|file| matches!(file, DataFile::Segment(_) | DataFile::PartitionMetadata)) {
                return Ok(Self::Partition(path));
            }
            let is_directory = has(|file| matches!(file, DataFile::MetaProperties | DataFile::OffsetCheckpoint))
                || names.iter().any(|name| partition_of_folder(name).is_some());
            ensure!(is_directory, "{} is neither a data directory nor a partition's folder", path.display());
            return Ok(Self::DataDirectory(path));
        }
        match DataFile::of_name(name_of(&path)) {
            // A file that was set aside is still what it was.
            Some(DataFile::Leftover(_)) => {
                let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
                let kind = DataFile::of_name(stem).with_context(|| unknown(&path))?;
                Ok(Self::File(path, kind))
            }
            Some(kind) => Ok(Self::File(path, kind)),
            None => bail!(unknown(&path)),
        }
    }
}

fn unknown(path: &Path) -> String {
    format!("{} has a name that no file of a data directory has; what is in it is told by the name", path.display())
}

pub(super) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// The partition in whose folder `path` is, or which it is the folder of.
pub(super) fn partition_of(path: &Path) -> Option<TopicPartition> {
    let parent = path.parent().map(name_of).and_then(partition_of_folder);
    partition_of_folder(name_of(path)).or(parent)
}

/// The folders of a data directory's partitions that were selected.
pub(super) fn partitions_in(directory: &Path, selection: &Selection) -> Result<Vec<PathBuf>> {
    let names = ReadOnlyVfs.list(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let all: Vec<(TopicPartition, PathBuf)> = names
        .iter()
        .filter_map(|name| Some((partition_of_folder(name)?, directory.join(name))))
        .filter(|(_, path)| path.is_dir())
        .collect();
    let wanted = |partition: &TopicPartition| {
        selection.topic.as_deref().is_none_or(|topic| *partition.topic == *topic)
            && selection.partition.is_none_or(|index| partition.partition == index)
    };
    let topics: BTreeSet<&str> = all.iter().map(|(partition, _)| &*partition.topic).collect();
    let mut found: Vec<_> = all.iter().filter(|(partition, _)| wanted(partition)).cloned().collect();
    if found.is_empty() && (selection.topic.is_some() || selection.partition.is_some()) {
        let topics: Vec<&str> = topics.into_iter().collect();
        bail!("{} has no such partition; its topics are: {}", directory.display(), topics.join(", "));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
