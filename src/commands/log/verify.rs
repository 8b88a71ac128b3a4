//! `riverrun log verify`: searches a data directory, or a partition's folder, for damage. Nothing is written.
//!
//! While a broker runs on the directory, the segments that do not grow are verified all the same, and what is found is
//! looked for a second time: the files may have been replaced in between. Nothing keeps a broker from starting meanwhile;
//! it is noticed at the end.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use riverrun::core::log::{
    LogDirectory, ReadOnlyVfs, Vfs,
    inspect::{
        DataFile, DirectoryFacts, Finding, Observer, PartitionFacts, PartitionSummary, Severity, partition_of_folder,
        verify_partition, verify_root,
    },
};
use serde_json::{Value, json};

use super::{
    Selection,
    progress::Progress,
    target::{Target, name_of, partitions_in},
};

/// Flags of `riverrun log verify`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Decompress and read the records too, not only their batches' checksums
    #[arg(long)]
    deep: bool,
    /// Take missing offsets for the work of compaction, in folders without a data directory around them
    #[arg(long)]
    compacted: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

const CANNOT_RUN: u8 = 2;

/// Does what was asked for.
pub(super) fn run(args: &Args) -> ExitCode {
    let mut verification = Verification::new(args);
    let done = args.selection.paths.iter().try_for_each(|path| verification.target(path));
    match done.and_then(|()| verification.finish()) {
        Ok(code) => code,
        Err(error) => {
            verification.progress.clear();
            eprintln!("riverrun: {error:#}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

/// A verification under way.
struct Verification<'a> {
    args: &'a Args,
    progress: Progress,
    partitions: usize,
    segments: usize,
    batches: u64,
    bytes: u64,
    bytes_in_all: u64,
    findings: BTreeMap<Severity, usize>,
    /// Directories that no broker ran on when they were begun.
    idle: Vec<PathBuf>,
}

/// Keeps findings until it is clear that they are to be told.
struct Collected<'a, 'b> {
    findings: Vec<Finding>,
    what: &'a str,
    done: u64,
    of: u64,
    progress: &'b mut Progress,
}

impl Observer for Collected<'_, '_> {
    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn read(&mut self, bytes: u64) {
        self.done += bytes;
        self.progress.tick(self.what, self.done, self.of.max(self.done));
    }
}

impl<'a> Verification<'a> {
    fn new(args: &'a Args) -> Self {
        Self {
            args,
            progress: Progress::new(true),
            partitions: 0,
            segments: 0,
            batches: 0,
            bytes: 0,
            bytes_in_all: 0,
            findings: BTreeMap::new(),
            idle: Vec::new(),
        }
    }

    fn target(&mut self, path: &Path) -> Result<()> {
        match Target::of(path)? {
            Target::File(path, _) => {
                bail!("{} is a file; name the partition's folder, or the data directory", path.display())
            }
            Target::Partition(folder) => {
                let root = folder.parent().filter(|parent| parent.join("meta.properties").exists());
                let facts = match root {
                    Some(root) => self.facts(root, false)?.0,
                    None => DirectoryFacts::default(),
                };
                self.bytes_in_all += bytes_of(&folder);
                self.partition(&folder, &facts).map(drop)
            }
            Target::DataDirectory(root) => self.directory(&root),
        }
    }

    /// What the directory knows of its partitions, and whether a broker runs on it.
    fn facts(&mut self, root: &Path, whole: bool) -> Result<(DirectoryFacts, bool)> {
        let in_use = LogDirectory::is_in_use(root)
            .with_context(|| format!("cannot tell whether a broker runs on {}", root.display()))?;
        if in_use {
            self.progress.clear();
            eprintln!(
                "riverrun: a broker runs on {}: of each partition the last segment is left out, and checkpoints are not \
                 judged",
                root.display()
            );
        } else {
            self.idle.push(root.to_owned());
        }
        let mut observer = self.observer("");
        let facts = DirectoryFacts::read(&ReadOnlyVfs, root, in_use, &mut observer);
        let findings = observer.findings;
        if whole {
            self.tell(&findings)?;
        }
        Ok((facts, in_use))
    }

    fn observer<'s>(&'s mut self, what: &'s str) -> Collected<'s, 's> {
        let (done, of) = (self.bytes, self.bytes_in_all);
        Collected { findings: Vec::new(), what, done, of, progress: &mut self.progress }
    }

    fn directory(&mut self, root: &Path) -> Result<()> {
        let (facts, in_use) = self.facts(root, true)?;
        let selected = partitions_in(root, &self.args.selection)?;
        self.bytes_in_all += selected.iter().map(|folder| bytes_of(folder)).sum::<u64>();
        let is_whole = self.args.selection.topic.is_none() && self.args.selection.partition.is_none();
        if is_whole {
            let mut observer = self.observer("");
            verify_root(&ReadOnlyVfs, root, in_use, &mut observer)
                .with_context(|| format!("cannot list {}", root.display()))?;
            let findings = observer.findings;
            self.tell(&findings)?;
        }
        let mut ends = BTreeMap::new();
        for folder in selected {
            let summary = self.partition(&folder, &facts)?;
            if let Some(partition) = partition_of_folder(name_of(&folder)) {
                ends.insert(partition, summary.offsets);
            }
        }
        if is_whole {
            let mut observer = self.observer("");
            facts.judge_checkpoints(root, &ends, &mut observer);
            let findings = observer.findings;
            self.tell(&findings)?;
        }
        Ok(())
    }

    fn partition(&mut self, folder: &Path, facts: &DirectoryFacts) -> Result<PartitionSummary> {
        let known = partition_of_folder(name_of(folder)).map(|partition| facts.of(&partition)).unwrap_or_default();
        let facts =
            PartitionFacts { deep: self.args.deep, gaps_allowed: known.gaps_allowed || self.args.compacted, ..known };
        let (summary, mut findings) = self.walk(folder, &facts)?;
        if facts.in_use && !findings.is_empty() {
            let (_, again) = self.walk(folder, &facts)?;
            findings.retain(|finding| again.contains(finding));
        }
        self.partitions += 1;
        self.segments += summary.segments;
        self.batches += summary.batches;
        self.bytes += summary.bytes;
        self.tell(&findings)?;
        if findings.iter().any(|finding| finding.severity <= Severity::TornTail) {
            self.tell_sound(folder, &summary)?;
        }
        Ok(summary)
    }

    fn walk(&mut self, folder: &Path, facts: &PartitionFacts) -> Result<(PartitionSummary, Vec<Finding>)> {
        let mut observer = self.observer(name_of(folder));
        match verify_partition(&ReadOnlyVfs, folder, facts, &mut observer) {
            Ok(summary) => Ok((summary, observer.findings)),
            // Its topic was deleted.
            Err(error) if facts.in_use && error.kind() == io::ErrorKind::NotFound => {
                Ok((PartitionSummary::default(), Vec::new()))
            }
            Err(error) => Err(error).with_context(|| format!("cannot list {}", folder.display())),
        }
    }

    fn line(&mut self, text: impl FnOnce() -> String, object: impl FnOnce() -> Value) -> Result<()> {
        self.progress.clear();
        let line = if self.args.json { object().to_string() } else { text() };
        match writeln!(io::stdout(), "{line}") {
            // Whoever reads has seen enough; the exit code still counts.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    fn tell(&mut self, findings: &[Finding]) -> Result<()> {
        for finding in findings {
            *self.findings.entry(finding.severity).or_default() += 1;
            self.line(|| finding_text(finding), || finding_json(finding))?;
        }
        Ok(())
    }

    fn tell_sound(&mut self, folder: &Path, summary: &PartitionSummary) -> Result<()> {
        let folder = folder.display().to_string();
        let text = || {
            let runs: Vec<String> = summary.sound.iter().map(|(first, last)| format!("{first} to {last}")).collect();
            let runs = if runs.is_empty() { "none".to_owned() } else { runs.join(", ") };
            format!("{folder}: sound offsets: {runs}")
        };
        self.line(text, || json!({ "type": "sound_offsets", "folder": folder, "ranges": summary.sound }))
    }

    fn finish(&mut self) -> Result<ExitCode> {
        for root in &self.idle {
            let busy = LogDirectory::is_in_use(root).unwrap_or_default();
            ensure!(!busy, "a broker was started on {} meanwhile; verify again", root.display());
        }
        let total: usize = self.findings.values().sum();
        let counts: Vec<String> =
            self.findings.iter().map(|(severity, count)| format!("{count} {}", severity.name())).collect();
        let (partitions, segments, batches, bytes) = (self.partitions, self.segments, self.batches, self.bytes);
        let by_severity: BTreeMap<&str, usize> =
            self.findings.iter().map(|(severity, count)| (severity.name(), *count)).collect();
        let text = || {
            let verdict = if total == 0 { "clean".to_owned() } else { counts.join(", ") };
            format!("{partitions} partitions, {segments} segments, {batches} batches, {bytes} bytes: {verdict}")
        };
        let object = || {
            json!({
                "type": "summary",
                "partitions": partitions,
                "segments": segments,
                "batches": batches,
                "bytes": bytes,
                "findings": by_severity,
            })
        };
        self.line(text, object)?;
        Ok(if total == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn finding_text(finding: &Finding) -> String {
    let mut place = finding.file.display().to_string();
    if let Some(position) = finding.position {
        place.push_str(&format!(" at byte {position}"));
    }
    if let Some(offset) = finding.offset {
        place.push_str(&format!(", offset {offset}"));
    }
    format!("{}: {place}: {}\n    {}", finding.severity.name(), finding.problem, finding.advice())
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "type": "finding",
        "severity": finding.severity.name(),
        "kind": finding.kind(),
        "file": finding.file.display().to_string(),
        "position": finding.position,
        "offset": finding.offset,
        "problem": finding.problem.to_string(),
        "advice": finding.advice(),
    })
}

/// Bytes of the segments in a folder, for the progress only.
fn bytes_of(folder: &Path) -> u64 {
    let names = ReadOnlyVfs.list(folder).unwrap_or_default();
    let is_segment = |name: &&String| matches!(DataFile::of_name(name), Some(DataFile::Segment(_)));
    names.iter().filter(is_segment).filter_map(|name| folder.join(name).metadata().ok()).map(|file| file.len()).sum()
}
