//! Verifies a data directory: whose it is, its checkpoints, and one partition after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{
    DataFile, Observer, PartitionFacts, PartitionSummary,
    files::partition_of_folder,
    finding::{Finding, Problem, Severity},
    partition::verify_partition,
};
use crate::{
    TopicPartition,
    log::{Bookmark, CheckpointError, DirectoryError, LogDirectory, read_bookmarks, read_offsets, vfs::Vfs},
};

/// Topics that are compacted from the start.
const COMPACTED: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// What a data directory knows of its partitions, read once.
#[derive(Debug, Default)]
pub struct DirectoryFacts {
    clean: bool,
    in_use: bool,
    recovery_points: BTreeMap<TopicPartition, i64>,
    log_starts: BTreeMap<TopicPartition, i64>,
    high_watermarks: BTreeMap<TopicPartition, i64>,
    cleaned_to: BTreeMap<TopicPartition, i64>,
    bookmarks: BTreeMap<TopicPartition, Bookmark>,
}

impl DirectoryFacts {
    /// Reads them. What is wrong with the files is told to `observer`.
    pub fn read(vfs: &dyn Vfs, root: &Path, in_use: bool, observer: &mut dyn Observer) -> Self {
        let mut offsets = |name: &str| match read_offsets(vfs, &root.join(name)) {
            Ok(offsets) => offsets,
            Err(error) => {
                observer.found(unusable(root.join(name), error));
                BTreeMap::new()
            }
        };
        let recovery_points = offsets("recovery-point-offset-checkpoint");
        let log_starts = offsets("log-start-offset-checkpoint");
        let high_watermarks = offsets("replication-offset-checkpoint");
        let cleaned_to = offsets("cleaner-offset-checkpoint");
        let path = root.join("riverrun-bookmarks");
        let bookmarks = match read_bookmarks(vfs, &path) {
            Ok(bookmarks) => bookmarks,
            Err(error) => {
                observer.found(unusable(path, error));
                BTreeMap::new()
            }
        };
        let clean = LogDirectory::is_marked_clean(vfs, root);
        Self { clean, in_use, recovery_points, log_starts, high_watermarks, cleaned_to, bookmarks }
    }

    /// What is known of one partition.
    pub fn of(&self, partition: &TopicPartition) -> PartitionFacts {
        PartitionFacts {
            clean: self.clean && !self.in_use,
            recovery_point: self.recovery_points.get(partition).copied(),
            high_watermark: self.high_watermarks.get(partition).copied(),
            log_start_offset: self.log_starts.get(partition).copied(),
            bookmark: self.bookmarks.get(partition).cloned(),
            gaps_allowed: self.cleaned_to.contains_key(partition) || COMPACTED.contains(&&*partition.topic),
            in_use: self.in_use,
            deep: false,
        }
    }

    /// Holds the checkpoints against the partitions there are, which `ends` has with their first and next offsets.
    pub fn judge_checkpoints(
        &self,
        root: &Path,
        ends: &BTreeMap<TopicPartition, Option<(i64, i64)>>,
        observer: &mut dyn Observer,
    ) {
        if self.in_use {
            return;
        }
        let mut report = |name: &str, problem| {
            let (file, severity) = (root.join(name), Severity::Rebuildable);
            observer.found(Finding { file, position: None, offset: None, problem, severity });
        };
        for (name, offsets) in [
            ("recovery-point-offset-checkpoint", &self.recovery_points),
            ("log-start-offset-checkpoint", &self.log_starts),
            ("replication-offset-checkpoint", &self.high_watermarks),
            ("cleaner-offset-checkpoint", &self.cleaned_to),
        ] {
            // A crash leaves them as they were.
            for partition in offsets.keys().filter(|partition| self.clean && !ends.contains_key(*partition)) {
                report(name, Problem::NoFolder { partition: partition.to_string() });
            }
        }
        for (partition, offset) in &self.cleaned_to {
            if let Some((start, end)) = ends.get(partition).copied().flatten().filter(|(_, end)| offset > end) {
                let partition = partition.to_string();
                report("cleaner-offset-checkpoint", Problem::OutOfBounds { offset: *offset, partition, start, end });
            }
        }
    }
}

fn unusable(file: PathBuf, error: CheckpointError) -> Finding {
    let (problem, severity) = match error {
        CheckpointError::Io { source, .. } => (Problem::Unreadable { reason: source.to_string() }, Severity::Damage),
        CheckpointError::Malformed { problem, .. } => {
            (Problem::Malformed { reason: problem.to_owned() }, Severity::Rebuildable)
        }
    };
    Finding { file, position: None, offset: None, problem, severity }
}

/// What stands directly in a data directory: whose it is, and what does not belong there. Returns its partitions.
///
/// # Errors
/// If the directory cannot be listed.
pub fn verify_root(
    vfs: &dyn Vfs,
    root: &Path,
    in_use: bool,
    observer: &mut dyn Observer,
) -> io::Result<BTreeSet<TopicPartition>> {
    let mut partitions = BTreeSet::new();
    let mut report = |file: PathBuf, problem, severity| {
        observer.found(Finding { file, position: None, offset: None, problem, severity });
    };
    let meta = root.join("meta.properties");
    match LogDirectory::identity_at(vfs, root) {
        Ok(Some(_)) => {}
        Ok(None) => report(meta, Problem::Missing, Severity::Damage),
        Err(DirectoryError::Malformed { problem, .. }) => {
            report(meta, Problem::Malformed { reason: problem }, Severity::Damage);
        }
        Err(error) => {
            let reason = crate::log::error::with_causes(&error);
            report(meta, Problem::Unreadable { reason }, Severity::Damage);
        }
    }
    for name in vfs.list(root)? {
        let path = root.join(&name);
        if let Some(partition) = partition_of_folder(&name).filter(|_| vfs.list(&path).is_ok()) {
            partitions.insert(partition);
        } else if let Some(DataFile::Leftover(_)) = DataFile::of_name(&name) {
            if !in_use {
                report(path, Problem::Leftover, Severity::Leftover);
            }
        } else if name.ends_with("-delete") || name.ends_with("-future") || name.ends_with("-stray") {
            if !in_use || name.ends_with("-stray") {
                report(path, Problem::Leftover, Severity::Leftover);
            }
        } else if DataFile::of_name(&name).is_none() {
            report(path, Problem::Strange, Severity::Leftover);
        }
    }
    Ok(partitions)
}

/// Verifies a whole data directory.
///
/// # Errors
/// If the directory cannot be listed. Whatever is wrong within is a finding.
pub fn verify_directory(
    vfs: &dyn Vfs,
    root: &Path,
    in_use: bool,
    observer: &mut dyn Observer,
) -> io::Result<Vec<(TopicPartition, PartitionSummary)>> {
    let partitions = verify_root(vfs, root, in_use, observer)?;
    let facts = DirectoryFacts::read(vfs, root, in_use, observer);
    let mut summaries = Vec::new();
    for partition in partitions {
        let folder = root.join(partition.to_string());
        let summary = verify_partition(vfs, &folder, &facts.of(&partition), observer)?;
        summaries.push((partition, summary));
    }
    let ends = summaries.iter().map(|(partition, summary)| (partition.clone(), summary.offsets)).collect();
    facts.judge_checkpoints(root, &ends, observer);
    Ok(summaries)
}
